// What /metrics says of locks after a known piece of work, over a real channel and Redis: exact counts, summed over two
// instances, since a lease may end at another one than it began. The tests run one after the other and compare a scrape
// before with one after; what breaks Redis comes last.

import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { hold, keepAlive } from '../support/lease-stream.ts';
import { type Labels, MetricSamples } from '../support/metric-samples.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const ACQUIRES = 'leasehold_lock_acquires_total';
const GRANTS = 'leasehold_lock_grant_duration_seconds';
const HOLDS = 'leasehold_lock_hold_duration_seconds';
const LOSSES = 'leasehold_lease_losses_total';
const HANDOVERS = 'leasehold_lock_handover_duration_seconds';
const ENVIRONMENT = {
  LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0',
  LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
  LEASEHOLD_LOCKS_MAX_TTL: '20s',
};
const FOREVER = { $case: 'waitForever' as const, value: true };
const wait = (ms: number) => ({ $case: 'waitTimeout' as const, value: duration(ms) });
const fresh = (): string => `r-${randomUUID()}`;
const failing = (call: Promise<unknown>): Promise<unknown> => expect(call).rejects.toThrow();

let redis: RedisProcess;
let instances: Instance[];
let client: TestClient;
let other: TestClient;

beforeAll(async () => {
  redis = await RedisProcess.server();
  await redis.start();
  const environment = { ...singleRedis(redis), ...ENVIRONMENT };
  instances = [await startInstance(environment), await startInstance(environment)];
  for (const { store } of instances) {
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 30_000 });
  }
  [client, other] = instances.map(({ address }) => new TestClient(address)) as [TestClient, TestClient];
});
afterAll(async () => {
  for (const each of [client, other]) each?.close();
  for (const instance of instances ?? []) await instance.stop();
  await redis?.stop();
});

class Scrapes {
  readonly #scrapes: readonly MetricSamples[];

  private constructor(scrapes: readonly MetricSamples[]) {
    this.#scrapes = scrapes;
  }

  static async take(of: readonly Instance[] = instances): Promise<Scrapes> {
    return new Scrapes(await Promise.all(of.map((instance) => MetricSamples.scrape(instance))));
  }

  sum(name: string, labels: Labels = {}): number {
    return this.#scrapes.reduce((total, scrape) => total + scrape.sum(name, labels), 0);
  }

  /** What has been added since the earlier scrape, by the values of one label; without what stayed as it was. */
  since(before: Scrapes, name: string, label: string): Record<string, number> {
    const values = new Set(this.#scrapes.flatMap((scrape) => scrape.values(name, label)));
    const added = [...values].map((value): [string, number] => {
      return [value, this.sum(name, { [label]: value }) - before.sum(name, { [label]: value })];
    });
    return Object.fromEntries(added.filter(([, count]) => count !== 0));
  }
}

/** What the work added to each of these. */
async function added(work: () => Promise<void>, settles: () => Promise<boolean> | boolean = () => true) {
  const before = await Scrapes.take();
  await work();
  await eventually(settles, { what: 'what the work leads to', withinMs: 10_000 });
  const after = await Scrapes.take();
  const by = (name: string, label: string) => after.since(before, name, label);
  const grown = (name: string) => after.sum(name) - before.sum(name);
  return {
    acquires: by(ACQUIRES, 'outcome'),
    modes: by(ACQUIRES, 'mode'),
    grants: by(`${GRANTS}_count`, 'queued'),
    holds: by(`${HOLDS}_count`, 'end'),
    heldSeconds: grown(`${HOLDS}_sum`),
    losses: by(LOSSES, 'reason'),
    handovers: grown(`${HANDOVERS}_count`),
    handoverSeconds: grown(`${HANDOVERS}_sum`),
    renewals: grown('leasehold_lease_renewal_lag_seconds_count'),
  };
}

const total = async (name: string, labels: Labels = {}): Promise<number> =>
  (await Scrapes.take()).sum(name, labels);

test('a lease that one instance grants and the other releases is one grant, and one hold of the right length', async () => {
  const resource = fresh();
  const found = await added(async () => {
    const { lease } = await client.acquire({ resource, ttl: duration(10_000) });
    const sinceMs = performance.now();
    await eventually(() => performance.now() - sinceMs >= 300, { what: 'some time', withinMs: 5_000 });
    expect((await other.release({ resource, leaseId: lease?.leaseId ?? '' })).released).toBe(true);
    await other.release({ resource, leaseId: lease?.leaseId ?? '' });
  });
  expect(found).toMatchObject({
    acquires: { granted: 1 },
    modes: { exclusive: 1 },
    grants: { false: 1 },
    holds: { released: 1 },
    handovers: 0,
    losses: {},
  });
  expect(found.heldSeconds).toBeGreaterThanOrEqual(0.3);
  expect(found.heldSeconds).toBeLessThan(5);
});

test('each acquisition counts once, by the way in which it ended', async () => {
  const [resource, another] = [fresh(), fresh()];
  const [leaseId, waitingId, cancelledId] = [randomUUID(), randomUUID(), randomUUID()];
  const waiters = async (): Promise<number> => Number((await client.getLock(resource)).lock?.waiterCount);
  const queued = (count: number) =>
    eventually(async () => (await waiters()) === count, { what: `${count} waiters`, withinMs: 10_000 });
  const found = await added(async () => {
    await client.acquire({ resource, leaseId, ttl: duration(15_000) });
    await client.acquire({ resource, leaseId, ttl: duration(15_000) }); // a repeat is granted again
    await failing(other.acquire({ resource }));
    await failing(other.acquire({ resource }, wait(30)));
    await failing(other.acquire({ resource, leaseId, mode: { $case: 'shared', value: {} } }));
    const first = failing(client.acquire({ resource, leaseId: waitingId }, wait(15_000)));
    await queued(1);
    const second = failing(other.acquire({ resource, leaseId: waitingId }, wait(15_000)));
    await first; // moved
    await client.release({ resource, leaseId: waitingId });
    await second; // released
    const third = new TestClient(instances[0]?.address ?? { host: '', port: 0 });
    const cancelled = failing(third.acquire({ resource, leaseId: cancelledId }, wait(15_000)));
    await queued(1);
    third.cancelAll();
    await cancelled;
    third.close();
    await eventually(async () => (await total('leasehold_waiting_calls')) === 0, {
      what: 'an end of all waits',
      withinMs: 10_000,
    });
    const { lease } = await client.acquire({ resource: another, ttl: duration(15_000) });
    await client.forceRelease({ resource: another });
    await failing(client.acquire({ resource: another, leaseId: lease?.leaseId ?? '' }));
  });
  expect(found.acquires).toEqual({
    granted: 3,
    contended: 2,
    refused: 1,
    moved: 1,
    released: 1,
    cancelled: 1,
    revoked: 1,
  });
  expect(found.modes).toEqual({ exclusive: 9, shared: 1 });
  expect(found).toMatchObject({ grants: { false: 3 }, holds: { forced: 1 }, losses: {}, handovers: 0 });
});

test('a hand-over counts once, with the time since the resource was free, and its grant as one that waited', async () => {
  const resource = fresh();
  const found = await added(async () => {
    const { lease } = await client.acquire({ resource, ttl: duration(15_000) });
    const next = hold(other, { resource, ttl: duration(15_000) }, FOREVER);
    await next.event('queued');
    const sinceMs = performance.now();
    await eventually(() => performance.now() - sinceMs >= 100, { what: 'some time', withinMs: 5_000 });
    expect(await total('leasehold_oldest_wait_seconds')).toBeGreaterThanOrEqual(0.1);
    expect(await total('leasehold_open_streams', { method: 'Hold' })).toBe(1);
    await client.release({ resource, leaseId: lease?.leaseId ?? '' });
    const { leaseId } = await next.event('granted');
    expect(await total('leasehold_oldest_wait_seconds')).toBe(0);
    await client.release({ resource, leaseId });
    await next.ended();
  });
  expect(found).toMatchObject({
    acquires: { granted: 2 },
    grants: { false: 1, true: 1 },
    handovers: 1,
    holds: { released: 2 },
    losses: {},
  });
  expect(found.handoverSeconds).toBeGreaterThan(0);
  expect(found.handoverSeconds).toBeLessThan(1); // an offer lasts no longer
  expect(await total('leasehold_open_streams', { method: 'Hold' })).toBe(0);
});

test('a forced release counts once, although the stream and its release hear of it too', async () => {
  const resource = fresh();
  const found = await added(async () => {
    const holding = hold(client, { resource, ttl: duration(15_000) });
    const { leaseId } = await holding.event('granted');
    await other.forceRelease({ resource });
    await holding.ended();
    expect((await client.release({ resource, leaseId })).released).toBe(true);
  });
  expect(found).toMatchObject({ holds: { forced: 1 }, losses: { revoked: 1 }, acquires: { granted: 1 } });
});

test('a lease that ends with its max_hold is lost, once, also when its holder then releases it, and its renewals have a lag', async () => {
  const resource = fresh();
  const found = await added(async () => {
    const holding = hold(client, { resource, ttl: duration(1_000), maxHold: duration(1_200) });
    const { leaseId } = await holding.event('granted');
    await holding.event('lost');
    await holding.ended();
    expect((await other.release({ resource, leaseId })).released).toBe(true); // of the time for clocks that differ
  });
  expect(found).toMatchObject({ holds: { lost: 1 }, losses: { 'max-hold': 1 } });
  expect(found.renewals).toBeGreaterThanOrEqual(1);
  expect(found.heldSeconds).toBeGreaterThan(1);
});

test('a KeepAlive of what is no lease is a loss, but nothing that was held', async () => {
  const lease = { resource: fresh(), leaseId: randomUUID(), fencingToken: 1n };
  const found = await added(async () => {
    await keepAlive(client, [lease]).ended();
  });
  expect(found).toMatchObject({ holds: {}, losses: { 'unknown-lease': 1 }, heldSeconds: 0 });
});

test('an AcquireMany that fails counts each of its acquisitions, and the end of what it gives back', async () => {
  const [first, second] = ['a', 'b'].map((letter) => `${letter}-${randomUUID()}`) as [string, string];
  await client.acquire({ resource: second, ttl: duration(15_000) });
  const found = await added(async () => {
    await failing(client.acquireMany([{ resource: first }, { resource: second }]));
  });
  expect(found).toMatchObject({
    acquires: { granted: 1, contended: 1 },
    holds: { released: 1 },
    losses: {},
  });
});

test('a lease that was force-released while its AcquireMany waited for the next one ends once, as forced', async () => {
  const [first, second] = ['a', 'b'].map((letter) => `${letter}-${randomUUID()}`) as [string, string];
  await client.acquire({ resource: second, ttl: duration(15_000) });
  const found = await added(async () => {
    const refused = failing(client.acquireMany([{ resource: first }, { resource: second }], wait(15_000)));
    const waiters = async () => Number((await other.getLock(second)).lock?.waiterCount);
    await eventually(async () => (await waiters()) === 1, { what: 'a waiter', withinMs: 10_000 });
    await other.forceRelease({ resource: first });
    await other.forceRelease({ resource: second, immediate: true });
    await refused;
  });
  expect(found).toMatchObject({ acquires: { granted: 2 }, holds: { forced: 2, released: 1 } });
});

test('an acquisition that waits when its instance stops ends as draining', async () => {
  const stopping = await startInstance({ ...singleRedis(redis), ...ENVIRONMENT });
  await eventually(() => stopping.store.status().usable, { what: 'a usable store', withinMs: 30_000 });
  const waiting = new TestClient(stopping.address);
  const resource = fresh();
  await client.acquire({ resource, ttl: duration(15_000) });
  const refused = failing(waiting.acquire({ resource }, wait(15_000)));
  const queue = async () => Number((await client.getLock(resource)).lock?.waiterCount);
  await eventually(async () => (await queue()) === 1, { what: 'a waiter', withinMs: 10_000 });
  await stopping.stop();
  await refused;
  waiting.close();
  const last = new MetricSamples(await stopping.metricsText());
  expect(last.sum(ACQUIRES, { outcome: 'draining' })).toBe(1);
  expect(last.sum('leasehold_connections')).toBe(0);
});

test('connections are counted while they are open', async () => {
  const before = await total('leasehold_connections');
  const { host, port } = instances[0]?.address ?? { host: '', port: 0 };
  const socket = connect(port, host);
  const counts = (count: number) =>
    eventually(async () => (await total('leasehold_connections')) === count, {
      what: `${count} connections`,
      withinMs: 10_000,
    });
  await counts(before + 1);
  socket.destroy();
  await counts(before);
});

test('a kept lease that Redis cannot renew in time expires, and acquisitions meanwhile are unavailable', async () => {
  const resource = fresh();
  const found = await added(async () => {
    const holding = hold(client, { resource, ttl: duration(1_000) });
    await holding.event('granted');
    await redis.pause();
    await holding.event('lost');
    await failing(other.acquire({ resource: fresh() }, undefined, 20_000));
    await redis.resume();
    await holding.ended();
  });
  expect(found).toMatchObject({
    holds: { expired: 1 },
    losses: { expired: 1 },
    acquires: { granted: 1, unavailable: 1 },
  });
});

test('a new reign is a change and an adoption, and its quarantine refuses acquisitions while its seconds count', async () => {
  const first = instances.slice(0, 1);
  const before = await Scrapes.take(first);
  const epoch = before.sum('leasehold_reign_epoch');
  const found = await added(async () => {
    await redis.withClient((raw) =>
      raw
        .multi([
          ['debug', 'change-repl-id'],
          ['client', 'kill', 'type', 'normal', 'skipme', 'yes'],
        ])
        .exec(),
    );
    await eventually(async () => (await Scrapes.take(first)).sum('leasehold_reign_epoch') > epoch, {
      what: 'the next reign',
      withinMs: 20_000,
    });
    await eventually(() => instances.every(({ store }) => store.status().usable), {
      what: 'usable stores',
      withinMs: 20_000,
    });
    await failing(client.acquire({ resource: fresh() }));
  });
  expect(found.acquires).toEqual({ quarantine: 1 });
  await eventually(async () => (await Scrapes.take(first)).sum('leasehold_quarantine_seconds_total') > 0.5, {
    what: 'quarantine seconds',
    withinMs: 10_000,
  });
  const after = await Scrapes.take(first);
  const grown = (name: string) => after.sum(name) - before.sum(name);
  expect(grown('leasehold_reign_changes_total')).toBe(1);
  expect(grown('leasehold_adoption_duration_seconds_count')).toBe(1);
  expect(grown('leasehold_adoption_duration_seconds_sum')).toBeGreaterThan(0);
  expect(after.sum('leasehold_quarantine_remaining_seconds')).toBeGreaterThan(0);
  expect(grown('leasehold_store_unusable_seconds_total')).toBeGreaterThan(0);
  expect(after.sum('leasehold_store_usable')).toBe(1);
});
