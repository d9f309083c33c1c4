// Server reflection, as grpcurl asks for it. The test reads and writes the protocol's two messages by hand: their
// .proto is inside a package, which doesn't export it.
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { type Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { startInstance } from '../support/test-instance.ts';

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

// Field numbers of grpc/reflection/v1/reflection.proto.
const FILE_CONTAINING_SYMBOL = 4;
const LIST_SERVICES = 7;
const FILE_DESCRIPTOR_RESPONSE = 4;
const LIST_SERVICES_RESPONSE = 6;

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
function ask(field: number, value: string, of = client): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = of.makeBidiStreamRequest(
      PATH,
      (message: Uint8Array) => Buffer.from(message),
      (message: Buffer) => message,
      { deadline: Date.now() + 5_000 },
    );
    stream.once('data', (message: Buffer) => resolve(message));
    stream.once('error', reject);
    stream.write(new BinaryWriter().tag(field, 2).string(value).finish());
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

test('reflection lists the services', async () => {
  const [list] = fieldsOf(await ask(LIST_SERVICES, ''), LIST_SERVICES_RESPONSE);
  const services = fieldsOf(list ?? new Uint8Array(), 1).map((service) =>
    fieldsOf(service, 1).map(text).join(),
  );
  expect(services).toEqual(
    expect.arrayContaining(['leasehold.v1.LockService', 'leasehold.v1.OperationStoreService']),
  );
});

test.each(['leasehold.v1.LockService', 'leasehold.v1.Contention', 'google.rpc.BadRequest'])(
  'reflection describes %s',
  async (symbol) => {
    const [response] = fieldsOf(await ask(FILE_CONTAINING_SYMBOL, symbol), FILE_DESCRIPTOR_RESPONSE);
    // The field numbers of google.protobuf.FileDescriptorProto: 2 is the package, 4 messages, 6 services; 1 of those is
    // the name.
    const described = fieldsOf(response ?? new Uint8Array(), 1).flatMap((file) => {
      const [packageName] = fieldsOf(file, 2).map(text);
      return [...fieldsOf(file, 4), ...fieldsOf(file, 6)].map(
        (type) => `${packageName}.${fieldsOf(type, 1).map(text).join()}`,
      );
    });
    expect(described).toContain(symbol);
  },
);

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
