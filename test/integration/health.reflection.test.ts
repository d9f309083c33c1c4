// Server reflection, as grpcurl asks for it. The test reads and writes the protocol's two messages by hand: their
// .proto is inside a package, which doesn't export it.
import { create, createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { type Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { startInstance } from '../support/test-instance.ts';

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

// Field numbers of grpc/reflection/v1/reflection.proto.
const FILE_BY_FILENAME = 3;
const FILE_CONTAINING_SYMBOL = 4;
const FILE_CONTAINING_EXTENSION = 5;
const ALL_EXTENSION_NUMBERS = 6;
const LIST_SERVICES = 7;
const FILE_DESCRIPTOR_RESPONSE = 4;
const ALL_EXTENSION_NUMBERS_RESPONSE = 5;
const LIST_SERVICES_RESPONSE = 6;
const ERROR_RESPONSE = 7;

const SERVICES = [
  'google.longrunning.Operations',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'leasehold.v1.LockService',
  'leasehold.v1.OperationStoreService',
];

let instance: Instance;
let client: Client;

beforeAll(async () => {
  instance = await startInstance({ LEASEHOLD_SERVER_REFLECTION: 'true' });
  const Generic = makeGenericClientConstructor({}, 'Reflection');
  client = new Generic(formatHostPort(instance.address), credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await instance.stop();
});

/** Asks one question and returns the bytes of the response. */
function ask(field: number, value: string | Uint8Array, of = client, path = PATH): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = of.makeBidiStreamRequest(
      path,
      (message: Uint8Array) => Buffer.from(message),
      (message: Buffer) => message,
      { deadline: Date.now() + 5_000 },
    );
    stream.once('data', (message: Buffer) => resolve(message));
    stream.once('error', reject);
    stream.write(new BinaryWriter().tag(field, 2).bytes(Buffer.from(value)).finish());
    stream.end();
  });
}

/** All values of a length-delimited field. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, kind] = reader.tag();
    if (field === wanted && kind === 2) found.push(reader.bytes());
    else reader.skip(kind, field); // a field that nobody asked for
  }
  return found;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** The descriptors in the answer to a question, in their order. */
async function descriptors(field: number, value: string | Uint8Array): Promise<FileDescriptorProto[]> {
  const [response] = fieldsOf(await ask(field, value), FILE_DESCRIPTOR_RESPONSE);
  return fieldsOf(response ?? new Uint8Array(), 1).map((file) => fromBinary(FileDescriptorProtoSchema, file));
}

async function listed(path = PATH): Promise<string[]> {
  const [list] = fieldsOf(await ask(LIST_SERVICES, '', client, path), LIST_SERVICES_RESPONSE);
  return fieldsOf(list ?? new Uint8Array(), 1).map((service) => fieldsOf(service, 1).map(text).join());
}

test('reflection lists every service that the server has', async () => {
  expect((await listed()).sort()).toEqual(SERVICES);
});

test('tools that only know the older reflection get the same answers', async () => {
  expect((await listed(PATH.replace('v1', 'v1alpha'))).sort()).toEqual(SERVICES);
});

/** Links a file with what it imports and nothing else. Throws if a file is missing or none declares a type. */
async function link(
  root: FileDescriptorProto,
  find: (path: string) => Promise<FileDescriptorProto | undefined>,
): Promise<FileRegistry> {
  const order = new Map<string, FileDescriptorProto>();
  const add = async (file: FileDescriptorProto): Promise<void> => {
    for (const path of file.dependency.filter((name) => !order.has(name))) {
      const imported = await find(path);
      if (imported === undefined) throw new Error(`${file.name} imports ${path}, which is not there`);
      await add(imported);
    }
    order.set(file.name, file);
  };
  await add(root);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...order.values()] }));
}

async function fileOf(symbol: string): Promise<[FileDescriptorProto, ...FileDescriptorProto[]]> {
  const [root, ...imported] = await descriptors(FILE_CONTAINING_SYMBOL, symbol);
  if (root === undefined) throw new Error(`there is no descriptor of ${symbol}`);
  return [root, ...imported];
}

test.each(SERVICES)('a tool can link %s from what reflection sends, import by import', async (service) => {
  const [root] = await fileOf(service);
  const linked = await link(root, async (path) => (await descriptors(FILE_BY_FILENAME, path))[0]);
  expect(linked.getService(service)?.methods.length).toBeGreaterThan(0);
});

test.each(SERVICES)('one answer has all that the file of %s imports', async (service) => {
  const [root, ...imported] = await fileOf(service);
  const linked = await link(root, async (path) => imported.find(({ name }) => name === path));
  expect(linked.getService(service)).toBeDefined();
});

test('the descriptors keep the options of others, such as the paths for REST', async () => {
  const [root] = await descriptors(FILE_CONTAINING_SYMBOL, 'google.longrunning.Operations');
  const HTTP = 72295728; // google.api.http
  const options = root?.service[0]?.method[0]?.options;
  expect(options?.$unknown?.map(({ no }) => no)).toContain(HTTP);
  const asked = new BinaryWriter().tag(1, 2).string('google.protobuf.MethodOptions').tag(2, 0).int32(HTTP);
  const [declares] = await descriptors(FILE_CONTAINING_EXTENSION, asked.finish());
  expect(declares?.name).toBe('google/api/annotations.proto');
  const [numbers] = fieldsOf(
    await ask(ALL_EXTENSION_NUMBERS, 'google.protobuf.MethodOptions'),
    ALL_EXTENSION_NUMBERS_RESPONSE,
  );
  const packed = new BinaryReader(fieldsOf(numbers ?? new Uint8Array(), 2)[0] ?? new Uint8Array());
  const found: number[] = [];
  while (packed.pos < packed.len) found.push(packed.int32());
  expect(found).toContain(HTTP);
});

test.each([
  ['leasehold.v1.LockService', 'leasehold/v1/lock_service.proto'],
  ['leasehold.v1.LockService.Acquire', 'leasehold/v1/lock_service.proto'],
  ['leasehold.v1.AcquireRequest.spec', 'leasehold/v1/lock_service.proto'],
  ['leasehold.v1.Contention', 'leasehold/v1/error_details.proto'],
  ['google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
  ['google.rpc.ABORTED', 'google/rpc/code.proto'],
])('reflection knows where %s is declared', async (symbol, file) => {
  const [described] = await descriptors(FILE_CONTAINING_SYMBOL, symbol);
  expect(described?.name).toBe(file);
});

test.each([
  ['a name that nothing has', FILE_CONTAINING_SYMBOL, 'leasehold.v1.Nothing'],
  ['a file that nobody has', FILE_BY_FILENAME, 'leasehold/v1/nothing.proto'],
  ['extensions of a message that nothing has', ALL_EXTENSION_NUMBERS, 'leasehold.v1.Nothing'],
])('reflection says that it does not find %s', async (_, field, value) => {
  const [error] = fieldsOf(await ask(field, value), ERROR_RESPONSE);
  const said = fieldsOf(error ?? new Uint8Array(), 2)
    .map(text)
    .join();
  expect(said).toMatch(/^there is no /);
  expect(said).toContain(value);
});

test('reflection is not served when it is switched off', async () => {
  const quiet = await startInstance({ LEASEHOLD_SERVER_REFLECTION: 'false' });
  const other = new (makeGenericClientConstructor({}, 'Reflection'))(
    formatHostPort(quiet.address),
    credentials.createInsecure(),
  );
  try {
    await expect(ask(LIST_SERVICES, '', other)).rejects.toThrow(/UNIMPLEMENTED/);
  } finally {
    other.close();
    await quiet.stop();
  }
});
