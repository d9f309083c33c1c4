// The floor that Leasehold is compared with: a bare grpc-js server whose Acquire and Release each run one script that
// reads and writes the same keys through ioredis. No checks, no reign, no confirmation, no metrics: what the parts cost
// by themselves. It promises nothing and is no lock service.
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { Redis } from 'ioredis';
import {
  type AcquireRequest,
  AcquireResponse,
  LockServiceService,
  type ReleaseRequest,
} from '../generated/leasehold/v1/lock_service.ts';
import { keysFor } from '../src/store/redis/keys.ts';

type Unary<Request> = (
  call: { readonly request: Request },
  callback: (error: Error | null, response?: object) => void,
) => void;

const ENTER = `
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000000 + t[2])
redis.call('HMGET', KEYS[1], 'reign', 'clock', 'last', 'token', 'quarantine_until', 'lapsed_before')
redis.call('HSET', KEYS[1], 'clock', now, 'last', now)`;

const ACQUIRE = `${ENTER}
redis.call('HMGET', KEYS[2], ':', ARGV[2])
redis.call('HGET', KEYS[4], ARGV[2])
redis.call('ZCARD', KEYS[5])
redis.call('HSET', KEYS[1], 'token', now)
redis.call('HSET', KEYS[2], ARGV[2], now .. ' ' .. now .. ' ' .. ARGV[3] .. ' 0 ' .. now .. ' 0/0 exclusive held',
  ARGV[2] .. '?', ARGV[4], ':', 'exclusive 1 0 - ' .. now .. ' 0')
redis.call('ZADD', KEYS[3], now, ARGV[1])
return { 'granted', now, now, ARGV[3] }`;

const RELEASE = `${ENTER}
redis.call('HMGET', KEYS[2], ':', ARGV[2])
redis.call('HGET', KEYS[4], ARGV[2])
redis.call('ZCARD', KEYS[5])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return { 'released', now }`;

const TTL_US = '20000000';
const keys = keysFor('floor:');
const inBucket = (name: string): string => keys.meta.replace(/meta$/, name);
const redis = new Redis({ port: Number(process.env.FLOOR_REDIS_PORT), protocol: 2, enableReadyCheck: false });
const [acquireSha, releaseSha] = await Promise.all(
  [ACQUIRE, RELEASE].map((source) => redis.script('LOAD', source)),
);

function run(sha: unknown, resource: string, ...args: readonly string[]): Promise<unknown> {
  const [lock, waiters, queue] = [`lock:${resource}`, `waiters:${resource}`, `queue:${resource}`].map(
    inBucket,
  );
  const all = [keys.meta, lock ?? '', keys.deadlines, waiters ?? '', queue ?? '', resource, ...args];
  return redis.call('EVALSHA', String(sha), 5, ...all);
}

const acquire: Unary<AcquireRequest> = ({ request: { spec } }, callback) => {
  const { resource = '', leaseId = '', owner = '' } = spec ?? {};
  run(acquireSha, resource, leaseId, TTL_US, JSON.stringify([owner, []])).then((reply) => {
    const [, now, token] = reply as string[]; // what the script returns
    const validFor = { seconds: 20n, nanos: 0 };
    const expireTime = { seconds: BigInt(Math.floor(Number(now) / 1e6)), nanos: 0 };
    const lease = { resource, leaseId, fencingToken: BigInt(token ?? 0), validFor, expireTime };
    callback(null, AcquireResponse.fromPartial({ lease }));
  }, callback);
};

const release: Unary<ReleaseRequest> = ({ request: { resource, leaseId } }, callback) => {
  run(releaseSha, resource, leaseId).then(() => callback(null, { released: true }), callback);
};

const server = new Server({ 'grpc.enable_channelz': 0 });
const implementation: UntypedServiceImplementation = { acquire, release };
server.addService(
  { acquire: LockServiceService.acquire, release: LockServiceService.release },
  implementation,
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(JSON.stringify({ msg: 'serving', address: `127.0.0.1:${port}` }));
});
process.on('SIGTERM', () => process.exit(0));
