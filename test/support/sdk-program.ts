// A program that uses the TypeScript client and ends by itself, for tests of how processes end: it doesn't call
// process.exit(), and close() only where it says so.
//
//   node test/support/sdk-program.ts <what> <host:port> [resource]
//
//   lock      holds a lock for a moment
//   contend   fails to get it
//   nobody    asks a server that isn't there, for a second
//   hold      holds it until it is lost, with nothing else to do
//   close     closes its client with a lease held, a worker that has no onError, and calls in progress
//   leak      forgets that it holds a lease
//   server    stops a test server with a lease held, and never looks back
//   worker    does operations of the type `killed` and never finishes: the test kills it

import { createClient } from '../../src/client/client.ts';

const [what, address = '', resource = 'program'] = process.argv.slice(2);
const client = createClient({ addresses: address });
const tell = (line: string): unknown => process.stdout.write(`${line}\n`);

switch (what) {
  case 'lock':
    await client.withLock(resource, (lease) => tell(`token ${lease.fencingToken}`));
    break;
  case 'contend':
    tell((await client.tryAcquire(resource)) ? 'held' : 'contended');
    break;
  case 'nobody':
    await client.acquire(resource, { waitMs: 1_000 }).catch((error: Error) => tell(error.name));
    break;
  case 'hold': {
    const lease = await client.acquire(resource, { ttlMs: 4_000 });
    tell(`token ${lease.fencingToken}`);
    await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
    tell(String(lease.loss?.loss));
    break;
  }
  case 'close': {
    const lease = await client.acquire(resource, { ttlMs: 20_000 });
    const worker = client.operations.worker({ types: 'none', handler: () => {} });
    const waiting = client.acquire(resource).catch((error: Error) => error.name);
    await client.serverInfo();
    client.close();
    await worker.finished;
    await worker.stop();
    tell(`${lease.state} ${await waiting}`);
    break;
  }
  case 'leak':
    tell((await client.acquire(resource, { ttlMs: 2_000 })).leaseId);
    break;
  case 'server': {
    const { startTestServer } = await import('../../src/testing/test-server.ts');
    const server = await startTestServer();
    await server.createClient().acquire(resource);
    await server.stop();
    break;
  }
  case 'worker': {
    const handler = async ({ progress }: { progress: (value: unknown) => Promise<void> }): Promise<void> => {
      await progress('half');
      tell('half');
      await new Promise(() => {});
    };
    await client.operations.worker({ types: 'killed', handler }).finished;
    break;
  }
  default:
    tell('what?');
}
tell('end');
