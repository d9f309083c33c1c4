// The scripts of the floor. They touch as many keys of the same kinds as Leasehold's scripts, and check nothing.
// floor-server.ts runs them, and redis-benchmark runs them directly.
import { keysFor } from '../src/store/redis/keys.ts';

const ENTER = `
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000000 + t[2])
redis.call('HMGET', KEYS[1], 'reign', 'clock', 'last', 'token', 'quarantine_until', 'lapsed_before')
redis.call('HSET', KEYS[1], 'clock', now, 'last', now)`;

export const ACQUIRE = `${ENTER}
redis.call('HMGET', KEYS[2], ':', ARGV[2])
redis.call('HGET', KEYS[4], ARGV[2])
redis.call('ZCARD', KEYS[5])
redis.call('HSET', KEYS[1], 'token', now)
redis.call('HSET', KEYS[2], ARGV[2], now .. ' ' .. now .. ' ' .. ARGV[3] .. ' 0 ' .. now .. ' 0/0 exclusive held',
  ARGV[2] .. '?', ARGV[4], ':', 'exclusive 1 0 - ' .. now .. ' 0')
redis.call('ZADD', KEYS[3], now, ARGV[1])
return { 'granted', now, now, ARGV[3] }`;

export const RELEASE = `${ENTER}
redis.call('HMGET', KEYS[2], ':', ARGV[2])
redis.call('HGET', KEYS[4], ARGV[2])
redis.call('ZCARD', KEYS[5])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return { 'released', now }`;

export const RENEW = `${ENTER}
local reply = { 'renewed', now }
for i = 1, #ARGV, 2 do
  local lock = KEYS[2] .. ARGV[i]
  redis.call('HGET', lock, ARGV[i + 1])
  redis.call('HSET', lock, ARGV[i + 1], now .. ' ' .. now .. ' 30000000 0 ' .. now .. ' 0/0 exclusive held')
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = 'renewed', now, '30000000'
end
return reply`;

export const TTL_US = '20000000';
export const FLOOR_KEYS = keysFor('floor:');

export function inBucket(name: string): string {
  return FLOOR_KEYS.meta.replace(/meta$/, name);
}

/** The arguments of EVALSHA after the hash of ACQUIRE or RELEASE. */
export function argumentsOf(resource: string, ...args: readonly string[]): readonly string[] {
  const [lock = '', waiters = '', queue = ''] = ['lock', 'waiters', 'queue'].map((kind) =>
    inBucket(`${kind}:${resource}`),
  );
  return ['5', FLOOR_KEYS.meta, lock, FLOOR_KEYS.deadlines, waiters, queue, resource, ...args];
}
