// Loads the .proto files of this package with @grpc/proto-loader: no generated code, any version of grpc-js. Needs a
// running server (npm start).
//
//   npx node examples/proto-loader.ts [host:port]
import { randomUUID } from 'node:crypto';
import { type Client, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoFiles } from '../src/client/proto.ts'; // in your project: 'leasehold/proto'

/** Proto-loader finds the methods only at run time; its type generator could write these types. */
interface LockService extends Client {
  acquire(request: object, callback: (error: ServiceError | null, answer: { lease: Lease }) => void): void;
  release(
    request: object,
    callback: (error: ServiceError | null, answer: { released: boolean }) => void,
  ): void;
}
interface Lease {
  readonly fencingToken: string;
  readonly validFor: { readonly seconds: string };
}

const [server = '127.0.0.1:50051'] = process.argv.slice(2);
const { files, includeDirs } = protoFiles();
// Tokens are loaded as text: they are larger than the integers of many libraries.
const loaded = loadPackageDefinition(
  loadSync([...files], { includeDirs: [...includeDirs], longs: String, oneofs: true }),
);
const { leasehold } = loaded as unknown as {
  readonly leasehold: { readonly v1: { readonly LockService: new (...to: unknown[]) => LockService } };
};
const client = new leasehold.v1.LockService(server, credentials.createInsecure());

const name = { resource: 'loader', leaseId: randomUUID() };
client.acquire({ spec: { ...name, owner: 'proto-loader' } }, (error, answer) => {
  if (error) throw error;
  console.log(`token ${answer.lease.fencingToken}, valid for ${answer.lease.validFor.seconds} s`);
  client.release(name, (_error, { released }) => {
    console.log(`released: ${released}`);
    client.close();
  });
});
