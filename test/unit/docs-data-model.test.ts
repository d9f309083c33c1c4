// docs/data-model.md and docs/architecture.md against the code and a real Redis: every key, field, word, script and
// number that the pages name is as they say, and nothing is there that they don't name.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Lease } from '../../src/domain/lock.ts';
import * as safety from '../../src/domain/safety.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { inTime, leaseSpec, MAX_TTL_MS, quietObserver, startHarnessRedis } from '../support/store-harness.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');
const dataModel = page('data-model.md');
const architecture = page('architecture.md');

const PREFIX = 'doc:';
const KEYS = keysFor(PREFIX);
const STAMP = { instanceId: '9f2c41d07ab35e68', call: 17 };
const MICROSECONDS = 1_000;
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** The rows of the first table under a heading, each cell without its code marks. */
function table(text: string, heading: string): string[][] {
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  const [first = ''] = /(^\|.*\n)+/m.exec(section ?? '') ?? [];
  const lines = first.trim().split('\n');
  if (lines.length < 3) throw new Error(`no table under "${heading}"`);
  return lines.slice(2).map((line) => line.slice(2, -2).split(' | ').map(withoutMarks));
}

function withoutMarks(cell: string): string {
  return cell.trim().replaceAll('`', '');
}

function column(rows: readonly (readonly string[])[], index: number): string[] {
  return rows.map((row) => row[index] ?? '');
}

let redis: RedisProcess;
let client: Redis;

beforeAll(async () => {
  redis = await startHarnessRedis();
  client = redis.client();
});
afterAll(async () => {
  await redis?.stop();
});

async function openStore(maxTtlMs: number): Promise<RedisStore> {
  const store = new RedisStore({
    deployment: { kind: 'single', address: redis.listens },
    connection: { connectTimeoutMs: 2_000, name: 'docs' },
    keyPrefix: PREFIX,
    maxTtlMs,
    maxInFlight: 100,
    quarantine: true,
    bootstrapNew: true,
    clock: systemClock,
    observer: quietObserver,
    random: Math.random,
  });
  await eventually(() => store.status().usable || store.status().mismatch, {
    what: 'a store that knows its deployment',
    withinMs: 10_000,
  });
  return store;
}

/** Runs `use` on an empty Redis. */
async function withStore(use: (store: RedisStore) => Promise<void>): Promise<void> {
  await client.flushall();
  const store = await openStore(MAX_TTL_MS);
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

async function grant(store: RedisStore, overrides: Parameters<typeof leaseSpec>[0]): Promise<Lease> {
  const outcome = await store.locks.acquire(leaseSpec(overrides), STAMP, inTime());
  if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
  return outcome.lease;
}

test('the keys are the documented ones, of the documented types, without a TTL, and there are no others', async () => {
  const rows = table(dataModel, 'Keys');
  const resource = 'a:{b}';
  const named = (key: string): string => key.replace('<prefix>', PREFIX).replace('<resource>', resource);
  expect(column(rows, 0).map(named)).toEqual([KEYS.meta, KEYS.deadlines, KEYS.lock(resource)]);
  await withStore(async (store) => {
    await grant(store, { resource });
    expect((await client.keys('*')).sort()).toEqual(column(rows, 0).map(named).sort());
    for (const [key = '', type] of rows) {
      expect([key, await client.type(named(key))]).toEqual([key, type]);
      expect([key, await client.pttl(named(key))]).toEqual([key, -1]);
    }
  });
});

test('the fields of meta are the documented ones, and who writes them does', async () => {
  const rows = table(dataModel, 'Fields of `meta`');
  await withStore(async (store) => {
    const adopted = await client.hgetall(KEYS.meta);
    expect(Object.keys(adopted).sort()).toEqual(column(rows, 0).sort());
    await grant(store, {});
    const after = await client.hgetall(KEYS.meta);
    expect(Object.keys(after).sort()).toEqual(Object.keys(adopted).sort());
    const changed = Object.keys(after).filter((field) => after[field] !== adopted[field]);
    const byOthers = rows.filter((row) => row[3] !== 'adopt-reign').map(([field = '']) => field);
    expect(changed.sort()).toEqual(byOthers.sort());
    expect(after.reign).toMatch(/^0:[0-9a-f]{40}$/);
  });
  const schema = rows.find(([field]) => field === 'schema')?.[2];
  expect(schema).toBe(`version of this layout: ${safety.SCHEMA_VERSION}`);
});

test('the fields of a lock are the documented ones', async () => {
  const documented = column(table(dataModel, 'Fields of a lock'), 0);
  await withStore(async (store) => {
    const metadata = new Map([['job', 'nightly']]);
    const { leaseId } = await grant(store, { resource: 'r', owner: 'me', metadata, minHoldMs: 60_000 });
    const fields = await client.hgetall(KEYS.lock('r'));
    const names = Object.keys(fields).map((name) => name.replace(UUID, '<lease_id>'));
    expect(names.sort()).toEqual(documented.sort());
    expect(fields[`${leaseId}?`]).toBe('["me",[["job","nightly"]]]');
    await store.locks.release({ resource: 'r', leaseId }, inTime());
    expect(Object.keys(await client.hgetall(KEYS.lock('r')))).toEqual([':taken_until']);
  });
});

test('the words of a lease are the documented ones, and mean what is said', async () => {
  const documented = column(table(dataModel, 'Words of a lease'), 0);
  await withStore(async (store) => {
    const lease = await grant(store, { resource: 'r', ttlMs: 20_000, maxHoldMs: 120_000 });
    const text = (await client.hget(KEYS.lock('r'), lease.leaseId)) ?? '';
    const record = new Map(
      text.split(' ').map((word, index) => [documented[index] ?? `word ${index}`, word]),
    );
    expect(documented).toHaveLength(record.size);
    expect([...record.keys()]).toEqual(['token', 'deadline', 'ttl', 'ceiling', 'acquired', 'stamp', 'mode']);
    expect(record.get('token')).toBe(lease.fencingToken.toString());
    expect(record.get('ttl')).toBe(String(20_000 * MICROSECONDS));
    expect(record.get('stamp')).toBe(`${STAMP.instanceId}/${STAMP.call}`);
    expect(record.get('mode')).toBe('exclusive');
    const span = (from: string, to: string) => Number(record.get(to)) - Number(record.get(from));
    expect(span('deadline', 'ceiling')).toBe(100_000 * MICROSECONDS);
    const expires = lease.expiresAtWallMs - 20_000;
    expect(Number(record.get('acquired')) / MICROSECONDS).toBeCloseTo(expires, 0);
  });
});

test('a score is a lower bound: a renewal moves the deadline and not the score', async () => {
  await withStore(async (store) => {
    const lease = await grant(store, { resource: 'r', ttlMs: 10_000 });
    const score = await client.zscore(KEYS.deadlines, 'r');
    const command = {
      resource: 'r',
      leaseId: lease.leaseId,
      fencingToken: lease.fencingToken,
      ttlMs: 20_000,
    };
    expect((await store.locks.renew(command, inTime())).kind).toBe('renewed');
    const [, deadline] = ((await client.hget(KEYS.lock('r'), lease.leaseId)) ?? '').split(' ');
    expect(await client.zscore(KEYS.deadlines, 'r')).toBe(score);
    expect(Number(deadline)).toBeGreaterThan(Number(score));
  });
});

test('the scripts, their keys and their flags are the documented ones', () => {
  const rows = table(dataModel, 'Scripts').map(([name, keys, flags]) => [name, keys, flags]);
  const actual = Object.values(loadScripts()).map(({ name, source }) => {
    const header = /^-- KEYS ([\s\S]*?)^-- ARGV/m.exec(source)?.[1] ?? '';
    const keys = [...header.matchAll(/\d\s+([a-z]+)/g)].map((match) => match[1]);
    return [name, keys.join(', '), /^#!lua flags=(\S+)/.exec(source)?.[1] ?? '–'];
  });
  expect(rows).toEqual(actual);
});

test('the procedure to change max_ttl works as it is written', async () => {
  const [, command = ''] = /^\s*redis-cli HSET (.*)$/m.exec(dataModel) ?? [];
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
  const [key = '', ...fields] = words.map((word) => word.replace(/^leasehold:/, PREFIX));
  expect(key).toBe(KEYS.meta);
  let token = '';
  await withStore(async (store) => {
    token = (await grant(store, {})).fencingToken.toString();
  });
  const refused = await openStore(60_000);
  expect(refused.status()).toMatchObject({ usable: false, mismatch: true });
  await refused.close();

  await client.hset(key, ...fields);
  const store = await openStore(60_000);
  try {
    expect(store.status()).toMatchObject({ usable: true, mismatch: false, epoch: 2 });
    expect((await store.locks.acquire(leaseSpec({ resource: 'new' }), STAMP, inTime())).kind).toBe(
      'quarantined',
    );
    const leftMs = store.status().quarantineRemainingMs;
    expect(leftMs).toBeGreaterThan(safety.quarantineMs(60_000) - 5_000);
    expect(leftMs).toBeLessThanOrEqual(safety.quarantineMs(60_000));
    expect(await client.hget(KEYS.meta, 'token')).toBe(token);
  } finally {
    await store.close();
  }
});

test('the numbers of the safety core are the documented ones', () => {
  const rows = table(architecture, 'The numbers').map(([name, value]) => [name?.replace(' (G)', ''), value]);
  expect(rows).toEqual([
    ['CONFIRMATION_WINDOW_MS', String(safety.CONFIRMATION_WINDOW_MS)],
    ['SENTINEL_POLL_MS', String(safety.SENTINEL_POLL_MS)],
    ['SKEW_ALLOWANCE_MS', String(safety.SKEW_ALLOWANCE_MS)],
    ['TICK_MS', String(safety.TICK_MS)],
    ['LAPSED_AFTER_ADOPTION_MS', String(safety.LAPSED_AFTER_ADOPTION_MS)],
    ['quarantineMs(30000)', String(safety.quarantineMs(30_000))],
    ['smallestAdvisableTtlMs(5000)', String(safety.smallestAdvisableTtlMs(5_000))],
  ]);
});

test.each(['architecture.md', 'data-model.md'])('%s links only to what exists', (name) => {
  const targets = [...page(name).matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? '');
  expect(targets.length).toBeGreaterThan(0);
  const docs = join(ROOT, 'docs');
  expect(targets.filter((target) => !existsSync(join(docs, target)))).toEqual([]);
});

test('every test that architecture.md names as proof exists in a file that is named before it', () => {
  const paragraphs = architecture.split(/\n\n/).map((text) => text.replaceAll(/\s+/g, ' '));
  const proofs = paragraphs.flatMap((text) => {
    const proof = text.slice(Math.max(text.indexOf('Proof:'), 0));
    if (!text.includes('Proof:')) return [];
    const files = [...proof.matchAll(/\]\((\.\.\/test\/[^)]+)\)/g)].map((match) => match[1] ?? '');
    const sources = files.map((file) => readFileSync(join(ROOT, 'docs', file), 'utf8')).join('\n');
    return [...proof.matchAll(/"([^"]+)"/g)].map((match) => ({ title: match[1] ?? '', sources }));
  });
  expect(proofs.length).toBeGreaterThan(15);
  expect(proofs.filter(({ title, sources }) => !sources.includes(`'${title}'`)).map((p) => p.title)).toEqual(
    [],
  );
});

test('the files that architecture.md walks through hold what it names', () => {
  const named = [...architecture.matchAll(/`([#\w]+)` in\s+\[[^\]]+\]\(([^)]+)\)/g)];
  expect(named.length).toBeGreaterThan(6);
  const missing = named.filter(([, word = '', file = '']) => {
    return !readFileSync(join(dirname(join(ROOT, 'docs/x')), file), 'utf8').includes(word);
  });
  expect(missing.map(([whole]) => whole)).toEqual([]);
});
