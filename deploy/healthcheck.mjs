// Asks the server in this container for the health of its process (grpc.health.v1, service "") and ends with
// 0 if it is SERVING. Speaks plain text: a server with TLS is checked through /healthz instead
// (docs/deployment.md).
import { credentials, makeClientConstructor } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

const TIMEOUT_MS = 3_000;

// An address that stands for "all interfaces" is none that one can connect to.
const listening = process.env.LEASEHOLD_SERVER_ADDRESS ?? '127.0.0.1:50051';
const address = listening.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:');

const Health = makeClientConstructor(service, 'Health');
const client = new Health(address, credentials.createInsecure());
client.check({ service: '' }, { deadline: Date.now() + TIMEOUT_MS }, (error, reply) => {
  const status = error === null ? reply.status : error.message;
  console.log(`${address}: ${status}`);
  process.exit(status === 'SERVING' ? 0 : 1);
});
