// Hold over a real channel, on both stores: the grant and its renewals, the queue, and every way in which a lease or
// its stream can end.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AtRiskReason, LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import { eventually } from '../support/eventually.ts';
import { hold, validForMs } from '../support/lease-stream.ts';
import { type Rig, STORE_KINDS, singleRedis, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const TTL_MS = 1_000;
const FOREVER = { $case: 'waitForever', value: true } as const;

/** No two tests use the same resource. */
const fresh = (): string => `r-${randomUUID()}`;

describe.each(STORE_KINDS)('Hold, %s store', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
  });
  afterAll(async () => {
    await rig?.stop();
  });

  const holders = async (resource: string) =>
    (await rig.client.getLock(resource)).lock?.holders.map((holder) => holder.fencingToken);

  test.concurrent('a Hold grants once and renews, and its validity counts from the request', async () => {
    const resource = fresh();
    const stream = hold(rig.client, { resource, ttl: duration(TTL_MS) });
    const granted = await stream.event('granted');
    await stream.event('renewed', { count: 6 });
    expect(stream.kinds().slice(0, 7)).toEqual(['granted', ...Array(6).fill('renewed')]);
    const leases = [granted, ...stream.all('renewed')];
    expect(new Set(leases.map((lease) => lease.fencingToken))).toEqual(new Set([granted.fencingToken]));
    const spans = leases.map(validForMs);
    expect(spans.every((span, i) => i === 0 || span > (spans[i - 1] ?? 0))).toBe(true);
    expect(spans[0]).toBeGreaterThan(0.9 * TTL_MS);
    // After six renewals it has lived longer than its TTL.
    expect(spans[6]).toBeGreaterThan(2 * TTL_MS);
    expect(await holders(resource)).toEqual([granted.fencingToken]);
    stream.call.cancel();
  });

  test.concurrent('a Hold goes on when its connection is too old for new calls', async () => {
    const aged = await startInstance({ LEASEHOLD_SERVER_MAX_CONNECTION_AGE: '1s' });
    const client = new TestClient(aged.address);
    const stream = hold(client, { resource: 'aged', ttl: duration(2_000) });
    await stream.event('renewed', { count: 8 }); // about 4 s, and the next ping is after 30 s
    expect((await client.getLock('aged')).lock?.holderCount).toBe(1);
    expect(stream.hasEnded).toBe(false);
    stream.call.cancel();
    client.close();
    await aged.stop();
  });

  test.concurrent('a Hold without a wait is refused a taken resource as by Acquire', async () => {
    const resource = fresh();
    await rig.client.acquire({ resource });
    const stream = hold(rig.client, { resource });
    expect(await stream.ended()).toBe('10 LOCK_CONTENDED');
    expect(stream.events).toEqual([]);
  });

  test.concurrent('a Hold with bad input is refused with details', async () => {
    expect(await hold(rig.client, { resource: '' }).ended()).toBe('3 INVALID_ARGUMENT');
    const tooLong = { $case: 'waitTimeout', value: duration(366 * 24 * 3_600_000) } as const;
    expect(await hold(rig.client, { resource: fresh() }, tooLong).ended()).toBe('3 INVALID_ARGUMENT');
  });

  test.concurrent('a Hold that waits tells its position as it changes, and is granted by hand-over', async () => {
    const resource = fresh();
    const holder = await rig.client.acquire({ resource });
    const first = hold(rig.client, { resource }, FOREVER);
    await first.event('queued');
    const yearLong = { $case: 'waitTimeout', value: duration(365 * 24 * 3_600_000) } as const;
    const second = hold(rig.client, { resource, ttl: duration(TTL_MS) }, yearLong);
    expect((await second.event('queued')).position).toBe(2);
    expect(first.all('queued')[0]?.position).toBe(1);
    await rig.client.release({ resource, leaseId: holder.lease?.leaseId ?? '' });
    const granted = await first.event('granted');
    expect((await second.event('queued', { count: 2 })).position).toBe(1);
    await rig.client.release({ resource, leaseId: granted.leaseId });
    expect((await second.event('granted')).fencingToken).toBeGreaterThan(granted.fencingToken);
    await second.event('renewed', { count: 2 });
    second.call.cancel();
  });

  test.concurrent('a Hold whose wait is over ends with LOCK_CONTENDED', async () => {
    const resource = fresh();
    await rig.client.acquire({ resource });
    const stream = hold(rig.client, { resource }, { $case: 'waitTimeout', value: duration(300) });
    expect(await stream.ended()).toBe('10 LOCK_CONTENDED');
    expect(stream.kinds()).toEqual(['queued']);
  });

  test.concurrent('a Hold whose lease is released says so and ends with OK; one whose wait is released ends with LEASE_LOST', async () => {
    const resource = fresh();
    const stream = hold(rig.client, { resource });
    const { leaseId } = await stream.event('granted');
    const waiting = randomUUID();
    const waiter = hold(rig.client, { resource, leaseId: waiting }, FOREVER);
    await waiter.event('queued');
    await rig.client.release({ resource, leaseId: waiting });
    expect(await waiter.ended()).toBe('10 LEASE_LOST');
    await rig.client.release({ resource, leaseId });
    expect(await stream.ended()).toBe('without an error');
    expect(stream.kinds()).toEqual(['granted', 'lost']);
    expect(stream.all('lost')[0]?.reason).toBe(LostReason.LOST_REASON_RELEASED);
  });

  test.concurrent('a new Hold with the same lease_id gets the same token, and the older one hears moved', async () => {
    const [resource, leaseId] = [fresh(), randomUUID()];
    const older = hold(rig.client, { resource, leaseId });
    const { fencingToken } = await older.event('granted');
    const newer = hold(rig.client, { resource, leaseId });
    expect((await newer.event('granted')).fencingToken).toBe(fencingToken);
    expect(await older.ended()).toBe('10 MOVED');
    expect(older.kinds()).toEqual(['granted', 'moved']);
    expect(newer.hasEnded).toBe(false);
    newer.call.cancel();
  });

  test.concurrent('a new Hold with the lease_id of a queued one keeps its place, and the older one hears moved', async () => {
    const [resource, leaseId] = [fresh(), randomUUID()];
    await rig.client.acquire({ resource });
    const older = hold(rig.client, { resource, leaseId }, FOREVER);
    await older.event('queued');
    const newer = hold(rig.client, { resource, leaseId }, FOREVER);
    expect((await newer.event('queued')).position).toBe(1);
    expect(await older.ended()).toBe('10 MOVED');
    expect(older.kinds()).toEqual(['queued', 'moved']);
    newer.call.cancel();
  });

  test.concurrent('the lease of a client that goes away is neither renewed nor released, and expires', async () => {
    const resource = fresh();
    const client = new TestClient(rig.instance.address);
    const stream = hold(client, { resource, ttl: duration(2_000) });
    const { fencingToken } = await stream.event('granted');
    stream.call.cancel();
    client.close();
    const goneMs = performance.now();
    const waiting = hold(rig.client, { resource, ttl: duration(TTL_MS) }, FOREVER);
    expect(await holders(resource)).toEqual([fencingToken]);
    expect((await waiting.event('granted')).fencingToken).toBeGreaterThan(fencingToken);
    // The record lives for the TTL and the allowance for clocks, counted from the grant a moment before.
    const tookMs = performance.now() - goneMs;
    expect(tookMs).toBeGreaterThan(1_500);
    expect(tookMs).toBeLessThan(8_000);
    waiting.call.cancel();
  });

  test.concurrent('max_hold ends a Hold, whatever the client answers', async () => {
    const stream = hold(rig.client, { resource: fresh(), ttl: duration(1_000), maxHold: duration(2_000) });
    const startedMs = performance.now();
    expect(await stream.ended()).toBe('10 LEASE_LOST');
    expect(performance.now() - startedMs).toBeGreaterThan(1_700);
    expect(stream.all('lost')[0]?.reason).toBe(LostReason.LOST_REASON_MAX_HOLD);
    expect(stream.all('atRisk')[0]?.reason).toBe(AtRiskReason.AT_RISK_REASON_MAX_HOLD);
    const last = stream.all('renewed').at(-1);
    expect(last && validForMs(last)).toBeLessThan(2_050);
  });

  test.concurrent('a waiter whose Hold has ended is passed over', async () => {
    const resource = fresh();
    const holder = await rig.client.acquire({ resource });
    const gone = hold(rig.client, { resource }, FOREVER);
    await gone.event('queued');
    gone.call.cancel();
    await eventually(async () => (await rig.client.getLock(resource)).lock?.waiterCount === 0, {
      what: 'a queue without it',
      withinMs: 3_000,
    });
    await rig.client.release({ resource, leaseId: holder.lease?.leaseId ?? '' });
    expect((await rig.client.getLock(resource)).lock?.state).toBe(LockState.LOCK_STATE_FREE);
  });
});

describe('Hold while Redis is frozen', () => {
  const start = async (): Promise<Rig> => startRig('redis', { LEASEHOLD_REDIS_COMMAND_TIMEOUT: '500ms' });

  test.concurrent('a Hold is at_risk while Redis is frozen for a moment, then renewed with the same token', async ({
    onTestFinished,
  }) => {
    const rig = await start();
    onTestFinished(() => rig.stop());
    const stream = hold(rig.client, { resource: 'a', ttl: duration(8_000) });
    const { fencingToken } = await stream.event('granted');
    await rig.redis?.pause();
    const { reason } = await stream.event('atRisk');
    expect([
      AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
      AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
    ]).toContain(reason);
    const before = stream.all('renewed').length;
    await rig.redis?.resume();
    expect((await stream.event('renewed', { count: before + 1 })).fencingToken).toBe(fencingToken);
    expect(stream.all('atRisk')).toHaveLength(1);
    expect(stream.hasEnded).toBe(false);
    stream.call.cancel();
  });

  test.concurrent('a Hold is at_risk while Redis is frozen for longer than the TTL, then lost at the deadline', async ({
    onTestFinished,
  }) => {
    const rig = await start();
    onTestFinished(async () => {
      await rig.redis?.resume();
      await rig.stop();
    });
    const sentMs = performance.now();
    const stream = hold(rig.client, { resource: 'a', ttl: duration(2_000) });
    await stream.event('granted');
    await rig.redis?.pause();
    const { reason } = await stream.event('lost');
    const lostMs = performance.now() - sentMs;
    expect(reason).toBe(LostReason.LOST_REASON_EXPIRED);
    expect(await stream.ended()).toBe('10 LEASE_LOST');
    expect(stream.all('atRisk')).toHaveLength(1);
    const last = stream.all('renewed').at(-1) ?? stream.all('granted')[0];
    const deadlineMs = last ? validForMs(last) : 0;
    expect(lostMs).toBeGreaterThanOrEqual(deadlineMs - 1);
    expect(lostMs).toBeLessThan(deadlineMs + 1_500);
  });
});

test('a thousand Holds are renewed in batches', async ({ onTestFinished }) => {
  const rig = await startRig('redis', { LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' });
  onTestFinished(() => rig.stop());
  const streams = Array.from({ length: 1_000 }, (_, i) =>
    hold(rig.client, { resource: `many-${i}`, ttl: duration(12_000) }),
  );
  await eventually(() => streams.every((stream) => stream.all('renewed').length >= 2), {
    what: 'two renewals of each',
    withinMs: 50_000,
  });
  const { host, port } = rig.instance.adminAddress ?? { host: '', port: 0 };
  const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
  const count = /^leasehold_store_commands_total\{command="renew-locks".*\} (\d+)$/m.exec(text)?.[1];
  const renewals = streams.reduce((sum, stream) => sum + stream.all('renewed').length, 0);
  expect(Number(count)).toBeGreaterThan(0);
  expect(Number(count)).toBeLessThan(renewals / 10);
  for (const stream of streams) stream.call.cancel();
});

test('a Hold on a draining instance is told so, keeps its lease and ends', async ({ onTestFinished }) => {
  const rig = await startRig('redis');
  onTestFinished(() => rig.stop());
  const stopping = await startInstance({
    ...(rig.redis ? singleRedis(rig.redis) : {}),
    LEASEHOLD_SERVER_DRAIN_TIMEOUT: '800ms',
  });
  const client = new TestClient(stopping.address);
  onTestFinished(() => client.close());
  await eventually(() => stopping.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
  const streams = ['a', 'b', 'c'].map((resource) => hold(client, { resource, ttl: duration(4_000) }));
  for (const stream of streams) await stream.event('granted');
  const queued = hold(client, { resource: 'a' }, FOREVER);
  await queued.event('queued');
  const startedMs = performance.now();
  await stopping.stop();
  expect(performance.now() - startedMs).toBeLessThan(3_000);
  for (const stream of [...streams, queued]) {
    expect(await stream.ended()).toBe('14 DRAINING');
    expect(stream.all('draining')).toHaveLength(1);
    expect(stream.all('lost')).toEqual([]);
  }
  for (const resource of ['a', 'b', 'c']) {
    expect((await rig.client.getLock(resource)).lock?.state).toBe(LockState.LOCK_STATE_HELD);
  }
});
