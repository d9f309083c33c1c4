// What a deployment's largest TTL bounds: every lease and attempt, even one that was requested when the largest TTL was
// larger. A quarantine lasts as long as a lease that was forgotten may live; a lease that lived longer could be given
// to two.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Attempt, OperationSpec } from '../../src/domain/operation.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import { inTime, leaseSpec, storeOptions } from '../support/store-harness.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const LARGE_MS = 30_000;
const SMALL_MS = 5_000;
const DAY_MS = 86_400_000;
const STAMP = { instanceId: 'i1', callNumber: 1 };

const operation: OperationSpec = {
  resource: 'invoice:42',
  operationId: 'send',
  type: 'send',
  data: undefined,
  labels: new Map(),
  contentHash: 'same',
  owner: 'billing',
  heartbeatTimeoutMs: LARGE_MS,
  timeToLiveMs: 0,
  exclusive: false,
  lock: undefined,
  maxAttempts: 3,
  retention: { succeededMs: DAY_MS, failedMs: DAY_MS, cancelledMs: DAY_MS, deadMs: DAY_MS },
};

test.for([
  { kind: 'with a lock', lock: leaseSpec({ ttlMs: LARGE_MS }) },
  { kind: 'without', lock: undefined },
])(
  'a smaller max_ttl bounds an operation that was recorded before it, $kind',
  { timeout: 30_000 },
  async ({ lock }, { onTestFinished }) => {
    const redis = await ownRedis(onTestFinished);
    const keyPrefix = `t-${randomUUID()}:`;
    async function start(atEnd: AtEnd, maxTtlMs: number): Promise<RedisStore> {
      const store = new RedisStore(storeOptions(redis.listens, { keyPrefix, maxTtlMs, quarantine: false }));
      atEnd(() => store.close());
      await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 8_000, everyMs: 5 });
      return store;
    }

    const ends: (() => Promise<void> | void)[] = [];
    const before = await start((end) => ends.push(end), LARGE_MS);
    const begin = {
      spec: { ...operation, lock },
      claimId: undefined,
      stamp: STAMP,
      requestId: '',
      requireLease: undefined,
    };
    expect((await before.operations.begin(begin, inTime())).kind).toBe('begun');
    for (const end of ends) await end();
    // As the documentation describes it.
    await redis.withClient((client) =>
      client.hset(keysFor(keyPrefix).meta, 'max_ttl', String(SMALL_MS * 1_000), 'reign', 'max_ttl changed'),
    );

    const { operations } = await start(onTestFinished, SMALL_MS);
    const expectBounded = (attempt: Attempt | undefined): void => {
      const left = (attempt?.deadlineMs ?? Number.POSITIVE_INFINITY) - systemClock.monotonicMs();
      expect(left).toBeGreaterThan(SMALL_MS / 2);
      expect(left).toBeLessThanOrEqual(SMALL_MS);
    };
    const claim = {
      types: ['send'],
      resourcePrefix: '',
      claimId: randomUUID(),
      owner: 'w',
      stamp: STAMP,
      most: 1,
    };
    const outcome = await operations.claim(claim, inTime());
    if (outcome.kind !== 'claimed' || !outcome.claimed[0]) throw new Error(outcome.kind);
    const { attempt } = outcome.claimed[0];
    expectBounded(attempt);
    const beat = { ...operation, ...attempt, stamp: STAMP, takesOver: false };
    const [beaten] = await operations.heartbeat([beat], inTime());
    expectBounded(beaten?.kind === 'renewed' ? beaten.attempt : undefined);
  },
);
