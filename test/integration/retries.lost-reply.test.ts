// Every mutation that is repeated after a lost reply has no second effect: the connection to Redis is cut between the
// script's commit and its reply, for each rpc, and the call is repeated with the same ids.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { hold, keepAlive } from '../support/lease-stream.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const RESOURCE = 'invoice:42';

let redis: RedisProcess;
let proxy: TcpProxy;
let instance: Instance;
let client: TestClient;

beforeEach(async () => {
  redis = await RedisProcess.server({});
  await redis.start();
  proxy = await TcpProxy.start({ target: redis.listens });
  instance = await startInstance({
    LEASEHOLD_REDIS_ADDRESS: `${proxy.host}:${proxy.port}`,
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_REDIS_COMMAND_TIMEOUT: '500ms',
    LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
  });
  client = new TestClient(instance.address);
  await usable();
});
afterEach(async () => {
  client.close();
  await instance.stop();
  await proxy.close();
  await redis.stop();
});

async function usable(): Promise<void> {
  await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
}

/** Runs a call whose script commits and whose reply never comes; then the proxy works again. */
async function replyLost(call: () => Promise<unknown>, committed: () => Promise<boolean>): Promise<void> {
  proxy.holdReplies();
  const outcome = call().then(
    () => 'answered',
    (error: { reason?: string }) => error.reason,
  );
  await eventually(committed, { what: 'the commit', withinMs: 5_000, everyMs: 5 });
  expect(await outcome).toBe('OUTCOME_UNKNOWN');
  await reconnected();
}

/** Cuts the connections with all replies that they hold; returns when the instance has a new connection. */
async function reconnected(): Promise<void> {
  const { sinceMs } = instance.store.status();
  proxy.drop();
  proxy.heal();
  await eventually(() => instance.store.status().sinceMs !== sinceMs && instance.store.status().usable, {
    what: 'a new connection',
    withinMs: 10_000,
  });
}

/** The lease in Redis, read past the proxy: its token and recorded deadline, by lease id. */
async function recorded(leaseId: string, resource = RESOURCE): Promise<string[] | undefined> {
  return redis.withClient(async (direct) => {
    const text = await direct.hget(`leasehold:{0}:lock:${resource}`, leaseId);
    return text?.split(' ').slice(0, 2);
  });
}

async function granted(leaseId: string, owner = 'me'): Promise<bigint> {
  const { lease } = await client.acquire({ resource: RESOURCE, leaseId, owner, ttl: duration(20_000) });
  return lease?.fencingToken ?? 0n;
}

test('a repeated Acquire gets the lease that was granted', { timeout: 30_000 }, async () => {
  const leaseId = randomUUID();
  await replyLost(
    () => granted(leaseId),
    async () => (await recorded(leaseId)) !== undefined,
  );
  const [token] = (await recorded(leaseId)) ?? [];
  expect((await granted(leaseId)).toString()).toBe(token);
  expect((await client.getLock(RESOURCE)).lock?.holderCount).toBe(1);
});

test('a repeated Renew renews the same lease', { timeout: 30_000 }, async () => {
  const leaseId = randomUUID();
  const fencingToken = await granted(leaseId);
  const before = (await recorded(leaseId))?.[1];
  await replyLost(
    () => client.renew({ resource: RESOURCE, leaseId, fencingToken }),
    async () => (await recorded(leaseId))?.[1] !== before,
  );
  const { lease } = await client.renew({ resource: RESOURCE, leaseId, fencingToken });
  expect(lease?.fencingToken).toBe(fencingToken);
});

test('a repeated Release ends nothing, not even the next lease', { timeout: 30_000 }, async () => {
  const leaseId = randomUUID();
  await granted(leaseId);
  await replyLost(
    () => client.release({ resource: RESOURCE, leaseId }),
    async () => (await recorded(leaseId)) === undefined,
  );
  const next = randomUUID();
  await granted(next, 'next');
  expect(await client.release({ resource: RESOURCE, leaseId })).toEqual({ released: false });
  expect((await client.getLock(RESOURCE)).lock?.holders.map(({ owner }) => owner)).toEqual(['next']);
});

test.each([
  { immediate: false, left: 'revoked' },
  { immediate: true, left: 'gone' },
])(
  'a repeated ForceRelease revokes nothing more (immediate: $immediate)',
  { timeout: 30_000 },
  async ({ immediate, left }) => {
    const leaseId = randomUUID();
    const fencingToken = await granted(leaseId);
    const state = () =>
      redis.withClient(async (direct) => {
        const text = await direct.hget(`leasehold:{0}:lock:${RESOURCE}`, leaseId);
        return text?.split(' ').at(-2) ?? 'gone';
      });
    const request = { resource: RESOURCE, fencingToken, immediate };
    await replyLost(
      () => client.forceRelease(request),
      async () => (await state()) === left,
    );
    if (immediate) await granted(randomUUID(), 'next');
    const { releasedCount, freeIn } = await client.forceRelease(request);
    expect([releasedCount, freeIn !== undefined]).toEqual([0, true]);
    expect((await client.getLock(RESOURCE)).lock?.holders.map(({ owner }) => owner)).toEqual([
      immediate ? 'next' : 'me',
    ]);
  },
);

test('a repeated Hold gets the lease that was granted', { timeout: 30_000 }, async () => {
  const spec = { resource: RESOURCE, leaseId: randomUUID(), owner: 'me' };
  proxy.holdReplies();
  const first = hold(client, spec);
  await eventually(async () => (await recorded(spec.leaseId)) !== undefined, {
    what: 'the commit',
    withinMs: 5_000,
    everyMs: 5,
  });
  expect(await first.ended()).toBe('14 OUTCOME_UNKNOWN');
  expect(first.events).toEqual([]);
  await reconnected();
  const [token] = (await recorded(spec.leaseId)) ?? [];
  const again = hold(client, spec);
  expect((await again.event('granted')).fencingToken.toString()).toBe(token);
  expect((await client.getLock(RESOURCE)).lock?.holderCount).toBe(1);
  again.call.cancel();
});

test('a Hold that waits and does not hear of its hand-over is granted once', {
  timeout: 30_000,
}, async () => {
  const holder = randomUUID();
  const token = await granted(holder, 'holder');
  const leaseId = randomUUID();
  const stream = hold(client, { resource: RESOURCE, leaseId }, { $case: 'waitForever', value: true });
  await stream.event('queued');
  proxy.holdReplies();
  void client.release({ resource: RESOURCE, leaseId: holder }).catch(() => {});
  await eventually(async () => (await recorded(leaseId)) !== undefined, {
    what: 'the hand-over',
    withinMs: 5_000,
    everyMs: 5,
  });
  await reconnected();
  const lease = await stream.event('granted');
  expect(lease.fencingToken).toBeGreaterThan(token);
  expect((await recorded(leaseId))?.[0]).toBe(lease.fencingToken.toString());
  await stream.event('renewed');
  expect(stream.all('granted')).toHaveLength(1);
  stream.call.cancel();
});

test('a KeepAlive repeats a take-over whose reply is lost by itself', {
  timeout: 30_000,
}, async () => {
  const leaseId = randomUUID();
  const fencingToken = await granted(leaseId);
  const stamp = () =>
    redis.withClient(async (direct) => {
      const text = await direct.hget(`leasehold:{0}:lock:${RESOURCE}`, leaseId);
      return text?.split(' ').find((word) => word.includes('/'));
    });
  const before = await stamp();
  proxy.holdReplies();
  const stream = keepAlive(client, [{ resource: RESOURCE, leaseId, fencingToken }]);
  await eventually(async () => (await stamp()) !== before, {
    what: 'the commit',
    withinMs: 5_000,
    everyMs: 5,
  });
  await stream.event('atRisk');
  await reconnected();
  expect((await stream.event('renewed')).fencingToken).toBe(fencingToken);
  expect(stream.kinds()).not.toContain('lost');
  expect((await client.getLock(RESOURCE)).lock?.holderCount).toBe(1);
  stream.call.cancel();
});

test('a repeated AcquireMany gets the leases that were granted', { timeout: 30_000 }, async () => {
  const specs = ['a', 'b'].map((resource) => ({ resource, leaseId: randomUUID() }));
  const last = specs[1]?.leaseId ?? '';
  const { leases } = await client.acquireMany(specs);
  const before = (await recorded(last, 'b'))?.[1];
  proxy.holdReplies();
  // The repeat commits its first script and fails; it gives back what it can, or nothing if it cannot.
  await expect(client.acquireMany(specs)).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  await reconnected();
  const again = await client.acquireMany(specs);
  expect(again.leases).toHaveLength(2);
  for (const [index, lease] of again.leases.entries()) {
    expect(lease.fencingToken).toBeGreaterThanOrEqual(leases[index]?.fencingToken ?? 0n);
  }
  expect((await recorded(last, 'b'))?.[1]).not.toBe(before);
});

test('an Acquire that waits and whose replies are lost is granted once', { timeout: 30_000 }, async () => {
  const holder = randomUUID();
  const token = await granted(holder, 'holder');
  const leaseId = randomUUID();
  const wait = { $case: 'waitTimeout' as const, value: duration(20_000) };
  proxy.holdReplies();
  const waiting = client.acquire({ resource: RESOURCE, leaseId, owner: 'waiter' }, wait);
  await eventually(
    () => redis.withClient(async (direct) => (await direct.zcard(`leasehold:{0}:queue:${RESOURCE}`)) === 1),
    { what: 'a queued waiter', withinMs: 5_000 },
  );
  await reconnected();
  expect((await client.getLock(RESOURCE)).lock?.waiterCount).toBe(1);
  await client.release({ resource: RESOURCE, leaseId: holder });
  const { lease } = await waiting;
  expect(lease?.leaseId).toBe(leaseId);
  expect(lease?.fencingToken).toBeGreaterThan(token);
  expect((await recorded(leaseId))?.[0]).toBe(lease?.fencingToken.toString());
});
