// The lock service as its callers see it, over a real channel and on both kinds of store: what is granted, what is
// answered, and what an error says. Bad input is in lock-service.bad-input.test.ts, a Redis that is away in errors.*.
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ContentionReason } from '../../generated/leasehold/v1/error_details.ts';
import type { Lease, LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { LeaseSpec as LeaseSpecCodec } from '../../generated/leasehold/v1/lease.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import { AcquireRequest, LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { StoreKind } from '../../generated/leasehold/v1/server_info.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { packageInfo } from '../../src/package-info.ts';
import { eventually } from '../support/eventually.ts';
import { hold } from '../support/lease-stream.ts';
import { rawError } from '../support/raw-call.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const ACQUIRE = LockServiceService.acquire.path;
const _SERVED = [
  'acquire',
  'acquireMany',
  'checkFencingToken',
  'forceRelease',
  'getLock',
  'getServerInfo',
  'hold',
  'keepAlive',
  'listLocks',
  'release',
  'renew',
  'watchLocks',
];
const DEFAULT_TTL_MS = 20_000;
// The store counts in whole microseconds, and rounds down.
const ROUNDING_MS = 0.01;

function ms(span: { seconds: bigint; nanos: number } | undefined): number {
  if (span === undefined) throw new Error('no Duration where one is promised');
  return Number(span.seconds) * 1_000 + span.nanos / 1e6;
}

describe.each(STORE_KINDS)('LockService, %s store', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
  });

  afterAll(() => rig.stop());

  async function acquired(spec: Partial<LeaseSpec> & { resource: string }): Promise<Lease> {
    const { lease } = await rig.client.acquire(spec);
    if (!lease) throw new Error('a success without a lease');
    return lease;
  }

  async function refused(call: Promise<unknown>): Promise<CallError> {
    const outcome = await call.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(outcome instanceof CallError)) throw new Error('no error status where one is promised');
    return outcome;
  }

  async function state(resource: string): Promise<LockState | undefined> {
    return (await rig.client.getLock(resource)).lock?.state;
  }

  describe('Acquire', () => {
    test('an Acquire grants, and its answer has every field', async () => {
      const leaseId = randomUUID();
      const before = Date.now();
      const lease = await acquired({ resource: 'grant', leaseId, ttl: duration(5_000) });
      expect(lease).toMatchObject({
        resource: 'grant',
        leaseId,
        achievedDurability: { level: { $case: 'asynchronous' } },
      });
      expect(lease.fencingToken).toBeGreaterThan(0n);
      expect(lease.fencingToken).toBeLessThanOrEqual(BigInt(Number.MAX_SAFE_INTEGER));
      // For people, by the store's clock, which is that of this machine.
      const expires = Number(lease.expireTime?.seconds) * 1_000 + Number(lease.expireTime?.nanos) / 1e6;
      expect(expires - before).toBeGreaterThan(4_900);
      expect(expires - Date.now()).toBeLessThanOrEqual(5_001);
    });

    test('permits_limit tells a caller that others name a smaller limit, in the answers of Acquire, AcquireMany and Hold', async () => {
      const permits = (limit: number) => ({
        resource: 'disagreed',
        leaseId: randomUUID(),
        mode: { $case: 'permits', value: { permits: 1, limit } } as const,
      });
      expect((await acquired(permits(5))).permitsLimit).toBe(5);
      expect((await acquired(permits(10))).permitsLimit).toBe(5);
      const { leases } = await rig.client.acquireMany([permits(10)]);
      expect(leases[0]?.permitsLimit).toBe(5);
      const holding = hold(rig.client, permits(10));
      expect((await holding.event('granted')).permitsLimit).toBe(5);
      holding.call.cancel();
      expect((await acquired({ resource: 'exclusive' })).permitsLimit).toBe(0);
    });

    test('valid_for is the TTL plus at most what passed before the store was asked', async () => {
      for (const ttlMs of [1_000, 5_000, 30_000]) {
        const sentAtMs = performance.now();
        const { validFor } = await acquired({ resource: `valid-for-${ttlMs}`, ttl: duration(ttlMs) });
        const tookMs = performance.now() - sentAtMs;
        expect(ms(validFor)).toBeGreaterThan(ttlMs - ROUNDING_MS);
        expect(ms(validFor)).toBeLessThanOrEqual(ttlMs + tookMs);
      }
    });

    test('a spec without a TTL gets the default one', async () => {
      const { validFor } = await acquired({ resource: 'default-ttl' });
      expect(Math.abs(ms(validFor) - DEFAULT_TTL_MS)).toBeLessThan(1_000);
    });

    test('a second Acquire with the same lease_id is the same lease, with a deadline no earlier', async () => {
      const spec = { resource: 'repeat', leaseId: randomUUID(), ttl: duration(20_000) };
      const first = await acquired(spec);
      const repeat = await acquired({ ...spec, ttl: duration(1_000) });
      expect(repeat.fencingToken).toBe(first.fencingToken);
      expect(ms(repeat.validFor)).toBeGreaterThan(15_000);
      expect((await rig.client.getLock('repeat')).lock?.holderCount).toBe(1);
    });

    test('an upper-case lease_id is the same as the lower-case one, and answered in lower case', async () => {
      const leaseId = randomUUID();
      const upper = await acquired({ resource: 'upper', leaseId: leaseId.toUpperCase() });
      const lower = await acquired({ resource: 'upper', leaseId });
      expect(upper.leaseId).toBe(leaseId);
      expect(lower.fencingToken).toBe(upper.fencingToken);
      expect(await rig.client.release({ resource: 'upper', leaseId: leaseId.toUpperCase() })).toEqual({
        released: true,
      });
    });

    test('a contended Acquire is ABORTED, and tells the holder but no lease id', async () => {
      const holderId = randomUUID();
      const ownId = randomUUID();
      const held = await acquired({
        resource: 'contended',
        leaseId: holderId,
        owner: 'billing-7f9c@host-3',
        ttl: duration(10_000),
        metadata: new Map([['job', 'invoices']]),
      });
      const error = await refused(rig.client.acquire({ resource: 'contended' }));
      expect(error).toMatchObject({ code: status.ABORTED, reason: 'LOCK_CONTENDED' });
      expect(error.retryAfterMs).toBeGreaterThanOrEqual(50);
      expect(error.retryAfterMs).toBeLessThanOrEqual(1_000);
      expect(error.contention).toMatchObject({
        resource: 'contended',
        reason: ContentionReason.CONTENTION_REASON_HELD,
        queueLength: 0,
        holders: [
          {
            leaseIdHash: leaseIdHash(holderId),
            owner: 'billing-7f9c@host-3',
            mode: { $case: 'exclusive' },
            fencingToken: held.fencingToken,
            metadata: new Map(), // details travel in a trailer, so never with metadata
          },
        ],
      });
      // The lease's 10 s, and 2 s in which its holder may still be within its deadline by another clock.
      expect(ms(error.contention?.timeLeft)).toBeGreaterThan(9_000);
      expect(ms(error.contention?.timeLeft)).toBeLessThanOrEqual(12_000);

      const spec = LeaseSpecCodec.fromPartial({ resource: 'contended', leaseId: ownId });
      const bytes = AcquireRequest.encode({ spec, wait: undefined }).finish();
      const raw = await rawError(rig.client.stub, ACQUIRE, bytes);
      expect(raw.details['leasehold.v1.Contention']?.holders).toHaveLength(1);
      for (const id of [holderId, ownId]) expect(raw.everything).not.toContain(id);
    });

    test('tokens grow from grant to grant, also after a release and from resource to resource', async () => {
      const tokens: bigint[] = [];
      for (const resource of ['tokens-a', 'tokens-b', 'tokens-a', 'tokens-b', 'tokens-a']) {
        const leaseId = randomUUID();
        tokens.push((await acquired({ resource, leaseId })).fencingToken);
        await rig.client.release({ resource, leaseId });
      }
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)));
    });

    test('exactly one of many simultaneous callers is granted the lock', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 50 }, () => rig.client.acquire({ resource: 'race' })),
      );
      expect(outcomes.filter(({ status: outcome }) => outcome === 'fulfilled')).toHaveLength(1);
      const reasons = outcomes.flatMap((o) =>
        o.status === 'rejected' ? [(o.reason as CallError).reason] : [],
      );
      expect(new Set(reasons)).toEqual(new Set(['LOCK_CONTENDED']));
    });

    test('metadata comes back unchanged, whatever its keys are called', async () => {
      const metadata = new Map([
        ['__proto__', 'polluted'],
        ['constructor', 'c'],
        ['k', 'Grüße 🔒'],
        ['empty', ''],
      ]);
      await acquired({ resource: 'metadata', metadata });
      const { lock } = await rig.client.getLock('metadata');
      expect(lock?.holders[0]?.metadata).toEqual(metadata);
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    });

    test.each([
      ['{0}:lock:a', 'a'],
      ['{}', '{}}'],
      ['a:b', 'a'],
      [':taken_until', 'taken_until'],
      ['}{', '{}'],
      ['\ufeffa-mark', 'a-mark'],
      ['e\u0301', '\u00e9'],
      ['A-case', 'a-case'],
      [' padded', 'padded'],
    ])('%j and %j are two locks', async (one, other) => {
      const first = randomUUID();
      const second = randomUUID();
      const { resource } = await acquired({ resource: one, leaseId: first });
      expect(resource).toBe(one);
      expect(await state(other)).toBe(LockState.LOCK_STATE_FREE);
      await acquired({ resource: other, leaseId: second });
      expect(await rig.client.release({ resource: one, leaseId: second })).toEqual({ released: false });
      expect(await rig.client.release({ resource: one, leaseId: first })).toEqual({ released: true });
      expect(await state(other)).toBe(LockState.LOCK_STATE_HELD);
      await rig.client.release({ resource: other, leaseId: second });
    });
  });

  describe('Renew', () => {
    test('a renewal moves the deadline and nothing else', async () => {
      const leaseId = randomUUID();
      const lease = await acquired({ resource: 'renew', leaseId, ttl: duration(2_000) });
      const request = { resource: 'renew', leaseId, fencingToken: lease.fencingToken };
      const renewed = (await rig.client.renew({ ...request, ttl: duration(25_000) })).lease;
      expect(renewed).toMatchObject({ resource: 'renew', leaseId, fencingToken: lease.fencingToken });
      expect(Math.abs(ms(renewed?.validFor) - 25_000)).toBeLessThan(1_000);
      // Without a TTL the renewal takes that of the grant. It would bring the deadline forward, and therefore doesn't.
      expect(ms((await rig.client.renew(request)).lease?.validFor)).toBeGreaterThan(20_000);
    });

    test.each([
      ['another token', (token: bigint) => ({ fencingToken: token + 1n })],
      [
        'a token that only a language without 64-bit integers takes for the same',
        () => ({ fencingToken: 2n ** 63n - 1n }),
      ],
      ['another lease_id', () => ({ leaseId: randomUUID() })],
      ['another resource', () => ({ resource: 'never-locked' })],
    ])('a renewal with %s is LEASE_LOST, and the lease stays as it is', async (_name, change) => {
      const leaseId = randomUUID();
      const resource = `renew-${leaseId}`;
      const { fencingToken } = await acquired({ resource, leaseId, ttl: duration(10_000) });
      const request = { resource, leaseId, fencingToken, ttl: duration(30_000) };
      const error = await refused(rig.client.renew({ ...request, ...change(fencingToken) }));
      expect(error).toMatchObject({ code: status.ABORTED, reason: 'LEASE_LOST', retryAfterMs: undefined });
      const [holder] = (await rig.client.getLock(resource)).lock?.holders ?? [];
      expect(holder?.fencingToken).toBe(fencingToken);
      expect(ms(holder?.remaining)).toBeLessThanOrEqual(12_000);
    });

    test('the renewal of a released lease is LEASE_LOST', async () => {
      const leaseId = randomUUID();
      const { fencingToken } = await acquired({ resource: 'renew-gone', leaseId });
      await rig.client.release({ resource: 'renew-gone', leaseId });
      const error = await refused(rig.client.renew({ resource: 'renew-gone', leaseId, fencingToken }));
      expect(error.reason).toBe('LEASE_LOST');
    });

    test('a renewal never passes max_hold', async () => {
      const leaseId = randomUUID();
      const spec = { resource: 'max-hold', leaseId, ttl: duration(10_000), maxHold: duration(3_000) };
      const lease = await acquired(spec);
      const { fencingToken } = lease;
      expect(ms(lease.validFor)).toBeLessThanOrEqual(3_500);
      const renewed = await rig.client.renew({ ...spec, fencingToken, ttl: duration(30_000) });
      expect(ms(renewed.lease?.validFor)).toBeLessThanOrEqual(3_500);
    });

    test('a lapsed lease is LEASE_LOST, and another caller is granted', { timeout: 15_000 }, async () => {
      const leaseId = randomUUID();
      const { fencingToken } = await acquired({ resource: 'lapse', leaseId, ttl: duration(1_000) });
      const next = await eventually(() => acquired({ resource: 'lapse' }), {
        what: 'the end of the lease',
        withinMs: 6_000,
        everyMs: 100,
      });
      expect(next.fencingToken).toBeGreaterThan(fencingToken);
      expect((await refused(rig.client.renew({ resource: 'lapse', leaseId, fencingToken }))).reason).toBe(
        'LEASE_LOST',
      );
    });
  });

  describe('Release', () => {
    test('a Release answers true once and then false, and the resource is free at once', async () => {
      const lease = { resource: 'release', leaseId: randomUUID() };
      await acquired(lease);
      expect(await rig.client.release(lease)).toEqual({ released: true });
      expect(await state('release')).toBe(LockState.LOCK_STATE_FREE);
      expect(await rig.client.release(lease)).toEqual({ released: false });
    });

    test('a Release with a lease_id that holds nothing ends nothing', async () => {
      await acquired({ resource: 'release-other' });
      const other = { resource: 'release-other', leaseId: randomUUID() };
      expect(await rig.client.release(other)).toEqual({ released: false });
      expect(await state('release-other')).toBe(LockState.LOCK_STATE_HELD);
    });
  });

  describe('GetLock', () => {
    test('an unknown resource is FREE', async () => {
      expect((await rig.client.getLock('unknown')).lock).toEqual({
        resource: 'unknown',
        state: LockState.LOCK_STATE_FREE,
        holders: [],
        holderCount: 0,
        waiters: [],
        waiterCount: 0,
        permitsHeld: 0,
        permitsLimit: 0,
        minHoldRemaining: undefined,
      });
    });

    test('a held resource is HELD, with its holder and a hash in place of the lease_id', async () => {
      const leaseId = randomUUID();
      const { fencingToken } = await acquired({
        resource: 'held',
        leaseId,
        owner: 'o',
        ttl: duration(9_000),
      });
      const { lock } = await rig.client.getLock('held');
      expect(lock).toMatchObject({ state: LockState.LOCK_STATE_HELD, holderCount: 1 });
      const [holder] = lock?.holders ?? [];
      expect(holder).toMatchObject({ leaseIdHash: leaseIdHash(leaseId), owner: 'o', fencingToken });
      expect(holder?.leaseIdHash).toMatch(/^[0-9a-f]{12}$/);
      expect(ms(holder?.remaining)).toBeLessThanOrEqual(11_000);
      const acquiredAtMs = Number(holder?.acquireTime?.seconds) * 1_000;
      expect(Math.abs(acquiredAtMs - Date.now())).toBeLessThan(5_000);
    });

    test('a resource within a min_hold is HELD, then MIN_HOLD, and nobody is granted it', async () => {
      const spec = { resource: 'min-hold', leaseId: randomUUID(), minHold: duration(60_000) };
      await acquired(spec);
      expect(await state('min-hold')).toBe(LockState.LOCK_STATE_HELD);
      expect(await rig.client.release(spec)).toEqual({ released: true });
      const { lock } = await rig.client.getLock('min-hold');
      expect(lock).toMatchObject({ state: LockState.LOCK_STATE_MIN_HOLD, holderCount: 0, holders: [] });
      expect(ms(lock?.minHoldRemaining)).toBeGreaterThan(55_000);

      const error = await refused(rig.client.acquire({ resource: 'min-hold' }));
      expect(error).toMatchObject({ code: status.ABORTED, reason: 'LOCK_CONTENDED' });
      expect(error.contention).toMatchObject({
        reason: ContentionReason.CONTENTION_REASON_MIN_HOLD,
        holders: [],
      });
      expect(error.retryAfterMs).toBeGreaterThan(55_000);
    });

    test('a resource is FREE again after a short min_hold', async () => {
      const spec = { resource: 'short-min-hold', leaseId: randomUUID(), minHold: duration(1_500) };
      await acquired(spec);
      await rig.client.release(spec);
      await eventually(async () => (await state('short-min-hold')) === LockState.LOCK_STATE_FREE, {
        what: 'the end of the min_hold',
        withinMs: 4_000,
      });
      await acquired({ resource: 'short-min-hold' });
    });
  });

  test('GetServerInfo tells what is served and what the limits are', async () => {
    const { info } = await rig.client.getServerInfo();
    expect(info).toMatchObject({
      version: packageInfo().version,
      store: kind === 'redis' ? StoreKind.STORE_KIND_REDIS : StoreKind.STORE_KIND_MEMORY,
      serving: true,
      quarantineRemaining: undefined,
      defaultDurability: { level: { $case: 'asynchronous' } },
      smallestAdvisableTtl: undefined, // neither store can fail over
    });
    expect(info?.instanceId).toMatch(/^[0-9a-f]{16}$/);
    expect(info?.reign).not.toBe('');
    expect(info?.epoch).toBeGreaterThan(0n);
    expect(info?.limits).toMatchObject({
      minTtl: duration(1_000),
      maxTtl: duration(30_000),
      defaultTtl: duration(20_000),
      maxMinHold: duration(24 * 3_600_000),
      maxMaxHold: duration(30 * 24 * 3_600_000),
      maxResourceBytes: 512,
      maxOwnerBytes: 256,
      maxMetadataEntries: 16,
      maxMetadataBytes: 2_048,
      maxRequestBytes: 131_072,
    });
  });
});
