// Counts what the whole deployment has in Redis: locks, leases, waiters, operations. It only reads, on the connection
// of someone who looks, and needs no reign: what a former primary says is a number for people. Each question looks at a
// bounded number of keys. When to ask, and what becomes of the answers, is up to the caller.

import type { Keys } from './keys.ts';

/** Sends one command to the primary. */
export type Ask = (command: string, ...args: (string | number)[]) => Promise<unknown>;

export interface LockCounts {
  /** Resources that are not free. */
  readonly locks: number;
  /** Exact up to `LEASE_SAMPLE` locks; of more, an estimate from so many of them at even distances. */
  readonly leases: number;
  /** Live and absent. */
  readonly waiters: number;
  /** Since the deployment was started first. */
  readonly expiredLeases: number;
}

export interface CountedOperations {
  readonly type: string;
  readonly state: string;
  readonly count: number;
}

export interface OperationPage {
  readonly counts: readonly CountedOperations[];
  /** The last name that was looked at; undefined if there is nothing behind it. */
  readonly next: string | undefined;
}

/** Locks whose leases are counted. */
export const LEASE_SAMPLE = 400;
/** Keys that one script looks at: Redis does nothing else meanwhile, for a millisecond or two. */
const AT_ONCE = 200;
/** Claimable operations of a type that are looked at for the oldest. */
export const OLDEST_AMONG = 20;
const TYPES_AT_ONCE = AT_ONCE / OLDEST_AMONG;

/**
 * An index counts locks, not leases: a lock that is shared or has permits has many, and its summary says how many. A
 * deployment whose locks are exclusive gets its exact number from any sample.
 */
const COUNT_LEASES = `#!lua flags=no-writes
local meta, step, first, last = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = string.sub(meta, 1, -5)
local leases, looked = 0, 0
for i = first, last do
  local rank = math.floor(i * step)
  local resource = redis.call('ZRANGE', bucket .. 'names', rank, rank)[1]
  local summary = resource and redis.call('HGET', bucket .. 'lock:' .. resource, ':')
  if resource then looked = looked + 1 end
  if summary then leases = leases + tonumber(string.match(summary, '^%S+ (%d+)')) end
end
return { leases, looked }`;

export async function countLocks(ask: Ask, keys: Keys): Promise<LockCounts> {
  const locks = Number(await ask('ZCARD', keys.names));
  const waiters = Number(await ask('ZCARD', keys.patience));
  const expiredLeases = Number((await ask('HGET', keys.meta, 'expired_leases')) ?? 0);
  const sample = Math.min(locks, LEASE_SAMPLE);
  let [leases, looked] = [0, 0];
  for (let first = 0; first < sample; first += AT_ONCE) {
    const last = Math.min(first + AT_ONCE, sample) - 1;
    const reply = await ask('EVAL', COUNT_LEASES, 1, keys.meta, locks / sample, first, last);
    const [found = 0, among = 0] = numbersIn(reply);
    leases += found;
    looked += among;
  }
  // Locks that have gone meanwhile are in neither number.
  const perLock = looked === 0 ? 0 : leases / looked;
  return { locks, leases: sample < locks ? Math.round(perLock * locks) : leases, waiters, expiredLeases };
}

/** No index tells types and states apart, so the records say. Payloads aren't read. */
const COUNT_OPERATIONS = `#!lua flags=no-writes
local meta, after, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local bucket = string.sub(meta, 1, -5)
local from = after == '' and '-' or '(' .. after
local names = redis.call('ZRANGE', bucket .. 'operations', from, '+', 'BYLEX', 'LIMIT', 0, most)
local counts = {}
for _, name in ipairs(names) do
  local record = redis.call('HMGET', bucket .. 'operation:' .. name, 's', 'r')
  if record[1] and record[2] then
    local kind = string.match(record[1], '^[^\\t]*') .. '\\t' .. string.match(record[2], '^[^\\t]*')
    counts[kind] = (counts[kind] or 0) + 1
  end
end
local reply = { #names == most and names[#names] or '' }
for kind, count in pairs(counts) do
  reply[#reply + 1] = kind
  reply[#reply + 1] = count
end
return reply`;

/** Counts up to `most` operations behind a name; undefined begins at the first. */
export async function countOperations(
  ask: Ask,
  keys: Keys,
  after: string | undefined,
  most: number,
): Promise<OperationPage> {
  const [next = '', ...flat] = textsIn(await ask('EVAL', COUNT_OPERATIONS, 1, keys.meta, after ?? '', most));
  const counts: CountedOperations[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [type = '', state = ''] = (flat[i] ?? '').split('\t');
    counts.push({ type, state, count: Number(flat[i + 1]) });
  }
  return { counts, next: next === '' ? undefined : next };
}

/**
 * Claims take the smallest number first, so the longest wait is nearly always among the first. A pending operation
 * waits since its record changed last: since it was begun, given back or retried. A stale one waits since the deadline
 * of its attempt.
 */
const OLDEST_CLAIMABLE = `#!lua flags=no-writes
local meta, most = KEYS[1], tonumber(ARGV[1])
local bucket = string.sub(meta, 1, -5)
local t = redis.call('TIME')
local now, clock = t[1] * 1000000 + t[2], tonumber(redis.call('HGET', meta, 'clock') or '0')
local reply = {}
for i = 2, #ARGV do
  local oldest = 0
  for _, name in ipairs(redis.call('ZRANGE', bucket .. 'claimable:' .. ARGV[i], 0, most - 1)) do
    local run = redis.call('HGET', bucket .. 'operation:' .. name, 'r')
    local state, updated, deadline =
      string.match(run or '', '^([^\\t]*)\\t[^\\t]*\\t[^\\t]*\\t[^\\t]*\\t(%d+)' .. string.rep('\\t[^\\t]*', 7) .. '\\t(%d+)')
    local waited = 0
    if state == 'pending' then waited = now - updated elseif state == 'running' then waited = clock - deadline end
    oldest = math.max(oldest, waited)
  end
  reply[#reply + 1] = string.format('%.0f', oldest)
end
return reply`;

/** For how many seconds the oldest claimable operation of each type has waited; 0 for none. */
export async function oldestClaimable(
  ask: Ask,
  keys: Keys,
  types: readonly string[],
): Promise<readonly number[]> {
  const seconds: number[] = [];
  for (let first = 0; first < types.length; first += TYPES_AT_ONCE) {
    const some = types.slice(first, first + TYPES_AT_ONCE);
    const reply = await ask('EVAL', OLDEST_CLAIMABLE, 1, keys.meta, OLDEST_AMONG, ...some);
    seconds.push(...numbersIn(reply).map((micros) => micros / 1e6));
  }
  return seconds;
}

function textsIn(reply: unknown): readonly string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

function numbersIn(reply: unknown): readonly number[] {
  return textsIn(reply).map(Number);
}
