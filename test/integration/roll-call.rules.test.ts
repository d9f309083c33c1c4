// The roll call, rule by rule: after the primary lost its last writes, each instance puts back what it has told, and
// the quarantine ends when all have answered. Several stores on one real Redis, with a small max_ttl, so that a
// newcomer waits for seconds; a failover is a new replication id, and what is deleted with it is what was lost.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Lease, LeaseSpec } from '../../src/domain/lock.ts';
import { newcomerWaitMs, quarantineMs } from '../../src/domain/safety.ts';
import { type Keys, keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { inTime, leaseSpec, type StoreHarness, storeOptions } from '../support/store-harness.ts';
import { operationCalls } from '../support/store-operations.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const MAX_TTL_MS = 10_000;
/** How long anything may take on a busy machine that waits for no quarantine. */
const SOON_MS = 15_000;

interface Moment {
  readonly clock: string;
  readonly last: string;
  /** What some keys held, as DUMP says it. */
  readonly held: ReadonlyMap<string, Buffer>;
}

/** Some instances of one deployment, and the Redis that they use. */
class Deployment {
  readonly redis: RedisProcess;
  readonly keys: Keys;
  readonly #atEnd: AtEnd;
  readonly #prefix = `t-${randomUUID()}:`;
  readonly #live = new Set<RedisStore>();

  private constructor(redis: RedisProcess, atEnd: AtEnd) {
    this.redis = redis;
    this.#atEnd = atEnd;
    this.keys = keysFor(this.#prefix);
  }

  static async start(atEnd: AtEnd): Promise<Deployment> {
    return new Deployment(await ownRedis(atEnd), atEnd);
  }

  /** Of a first start: it serves at once, as does each that comes soon. */
  instance(name: string, given: Partial<RedisStoreOptions> = {}): RedisStore {
    const store = new RedisStore(
      storeOptions(this.redis.listens, {
        instanceId: name,
        hostName: `host-of-${name}`,
        keyPrefix: this.#prefix,
        maxTtlMs: MAX_TTL_MS,
        rollCall: true,
        ...given,
      }),
    );
    this.#live.add(store);
    this.#atEnd(() => store.close());
    return store;
  }

  /** How far the lease clock is, and what these locks are: what comes after it can be lost. */
  async moment(...resources: readonly string[]): Promise<Moment> {
    const keys =
      resources.length > 0 ? [...resources.map((name) => this.lockKey(name)), this.keys.deadlines] : [];
    return this.redis.withClient(async (client) => {
      const [clock, last] = await client.hmget(this.keys.meta, 'clock', 'last');
      const dumps = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
      const held = new Map(keys.map((key, at) => [key, dumps[at] as Buffer]));
      return { clock: clock ?? '', last: last ?? '', held };
    });
  }

  /**
   * The same primary under another name. It may have lost what came after a moment: the lease clock is set back to
   * that, locks are what they were, and keys are gone.
   */
  async failOver(after?: Moment, ...lost: readonly string[]): Promise<void> {
    const { meta } = this.keys;
    await this.redis.withClient((client) =>
      client
        .multi([
          ...(lost.length > 0 ? [['del', ...lost]] : []),
          ...(after ? [['hset', meta, 'clock', after.clock, 'last', after.last]] : []),
          ...[...(after?.held ?? [])].map(([key, held]) => ['restore', key, 0, held, 'REPLACE']),
          ['debug', 'change-repl-id'],
          ['client', 'kill', 'skipme', 'yes'],
        ])
        .exec(),
    );
  }

  lockKey(resource: string): string {
    return `${this.keys.lockPrefix}${resource}`;
  }

  async instances(): Promise<readonly string[]> {
    return this.redis.withClient((client) => client.hkeys(`${this.keys.bucket}instances`));
  }
}

function usable(store: RedisStore, withinMs = SOON_MS): Promise<boolean> {
  return eventually(() => store.status().usable, { what: 'a usable store', withinMs, everyMs: 10 });
}

let calls = 0;

async function acquire(store: RedisStore, instanceId: string, spec: LeaseSpec): Promise<Lease | string> {
  calls += 2;
  const stamp = { instanceId, callNumber: calls };
  try {
    const outcome = await store.locks.acquire({ spec, stamp, mayWait: false }, inTime(2_000));
    return outcome.kind === 'granted' ? outcome.lease : outcome.kind;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function granted(store: RedisStore, instanceId: string, spec: LeaseSpec): Promise<Lease> {
  const lease = await acquire(store, instanceId, spec);
  if (typeof lease === 'string') throw new Error(`${spec.resource}: ${lease}`);
  return lease;
}

async function renew(store: RedisStore, { resource, leaseId, fencingToken }: Lease): Promise<string> {
  const [outcome] = await store.locks.renew([{ resource, leaseId, fencingToken, ttlMs: 0 }], inTime(2_000));
  return outcome?.kind ?? '';
}

/** In the next reign, whose quarantine has ended by itself or by its roll call. */
async function opened(store: RedisStore, epoch: number, withinMs = SOON_MS): Promise<void> {
  await eventually(
    () => {
      const { usable: isUsable, epoch: now, quarantineRemainingMs } = store.status();
      return isUsable && now > epoch && quarantineRemainingMs === 0;
    },
    { what: 'the end of the quarantine', withinMs, everyMs: 10 },
  );
}

function shortSpec(given: Partial<LeaseSpec> = {}): LeaseSpec {
  return leaseSpec({ resource: randomUUID(), ttlMs: MAX_TTL_MS, ...given });
}

/** The end of a first start, in which newcomers tell at once, and no roll call ends a quarantine. */
async function warm({ redis, keys }: Deployment): Promise<void> {
  const isOver = async (): Promise<boolean> => {
    const times = await redis.withClient((client) => client.hmget(keys.meta, 'clock', 'warm_until'));
    return Number(times[0]) > Number(times[1]);
  };
  await eventually(isOver, {
    what: 'the end of the first start',
    withinMs: newcomerWaitMs(MAX_TTL_MS) + SOON_MS,
  });
}

describe.concurrent('a roll call', { timeout: 60_000 }, () => {
  async function two(atEnd: AtEnd) {
    const deployment = await Deployment.start(atEnd);
    const first = deployment.instance('one');
    await usable(first);
    const second = deployment.instance('two');
    await usable(second);
    // Both have ticked: an entry without a time is not fresh.
    await eventually(
      async () => {
        const entries = await deployment.redis.withClient((client) =>
          client.hvals(`${deployment.keys.bucket}instances`),
        );
        return entries.length === 2 && entries.every((entry) => !entry.includes(' - '));
      },
      { what: 'two instances that have ticked', withinMs: SOON_MS, everyMs: 10 },
    );
    return { deployment, first, second };
  }

  test('the quarantine ends as soon as all instances have answered', async ({ onTestFinished }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const { epoch } = first.status();
    const startedMs = systemClock.monotonicMs();
    await deployment.failOver();
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(quarantineMs(MAX_TTL_MS) - 2_000);
    await eventually(() => first.status().rollCall.lastEnd?.how === 'early', {
      what: 'an early end',
      withinMs: 3_000,
    });
    expect(await acquire(first, 'one', shortSpec())).toMatchObject({ fencingToken: expect.any(BigInt) });
  });

  test('the quarantine lasts to its full end while one instance has not answered', async ({
    onTestFinished,
  }) => {
    const { deployment, first } = await two(onTestFinished);
    await warm(deployment);
    // One that is registered, and answers nothing.
    await deployment.redis.withClient(async (client) => {
      const instances = `${deployment.keys.bucket}instances`;
      const entry = (await client.hget(instances, 'one')) ?? '';
      await client.hset(instances, 'dead', entry.replace(/\S+ \S+$/, 'host-3 -'));
    });
    const { epoch } = first.status();
    await deployment.failOver();
    await eventually(() => first.status().epoch > epoch && first.status().rollCall.missingCount === 1, {
      what: 'a missing instance',
      withinMs: SOON_MS,
    });
    expect(first.status().rollCall.missing).toMatchObject([{ instanceId: 'dead', host: 'host-3' }]);
    expect(await acquire(first, 'one', shortSpec())).toBe('quarantined');
    await opened(first, epoch, quarantineMs(MAX_TTL_MS) + SOON_MS);
    await eventually(() => first.status().rollCall.lastEnd !== undefined, {
      what: 'an end',
      withinMs: 3_000,
    });
    expect(first.status().rollCall.lastEnd).toMatchObject({
      how: 'full',
      why: '1 instance has not answered: host-3 (dead…)',
    });
  });

  test('a lease that the new primary lacks is put back, and its holder renews it', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const before = await deployment.moment();
    const lease = await granted(first, 'one', shortSpec());
    const { epoch } = first.status();
    await deployment.failOver(before, deployment.lockKey(lease.resource));
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(first.status().rollCall.putBack).toBe(1);
    expect(await renew(first, lease)).toBe('renewed');
    expect(await renew(second, lease)).toBe('renewed'); // by any instance
    expect(await acquire(second, 'two', shortSpec({ resource: lease.resource }))).toBe('contended');
  });

  test('a lease that another instance granted is put back by the one that renewed it', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const before = await deployment.moment();
    const lease = await granted(first, 'one', shortSpec());
    expect(await renew(second, lease)).toBe('renewed');
    expect(second.status().rollCall.toldLeases).toBe(1);
    await first.close();
    const { epoch } = second.status();
    await deployment.failOver(before, deployment.lockKey(lease.resource));
    await opened(second, epoch);
    expect(second.status().rollCall.putBack).toBe(1);
    expect(await renew(second, lease)).toBe('renewed');
  });

  test('a lease that was released is not put back', async ({ onTestFinished }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const lease = await granted(first, 'one', shortSpec());
    expect((await first.locks.release(lease, inTime())).kind).toBe('released');
    const { epoch } = first.status();
    await deployment.failOver();
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(first.status().rollCall.putBack).toBe(0);
    expect(await acquire(second, 'two', shortSpec({ resource: lease.resource }))).toMatchObject({
      resource: lease.resource,
    });
  });

  test('a resource whose release the new primary lacks is free when the quarantine ends', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const lease = await granted(first, 'one', shortSpec());
    const { resource } = lease;
    const before = await deployment.moment(resource);
    expect((await first.locks.release(lease, inTime())).kind).toBe('released');
    const { epoch } = first.status();
    await deployment.failOver(before);
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    await granted(second, 'two', shortSpec({ resource }));
  });

  test('a lease that was released through another instance is not put back, whichever instance answers first', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    // Below the cut, the new primary knows the grants. One lacks these, and so its instances put them back.
    const before = await deployment.moment();
    const leases = await Promise.all([
      granted(first, 'one', shortSpec()),
      granted(second, 'two', shortSpec()),
    ]);
    expect((await second.locks.release(leases[0], inTime())).kind).toBe('released');
    expect((await first.locks.release(leases[1], inTime())).kind).toBe('released');
    const { epoch } = first.status();
    await deployment.failOver(before, ...leases.map(({ resource }) => deployment.lockKey(resource)));
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    for (const { resource } of leases) await granted(first, 'one', shortSpec({ resource }));
    const released = `${deployment.keys.bucket}released`;
    expect(await deployment.redis.withClient((client) => client.exists(released))).toBe(0);
  });

  test('a stream that still keeps a lease whose release was forgotten loses it', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const spec = shortSpec();
    const stamp = { instanceId: 'one', callNumber: 9_001 };
    const outcome = await first.locks.acquire({ spec, stamp, mayWait: false }, inTime());
    if (outcome.kind !== 'granted') throw new Error(outcome.kind);
    const before = await deployment.moment(spec.resource);
    expect((await second.locks.release(spec, inTime())).kind).toBe('released');
    const { epoch } = first.status();
    await deployment.failOver(before);
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(await renew(first, outcome.lease)).toBe('lost');
  });

  test('a repeat of a release that was told frees no newer lease with the same id', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const spec = shortSpec();
    const former = await granted(first, 'one', spec);
    const before = await deployment.moment(spec.resource);
    await first.locks.release(spec, inTime());
    const lease = await granted(second, 'two', spec);
    expect(lease.fencingToken).toBeGreaterThan(former.fencingToken);
    const { epoch } = first.status();
    await deployment.failOver(before);
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(await renew(first, lease)).toBe('renewed');
    expect(await acquire(first, 'one', shortSpec({ resource: spec.resource }))).toBe('contended');
  });

  test('a min_hold goes on after a failover that lost it, although its lease was released', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const before = await deployment.moment();
    const lease = await granted(first, 'one', shortSpec({ minHoldMs: 30_000 }));
    await first.locks.release(lease, inTime());
    const { epoch } = first.status();
    await deployment.failOver(before, deployment.lockKey(lease.resource));
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    expect(await acquire(second, 'two', shortSpec({ resource: lease.resource }))).toBe('contended');
  });

  test('an instance that told more than it can remember answers when that is over', async ({
    onTestFinished,
  }) => {
    const deployment = await Deployment.start(onTestFinished);
    const store = deployment.instance('one', { maxToldLeases: 1 });
    await usable(store);
    await warm(deployment);
    const before = await deployment.moment();
    await granted(store, 'one', shortSpec());
    await granted(store, 'one', shortSpec({ ttlMs: 4_000 }));
    expect(store.status().rollCall).toMatchObject({ incomplete: true, toldLeases: 1 });
    const { epoch } = store.status();
    await deployment.failOver(before);
    await eventually(() => store.status().epoch > epoch, { what: 'the next reign', withinMs: SOON_MS });
    expect(store.status().quarantineRemainingMs).toBeGreaterThan(0);
    await opened(store, epoch);
    await eventually(() => store.status().rollCall.lastEnd?.how === 'early', {
      what: 'an early end',
      withinMs: 3_000,
    });
  });

  test('an operation whose attempt a failover forgot is not started beside its worker', async ({
    onTestFinished,
  }) => {
    const { deployment, first, second } = await two(onTestFinished);
    await warm(deployment);
    const { bucket } = deployment.keys;
    // Of a harness, only the operations are asked for.
    const [one, other] = [first, second].map((store) =>
      operationCalls(() => store as unknown as StoreHarness),
    );
    if (!one || !other) throw new Error('two stores');
    const heartbeatTimeoutMs = MAX_TTL_MS;
    const before = await deployment.moment();
    const lost = await one.started({ heartbeatTimeoutMs });
    await one.begin({ operationId: 'free' });
    const told = systemClock.monotonicMs();
    const { epoch } = first.status();
    const name = `${lost.resource}\t${lost.operationId}`;
    await deployment.failOver(before, `${bucket}operation:${name}`);
    await Promise.all([opened(first, epoch), opened(second, epoch)]);
    const again = await other.begin({ heartbeatTimeoutMs }, { claimId: randomUUID() });
    const isEarly = systemClock.monotonicMs() - told < MAX_TTL_MS - 1_000;
    // On a machine so slow that the attempt is nearly over this proves nothing.
    if (isEarly) expect(again).toMatchObject({ kind: 'quarantined' });
    expect(await one.beat(lost)).toEqual({ kind: 'lost', reason: 'unknown-attempt' });
    expect(await other.claimed(randomUUID(), 9)).toMatchObject([{ operationId: 'free' }]);
    await eventually(
      async () => (await other.begin({ heartbeatTimeoutMs }, { claimId: randomUUID() })).kind === 'begun',
      { what: 'another attempt', withinMs: MAX_TTL_MS + SOON_MS, everyMs: 200 },
    );
  });
});

describe.concurrent('an instance in the registry', { timeout: 60_000 }, () => {
  async function established(atEnd: AtEnd): Promise<{ deployment: Deployment; first: RedisStore }> {
    const deployment = await Deployment.start(atEnd);
    const first = deployment.instance('one');
    await usable(first);
    await warm(deployment);
    return { deployment, first };
  }

  test('a newcomer tells nothing until it has waited, and says from when on it answers', async ({
    onTestFinished,
  }) => {
    const { deployment } = await established(onTestFinished);
    const second = deployment.instance('two');
    await eventually(() => /has just registered and answers from \d{4}-/.test(second.status().reason), {
      what: 'a newcomer that says from when on it answers',
      withinMs: SOON_MS,
      everyMs: 5,
    });
    expect(second.status()).toMatchObject({ usable: false, mismatch: false });
    expect(second.status().rollCall.newcomerRemainingMs).toBeGreaterThan(0);
    const refused = second.locks.acquire(
      { spec: shortSpec(), stamp: { instanceId: 'two', callNumber: 2 }, mayWait: false },
      inTime(),
    );
    await expect(refused).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    const tells = new Promise<void>((resolve) => {
      second.onStatus((status) => {
        if (status.usable) resolve();
      });
    });
    await tells;
    expect(second.status().rollCall.newcomerRemainingMs).toBe(0);
    expect(await acquire(second, 'two', shortSpec())).toMatchObject({ fencingToken: expect.any(BigInt) });
  });

  test('an instance that ends in order leaves the registry, and no roll call waits for it', async ({
    onTestFinished,
  }) => {
    const { deployment, first } = await established(onTestFinished);
    expect(await deployment.instances()).toEqual(['one']);
    await first.close();
    expect(await deployment.instances()).toEqual([]);
  });

  test('an instance that the registry has dropped registers again before it tells anything', async ({
    onTestFinished,
  }) => {
    const { deployment, first } = await established(onTestFinished);
    const lease = await granted(first, 'one', shortSpec());
    await deployment.redis.withClient(async (client) => {
      const instances = `${deployment.keys.bucket}instances`;
      const entry = (await client.hget(instances, 'one')) ?? '';
      await client.multi().del(instances).hset(instances, 'other', entry).exec();
    });
    const [outcome] = await Promise.allSettled([renew(first, lease)]);
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'REDIS_UNAVAILABLE' } });
    await eventually(() => first.status().rollCall.newcomerRemainingMs > 0, {
      what: 'a newcomer',
      withinMs: SOON_MS,
    });
    expect(await deployment.instances()).toContain('one');
  });
});
