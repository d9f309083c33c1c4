// KeepAlive over a real channel, on both stores: leases taken over from other calls and instances, several on one
// stream, and a client that never reads.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import { KeepAliveRequest } from '../../generated/leasehold/v1/lock_service.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { type HeldLease, hold, keepAlive, validForMs } from '../support/lease-stream.ts';
import { type Rig, STORE_KINDS, singleRedis, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const fresh = (): string => `r-${randomUUID()}`;

async function acquired(client: TestClient, ttlMs = 20_000, resource = fresh()): Promise<HeldLease> {
  const { lease } = await client.acquire({ resource, ttl: duration(ttlMs) });
  if (!lease) throw new Error('no lease');
  return lease;
}

describe.each(STORE_KINDS)('KeepAlive, %s store', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
  });
  afterAll(async () => {
    await rig?.stop();
  });

  const stateOf = async ({ resource }: HeldLease) => (await rig.client.getLock(resource)).lock?.state;

  test.concurrent('a KeepAlive renews at once and goes on, with the token of the grant', async () => {
    const lease = await acquired(rig.client, 1_000);
    const stream = keepAlive(rig.client, [lease]);
    const first = await stream.event('renewed');
    expect(first).toMatchObject({ fencingToken: lease.fencingToken, leaseId: lease.leaseId });
    const sixth = await stream.event('renewed', { count: 6 });
    expect(validForMs(sixth)).toBeGreaterThan(validForMs(first) + 700);
    expect(await stateOf(lease)).toBe(LockState.LOCK_STATE_HELD);
    stream.call.cancel();
  });

  test.concurrent('a KeepAlive tells at once that a lease is not held, and goes on for the others', async () => {
    const [held, released] = [await acquired(rig.client, 3_000), await acquired(rig.client)];
    await rig.client.release(released);
    const wrong = { ...(await acquired(rig.client)), fencingToken: 7n };
    const stream = keepAlive(rig.client, [released, held, wrong]);
    for (const { leaseId } of [released, wrong]) {
      expect((await stream.event('lost', { leaseId })).reason).toBe(LostReason.LOST_REASON_UNKNOWN_LEASE);
    }
    await stream.event('renewed', { count: 4, leaseId: held.leaseId });
    expect(stream.hasEnded).toBe(false);
    expect(await stateOf(wrong)).toBe(LockState.LOCK_STATE_HELD); // the wrong token changed nothing
    await rig.client.release(held);
    expect((await stream.event('lost', { leaseId: held.leaseId })).reason).toBe(
      LostReason.LOST_REASON_RELEASED,
    );
    expect(await stream.ended()).toBe('without an error');
  });

  test.concurrent('a KeepAlive takes a lease over from a Hold and from an older KeepAlive', async () => {
    const holding = hold(rig.client, { resource: fresh() });
    const lease = await holding.event('granted');
    const older = keepAlive(rig.client, [lease]);
    await older.event('renewed');
    expect(await holding.ended()).toBe('10 MOVED');
    const newer = keepAlive(rig.client, [lease]);
    await newer.event('renewed');
    expect(await older.ended()).toBe('10 MOVED');
    expect(older.kinds().at(-1)).toBe('moved');
    newer.call.cancel();
  });

  test.concurrent('the end of a KeepAlive releases nothing', async () => {
    const lease = await acquired(rig.client, 20_000);
    const stream = keepAlive(rig.client, [lease]);
    await stream.event('renewed');
    stream.call.cancel();
    await stream.ended();
    expect(await stateOf(lease)).toBe(LockState.LOCK_STATE_HELD);
    const again = keepAlive(rig.client, [lease]);
    expect((await again.event('renewed')).fencingToken).toBe(lease.fencingToken);
    again.call.cancel();
  });

  test.concurrent('a KeepAlive takes 1 to 64 leases, each once', async () => {
    const lease = { resource: 'r', leaseId: randomUUID(), fencingToken: 1n };
    const others = Array.from({ length: 65 }, () => ({ ...lease, leaseId: randomUUID() }));
    for (const leases of [[], others, [lease, { ...lease, leaseId: lease.leaseId.toUpperCase() }]]) {
      expect(await keepAlive(rig.client, leases).ended()).toBe('3 INVALID_ARGUMENT');
    }
    expect((await rig.client.getServerInfo()).info?.limits?.maxKeepAliveLeases).toBe(64);
  });
});

describe('two instances on one Redis', () => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig('redis');
  });
  afterAll(async () => {
    await rig?.stop();
  });

  async function secondInstance(
    overrides: Readonly<Record<string, string>> = {},
  ): Promise<{ instance: Instance; client: TestClient }> {
    const instance = await startInstance({ ...(rig.redis ? singleRedis(rig.redis) : {}), ...overrides });
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
    return { instance, client: new TestClient(instance.address) };
  }

  test.concurrent('a KeepAlive on another instance takes a lease over from a Hold, which hears moved at once', async ({
    onTestFinished,
  }) => {
    const { instance, client } = await secondInstance();
    onTestFinished(async () => {
      client.close();
      await instance.stop();
    });
    const holding = hold(rig.client, { resource: fresh(), ttl: duration(20_000) });
    const lease = await holding.event('granted');
    const stream = keepAlive(client, [lease]);
    expect((await stream.event('renewed')).fencingToken).toBe(lease.fencingToken);
    const takenMs = performance.now();
    expect(await holding.ended()).toBe('10 MOVED');
    // Long before its next renewal.
    expect(performance.now() - takenMs).toBeLessThan(2_000);
    expect(holding.kinds()).toEqual(['granted', 'moved']);
    // A release through the first instance reaches the second.
    await rig.client.release(lease);
    expect(await stream.ended()).toBe('without an error');
    expect(stream.all('lost')[0]?.reason).toBe(LostReason.LOST_REASON_RELEASED);
  });

  test.concurrent('a KeepAlive is told to move in a rolling restart, goes on elsewhere and loses nothing', async ({
    onTestFinished,
  }) => {
    const { instance, client } = await secondInstance({ LEASEHOLD_SERVER_DRAIN_TIMEOUT: '5s' });
    onTestFinished(() => client.close());
    const holding = hold(client, { resource: fresh(), ttl: duration(3_000) });
    const lease = await holding.event('granted');
    const stoppingMs = performance.now();
    const stopped = instance.stop();
    const { moveWithin } = await holding.event('draining');
    expect(validForMs({ validFor: moveWithin })).toBeGreaterThan(1_000);
    const stream = keepAlive(rig.client, [lease]);
    expect((await stream.event('renewed')).fencingToken).toBe(lease.fencingToken);
    expect(await holding.ended()).toBe('10 MOVED');
    await stopped;
    // All have moved: nothing waits for the rest of the drain timeout.
    expect(performance.now() - stoppingMs).toBeLessThan(3_000);
    await stream.event('renewed', { count: 6 });
    expect(stream.kinds()).not.toContain('lost');
    stream.call.cancel();
  });
});

test('the leases of a client that never reads live on, and little is kept for it', async ({
  onTestFinished,
}) => {
  const rig = await startRig('embedded');
  onTestFinished(() => rig.stop());
  const leases = await Promise.all(Array.from({ length: 64 }, () => acquired(rig.client, 1_000)));
  const { host, port } = rig.instance.address;
  const session = connect(`http://${host}:${port}`, { settings: { initialWindowSize: 1_024 } });
  onTestFinished(() => session.destroy());
  await once(session, 'connect');
  const stream = session.request({
    ':method': 'POST',
    ':path': '/leasehold.v1.LockService/KeepAlive',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.pause();
  const refs = leases.map(({ resource, leaseId, fencingToken }) => ({ resource, leaseId, fencingToken }));
  const message = KeepAliveRequest.encode(KeepAliveRequest.fromPartial({ leases: refs })).finish();
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([frame, message]));
  // 64 leases, each renewed about four times a second: more than 1,000 events.
  const openedMs = performance.now();
  await eventually(() => performance.now() - openedMs > 4_500, { what: '4.5 s', withinMs: 6_000 });
  for (const { resource } of leases.slice(0, 4)) {
    expect((await rig.client.getLock(resource)).lock?.state).toBe(LockState.LOCK_STATE_HELD);
  }
  let received = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  stream.resume();
  const resumedMs = performance.now();
  await eventually(() => framesIn(received) >= 64, { what: 'a message of each lease', withinMs: 5_000 });
  await eventually(() => performance.now() - resumedMs > 300, { what: '0.3 s', withinMs: 2_000 });
  // What was on its way, one event of each lease, and what 0.3 s add: far fewer than the 1,000 that it did not read.
  expect(framesIn(received)).toBeLessThan(300);
});

function framesIn(bytes: Buffer): number {
  let [count, at] = [0, 0];
  while (at + 5 <= bytes.length && at + 5 + bytes.readUInt32BE(at + 1) <= bytes.length) {
    at += 5 + bytes.readUInt32BE(at + 1);
    count++;
  }
  return count;
}
