// WatchLocks as callers see it. test/unit/lock-watch.test.ts, on a clock that can be moved, proves what ends a watch
// after a long silence or with a client that never reads.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { type Lock, LockState } from '../../generated/leasehold/v1/lock.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { type Rig, STORE_KINDS, singleRedis, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';
import { WatchStream } from '../support/watch-stream.ts';

describe.each(STORE_KINDS)('WatchLocks: %s', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
  });
  afterAll(() => rig?.stop());

  async function held(spec: Parameters<TestClient['acquire']>[0]) {
    const leaseId = randomUUID();
    const { lease } = await rig.client.acquire({ leaseId, ...spec });
    return { resource: spec.resource ?? '', leaseId, fencingToken: lease?.fencingToken ?? 0n };
  }

  const watch = (request: ConstructorParameters<typeof WatchStream>[1]): Promise<WatchStream> =>
    new WatchStream(rig.client, request).complete();

  test('a watch tells the present locks, that these were all, and then each change', async () => {
    const first = await held({ resource: 'news/1', owner: 'me' });
    await held({ resource: 'other/1' });
    const stream = await watch({ resourcePrefix: 'news/' });
    expect(stream.told()).toEqual(['news/1 1/0']);
    expect(stream.events.map((event) => event.kind)).toEqual(['lock', 'snapshotComplete']);
    expect(stream.newest('news/1')).toMatchObject({
      state: LockState.LOCK_STATE_HELD,
      holders: [{ owner: 'me' }],
    });

    await held({ resource: 'news/2' });
    await stream.shows('news/2 1/0');
    const waiting = rig.client.acquire(
      { resource: 'news/1' },
      { $case: 'waitTimeout', value: duration(10_000) },
    );
    await stream.shows('news/1 1/1');
    await rig.client.release(first);
    const { lease } = await waiting;
    await stream.shows('news/1 1/0');
    await stream.until(
      () => stream.newest('news/1')?.holders[0]?.fencingToken === lease?.fencingToken,
      'the token of the next holder',
    );
    await rig.client.release({ resource: 'news/1', leaseId: lease?.leaseId ?? '' });
    await stream.shows('news/1 0/0');
    expect(stream.newest('news/1')?.state).toBe(LockState.LOCK_STATE_FREE);
    expect(stream.told().filter((look) => !look.startsWith('news/'))).toEqual([]);
    stream.call.cancel();
  });

  test('a watch of named resources tells each of them, even a free one', async () => {
    await held({ resource: 'named/held' });
    const stream = await watch({ resources: ['named/free', 'named/held'] });
    expect(stream.told().sort()).toEqual(['named/free 0/0', 'named/held 1/0']);
    await held({ resource: 'named/free' });
    await held({ resource: 'named/not' });
    await stream.shows('named/free 1/0');
    expect(stream.newest('named/not')).toBeUndefined();
    stream.call.cancel();
  });

  test('a watch tells a min_hold, its end, and a lapse soon after it', async () => {
    const stream = await watch({ resourcePrefix: 'ends/' });
    const kept = await held({ resource: 'ends/kept', minHold: duration(2_000) });
    await rig.client.release(kept);
    const isKept = () => stream.newest('ends/kept')?.state === LockState.LOCK_STATE_MIN_HOLD;
    await stream.until(isKept, 'the min_hold');
    const startedMs = performance.now();
    await held({ resource: 'ends/lapses', ttl: duration(1_000) });
    await stream.shows('ends/lapses 1/0');
    await stream.shows('ends/lapses 0/0');
    expect(performance.now() - startedMs).toBeGreaterThan(3_000); // 2 s for clocks that differ
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    await stream.shows('ends/kept 0/0');
    const isFree = () => stream.newest('ends/kept')?.state === LockState.LOCK_STATE_FREE;
    await stream.until(isFree, 'the end of the min_hold');
    stream.call.cancel();
  });

  test('a watch tells no renewals, and says in a silence that it lives', async () => {
    const lease = await held({ resource: 'quiet/1' });
    const stream = await watch({ resourcePrefix: 'quiet/' });
    for (let i = 0; i < 5; i++) await rig.client.renew(lease);
    await stream.until(() => stream.count('heartbeat') >= 1, 'a heartbeat');
    expect(stream.told()).toEqual(['quiet/1 1/0']);
    stream.call.cancel();
  });

  test.each([
    ['resource_prefix', { resources: ['a'], resourcePrefix: 'a' }],
    ['resources', { resources: Array.from({ length: 101 }, (_, i) => `r-${i}`) }],
    ['resources[1]', { resources: ['a', ''] }],
    ['resources[1]', { resources: ['a', 'a'] }],
    ['resource_prefix', { resourcePrefix: 'x'.repeat(513) }],
  ])('a watch with a wrong %s is refused with the name of the field', async (field, request) => {
    const error = await new WatchStream(rig.client, request).ended();
    expect(error.reason).toBe('INVALID_ARGUMENT');
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
  });

  test('all watches tell the final state in the end, while locks come and go', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `busy/${i}`);
    let over = false;
    const workers = Array.from({ length: 6 }, async (_, worker) => {
      for (let i = worker; !over; i++) {
        const resource = names[i % names.length] ?? '';
        const lease = await held({ resource }).catch((error: unknown) => {
          if (!(error instanceof CallError) || error.reason !== 'LOCK_CONTENDED') throw error;
        });
        if (lease && i % 3 !== 0) await rig.client.release(lease);
        else if (lease) void rig.client.release(lease);
      }
    });
    const streams: WatchStream[] = [];
    for (let i = 0; i < 10; i++) {
      const request = i % 2 === 0 ? { resourcePrefix: 'busy/' } : { resources: names };
      streams.push(await watch(request));
    }
    over = true;
    await Promise.all(workers);
    const kept = await held({ resource: 'busy/last' });
    for (const stream of streams.filter((_, i) => i % 2 === 0)) await stream.shows('busy/last 1/0');
    const truth = new Map<string, Lock | undefined>();
    for (const resource of names) truth.set(resource, (await rig.client.getLock(resource)).lock);
    for (const stream of streams) {
      await stream.until(
        () =>
          names.every((resource) => {
            const told = stream.newest(resource);
            const tokens = (lock: Lock | undefined) =>
              (lock?.holders ?? []).map((h) => h.fencingToken).join();
            return tokens(told) === tokens(truth.get(resource));
          }),
        'what GetLock tells',
      );
      for (const resource of names) expectNoneOlder(stream, resource);
      stream.call.cancel();
    }
    await rig.client.release(kept);
  });
});

/** A token only ever grows, so a smaller one after a larger one was an older state. */
function expectNoneOlder(stream: WatchStream, resource: string): void {
  const tokens = stream.events
    .filter(({ lock }) => lock?.resource === resource)
    .flatMap(({ lock }) => lock?.holders.map(({ fencingToken }) => fencingToken) ?? []);
  expect(tokens).toEqual(tokens.toSorted((a, b) => Number(a - b)));
}

describe('the end of an instance', () => {
  test('an instance that stops ends its watches at once', async ({ onTestFinished }) => {
    const instance = await startInstance({ LEASEHOLD_SERVER_DRAIN_TIMEOUT: '10s' });
    const client = new TestClient(instance.address);
    onTestFinished(() => client.close());
    const streams = [new WatchStream(client), new WatchStream(client, { resources: ['a'] })];
    for (const stream of streams) await stream.complete();
    const startedMs = performance.now();
    await instance.stop();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    for (const stream of streams)
      expect(await stream.ended()).toMatchObject({ code: 14, reason: 'DRAINING' });
  });
});

describe('on Redis', () => {
  async function onRedis(atEnd: TestContext['onTestFinished'], overrides: Record<string, string> = {}) {
    const rig = await startRig('redis', overrides);
    atEnd(() => rig.stop());
    if (!rig.redis) throw new Error('no Redis');
    return { rig, redis: rig.redis };
  }

  test('a watch sees what other instances do', async ({ onTestFinished }) => {
    const { rig, redis } = await onRedis(onTestFinished);
    const other = await startInstance(singleRedis(redis));
    const elsewhere = new TestClient(other.address);
    onTestFinished(async () => {
      elsewhere.close();
      await other.stop();
    });
    const stream = await new WatchStream(elsewhere).complete();
    await rig.client.acquire({ resource: 'a b' });
    await stream.shows('a b 1/0');
  });

  test('nothing is published while nobody watches', async ({ onTestFinished }) => {
    const { rig, redis } = await onRedis(onTestFinished);
    const published = (): Promise<number> =>
      redis.withClient(async (direct) => {
        const stats = await direct.info('commandstats');
        return Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1] ?? 0);
      });
    for (let i = 0; i < 20; i++) await rig.client.acquire({ resource: `before ${i}` });
    expect(await published()).toBe(0);
    const stream = await new WatchStream(rig.client, { resources: ['x'] }).complete();
    for (let i = 0; i < 20; i++) await rig.client.acquire({ resource: `during ${i}` });
    expect(await published()).toBeGreaterThanOrEqual(20);
    stream.call.cancel();
  });

  test('when the connection to Redis breaks, watches of named locks tell them again and all others end', async ({
    onTestFinished,
  }) => {
    const { rig, redis } = await onRedis(onTestFinished);
    await rig.client.acquire({ resource: 'a' });
    const all = await new WatchStream(rig.client).complete();
    const named = await new WatchStream(rig.client, { resources: ['a', 'b'] }).complete();
    await redis.withClient(async (direct) => {
      await direct.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    });
    await rig.client.acquire({ resource: 'b' });
    await named.shows('b 1/0');
    const end = await all.ended();
    expect(end).toMatchObject({ code: 14, reason: 'WATCH_INTERRUPTED' });
    expect(end.retryAfterMs).toBeGreaterThan(0);
    const again = await new WatchStream(rig.client).complete();
    expect(again.told()).toEqual(['a 1/0', 'b 1/0']);
  });

  test('a watch ends when Redis is away for long, and says nothing false before', {
    timeout: 60_000,
  }, async ({ onTestFinished }) => {
    const { rig, redis } = await onRedis(onTestFinished);
    const stream = await new WatchStream(rig.client).complete();
    await redis.kill();
    const killedAtMs = performance.now();
    expect(await stream.ended()).toMatchObject({ code: 14, reason: 'WATCH_INTERRUPTED' });
    expect(performance.now() - killedAtMs).toBeGreaterThan(9_000);
    expect(performance.now() - killedAtMs).toBeLessThan(15_000);
    const after = stream.events.filter(({ atMs }) => atMs > killedAtMs + 1_000);
    expect(after).toEqual([]);
    const late = await new WatchStream(rig.client).ended();
    expect(late).toMatchObject({ code: 14, reason: 'REDIS_UNAVAILABLE' });
  });

  test('a snapshot of any length comes through, even to a client that begins to read late', {
    timeout: 120_000,
  }, async ({ onTestFinished }) => {
    const { rig } = await onRedis(onTestFinished, { LEASEHOLD_LOCKS_MAX_TTL: '300s' });
    const names = Array.from({ length: 10_500 }, (_, i) => `r-${String(i).padStart(6, '0')}`);
    for (let from = 0; from < names.length; from += 30) {
      const some = names.slice(from, from + 30);
      await rig.client.acquireMany(some.map((resource) => ({ resource, ttl: duration(300_000) })));
    }
    const late = new WatchStream(rig.client, {}, { reads: false });
    const stream = await new WatchStream(rig.client).complete();
    expect(stream.told()).toEqual(names.map((resource) => `${resource} 1/0`));
    late.call.resume();
    await late.complete();
    expect(new Set(late.told()).size).toBe(names.length);
  });
});
