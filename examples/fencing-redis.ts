// A key in Redis that refuses late writers: a script compares the token of a write with the largest token so far, and
// writes, in one step. Use it in the Redis that stores your data, which need not be the one that Leasehold uses. Tokens
// stay below 2^53, so Lua's numbers hold them exactly. Needs a running server (npm start) and a Redis.
//
//   npx node examples/fencing-redis.ts [host:port] [redis://host:port]
import { Redis } from 'ioredis';
import { createClient } from '../src/client/client.ts'; // in your project: 'leasehold/client'

const [server = '127.0.0.1:50051', url = 'redis://127.0.0.1:6379'] = process.argv.slice(2);
// Without these two options, ioredis tries for ever, and reports each failure on stderr.
const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
let failure = '';
redis.on('error', ({ message }: Error) => {
  failure = message;
});
await redis.connect().catch(() => {
  console.error(
    `No Redis at ${new URL(url).host} (${failure}). Start one, or give its URL as the second argument.`,
  );
  process.exit(1);
});
const client = createClient({ addresses: server });

const FENCED_SET = `
local token, largest = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
if token < largest then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'value', ARGV[2])
return 1`;

/** Returns whether the value was written. */
async function fencedSet(key: string, value: string, token: bigint): Promise<boolean> {
  return (await redis.eval(FENCED_SET, 1, key, token.toString(), value)) === 1;
}

// A holder that is paused: its lease ends while it still believes that it holds it, and it writes when it wakes up.
const paused = await client.acquire('report');
await paused.release(); // To everybody else, the end of the lease looks like this.

await client.withLock('report', async (lease) => {
  console.log(`written: ${await fencedSet('report:latest', 'new', lease.fencingToken)}`);
});
console.log(`written late: ${await fencedSet('report:latest', 'old', paused.fencingToken)}`);
console.log(`value: ${await redis.hget('report:latest', 'value')}`);
redis.disconnect();
client.close();
