// renew_for over a real channel, on both stores: how long a stream renews that no newer one follows, what it says then,
// and how it ends when one does.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AtRiskReason, LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import { AttemptLostReason } from '../../generated/leasehold/v1/operation_store_service.ts';
import { type HeldLease, hold, keepAlive, validForMs } from '../support/lease-stream.ts';
import { OperationClient } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const RENEW_FOR = duration(1_500);
const RENEW_FOR_OVER = { reason: AtRiskReason.AT_RISK_REASON_RENEW_FOR };
const FOREVER = { $case: 'waitForever', value: true } as const;
const fresh = (): string => `r-${randomUUID()}`;

describe.each(STORE_KINDS)('renew_for, %s store', (kind) => {
  let rig: Rig;
  let operations: OperationClient;

  beforeAll(async () => {
    rig = await startRig(kind);
    operations = new OperationClient(rig.instance.address);
  });
  afterAll(async () => {
    operations?.close();
    await rig?.stop();
  });

  const stateOf = async ({ resource }: HeldLease) => (await rig.client.getLock(resource)).lock?.state;

  test.concurrent('a Hold renews for its renew_for after the grant, then is at_risk, and ends with its lease', async () => {
    const resource = fresh();
    await rig.client.acquire({ resource, ttl: duration(2_000) });
    const stream = hold(rig.client, { resource, ttl: duration(1_000) }, FOREVER, RENEW_FOR);
    await stream.event('queued'); // for longer than renew_for, which uses up none of it
    const granted = await stream.event('granted');
    expect(await stream.ended()).toBe('10 LEASE_LOST');
    expect(stream.all('renewed').length).toBeGreaterThan(2);
    expect(stream.all('atRisk')[0]).toEqual(RENEW_FOR_OVER);
    expect(stream.kinds().slice(stream.kinds().indexOf('atRisk'))).not.toContain('renewed');
    expect(stream.all('lost')).toEqual([{ reason: LostReason.LOST_REASON_EXPIRED }]);
    const last = stream.all('renewed').at(-1) ?? granted;
    // At most both spans after the grant, which is at the end of the first TTL of `granted`.
    expect(validForMs(last)).toBeLessThan(validForMs(granted) + 1_500 + 100);
    const next = hold(rig.client, { resource }, FOREVER);
    await next.event('granted');
    next.call.cancel();
  });

  test.concurrent('a KeepAlive renews for its renew_for after its arrival, and no longer', async () => {
    const { lease } = await rig.client.acquire({ resource: fresh(), ttl: duration(1_000) });
    if (!lease) throw new Error('no lease');
    const stream = keepAlive(rig.client, [lease], RENEW_FOR);
    expect(await stream.ended()).toBe('10 LEASE_LOST');
    expect(stream.all('atRisk')[0]).toEqual(RENEW_FOR_OVER);
    expect(stream.all('lost')).toEqual([{ reason: LostReason.LOST_REASON_EXPIRED }]);
    for (const each of stream.all('renewed')) expect(validForMs(each)).toBeLessThanOrEqual(2_500);
  });

  test.concurrent('a client that opens its next KeepAlive in time keeps its lease, and each former stream ends with OK', async () => {
    const holding = hold(rig.client, { resource: fresh(), ttl: duration(1_000) }, undefined, RENEW_FOR);
    const lease = await holding.event('granted');
    let former: { ended(): Promise<string>; kinds(): string[] } = holding;
    for (let i = 0; i < 4; i++) {
      const next = keepAlive(rig.client, [lease], RENEW_FOR);
      await next.event('renewed', { count: 3 });
      expect(await former.ended()).toBe('without an error');
      expect(former.kinds().at(-1)).toBe('moved');
      expect(former.kinds()).not.toContain('lost');
      former = next;
    }
    expect(await stateOf(lease)).toBe(LockState.LOCK_STATE_HELD);
    await rig.client.release(lease);
    expect(await former.ended()).toBe('without an error');
  });

  test.concurrent('a KeepAlive whose renew_for is over ends with OK when a newer one comes, or the lease is released', async () => {
    const leases = [];
    for (let i = 0; i < 2; i++) {
      const { lease } = await rig.client.acquire({ resource: fresh(), ttl: duration(20_000) });
      if (lease) leases.push(lease);
    }
    const [moving, released] = leases;
    if (!moving || !released) throw new Error('no leases');
    const stream = keepAlive(rig.client, leases, RENEW_FOR);
    for (const { leaseId } of leases)
      expect(await stream.event('atRisk', { leaseId })).toEqual(RENEW_FOR_OVER);
    const newer = keepAlive(rig.client, [moving], RENEW_FOR);
    await stream.event('moved', { leaseId: moving.leaseId });
    await rig.client.release(released);
    expect(await stream.event('lost', { leaseId: released.leaseId })).toEqual({
      reason: LostReason.LOST_REASON_RELEASED,
    });
    expect(await stream.ended()).toBe('without an error');
    expect((await newer.event('renewed')).fencingToken).toBe(moving.fencingToken);
    newer.call.cancel();
  });

  test.concurrent('a KeepAliveOperation heartbeats for its renew_for, and the attempt is stale afterwards', async () => {
    const key = { resource: fresh(), operationId: 'o' };
    const attempt = await operations.started({ ...key, heartbeatTimeout: duration(1_000) });
    const stream = operations.keepAlive(attempt, { renewFor: RENEW_FOR });
    expect(await stream.ended()).toBe('9 STALE_ATTEMPT');
    expect(stream.all('renewed').length).toBeGreaterThan(2);
    expect(stream.all('atRisk')[0]).toEqual(RENEW_FOR_OVER);
    expect(stream.all('lost')[0]?.reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_EXPIRED);
  });

  test.concurrent('a KeepAliveOperation whose renew_for is over still tells to cancel, and ends with OK when it is done', async () => {
    const key = { resource: fresh(), operationId: 'o' };
    const attempt = await operations.started({ ...key, heartbeatTimeout: duration(20_000) });
    const stream = operations.keepAlive(attempt, { renewFor: duration(1_000) });
    expect(await stream.event('atRisk')).toEqual(RENEW_FOR_OVER);
    await operations.cancel({ ...key, reason: 'enough' });
    expect(await stream.event('cancelRequested')).toEqual({ reason: 'enough' });
    const newer = operations.keepAlive(attempt, { renewFor: duration(1_000) });
    await newer.event('renewed');
    expect(await stream.ended()).toBe('without an error');
    await newer.event('atRisk');
    await operations.complete(attempt);
    expect((await newer.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_FINISHED);
    expect(await newer.ended()).toBe('without an error');
  });

  test.concurrent.each([0, 999, 1_800_001, -1])('a renew_for of %i ms is refused by name', async (ms) => {
    const renewFor = duration(ms);
    const lease = { resource: 'r', leaseId: randomUUID(), fencingToken: 1n };
    const attempt = { resource: 'r', operationId: 'o', claimId: randomUUID(), fencingToken: 1n };
    const streams = [
      hold(rig.client, { resource: fresh() }, undefined, renewFor),
      keepAlive(rig.client, [lease], renewFor),
      operations.keepAlive(attempt, { renewFor }),
    ];
    for (const stream of streams) {
      expect(await stream.ended()).toBe('3 INVALID_ARGUMENT');
      expect(stream.error?.violations.map(({ field }) => field)).toEqual(['renew_for']);
    }
  });
});
