// Acquire with a wait, over a real gRPC channel: hand-over, time-outs, cancelled calls, several instances, lost
// messages and a dead instance.

import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { ServerProcess } from '../support/server-process.ts';
import { leaseSpec } from '../support/store-harness.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const RESOURCE = 'invoice:42';
/** What a machine that is busy with other things may add; less than one more offer window. */
const BUSY_MS = 900;

function waiting(ms: number) {
  return { $case: 'waitTimeout' as const, value: duration(ms) };
}

async function granted(client: TestClient, owner: string, ttlMs = 20_000): Promise<Lease> {
  const { lease } = await client.acquire({ resource: RESOURCE, owner, ttl: duration(ttlMs) });
  if (!lease) throw new Error('a grant without a lease');
  return lease;
}

/** A waiting call, and when it entered the queue. */
async function inQueue(
  client: TestClient,
  owner: string,
  ms = 20_000,
  leaseId: string = randomUUID(),
): Promise<{ readonly lease: Promise<Lease | undefined> }> {
  const before = (await client.getLock(RESOURCE)).lock?.waiterCount ?? 0;
  const lease = client
    .acquire({ resource: RESOURCE, owner, leaseId }, waiting(ms), ms + 5_000)
    .then((response) => response.lease);
  lease.catch(() => {});
  await eventually(async () => (await client.getLock(RESOURCE)).lock?.waiterCount === before + 1, {
    what: `${owner} in the queue`,
    withinMs: 5_000,
    everyMs: 5,
  });
  return { lease };
}

async function owners(client: TestClient): Promise<string[]> {
  return ((await client.getLock(RESOURCE)).lock?.holders ?? []).map(({ owner }) => owner);
}

describe.each(STORE_KINDS)('waiting, %s store', (kind) => {
  let rig: Rig;

  beforeEach(async () => {
    rig = await startRig(kind);
  });
  afterEach(() => rig.stop());

  test('waiters are granted the lock in order as it is released', async () => {
    let holder = await granted(rig.client, 'holder');
    const waiters = [];
    for (const owner of ['first', 'second', 'third']) waiters.push(await inQueue(rig.client, owner));
    for (const [index, { lease }] of waiters.entries()) {
      await rig.client.release(holder);
      const next = await lease;
      expect(await owners(rig.client)).toEqual([['first', 'second', 'third'][index]]);
      expect(next?.fencingToken).toBeGreaterThan(holder.fencingToken);
      if (next) holder = next;
    }
  });

  test('a full queue takes no more waiters, says when to try again, and goes on for those in it', async () => {
    const { client, instance } = rig;
    const holder = await granted(client, 'holder');
    const { lease: first } = await inQueue(client, 'first');
    for (let call = 1; call < LIMITS.waitersPerResource; call += 1_000) {
      const numbers = Array.from({ length: 1_000 }, (_, i) => call + i);
      const inStore = numbers.filter((number) => number < LIMITS.waitersPerResource);
      await Promise.all(
        inStore.map((number) => {
          const stamp = { instanceId: 'another', callNumber: number };
          return instance.store.locks.acquire(
            { spec: leaseSpec({ resource: RESOURCE }), stamp, mayWait: true },
            {
              deadlineMs: performance.now() + 10_000,
            },
          );
        }),
      );
    }
    const refused = await client.acquire({ resource: RESOURCE }, waiting(5_000)).catch((error) => error);
    expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED, reason: 'QUEUE_FULL' });
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    await client.release(holder);
    expect((await first)?.fencingToken).toBeGreaterThan(holder.fencingToken);
  });

  test('a caller that would wait is granted a free lock at once', async () => {
    const { lease } = await rig.client.acquire({ resource: RESOURCE }, waiting(10_000));
    expect(lease?.fencingToken).toBeGreaterThan(0n);
  });

  test('valid_for counts from the arrival of the request, however long it waited', async () => {
    const holder = await granted(rig.client, 'holder');
    const sentAtMs = performance.now();
    const { lease } = await inQueue(rig.client, 'first');
    await eventually(() => performance.now() > sentAtMs + 1_000, { what: 'a second', withinMs: 5_000 });
    await rig.client.release(holder);
    const got = await lease;
    const validForMs = Number(got?.validFor?.seconds ?? 0n) * 1_000 + (got?.validFor?.nanos ?? 0) / 1e6;
    expect(validForMs).toBeGreaterThan(20_900); // the default TTL of 20 s and the time it waited
    expect(sentAtMs + validForMs).toBeLessThan(performance.now() + 20_000);
  });

  test('a wait whose time is over ends with the contention, and leaves the queue', async () => {
    await granted(rig.client, 'holder');
    const { lease } = await inQueue(rig.client, 'first', 300);
    const error = await lease.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ reason: 'LOCK_CONTENDED', contention: { holders: [{ owner: 'holder' }] } });
    expect((await rig.client.getLock(RESOURCE)).lock?.waiterCount).toBe(0);
  });

  test('a wait ends with an answer before the deadline of its client', async () => {
    await granted(rig.client, 'holder');
    const forever = { $case: 'waitForever', value: true } as const;
    // The answer comes 0.1 s before the deadline: a busy machine may need more than one call to show it.
    await eventually(
      () =>
        expect(rig.client.acquire({ resource: RESOURCE }, forever, 600)).rejects.toMatchObject({
          reason: 'LOCK_CONTENDED',
        }),
      { what: 'an answer before the deadline', withinMs: 15_000 },
    );
  });

  test('a waiter is granted the lock when the lease of its holder lapses', async () => {
    await granted(rig.client, 'holder', 1_000);
    const { lease } = await inQueue(rig.client, 'first', 15_000);
    expect((await lease)?.fencingToken).toBeGreaterThan(0n);
  });

  test('a waiter whose call was cancelled is passed over, and keeps its place for the same lease id', async () => {
    const holder = await granted(rig.client, 'holder');
    const leaseId = randomUUID();
    const other = new TestClient(rig.instance.address);
    const gone = await inQueue(other, 'first', 20_000, leaseId);
    await inQueue(rig.client, 'second');
    other.cancelAll();
    await expect(gone.lease).rejects.toThrow();
    await eventually(async () => (await rig.client.getLock(RESOURCE)).lock?.waiterCount === 1, {
      what: 'a detached waiter',
      withinMs: 5_000,
    });
    other.close();
    const back = await inQueue(rig.client, 'first', 20_000, leaseId);
    const { waiters } = (await rig.client.getLock(RESOURCE)).lock ?? { waiters: [] };
    expect(waiters.map(({ owner }) => owner)).toEqual(['first', 'second']);
    await rig.client.release(holder);
    expect((await back.lease)?.leaseId).toBe(leaseId);
  });

  test('a wait moves to the newer call of the same lease id', async () => {
    await granted(rig.client, 'holder');
    const leaseId = randomUUID();
    const older = await inQueue(rig.client, 'first', 20_000, leaseId);
    const newer = rig.client.acquire({ resource: RESOURCE, leaseId, owner: 'first' }, waiting(500));
    await expect(older.lease).rejects.toMatchObject({ reason: 'MOVED' });
    await expect(newer).rejects.toMatchObject({ reason: 'LOCK_CONTENDED' });
  });

  test('a wait ends when its lease id is released', async () => {
    await granted(rig.client, 'holder');
    const leaseId = randomUUID();
    const { lease } = await inQueue(rig.client, 'first', 20_000, leaseId);
    await rig.client.release({ resource: RESOURCE, leaseId });
    await expect(lease).rejects.toMatchObject({ reason: 'LEASE_LOST' });
  });

  test('a wait ends with DRAINING when the instance stops', async () => {
    await granted(rig.client, 'holder');
    const { lease } = await inQueue(rig.client, 'first');
    const stopped = rig.instance.stop();
    await expect(lease).rejects.toMatchObject({ reason: 'DRAINING' });
    await stopped;
  });

  test('shared leases are held together, and a writer between them waits its turn', async () => {
    const shared = { $case: 'shared' as const, value: {} };
    const reader = await rig.client.acquire({ resource: RESOURCE, mode: shared });
    await rig.client.acquire({ resource: RESOURCE, mode: shared });
    const late = rig.client.acquire({ resource: RESOURCE });
    await expect(late).rejects.toMatchObject({ reason: 'LOCK_CONTENDED' });
    const again = rig.client.acquire({ resource: RESOURCE, leaseId: reader.lease?.leaseId ?? '' });
    await expect(again).rejects.toMatchObject({ reason: 'LEASE_ID_REUSED' });
  });
});

describe('waiting, several instances on one Redis', () => {
  let redis: RedisProcess;
  let instances: Instance[];
  let clients: TestClient[];
  let environment: Record<string, string>;

  beforeEach(async () => {
    redis = await RedisProcess.server({});
    await redis.start();
    environment = {
      LEASEHOLD_REDIS_ADDRESS: `${redis.listens.host}:${redis.listens.port}`,
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    };
    instances = [await startInstance(environment), await startInstance(environment)];
    clients = instances.map(({ address }) => new TestClient(address));
    for (const { store } of instances) {
      await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 10_000 });
    }
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(instances.map((instance) => instance.stop()));
    await redis.stop();
  });

  test('a release on one instance grants a waiter on another', async () => {
    const [a, b] = clients as [TestClient, TestClient];
    const holder = await granted(a, 'holder');
    const { lease } = await inQueue(b, 'first');
    await a.release(holder);
    expect((await lease)?.fencingToken).toBeGreaterThan(holder.fencingToken);
  });

  test('a lost message delays a grant but does not lose it', async () => {
    const [a, b] = clients as [TestClient, TestClient];
    const holder = await granted(a, 'holder');
    const { lease } = await inQueue(b, 'first');
    // This takes one step: no instance listens when the grant is published.
    await redis.withClient((client) =>
      client
        .multi([
          ['client', 'kill', 'type', 'pubsub'],
          ['publish', 'nobody', 'listens'],
        ])
        .exec(),
    );
    await a.release(holder);
    expect((await lease)?.fencingToken).toBeGreaterThan(holder.fencingToken);
  });

  test('a server that is killed with 500 waiters at the head costs the others 2 s at most', {
    timeout: 60_000,
  }, async () => {
    const [a, b] = clients as [TestClient, TestClient];
    const doomed = await ServerProcess.start({ environment });
    const doomedClient = new TestClient(doomed.address);
    try {
      await eventually(async () => (await doomedClient.getServerInfo()).info?.serving === true, {
        what: 'a usable store',
        withinMs: 10_000,
      });
      const holder = await granted(a, 'holder');
      for (let i = 0; i < 500; i++) {
        const owner = `doomed-${i}`;
        doomedClient.acquire({ resource: RESOURCE, owner }, waiting(60_000), 70_000).catch(() => {});
      }
      await eventually(async () => (await a.getLock(RESOURCE)).lock?.waiterCount === 500, {
        what: '500 waiters',
        withinMs: 20_000,
      });
      const { lease: first } = await inQueue(a, 'survivor-1');
      const { lease: second } = await inQueue(b, 'survivor-2');
      await doomed.kill();
      const freeMs = performance.now();
      await a.release(holder);
      const token = (await first)?.fencingToken ?? 0n;
      expect(token).toBeGreaterThan(holder.fencingToken);
      expect(performance.now() - freeMs).toBeLessThan(2_000 + BUSY_MS);
      const nextMs = performance.now();
      const { leaseId = '' } = (await first) ?? {};
      await a.release({ resource: RESOURCE, leaseId });
      expect((await second)?.fencingToken).toBeGreaterThan(token);
      // In total: a waiter behind the first one waits for none of them.
      expect(performance.now() - nextMs).toBeLessThan(BUSY_MS);
    } finally {
      doomedClient.close();
      await doomed.kill();
    }
  });

  test('waiters that a new primary has forgotten ask again', { timeout: 30_000 }, async () => {
    const [a, b] = clients as [TestClient, TestClient];
    const holder = await granted(a, 'holder');
    const { lease } = await inQueue(b, 'first');
    await redis.withClient(async (client) => {
      const keys = [...(await client.keys('*queue:*')), ...(await client.keys('*waiters:*'))];
      await client.del(keys);
      await client.call('CLIENT', 'KILL', 'SKIPME', 'yes'); // the instances connect again, and ask again
    });
    await eventually(async () => (await a.getLock(RESOURCE)).lock?.waiterCount === 1, {
      what: 'the waiter back in the queue',
      withinMs: 10_000,
    });
    await a.release(holder);
    expect((await lease)?.fencingToken).toBeGreaterThan(holder.fencingToken);
  });
});
