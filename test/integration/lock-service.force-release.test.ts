// ForceRelease over a real channel, on both stores: what holders hear, when the next waiter is granted, and what a
// quarantine and a lost notice change.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import type { CallError } from '../../src/client/core/call-error.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { eventually } from '../support/eventually.ts';
import { type HeldLease, hold, keepAlive, validForMs } from '../support/lease-stream.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration, type TestClient } from '../support/test-instance.ts';

const SKEW_MS = 2_000;
const FOREVER = { $case: 'waitForever' as const, value: true };
const ADMIN = { LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true' };
const fresh = (): string => `r-${randomUUID()}`;

async function acquired(client: TestClient, ttlMs = 20_000): Promise<HeldLease> {
  const { lease } = await client.acquire({ resource: fresh(), ttl: duration(ttlMs) });
  if (!lease) throw new Error('no lease');
  return lease;
}

/** "CODE-NUMBER REASON: message" of a call that must fail. */
function failure(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'succeeded',
    ({ code, reason, message }: CallError) => `${code} ${reason}: ${message}`,
  );
}

const REVOKED = '10 LEASE_LOST: an administrator force-released the lease';

describe.each(STORE_KINDS)('ForceRelease, %s store', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind, ADMIN);
  });
  afterAll(async () => {
    await rig?.stop();
  });

  const freeInMs = ({ freeIn }: { freeIn: { seconds: bigint; nanos: number } | undefined }) =>
    validForMs({ validFor: freeIn });
  const holders = async (resource: string) => (await rig.client.getLock(resource)).lock?.holders ?? [];

  test.concurrent('the holder of a force-released lease hears lost at once, and the next is granted at the promised deadline', async () => {
    const rare = fresh();
    const rarelyRenewed = hold(rig.client, { resource: rare, ttl: duration(20_000) });
    await rarelyRenewed.event('renewed');
    const atMs = performance.now();
    await rig.client.forceRelease({ resource: rare, reason: 'a test' });
    await rarelyRenewed.event('lost');
    expect(performance.now() - atMs).toBeLessThan(3_000); // long before its next renewal, 5 s after the last

    const resource = fresh();
    const holding = hold(rig.client, { resource, owner: 'holder', ttl: duration(3_000) });
    await holding.event('granted');
    const next = hold(rig.client, { resource, owner: 'next' }, FOREVER);
    await next.event('queued');
    const askedMs = performance.now();
    const told = await rig.client.forceRelease({ resource, reason: 'a test' });
    expect(told.releasedCount).toBe(1);
    expect(freeInMs(told)).toBeGreaterThan(SKEW_MS); // of its TTL, the time since its last renewal is over
    expect(freeInMs(told)).toBeLessThanOrEqual(3_000 + SKEW_MS);
    expect((await holding.event('lost')).reason).toBe(LostReason.LOST_REASON_FORCE_RELEASED);
    expect(await holding.ended()).toBe('10 LEASE_LOST');
    expect(await holders(resource)).toMatchObject([{ owner: 'holder', revoked: true }]);
    await next.event('granted');
    expect(performance.now() - askedMs).toBeGreaterThan(freeInMs(told) - 20);
    expect(performance.now() - askedMs).toBeLessThan(freeInMs(told) + 4_000);
    next.call.cancel();
  });

  test.concurrent('an immediate ForceRelease grants the next waiter at once', async () => {
    const resource = fresh();
    const holding = hold(rig.client, { resource, ttl: duration(20_000), minHold: duration(60_000) });
    const { fencingToken } = await holding.event('granted');
    const next = hold(rig.client, { resource }, FOREVER);
    await next.event('queued');
    const askedMs = performance.now();
    const told = await rig.client.forceRelease({ resource, fencingToken, immediate: true });
    expect(told).toEqual({ releasedCount: 1, freeIn: undefined });
    const granted = await next.event('granted');
    expect(performance.now() - askedMs).toBeLessThan(2_000);
    expect(granted.fencingToken).toBeGreaterThan(fencingToken);
    expect((await holding.event('lost')).reason).toBe(LostReason.LOST_REASON_FORCE_RELEASED);
    const repeat = await rig.client.forceRelease({ resource, fencingToken, immediate: true });
    expect(repeat.releasedCount).toBe(0);
    expect(next.hasEnded).toBe(false);
    next.call.cancel();
  });

  test.concurrent('a stream whose one lease is force-released goes on for the others', async () => {
    const [taken, kept] = [await acquired(rig.client, 1_000), await acquired(rig.client, 1_000)];
    const stream = keepAlive(rig.client, [taken, kept]);
    await stream.event('renewed', { leaseId: taken.leaseId });
    await rig.client.forceRelease({ resource: taken.resource, fencingToken: taken.fencingToken });
    const { reason } = await stream.event('lost', { leaseId: taken.leaseId });
    expect(reason).toBe(LostReason.LOST_REASON_FORCE_RELEASED);
    await stream.event('renewed', { leaseId: kept.leaseId, count: 5 });
    expect(stream.hasEnded).toBe(false);
    stream.call.cancel();
  });

  test.concurrent('a unary holder learns of a ForceRelease by its renewal; nothing revives the lease, but a release frees it', async () => {
    const lease = await acquired(rig.client);
    const { resource, leaseId, fencingToken } = lease;
    expect((await rig.client.checkFencingToken(resource, fencingToken)).valid).toBe(true);
    await rig.client.forceRelease({ resource });
    expect(await failure(rig.client.renew(lease))).toBe(REVOKED);
    expect(await failure(rig.client.acquire({ resource, leaseId }))).toBe(REVOKED);
    expect(await failure(rig.client.acquire({ resource, leaseId }, FOREVER))).toBe(REVOKED);
    expect(await hold(rig.client, { resource, leaseId }).ended()).toBe('10 LEASE_LOST');
    const stream = keepAlive(rig.client, [lease]);
    expect((await stream.event('lost')).reason).toBe(LostReason.LOST_REASON_FORCE_RELEASED);
    expect((await rig.client.checkFencingToken(resource, fencingToken)).valid).toBe(false);
    const { lock } = await rig.client.getLock(resource);
    expect([lock?.state, lock?.waiterCount]).toEqual([LockState.LOCK_STATE_HELD, 0]);
    expect(await rig.client.release({ resource, leaseId })).toEqual({ released: true });
    await rig.client.acquire({ resource });
  });

  test.concurrent('a ForceRelease with nothing to revoke succeeds', async () => {
    expect(await rig.client.forceRelease({ resource: fresh() })).toEqual({
      releasedCount: 0,
      freeIn: undefined,
    });
  });

  test.concurrent('a bad ForceRelease changes nothing, and its error names the fields', async () => {
    const { resource } = await acquired(rig.client);
    const bad = { resource, fencingToken: 0n, reason: 'x'.repeat(257) };
    await expect(rig.client.forceRelease(bad)).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
      violations: [{ field: 'fencing_token' }, { field: 'reason' }],
    });
    await expect(rig.client.forceRelease({ resource: '' })).rejects.toMatchObject({
      violations: [{ field: 'resource' }],
    });
    expect(await holders(resource)).toMatchObject([{ revoked: false }]);
  });
});

test('a stream whose notice of a ForceRelease was lost learns of it by its next renewal, with the same reason', async ({
  onTestFinished,
}) => {
  const rig = await startRig('redis', ADMIN);
  onTestFinished(() => rig.stop());
  const holding = hold(rig.client, { resource: 'r', ttl: duration(4_000) });
  const { leaseId } = await holding.event('granted');
  // What the script leaves in Redis, without the message that it publishes.
  await rig.redis?.withClient(async (direct) => {
    const text = (await direct.hget('leasehold:{0}:lock:r', leaseId)) ?? '';
    expect(text).toMatch(/ held \d+$/);
    await direct.hset('leasehold:{0}:lock:r', leaseId, text.replace(/held (\d+)$/, 'revoked $1'));
  });
  expect((await holding.event('lost')).reason).toBe(LostReason.LOST_REASON_FORCE_RELEASED);
  expect(await holding.ended()).toBe('10 LEASE_LOST');
});

test('even an immediate ForceRelease in a quarantine grants nothing before its end', async ({
  onTestFinished,
}) => {
  const rig = await startRig('embedded', { ...ADMIN, LEASEHOLD_LOCKS_MAX_TTL: '2s' });
  onTestFinished(() => rig.stop());
  const { store } = rig.instance;
  if (!(store instanceof MemoryStore)) throw new Error('not the embedded store');
  await rig.client.acquire({ resource: 'r', minHold: duration(60_000) });
  const next = hold(rig.client, { resource: 'r' }, FOREVER);
  await next.event('queued');
  store.beginReign();
  const told = await rig.client.forceRelease({ resource: 'r', immediate: true });
  const leftMs = validForMs({ validFor: told.freeIn });
  expect(leftMs).toBeGreaterThan(5_000);
  expect(leftMs).toBeLessThanOrEqual(6_000);
  const askedMs = performance.now();
  await eventually(() => next.all('granted').length > 0, { what: 'the grant', withinMs: 9_000, everyMs: 5 });
  expect(performance.now() - askedMs).toBeGreaterThan(leftMs - 100);
  next.call.cancel();
});
