// What strangers write: small programs that use the package in the ways that JavaScript has for it. Each holds a lock
// on the server in LEASEHOLD_ADDRESS and prints its token, or uses the server for tests.

const HOLDS = `
async function main() {
  const client = createClient({ addresses: [process.env.LEASEHOLD_ADDRESS ?? ''], owner: 'stranger' });
  const lease = await client.acquire('stranger');
  console.log('token ' + lease.fencingToken);
  await lease.release();
  client.close();
}
main();
`;

export const TOKEN = /^token \d+$/m;

/** `from` is the module that exports the client. */
export const esModule = (from: string): string => `import { createClient } from '${from}';\n${HOLDS}`;
export const commonJs = (from: string): string => `const { createClient } = require('${from}');\n${HOLDS}`;

/** Fails unless both ways to load the client lead to one copy of its classes. */
export const ONE_COPY = `
import { createRequire } from 'node:module';
import { ContendedError, createClient } from 'leasehold/client';
const required = createRequire(import.meta.url)('leasehold/client');
console.log(required.ContendedError === ContendedError && required.createClient === createClient ? 'one' : 'two');
`;

/** For Jest and Vitest, whose words they share. */
const TRIES_LOCKS = `
test('a lock has one holder, and the next one gets a larger token', async () => {
  const server = await startTestServer();
  try {
    const client = server.createClient();
    const lease = await client.acquire('own');
    await expect(client.acquire('own', { waitMs: 0 })).rejects.toThrow(ContendedError);
    await lease.release();
    expect((await client.acquire('own')).fencingToken > lease.fencingToken).toBe(true);
    const { files, includeDirs } = protoFiles();
    expect(existsSync(join(includeDirs[1], files[0]))).toBe(true);
  } finally {
    await server.stop();
  }
});
`;

export const ES_MODULE_TEST = `
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ContendedError } from 'leasehold/client';
import { protoFiles } from 'leasehold/proto';
import { startTestServer } from 'leasehold/testing';
${TRIES_LOCKS}`;

export const COMMONJS_TEST = `
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { ContendedError } = require('leasehold/client');
const { protoFiles } = require('leasehold/proto');
const { startTestServer } = require('leasehold/testing');
${TRIES_LOCKS}`;

export const TYPED = `
import { type Client, ContendedError, createClient, type Lease } from 'leasehold/client';
import { LockServiceClient, longrunning, protoFiles } from 'leasehold/proto';
import { startTestServer, type TestServer } from 'leasehold/testing';

export async function hold(client: Client): Promise<bigint> {
  const lease: Lease = await client.acquire('typed', { waitMs: 1_000 });
  try {
    return lease.fencingToken;
  } catch (error) {
    if (error instanceof ContendedError) return BigInt(error.holders.length);
    throw error;
  } finally {
    await lease.release();
  }
}
export const start: () => Promise<TestServer> = () => startTestServer();
export const used: readonly unknown[] = [createClient, LockServiceClient, longrunning, protoFiles().files];
// @ts-expect-error: the types are there, so a resource that is a number is an error
export const wrong = (client: Client): unknown => client.acquire(1);
`;

/** Prints the trace of a span and the header that a server gets for a call within it. */
export const TRACED = `
import { createServer } from 'node:http2';
import { context, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { createClient } from 'leasehold/client';

new NodeTracerProvider().register();
const server = createServer();
server.on('stream', (stream, headers) => {
  console.log('header ' + headers.traceparent);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
});
server.listen(0, '127.0.0.1', async () => {
  const client = createClient({ addresses: ['127.0.0.1:' + server.address().port] });
  const span = trace.getTracer('stranger').startSpan('call');
  console.log('trace ' + span.spanContext().traceId);
  await context.with(trace.setSpan(context.active(), span), () => client.serverInfo()).catch(() => {});
  client.close();
  process.exit();
});
`;
