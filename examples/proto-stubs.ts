// Uses the generated grpc-js clients of this package, for callers who want every call exactly as in the contract.
// docs/clients.md says what such a caller has to get right; leasehold/client does it for you. Needs a running server
// (npm start).
//
//   npx node examples/proto-stubs.ts [host:port]
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
// In your project: 'leasehold/proto'
import { AcquireRequest, type AcquireResponse, LockServiceClient } from '../src/client/proto.ts';

const [server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new LockServiceClient(server, credentials.createInsecure());
const acquire = promisify<AcquireRequest, AcquireResponse>(client.acquire.bind(client));

const spec = { resource: 'stubs', leaseId: randomUUID(), owner: 'proto-stubs' };
const { lease } = await acquire(AcquireRequest.fromPartial({ spec }));
console.log(`token ${lease?.fencingToken}, valid for ${lease?.validFor?.seconds} s`);
client.release({ resource: spec.resource, leaseId: spec.leaseId }, (error, response) => {
  console.log(error ? error.message : `released: ${response.released}`);
  client.close();
});
