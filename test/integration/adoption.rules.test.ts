// What an adoption installs and what holds from then on, where only lost data or a clock that went back can show it.
// Real Redis, no Sentinels: reign.rules.test.ts shows how those are asked.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AcquireOutcome, Lease, LeaseSpec } from '../../src/domain/lock.ts';
import { FORMER_SCHEMA, SCHEMA_VERSION } from '../../src/domain/safety.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { inTime, leaseSpec, MAX_TTL_MS, storeOptions } from '../support/store-harness.ts';
import { scriptsOnVirtualTime, virtualTimeKey, virtualTimeValue } from '../support/virtual-time.ts';
import { type AtEnd, ownRedis, proxyTo } from '../support/watched-redis.ts';

const START_MS = 1_700_000_000_000;
const NEVER_LATE = Number.MAX_SAFE_INTEGER;

/** For tests that stop or flush nothing, since each has keys of its own. */
let shared: RedisProcess;

beforeAll(async () => {
  shared = await RedisProcess.server();
  await shared.start();
});

afterAll(() => shared?.stop());

function storeWith(
  atEnd: AtEnd,
  address: { readonly host: string; readonly port: number },
  overrides: Partial<RedisStoreOptions>,
): RedisStore {
  const store = new RedisStore(storeOptions(address, overrides));
  atEnd(() => store.close());
  return store;
}

async function storeOn(
  atEnd: AtEnd,
  address: { readonly host: string; readonly port: number },
  overrides: Partial<RedisStoreOptions> = {},
): Promise<RedisStore> {
  const store = storeWith(atEnd, address, overrides);
  await usable(store);
  return store;
}

function usable(store: RedisStore): Promise<boolean> {
  return eventually(() => store.status().usable, { what: 'a usable store', withinMs: 8_000, everyMs: 5 });
}

async function acquire(store: RedisStore, spec: LeaseSpec = leaseSpec()): Promise<string> {
  const outcome = store.locks.acquire(
    { spec, stamp: { instanceId: 'i1', callNumber: 1 }, mayWait: false },
    inTime(2_000),
  );
  return outcome.then(
    ({ kind }) => kind,
    ({ code }: { code: string }) => code,
  );
}

async function tokenOf(store: RedisStore): Promise<bigint> {
  const spec = leaseSpec({ resource: randomUUID() });
  const outcome = await store.locks.acquire(
    { spec, stamp: { instanceId: 'i1', callNumber: 1 }, mayWait: false },
    inTime(),
  );
  if (outcome.kind !== 'granted') throw new Error(outcome.kind);
  return outcome.lease.fencingToken;
}

describe.concurrent('an adoption', { timeout: 30_000 }, () => {
  /** Runs the shipped script, as an instance sends it; times are in microseconds. */
  async function adopt(meta: string, quarantine: number): Promise<readonly string[]> {
    const { source } = loadScripts()['adopt-reign'];
    const [maxTtl, lapsedAfter, seenToken] = [30_000_000, 6_000_000, 0];
    const args = ['0', NEVER_LATE, 1, maxTtl, 1, quarantine, lapsedAfter, seenToken, 'wait', 0, 'off', 0, ''];
    const reply = await shared.withClient((client) => client.eval(source, 1, meta, ...args.map(String)));
    if (!Array.isArray(reply)) throw new Error('no reply');
    return reply.map(String);
  }

  test('an adoption never shortens the present quarantine, whatever its own would be', async () => {
    const { meta } = keysFor(`t-${randomUUID()}:`);
    const first = await adopt(meta, 30_000_000);
    expect([first[0], first[5]]).toEqual(['adopted', '30000000']);
    for (const shorter of [10_000_000, 0]) {
      await shared.withClient((client) => client.hset(meta, 'reign', 'that of another primary'));
      const next = await adopt(meta, shorter);
      expect(next[0]).toBe('adopted');
      expect(Number(next[5])).toBeGreaterThan(20_000_000);
    }
  });

  test('no script runs without an adoption of the reign', async ({ onTestFinished }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const store = await storeOn(onTestFinished, shared.listens, { keyPrefix });
    const { epoch } = store.status();
    // What a promoted replica has: the data of the former primary's reign.
    await shared.withClient((client) =>
      client.hset(keysFor(keyPrefix).meta, 'reign', 'that of another primary'),
    );
    expect(await acquire(store)).not.toBe('granted');
    await eventually(() => store.status().epoch === epoch + 1, { what: 'an adoption', withinMs: 5_000 });
    await usable(store);
    expect(await acquire(store)).toBe('quarantined');
  });

  test('an adoption with another max_ttl than that of the deployment is refused', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const store = await storeOn(onTestFinished, shared.listens, { keyPrefix });
    const other = storeWith(onTestFinished, shared.listens, { keyPrefix, maxTtlMs: 2 * MAX_TTL_MS });
    await eventually(() => other.status().mismatch, { what: 'a mismatch', withinMs: 5_000 });
    expect(other.status()).toMatchObject({
      usable: false,
      reason: expect.stringContaining('max_ttl is 30000 ms'),
    });
    expect(await acquire(other)).toBe('DEPLOYMENT_MISMATCH');
    expect(await acquire(store)).toBe('granted');
  });

  test('an adoption of a Redis that lost its data begins above the largest token that was seen, even if its clock went back', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const { meta } = keysFor(keyPrefix);
    const time = (ms: number) => ['hset', virtualTimeKey(meta), 'us', virtualTimeValue(ms)] as const;
    await shared.withClient((client) => client.hset(virtualTimeKey(meta), 'us', virtualTimeValue(START_MS)));
    const store = await storeOn(onTestFinished, shared.listens, {
      keyPrefix,
      quarantine: false,
      scripts: scriptsOnVirtualTime(),
    });
    const seen = await tokenOf(store);
    const { sinceMs } = store.status();
    const lose = [...(await shared.withClient((client) => client.keys(`${keyPrefix}*`)))];
    await shared.withClient((client) =>
      client.multi([['del', ...lose], [...time(START_MS - 600_000)]]).exec(),
    );
    await eventually(() => store.status().sinceMs !== sinceMs && store.status().usable, {
      what: 'the next reign',
      withinMs: 8_000,
    });
    expect(await tokenOf(store)).toBeGreaterThan(seen);
  });
});

const NEW_IN_META = [
  'roll_call',
  'from_reign',
  'from_clock',
  'full_until',
  'floor',
  'fresh',
  'adopted',
  'warm_until',
];

describe.concurrent('an upgrade of the key layout', { timeout: 30_000 }, () => {
  const [holder, next] = [leaseSpec({ leaseId: randomUUID() }), leaseSpec({ leaseId: randomUUID() })];
  const waiting = { instanceId: 'old', callNumber: 2 };

  /** What an instance of the former layout leaves: a lease, and an offer that nobody has confirmed. */
  async function formerLayout(keyPrefix: string): Promise<bigint> {
    const ended: (() => Promise<void> | void)[] = [];
    const store = await storeOn((end) => ended.push(end), shared.listens, { keyPrefix, instanceId: 'old' });
    const held = await grant(store, holder);
    const offered = leaseSpec({ ...next, resource: 'offered' });
    const blocker = await grant(store, leaseSpec({ resource: 'offered' }));
    expect((await ask(store, offered)).kind).toBe('queued');
    await store.locks.release(blocker, inTime());
    for (const end of ended) await end();
    const { meta, lockPrefix } = keysFor(keyPrefix);
    await shared.withClient(async (client) => {
      // A lease had no epoch, meta no words about roll calls, and the reign's name ended with the layout.
      for (const { resource, leaseId } of [holder, offered]) {
        const text = (await client.hget(lockPrefix + resource, leaseId)) ?? '';
        expect(text).toMatch(/ (offer|held) 1$/);
        await client.hset(lockPrefix + resource, leaseId, text.replace(/ 1$/, ''));
      }
      const former = ((await client.hget(meta, 'reign')) ?? '').replace(/:\d+:off$/, `:${FORMER_SCHEMA}`);
      await client.hdel(meta, ...NEW_IN_META);
      await client.hset(meta, 'schema', FORMER_SCHEMA, 'reign', former);
    });
    return held.fencingToken;
  }

  async function grant(store: RedisStore, spec: LeaseSpec): Promise<Lease> {
    const outcome = await store.locks.acquire({ spec, stamp: waiting, mayWait: false }, inTime());
    if (outcome.kind !== 'granted') throw new Error(outcome.kind);
    return outcome.lease;
  }

  function ask(store: RedisStore, spec: LeaseSpec): Promise<AcquireOutcome> {
    return store.locks.acquire({ spec, stamp: waiting, mayWait: true }, inTime());
  }

  test('an upgrade of the key layout keeps leases, and tells nobody of an offer before its quarantine is over', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const fencingToken = await formerLayout(keyPrefix);
    const store = await storeOn(onTestFinished, shared.listens, { keyPrefix });
    expect(store.status().epoch).toBe(2);
    expect(await store.locks.renew([{ ...holder, fencingToken, ttlMs: 0 }], inTime())).toMatchObject([
      { kind: 'renewed' },
    ]);
    const offered = leaseSpec({ ...next, resource: 'offered' });
    expect(await store.locks.confirm({ spec: offered, stamp: waiting }, inTime())).toEqual({ kind: 'gone' });
    expect(await acquire(store, leaseSpec({ resource: 'free' }))).toBe('quarantined');
    const { meta } = keysFor(keyPrefix);
    expect(await shared.withClient((client) => client.hget(meta, 'schema'))).toBe(String(SCHEMA_VERSION));
  });

  test('the first instances of a new layout answer at once, so that no lease runs out, and end no quarantine early', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const fencingToken = await formerLayout(keyPrefix);
    const both = { keyPrefix, rollCall: true };
    const store = await storeOn(onTestFinished, shared.listens, { ...both, instanceId: 'new1' });
    const second = await storeOn(onTestFinished, shared.listens, { ...both, instanceId: 'new2' });
    expect(second.status().rollCall).toMatchObject({ enabled: true, newcomerRemainingMs: 0 });
    expect(await store.locks.renew([{ ...holder, fencingToken, ttlMs: 0 }], inTime())).toMatchObject([
      { kind: 'renewed' },
    ]);
    expect(store.status().rollCall).toMatchObject({ enabled: true, newcomerRemainingMs: 0 });
    // It leaves in order, since it would not notice a reign that another one has begun under the same name.
    await second.close();
    // Another reign at once: all answer, but the registry is too young to know all that answered at once.
    await shared.withClient((client) => client.hset(keysFor(keyPrefix).meta, 'reign', 'of another primary'));
    await eventually(() => store.status().epoch === 3 && store.status().usable, {
      what: 'the next reign',
      withinMs: 8_000,
    });
    await eventually(() => store.status().rollCall.missingCount === 0, {
      what: 'all answers',
      withinMs: 8_000,
    });
    expect(await acquire(store, leaseSpec({ resource: 'free' }))).toBe('quarantined');
  });

  test('an upgrade of the key layout stops the instances of the former layout', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    await formerLayout(keyPrefix);
    const { meta } = keysFor(keyPrefix);
    const formerReign = await shared.withClient((client) => client.hget(meta, 'reign'));
    await storeOn(onTestFinished, shared.listens, { keyPrefix });
    const scripts = loadScripts();
    const run = (name: 'refresh-instance' | 'adopt-reign', ...args: (string | number | null)[]) =>
      shared.withClient((client) => client.eval(scripts[name].source, 1, meta, ...args.map(String)));
    expect(await run('refresh-instance', formerReign, NEVER_LATE, '-', 'old')).toMatchObject(['reign', {}]);
    const asFormer = [FORMER_SCHEMA, 30_000_000, 1, 0, 0, 0, 'wait', 2, 'off', 0, ''];
    expect(await run('adopt-reign', '0', NEVER_LATE, ...asFormer)).toMatchObject([
      'mismatch',
      {},
      'schema',
      String(SCHEMA_VERSION),
    ]);
  });

  test('an instance does not take over an unknown key layout, and says what to do', async ({
    onTestFinished,
  }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    await formerLayout(keyPrefix);
    await shared.withClient((client) => client.hset(keysFor(keyPrefix).meta, 'schema', '99'));
    const store = storeWith(onTestFinished, shared.listens, { keyPrefix });
    await eventually(() => store.status().mismatch, { what: 'a mismatch', withinMs: 5_000 });
    expect(store.status().reason).toMatch(/have the layout 99, .* needs 4: .*redis\.key_prefix/);
  });
});

describe.concurrent('a Redis that restarts empty', { timeout: 30_000 }, () => {
  test('a Redis that restarts empty gives larger tokens, even if no instance has seen the former ones', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const ended: (() => Promise<void> | void)[] = [];
    const former = await tokenOf(await storeOn((end) => ended.push(end), redis.listens));
    for (const end of ended) await end();
    await redis.restart({ empty: true });
    expect(await tokenOf(await storeOn(onTestFinished, redis.listens))).toBeGreaterThan(former);
  });
});

describe.concurrent('the lease clock', { timeout: 30_000 }, () => {
  test('the lease clock goes on although nobody asks for anything', async ({ onTestFinished }) => {
    const store = await storeOn(onTestFinished, shared.listens);
    const resource = 'idle';
    expect(await acquire(store, leaseSpec({ resource, ttlMs: 200 }))).toBe('granted');
    // Longer than one script alone can advance it.
    const overMs = performance.now() + 3_000;
    await eventually(() => performance.now() > overMs, {
      what: 'some time without commands',
      withinMs: 5_000,
    });
    expect(await acquire(store, leaseSpec({ resource }))).toBe('granted');
  });

  test('only the lease clock ends things: no key has a TTL', async ({ onTestFinished }) => {
    const keyPrefix = `t-${randomUUID()}:`;
    const store = await storeOn(onTestFinished, shared.listens, { keyPrefix });
    const [first, next] = [leaseSpec(), leaseSpec()];
    const stamp = { instanceId: 'i1', callNumber: 2 };
    expect(await acquire(store, first)).toBe('granted');
    expect(await acquire(store, first)).toBe('granted');
    expect((await store.locks.acquire({ spec: next, stamp, mayWait: true }, inTime())).kind).toBe('queued');
    const ttls = (): Promise<number[]> =>
      shared.withClient(async (client) => {
        const keys = await client.keys(`${keyPrefix}*`);
        expect(keys.length).toBeGreaterThan(3);
        return Promise.all(keys.map((key) => client.pttl(key)));
      });
    expect(new Set(await ttls())).toEqual(new Set([-1]));
    expect((await store.locks.release(first, inTime())).kind).toBe('released');
    expect((await store.locks.confirm({ spec: next, stamp }, inTime())).kind).toBe('granted');
    expect(new Set(await ttls())).toEqual(new Set([-1]));
  });
});

describe.concurrent('a command', { timeout: 30_000 }, () => {
  test('a command that a frozen Redis runs after its thaw does nothing when its caller has given up', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const store = await storeOn(onTestFinished, redis.listens);
    expect(await acquire(store)).toBe('granted'); // and it has nothing left to learn
    const withinMs = 300;
    await redis.pause();
    const late = { resource: 'late', leaseId: randomUUID() };
    const call = store.locks.acquire(
      { spec: leaseSpec(late), stamp: { instanceId: 'i1', callNumber: 1 }, mayWait: false },
      inTime(withinMs),
    );
    const outcome = await call.catch(({ code }: { code: string }) => code);
    expect(outcome).toBe('OUTCOME_UNKNOWN');
    const startedMs = performance.now();
    await eventually(() => performance.now() > startedMs + withinMs, { what: 'some time', withinMs: 2_000 });
    await redis.resume();
    // On the same connection, so after it.
    expect(await acquire(store, leaseSpec({ resource: 'late' }))).toBe('granted');
  });

  test('a command whose reply was lost is never sent again', async ({ onTestFinished }) => {
    const redis = await ownRedis(onTestFinished);
    const seen: string[] = [];
    // While nobody asks Redis for anything: the client takes a line that comes with the answer for an answer.
    const monitor = await redis.client().monitor();
    onTestFinished(() => monitor.disconnect());
    const proxy = await proxyTo(onTestFinished, redis);
    const store = await storeOn(onTestFinished, proxy);
    monitor.on('monitor', (_time: string, args: readonly string[]) => void seen.push(args.join(' ')));
    const timesSent = (leaseId: string): number =>
      seen.filter((line) => /^evalsha/i.test(line) && line.includes(leaseId)).length;

    proxy.holdReplies();
    const lost = leaseSpec({ resource: 'lost' });
    const outcome = acquire(store, lost);
    await eventually(() => timesSent(lost.leaseId) > 0, { what: 'the command', withinMs: 5_000, everyMs: 5 });
    proxy.drop();
    proxy.heal();
    expect(await outcome).toBe('OUTCOME_UNKNOWN');
    const later = leaseSpec({ resource: 'later' });
    await eventually(async () => (await acquire(store, later)) === 'granted', {
      what: 'answers on a new connection',
      withinMs: 8_000,
    });
    await eventually(() => timesSent(later.leaseId) > 0, { what: 'the later command', withinMs: 5_000 });
    expect(timesSent(lost.leaseId)).toBe(1);
  });
});
