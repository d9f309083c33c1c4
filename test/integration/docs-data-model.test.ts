// docs/data-model.md against the code and a real Redis: every key, field, word and script that the page names is as it
// says, and there is nothing that it doesn't name.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CallStamp, Lease, LeaseSpec } from '../../src/domain/lock.ts';
import type { OperationSpec } from '../../src/domain/operation.ts';
import * as safety from '../../src/domain/safety.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import { table } from '../support/doc-table.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { startHarnessRedis } from '../support/redis-harness.ts';
import { inTime, leaseSpec, MAX_TTL_MS, storeOptions } from '../support/store-harness.ts';

const dataModel = readFileSync(join(import.meta.dirname, '../../docs/data-model.md'), 'utf8');

const PREFIX = 'doc:';
const KEYS = keysFor(PREFIX);
const INSTANCE = '9f2c41d07ab35e68';
const BUCKET = KEYS.meta.slice(0, -'meta'.length);
const lockKey = (resource: string): string => `${KEYS.lockPrefix}${resource}`;
const STAMP = { instanceId: INSTANCE, callNumber: 16 }; // an even number: a unary call
const FAR = '9007199254740991';
const MICROSECONDS = 1_000;
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

function column(rows: readonly (readonly string[])[], index: number): string[] {
  return rows.map((row) => row[index] ?? '');
}

/** What the page has in code marks and `pattern` matches. */
function template(text: string, pattern: string): string {
  const [, found] = new RegExp(pattern).exec(text.replaceAll(/\s+/g, ' ')) ?? [];
  if (!found) throw new Error(`nothing like ${pattern}`);
  return found;
}

function filled(form: string, values: Readonly<Record<string, string>>): string {
  return form.replaceAll(/<(\w+)>/g, (whole, name: string) => values[name] ?? whole);
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

async function openStore(maxTtlMs: number, withinMs = 10_000): Promise<RedisStore> {
  const store = new RedisStore(
    storeOptions(redis.listens, { keyPrefix: PREFIX, maxTtlMs, instanceId: INSTANCE, rollCall: true }),
  );
  await eventually(() => store.status().usable || store.status().mismatch, {
    what: 'a store that knows its deployment',
    withinMs,
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
  const outcome = await store.locks.acquire(
    { spec: leaseSpec(overrides), stamp: STAMP, mayWait: false },
    inTime(),
  );
  if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
  return outcome.lease;
}

interface Queued {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
}

let calls = STAMP.callNumber;

async function queue(
  store: RedisStore,
  overrides: Parameters<typeof leaseSpec>[0],
  instanceId = INSTANCE,
): Promise<Queued> {
  calls += 2;
  const asked = { spec: leaseSpec(overrides), stamp: { instanceId, callNumber: calls } };
  const outcome = await store.locks.acquire(
    { spec: asked.spec, stamp: asked.stamp, mayWait: true },
    inTime(),
  );
  if (outcome.kind !== 'queued') throw new Error(`not queued but ${outcome.kind}`);
  return asked;
}

const release = (store: RedisStore, { resource, leaseId }: Lease): Promise<unknown> =>
  store.locks.release({ resource, leaseId }, inTime());

/** What an instance does in a roll call that goes on. */
async function repeatRelease({ resource, leaseId }: Lease): Promise<void> {
  const [reign, until] = await client.hmget(KEYS.meta, 'reign', 'quarantine_until');
  await client.hset(KEYS.meta, 'quarantine_until', Number.MAX_SAFE_INTEGER);
  const { source } = loadScripts()['answer-roll-call'];
  const args = [reign, Number.MAX_SAFE_INTEGER, INSTANCE, 0, 0, 0, resource, leaseId, 'released 1', '', ''];
  const reply = await client.eval(source, 1, KEYS.meta, ...args.map(String));
  expect((reply as readonly unknown[])[0]).toBe('answered');
  await client.hset(KEYS.meta, 'quarantine_until', until ?? '');
}

/** An instance that lets an offer lapse on a resource of its own, which is then removed. */
async function makeAbsent(store: RedisStore, instanceId: string): Promise<void> {
  const holder = await grant(store, { resource: 'elsewhere' });
  await queue(store, { resource: 'elsewhere' }, instanceId);
  await release(store, holder);
  await eventually(async () => (await client.hexists(`${BUCKET}absent`, instanceId)) === 1, {
    what: 'an absent instance',
    withinMs: 10_000,
  });
}

/** The words of a record by the names that the page gives them, in its order. */
function words(heading: string, text: string | null): Map<string, string> {
  const documented = column(table(dataModel, heading), 0);
  const found = (text ?? '').split(' ');
  expect(found).toHaveLength(documented.length);
  return new Map(found.map((word, index) => [documented[index] ?? '', word]));
}

test('the keys are the documented ones, of the documented types, without a TTL, and there are no others', async () => {
  const rows = table(dataModel, 'Keys');
  const resource = 'a:{b}';
  const named = (key: string): string =>
    key.replace('<prefix>', PREFIX).replace('<resource>', resource).replace('<instance>', INSTANCE);
  await withStore(async (store) => {
    expect((await client.keys('*')).sort()).toEqual([`${BUCKET}instances`, KEYS.meta]);
    await makeAbsent(store, 'dead');
    const holder = await grant(store, { resource });
    await queue(store, { resource });
    await queue(store, { resource });
    const { spec, stamp } = await queue(store, { resource });
    await store.locks.leave({ ...spec, stamp, keepPlaceMs: 60_000 }, inTime());
    await store.contention.write('text', inTime());
    await repeatRelease(holder);
    await release(store, holder); // the first waiter has an offer now, for a second
    expect((await client.keys('*')).sort()).toEqual(column(rows, 0).map(named).sort());
    for (const [key = '', type] of rows) {
      expect([key, await client.type(named(key))]).toEqual([key, type]);
      expect([key, await client.pttl(named(key))]).toEqual([key, -1]);
    }
    expect([KEYS.meta, KEYS.deadlines, `${KEYS.lockPrefix}${resource}`]).toEqual(
      column(rows, 0).slice(0, 3).map(named),
    );
  });
});

test('the fields of meta are the documented ones, and are written by the documented scripts', async () => {
  const rows = table(dataModel, 'Fields of `meta`');
  await withStore(async (store) => {
    const adopted = await client.hgetall(KEYS.meta);
    expect([...Object.keys(adopted), 'expired_leases', 'operation', 'place', 'watched_until'].sort()).toEqual(
      column(rows, 0).sort(),
    );
    await grant(store, { resource: 'lapses', ttlMs: 1 });
    await grant(store, {});
    await queue(store, {});
    let isHeard = false;
    const stop = store.locks.watchChanges(({ kind }) => {
      isHeard ||= kind === 'listening';
    });
    await eventually(() => isHeard, { what: 'that changes are heard', withinMs: 5_000 });
    stop();
    await begin(store, { operationId: '1' });
    await eventually(async () => (await client.hexists(KEYS.meta, 'expired_leases')) === 1, {
      what: 'a lease that has lapsed',
      withinMs: 10_000,
    });
    const after = await client.hgetall(KEYS.meta);
    expect(Object.keys(after).sort()).toEqual(column(rows, 0).sort());
    const changed = Object.keys(after).filter((field) => after[field] !== adopted[field]);
    // (No roll call ends a quarantine here.)
    const byOthers = rows.filter((row) => !/^adopt-reign(, answer-roll-call)?$/.test(row[3] ?? ''));
    expect(changed.sort()).toEqual(column(byOthers, 0).sort());
    expect(after.reign).toMatch(/^0:[0-9a-f]{40}:4:on$/);
    expect([after.place, after.expired_leases]).toEqual(['1', '1']);
  });
  const schema = rows.find(([field]) => field === 'schema')?.[2];
  expect(schema).toBe(`version of this layout: ${safety.SCHEMA_VERSION}`);
});

test('the fields of a lock are the documented ones', async () => {
  const documented = column(table(dataModel, 'Fields of a lock'), 0);
  await withStore(async (store) => {
    const metadata = new Map([['job', 'nightly']]);
    const lease = await grant(store, { resource: 'r', owner: 'me', metadata, minHoldMs: 60_000 });
    const fields = await client.hgetall(lockKey('r'));
    const names = Object.keys(fields).map((name) => name.replace(UUID, '<lease_id>'));
    expect(names.sort()).toEqual(documented.sort());
    expect(fields[`${lease.leaseId}?`]).toBe('["me",[["job","nightly"]]]');
    await release(store, lease);
    const left = await client.hgetall(lockKey('r'));
    const { taken_until } = Object.fromEntries(words('Words of a summary', left[':'] ?? ''));
    expect(left).toEqual({ ':': left[':'], ':?': `${lease.fencingToken} ${taken_until}` });
  });
});

test('the words of a lease are the documented ones, and mean what the page says', async () => {
  await withStore(async (store) => {
    const lease = await grant(store, { resource: 'r', ttlMs: 20_000, maxHoldMs: 120_000 });
    const record = words('Words of a lease', await client.hget(lockKey('r'), lease.leaseId));
    const order = ['token', 'deadline', 'ttl', 'ceiling', 'acquired', 'stamp', 'mode', 'state', 'epoch'];
    expect([...record.keys()]).toEqual(order);
    expect(record.get('token')).toBe(lease.fencingToken.toString());
    expect(record.get('ttl')).toBe(String(20_000 * MICROSECONDS));
    expect(record.get('stamp')).toBe(`${STAMP.instanceId}/${STAMP.callNumber}`);
    expect(record.get('mode')).toBe('exclusive');
    expect(record.get('state')).toBe('held');
    expect(record.get('epoch')).toBe('1');
    const span = (from: string, to: string) => Number(record.get(to)) - Number(record.get(from));
    expect(span('deadline', 'ceiling')).toBe(100_000 * MICROSECONDS);
    const expires = lease.expiresAtWallMs - 20_000;
    expect(record.get('acquired')).toBe('=');
    expect(Number(record.get('token')) / MICROSECONDS).toBeCloseTo(expires, 0);
  });
});

test('an offer has no bounds yet and ends a second after the hand-over', async () => {
  await withStore(async (store) => {
    const holder = await grant(store, { resource: 'r' });
    const { spec, stamp } = await queue(store, { resource: 'r', maxHoldMs: 120_000 });
    await release(store, holder);
    const [text, clock, offers] = await Promise.all([
      client.hget(lockKey('r'), spec.leaseId),
      client.hget(KEYS.meta, 'clock'),
      client.smembers(`${BUCKET}offers:${INSTANCE}`),
    ]);
    const record = words('Words of a lease', text);
    expect(record.get('state')).toBe('offer');
    expect([record.get('ttl'), record.get('ceiling')]).toEqual(['0', '0']);
    const leftUs = Number(record.get('deadline')) - Number(clock);
    expect(leftUs).toBeGreaterThan(0);
    expect(leftUs).toBeLessThanOrEqual(1_000 * MICROSECONDS);
    const member = template(dataModel, 'Members of `offers:<instance>` are `([^`]+)`');
    expect(offers).toEqual([
      filled(member, { lease_id: spec.leaseId, call: `${stamp.callNumber}`, resource: 'r' }),
    ]);
    expect((await store.locks.confirm({ spec, stamp }, inTime())).kind).toBe('granted');
    const confirmed = words('Words of a lease', await client.hget(lockKey('r'), spec.leaseId));
    expect(confirmed.get('state')).toBe('held');
    expect(confirmed.get('token')).toBe(record.get('token'));
    expect(Number(confirmed.get('ceiling'))).toBeGreaterThan(0);
    expect(await client.exists(`${BUCKET}offers:${INSTANCE}`)).toBe(0);
  });
});

test('the words of a summary are the documented ones, and mean what the page says', async () => {
  await withStore(async (store) => {
    const mode = (permits: number, limit: number) => ({ kind: 'permits', permits, limit }) as const;
    const first = await grant(store, { resource: 'r', mode: mode(2, 5), ttlMs: 5_000 });
    for (const [permits, limit] of [
      [1, 8],
      [1, 5],
    ] as const) {
      await grant(store, { resource: 'r', mode: mode(permits, limit), ttlMs: 20_000 });
    }
    const summary = words('Words of a summary', await client.hget(lockKey('r'), ':'));
    expect([...summary.keys()]).toEqual(['mode', 'count', 'permits', 'limits', 'next', 'taken_until']);
    const lease = words('Words of a lease', await client.hget(lockKey('r'), first.leaseId));
    expect(Object.fromEntries(summary)).toEqual({
      mode: 'permits',
      count: '3',
      permits: '4',
      limits: '5=2,8=1',
      next: lease.get('deadline'),
      taken_until: '0',
    });
    expect(lease.get('mode')).toBe('permits:2/5');

    const alone = await grant(store, { resource: 's', mode: { kind: 'shared' }, minHoldMs: 60_000 });
    const shared = words('Words of a summary', await client.hget(lockKey('s'), ':'));
    expect([shared.get('mode'), shared.get('permits'), shared.get('limits')]).toEqual(['shared', '0', '-']);
    await release(store, alone);
    const left = words('Words of a summary', await client.hget(lockKey('s'), ':'));
    expect([...left.values()]).toEqual(['-', '0', '0', '-', FAR, shared.get('taken_until')]);
  });
});

test('a waiter is recorded as documented, live and absent', async () => {
  await withStore(async (store) => {
    await grant(store, { resource: 'r' });
    await queue(store, { resource: 'r' });
    const { spec, stamp } = await queue(store, { resource: 'r', owner: 'me', mode: { kind: 'shared' } });
    const id = spec.leaseId;
    const fields = await client.hgetall(`${BUCKET}waiters:r`);
    expect(Object.keys(fields)).toHaveLength(4);
    expect(fields[`${id}?`]).toBe('["me",[]]');
    const waiter = words('Words of a waiter', fields[id] ?? null);
    expect([...waiter.keys()]).toEqual(['place', 'stamp', 'queued_at', 'mode']);
    expect([waiter.get('place'), waiter.get('mode')]).toEqual(['2', 'shared']);
    expect(waiter.get('stamp')).toBe(`${INSTANCE}/${stamp.callNumber}`);
    const last = await client.hget(KEYS.meta, 'last');
    expect(Math.abs(Number(waiter.get('queued_at')) - Number(last))).toBeLessThan(5_000 * MICROSECONDS);
    expect(await client.zscore(`${BUCKET}queue:r`, id)).toBe('2');

    const member = template(dataModel, 'is a member of\\s+`patience`, `([^`]+)`');
    const absence = filled(member, { lease_id: id, resource: 'r' });
    await store.locks.leave({ ...spec, stamp, keepPlaceMs: 60_000 }, inTime());
    expect(await client.zscore(`${BUCKET}queue:r`, id)).toBeNull();
    expect(await client.hget(`${BUCKET}waiters:r`, id)).toBe(fields[id]);
    const clock = Number(await client.hget(KEYS.meta, 'clock'));
    const forgottenUs = Number(await client.zscore(`${BUCKET}patience`, absence)) - clock;
    expect(forgottenUs).toBeGreaterThan(50_000 * MICROSECONDS);
    expect(forgottenUs).toBeLessThanOrEqual(60_000 * MICROSECONDS);
  });
});

test('a field of contention has the documented form, and one of an instance that writes no more is removed', async () => {
  const form = template(dataModel, 'in the last minutes: `([^`]+)`');
  const key = `${BUCKET}contention`;
  await withStore(async (store) => {
    const dead = Array.from({ length: 20 }, (_, index) => [`dead${index}`, '1700000000000000 old']).flat();
    await client.hset(key, 'odd', 'by hand', ...dead);
    await store.contention.write('text', inTime());
    expect(await client.hlen(key)).toBeLessThan(22);
    expect((await store.contention.read(inTime())).texts).toMatchObject([
      { instanceId: INSTANCE, text: 'text' },
    ]);
    const last = (await client.hget(KEYS.meta, 'last')) ?? '';
    const [field, value = ''] = Object.entries(await client.hgetall(key)).flat();
    expect(field).toBe(INSTANCE);
    const [written = ''] = value.split(' ');
    expect(value).toBe(filled(form, { written, text: 'text' }));
    expect(Number(last) - Number(written)).toBeLessThan(60_000 * MICROSECONDS);
    await store.contention.write('', inTime());
    expect(await client.exists(key)).toBe(0);
  });
});

test('the messages on a channel are the documented ones, of the documented form', async () => {
  const section = dataModel.split(/^## /m).find((part) => part.startsWith('Channels\n')) ?? '';
  const channel = template(section, 'Each instance listens on `([^`]+)`');
  const form = template(section, 'A message is\\s+`([^`]+)`');
  const heard: string[] = [];
  const listener = redis.client();
  listener.on('pmessage', (_pattern: string, name: string, message: string) => {
    expect(name).toBe(channel.replace('<prefix>', PREFIX).replace('<instance>', INSTANCE));
    heard.push(message);
  });
  await listener.psubscribe('*');
  try {
    await withStore(async (store) => {
      // Its offer is never confirmed, so this instance is marked as absent, and is told so when it asks again.
      await makeAbsent(store, INSTANCE);
      heard.length = 0;
      const holder = await grant(store, { resource: 'r' });
      const first = await queue(store, { resource: 'r' });
      const second = await queue(store, { resource: 'r' });
      await release(store, holder);
      const newer = { instanceId: 'other', callNumber: 2 }; // a unary call, whose instance is not told of the end
      expect(
        (await store.locks.acquire({ spec: first.spec, stamp: newer, mayWait: true }, inTime())).kind,
      ).toBe('granted');
      await store.locks.release(second.spec, inTime());
      const stream = { spec: leaseSpec({ resource: 'r' }), stamp: { instanceId: INSTANCE, callNumber: 1 } };
      await store.locks.release(first.spec, inTime());
      expect(
        (await store.locks.acquire({ spec: stream.spec, stamp: stream.stamp, mayWait: false }, inTime()))
          .kind,
      ).toBe('granted');
      await store.locks.forceRelease({ resource: 'r', fencingToken: undefined, immediate: false }, inTime());
      const about = ({ spec, stamp }: Queued, word: string, number: string) =>
        filled(form, { word, lease_id: spec.leaseId, call: `${stamp.callNumber}`, number, resource: 'r' });
      const expected = [
        filled(form, {
          word: 'resync',
          lease_id: '-',
          call: `${first.stamp.callNumber}`,
          number: '0',
          resource: '-',
        }),
        about(first, 'offered', '0'),
        about(second, 'next', ''),
        about(first, 'moved', '0'),
        about(second, 'released', '0'),
        about(stream, 'revoked', '0'),
      ];
      const [last = ''] = expected.slice(-1);
      await eventually(() => heard.includes(last), { what: 'the last message', withinMs: 5_000 });
      // The next waiter may be told more than once.
      const others = heard.filter((message) => !message.startsWith('next '));
      expect(others).toEqual(expected.filter((text) => !text.startsWith('next ')));
      expect(heard).toContainEqual(expect.stringMatching(about(second, '^next', '\\d+')));
      const documented = column(table(dataModel, 'Channels'), 0);
      expect(documented.sort()).toEqual(expected.map((text) => text.split(' ')[0]).sort());
    });
  } finally {
    listener.disconnect();
  }
});

test('a score is a lower bound, because a renewal moves the deadline but not the score', async () => {
  await withStore(async (store) => {
    const lease = await grant(store, { resource: 'r', ttlMs: 10_000 });
    const score = await client.zscore(KEYS.deadlines, 'r');
    const command = {
      resource: 'r',
      leaseId: lease.leaseId,
      fencingToken: lease.fencingToken,
      ttlMs: 20_000,
    };
    expect(await store.locks.renew([command], inTime())).toMatchObject([{ kind: 'renewed' }]);
    const [, deadline] = ((await client.hget(lockKey('r'), lease.leaseId)) ?? '').split(' ');
    expect(await client.zscore(KEYS.deadlines, 'r')).toBe(score);
    expect(Number(deadline)).toBeGreaterThan(Number(score));
  });
});

test('the scripts, their keys and their flags are the documented ones', () => {
  const rows = table(dataModel, 'Scripts').map(([name, keys, flags]) => [name, keys, flags]);
  const actual = Object.values(loadScripts()).map(({ name, source }) => {
    const header = /^-- KEYS ([\s\S]*?)^-- ARGV/m.exec(source)?.[1] ?? '';
    const keys = [...header.matchAll(/^(?:--)?\s+\d\s+([a-z]+)/gm)].map((match) => match[1]);
    return [name, keys.join(', '), /^#!lua flags=(\S+)/.exec(source)?.[1] ?? '–'];
  });
  expect(rows).toEqual(actual);
});

test('the procedure to change max_ttl works as it is written', { timeout: 60_000 }, async () => {
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
  // It registers in a quarantine, and answers when a newcomer may.
  const store = await openStore(60_000, 30_000);
  try {
    expect(store.status()).toMatchObject({ usable: true, mismatch: false, epoch: 2 });
    const asked = store.locks.acquire(
      { spec: leaseSpec({ resource: 'new' }), stamp: STAMP, mayWait: false },
      inTime(),
    );
    expect((await asked).kind).toBe('quarantined');
    const leftMs = store.status().quarantineRemainingMs;
    expect(leftMs).toBeGreaterThan(safety.quarantineMs(60_000) - 30_000);
    expect(leftMs).toBeLessThanOrEqual(safety.quarantineMs(60_000));
    expect(await client.hget(KEYS.meta, 'token')).toBe(token);
  } finally {
    await store.close();
  }
});

const OPERATION: OperationSpec = {
  resource: 'a:{b}',
  operationId: '1',
  type: 'report',
  data: Uint8Array.from([1, 2, 3]),
  labels: new Map([['k', 'v']]),
  contentHash: 'hash',
  owner: 'billing',
  heartbeatTimeoutMs: 2_000,
  timeToLiveMs: 0,
  exclusive: false,
  lock: undefined,
  maxAttempts: 3,
  retention: { succeededMs: 60_000, failedMs: 60_000, cancelledMs: 60_000, deadMs: 60_000 },
};

function begin(store: RedisStore, overrides: Partial<OperationSpec>): Promise<unknown> {
  const spec = { ...OPERATION, ...overrides };
  const command = { spec, claimId: undefined, stamp: STAMP, requestId: '', requireLease: undefined };
  return store.operations.begin(command, inTime());
}

/** What a failover has forgotten of an exclusive operation; until the full end, which is far away. */
async function barForgotten(name: string): Promise<void> {
  await client.hset(KEYS.meta, 'full_until', String(Number.MAX_SAFE_INTEGER));
  const reign = (await client.hget(KEYS.meta, 'reign')) ?? '';
  const { source } = loadScripts()['answer-attempts'];
  const told = [name, 'c 1795427166309791 x', '20000000'];
  const late = String(Number.MAX_SAFE_INTEGER);
  expect(await client.eval(source, 1, KEYS.meta, reign, late, '-', ...told)).toContain('noted');
}

test('the bars of operations are recorded as documented', async () => {
  await withStore(async () => {
    await barForgotten('a:{b}\t1');
    const bars = await client.hgetall(`${BUCKET}bars`);
    expect(Object.keys(bars).sort()).toEqual(['a:{b}', 'a:{b}\t1', 'a:{b}\n'].sort());
    expect(bars['a:{b}\t1']).toMatch(/^1795427166309791 \d+ x$/);
    expect(bars['a:{b}']).toMatch(/^\d+ 1$/);
    expect(bars['a:{b}\n']).toBe(bars['a:{b}']);
  });
});

test('the keys of operations are the documented ones, of the documented types, without a TTL', async () => {
  const rows = table(dataModel, 'Operations');
  const named = (key: string): string =>
    key
      .replace('<prefix>', PREFIX)
      .replace('<name>', 'a:{b}\t1')
      .replace('<resource>', 'a:{b}')
      .replace('<type>', 'report');
  await withStore(async (store) => {
    await begin(store, {});
    const claim = { types: ['report'], resourcePrefix: '', claimId: randomUUID(), owner: '', most: 1 };
    await store.operations.claim({ ...claim, stamp: STAMP }, inTime());
    await begin(store, { operationId: '2' });
    await barForgotten(`a:{b}\t3`);
    const others = [KEYS.meta, `${BUCKET}instances`];
    const keys = (await client.keys('*')).filter((key) => !others.includes(key) && !key.endsWith('\t2'));
    expect(keys.sort()).toEqual(column(rows, 0).map(named).sort());
    for (const [key = '', type] of rows) {
      expect([key, await client.type(named(key))]).toEqual([key, type]);
      expect([key, await client.pttl(named(key))]).toEqual([key, -1]);
    }
  });
});

test('the fields and words of a record are the documented ones', async () => {
  const word = (title: string, text = ''): Record<string, string> => {
    const names = column(table(dataModel, title), 0);
    const values = text.split('\t');
    expect(values).toHaveLength(names.length);
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
  };
  await withStore(async (store) => {
    await begin(store, { exclusive: true });
    const claimId = randomUUID();
    const claim = { types: ['report'], resourcePrefix: '', claimId, owner: 'me', most: 1, stamp: STAMP };
    const outcome = await store.operations.claim(claim, inTime());
    const [claimed] = outcome.kind === 'claimed' ? outcome.claimed : [];
    if (!claimed) throw new Error('nothing was claimed');
    const { fencingToken } = claimed.attempt;
    const attempt = { resource: 'a:{b}', operationId: '1', claimId, fencingToken };
    const update = {
      data: undefined,
      progress: undefined,
      setLabels: new Map([['n', 'w']]),
      removeLabels: [],
    };
    const requestId = randomUUID();
    await store.operations.update({ ...attempt, ...update, version: 0, requestId }, inTime());
    const fields = await client.hgetall(`${BUCKET}operation:a:{b}\t1`);
    expect(Object.keys(fields).sort()).toEqual(['data', 'k', 'r', 's']);
    expect(fields.k).toBe(`update:${requestId}\t${claimId}`);
    expect(fields.data).toBe('=AQID');
    expect(word('Words of a specification', fields.s)).toEqual({
      type: 'report',
      hash: 'hash',
      begun_by: '',
      max: '3',
      heartbeat: '2000000',
      ttl: '0',
      exclusive: '1',
      keep_succeeded: '60000000',
      keep_failed: '60000000',
      keep_cancelled: '60000000',
      keep_dead: '60000000',
      lock: '',
    });
    const run = word('Words of a run', fields.r);
    expect(run).toMatchObject({ state: 'running', version: '3', number: '1', counted: '1', claim: claimId });
    expect(run).toMatchObject({ token: fencingToken.toString(), expires: '0', claimable: '0', owner: 'me' });
    expect(run).toMatchObject({
      indexed: '',
      cancel: '',
      reason: '',
      labels: '{"k":"v","n":"w"}',
      finished: '',
    });
    expect(run.stamp).toBe(`${STAMP.instanceId}/${STAMP.callNumber}`);
    expect(Number(run.updated)).toBeGreaterThanOrEqual(Number(run.created));
    expect(Number(run.deadline)).toBeGreaterThan(Number(await client.hget(KEYS.meta, 'clock')));
    expect(await client.hgetall(`${BUCKET}open`)).toEqual({ 'a:{b}': 'x' });
  });
});
