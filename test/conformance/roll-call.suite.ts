// What every store must do after a failover that lost writes, when the instance that told of leases puts them back
// and ends the quarantine early: nothing that anybody was told of is forgotten, and nothing that may be told of to
// nobody is brought to life. roll-call.test.ts runs this for each store.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AcquireOutcome, CallStamp, Lease, LeaseSpec, RenewOutcome } from '../../src/domain/lock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import { INSTANCE_ID, inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';
import { EXCLUSIVE_LOCK, HEARTBEAT_MS, operationCalls, STALE_MS } from '../support/store-operations.ts';

const FULL_MS = quarantineMs(MAX_TTL_MS);
const SHARED = { kind: 'shared' as const };

/** One call for one lease, and the lease once it was told of. */
interface Held {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  readonly lease: Lease;
}

export function rollCallSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`roll call: ${name}`, () => {
    let h: StoreHarness;
    let calls = 0;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(async () => {
      await h.close();
    });

    const nextStamp = () => ({ instanceId: INSTANCE_ID, callNumber: ++calls });
    const acquire = (spec: LeaseSpec, mayWait = false, stamp: CallStamp = nextStamp()) =>
      h.locks.acquire({ spec, stamp, mayWait }, inTime());
    const release = (spec: LeaseSpec) => h.locks.release(spec, inTime());
    const confirm = (spec: LeaseSpec, stamp: CallStamp) => h.locks.confirm({ spec, stamp }, inTime());
    const view = (resource = 'invoice:42') => h.locks.get(resource, inTime());
    const force = (resource = 'invoice:42', immediate = false) =>
      h.locks.forceRelease({ resource, fencingToken: undefined, immediate }, inTime());

    async function held(overrides: Partial<LeaseSpec> = {}): Promise<Held> {
      const [spec, stamp] = [leaseSpec(overrides), nextStamp()];
      return { spec, stamp, lease: leaseOf(await acquire(spec, false, stamp)) };
    }

    function leaseOf(outcome: AcquireOutcome): Lease {
      if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
      return outcome.lease;
    }

    async function renew({ spec, lease: { fencingToken } }: Held, more: object = {}): Promise<RenewOutcome> {
      const command = { resource: spec.resource, leaseId: spec.leaseId, fencingToken, ttlMs: 0, ...more };
      const [outcome] = await h.locks.renew([command], inTime());
      if (!outcome) throw new Error('no outcome');
      return outcome;
    }

    /** Waits behind a holder who leaves, and so has an offer. */
    async function offered(
      overrides: Partial<LeaseSpec> = {},
    ): Promise<{ spec: LeaseSpec; stamp: CallStamp }> {
      const before = await held({ resource: overrides.resource ?? 'invoice:42' });
      const [spec, stamp] = [leaseSpec(overrides), nextStamp()];
      expect((await acquire(spec, true, stamp)).kind).toBe('queued');
      await release(before.spec);
      return { spec, stamp };
    }

    describe('what was told of is put back', () => {
      test('a grant that the new primary lacks is put back, keeps its resource taken, and is renewed with its token', async () => {
        const before = await h.snapshot();
        const lost = await held({ owner: 'it', metadata: new Map([['job', 'nightly']]) });
        await h.pass(1_000);
        await h.failOver({ to: before, unseenMs: 1_000 });
        const other = leaseSpec();
        expect(await acquire(other)).toMatchObject({ kind: 'contended', contention: { reason: 'held' } });
        const [holder] = (await view()).holders;
        expect(holder).toMatchObject({ owner: 'it', fencingToken: lost.lease.fencingToken, revoked: false });
        expect(holder?.metadata).toEqual(lost.spec.metadata);
        expect(await renew(lost)).toMatchObject({
          kind: 'renewed',
          lease: { fencingToken: lost.lease.fencingToken },
        });
        expect((await release(lost.spec)).kind).toBe('released');
        expect(leaseOf(await acquire(other)).fencingToken).toBeGreaterThan(lost.lease.fencingToken);
      });

      test('what its holder was told of a lease that is put back is covered, with the allowance and what the lease clock left out on top', async () => {
        const before = await h.snapshot();
        await held({ ttlMs: 20_000 });
        await h.pass(4_000);
        await h.failOver({ to: before, unseenMs: 1_000 });
        const [holder] = (await view()).holders;
        expect(holder?.remainingMs).toBe(15_000 + SKEW_ALLOWANCE_MS + (5_000 - SKEW_ALLOWANCE_MS));
      });

      test('a renewal that the new primary lacks is made up for', async () => {
        const lease = await held({ ttlMs: 20_000 });
        await h.pass(1_000);
        const before = await h.snapshot();
        await h.pass(9_000);
        expect((await renew(lease)).kind).toBe('renewed');
        await h.failOver({ to: before, unseenMs: 1_000 });
        const [holder] = (await view()).holders;
        expect(holder?.remainingMs).toBe(19_000 + SKEW_ALLOWANCE_MS + (10_000 - SKEW_ALLOWANCE_MS));
        expect((await renew(lease)).kind).toBe('renewed');
      });

      test('a lease that was granted and released keeps nothing taken, whether its data know that or not', async () => {
        const kept = await held();
        const before = await h.snapshot();
        const lost = await held({ resource: 'lost' });
        for (const { spec } of [kept, lost]) await release(spec);
        await h.pass(1_000);
        await h.failOver({ to: before });
        await held({ resource: 'lost' });
        await held(); // these data don't know of the release
        expect((await release(kept.spec)).kind).toBe('absent');
      });

      test('who waits for a lease whose release the new primary lacks is granted the lock at the end of the quarantine', async () => {
        const first = await held();
        const [spec, stamp] = [leaseSpec(), nextStamp()];
        expect((await acquire(spec, true, stamp)).kind).toBe('queued');
        const fork = await h.snapshot();
        await release(first.spec);
        await h.failOver({ to: fork });
        expect((await confirm(spec, stamp)).kind).toBe('granted');
      });

      test('a release that is repeated leaves the min_hold of its lease', async () => {
        const first = await held({ minHoldMs: 25_000 });
        const fork = await h.snapshot();
        await release(first.spec);
        await h.failOver({ to: fork });
        expect(await acquire(leaseSpec())).toMatchObject({
          kind: 'contended',
          contention: { reason: 'min-hold', holders: [] },
        });
      });

      test('a min_hold that the new primary lacks is put back, even where its lease is over', async () => {
        const before = await h.snapshot();
        const { spec } = await held({ minHoldMs: 25_000 });
        await release(spec);
        await h.pass(5_000);
        await h.failOver({ to: before });
        expect(await acquire(leaseSpec())).toMatchObject({
          kind: 'contended',
          contention: { reason: 'min-hold', holders: [], timeLeftMs: 20_000 },
        });
        await h.pass(20_000);
        await held();
      });

      test('a max_hold counts on from the grant that is put back', async () => {
        const before = await h.snapshot();
        const lost = await held({ ttlMs: 16_000, maxHoldMs: 18_000 });
        await h.pass(6_000);
        await h.failOver({ to: before });
        expect(await renew(lost, { ttlMs: 30_000 })).toMatchObject({ kind: 'renewed', isFinal: true });
        expect((await view()).holders[0]?.remainingMs).toBe(12_000 + SKEW_ALLOWANCE_MS);
      });

      test('an offer that was confirmed is a lease, where the new primary knows the offer alone', async () => {
        const { spec, stamp } = await offered({ ttlMs: 25_000, maxHoldMs: 30_000 });
        const before = await h.snapshot();
        const confirmed = await confirm(spec, stamp);
        if (confirmed.kind !== 'granted') throw new Error('not confirmed');
        const { lease } = confirmed;
        await h.failOver({ to: before });
        await h.pass(5_000);
        expect(await renew({ spec, stamp, lease })).toMatchObject({ kind: 'renewed' });
        expect((await view()).holders[0]?.remainingMs).toBe(25_000 + SKEW_ALLOWANCE_MS);
        expect(await renew({ spec, stamp, lease }, { ttlMs: 30_000 })).toMatchObject({ isFinal: true });
      });

      test('a lease takes the place of another one of its id that was told of to nobody', async () => {
        const first = await held();
        const fork = await h.snapshot();
        await release(first.spec);
        const second = leaseOf(await acquire(first.spec));
        await h.failOver({ to: fork });
        expect((await renew(first)).kind).toBe('lost');
        expect(await renew({ ...first, lease: second })).toMatchObject({ kind: 'renewed' });
        expect((await view()).holders).toHaveLength(1);
      });

      test('a lease that was revoked stays revoked, whether the new primary lacks it or knows of that', async () => {
        const before = await h.snapshot();
        const lost = await held({ resource: 'lost' });
        const known = await held();
        for (const resource of ['lost', 'invoice:42']) await force(resource);
        await h.pass(1_000);
        const after = await h.snapshot();
        expect(await renew(known)).toEqual({ kind: 'revoked' });
        expect(await renew(lost)).toEqual({ kind: 'revoked' });
        await h.failOver({ to: after });
        expect(await renew(known)).toEqual({ kind: 'revoked' });
        await h.failOver({ to: before });
        for (const one of [lost, known]) expect(await renew(one)).toEqual({ kind: 'revoked' });
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('a lease that was revoked stays revoked where the new primary knows the lease alone', async () => {
        const lease = await held();
        const before = await h.snapshot();
        await force();
        expect(await renew(lease)).toEqual({ kind: 'revoked' });
        await h.failOver({ to: before });
        expect(await renew(lease)).toEqual({ kind: 'revoked' });
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('a revocation that a new primary lost, and whose lease was renewed there, does not come back with the next', async () => {
        const lease = await held();
        await h.pass(1_000);
        const before = await h.snapshot();
        await force();
        expect(await renew(lease)).toEqual({ kind: 'revoked' });
        await h.failOver({ to: before });
        expect(await renew(lease)).toMatchObject({ kind: 'renewed' });
        await h.failOver({ to: before });
        expect(await renew(lease)).toMatchObject({ kind: 'renewed' });
      });

      test('the call that speaks for a lease still does after it was put back', async () => {
        const before = await h.snapshot();
        const lost = await held();
        const other = nextStamp();
        expect((await renew(lost, { stamp: other, takesOver: true })).kind).toBe('renewed');
        await h.failOver({ to: before });
        expect((await renew(lost, { stamp: lost.stamp })).kind).toBe('moved');
        expect((await renew(lost, { stamp: other })).kind).toBe('renewed');
      });

      test('shared leases and permits that are put back add up, and admit nobody who would be too many', async () => {
        const permits = (n: number) => ({ kind: 'permits' as const, permits: n, limit: 3 });
        const before = await h.snapshot();
        const first = await held({ mode: permits(2) });
        await h.failOver({ to: before });
        expect((await view()).permitsHeld).toBe(2);
        expect((await renew(first)).kind).toBe('renewed');
        expect((await acquire(leaseSpec({ mode: permits(2) }))).kind).toBe('contended');
        await held({ mode: permits(1) });
      });
    });

    describe('what contradicts each other', () => {
      // Two primaries had the resource one after the other; the first of the two leases is known here, and was told of.
      async function both(mode: LeaseSpec['mode'], then: LeaseSpec['mode']): Promise<[Held, Held]> {
        const first = await held({ mode });
        const fork = await h.snapshot();
        await force('invoice:42', true); // which a roll call may undo
        const second = await held({ mode: then });
        await h.failOver({ to: fork });
        return [first, second];
      }

      test('leases in different modes admit nobody until one kind is over', async () => {
        const [first, second] = await both(SHARED, { kind: 'exclusive' });
        expect((await view()).holders).toHaveLength(2);
        for (const mode of [SHARED, { kind: 'exclusive' as const }]) {
          expect((await acquire(leaseSpec({ mode }))).kind).toBe('contended');
        }
        await release(second.spec);
        await held({ mode: SHARED });
        expect((await release(first.spec)).kind).toBe('released');
      });

      test('permits over their limit admit nobody until enough are over', async () => {
        const mode = { kind: 'permits' as const, permits: 2, limit: 2 };
        const [first, second] = await both(mode, mode);
        expect((await view()).permitsHeld).toBe(4);
        const one = { ...mode, permits: 1 };
        expect((await acquire(leaseSpec({ mode: one }))).kind).toBe('contended');
        await release(first.spec);
        expect((await acquire(leaseSpec({ mode: one }))).kind).toBe('contended');
        await release(second.spec);
        await held({ mode: one });
      });
    });

    describe('the early end', () => {
      test('when all have answered, a free resource is granted at once; when one is missing, at the full end', async () => {
        await h.failOver({ missing: true });
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: FULL_MS });
        await h.failOver({ stale: true });
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: FULL_MS });
        await h.pass(FULL_MS);
        await h.failOver();
        await held();
      });

      test('who waits is granted the lock when the quarantine ends early', async () => {
        const holder = await held();
        const [spec, stamp] = [leaseSpec(), nextStamp()];
        await acquire(spec, true, stamp);
        await h.failOver();
        await release(holder.spec);
        expect((await confirm(spec, stamp)).kind).toBe('granted');
      });

      test('a second failover in a quarantine ends it no earlier than the first would have', async () => {
        await h.failOver({ stale: true });
        await h.pass(10_000);
        await h.failOver(); // everybody answers, and the data look young
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: FULL_MS - 10_000 });
        await h.pass(FULL_MS - 10_001);
        expect((await acquire(leaseSpec())).kind).toBe('quarantined');
        await h.pass(1);
        await held();
      });

      test('after an early end a second failover may end early too', async () => {
        await h.failOver();
        await h.pass(1_000);
        await h.failOver();
        await held();
      });

      test('tokens grow through every failover, also past those of grants that the new primary lacks', async () => {
        const before = await h.snapshot();
        let newest = 0n;
        for (let n = 0; n < 3; n++) {
          const { spec, lease } = await held({ resource: `r-${n}` });
          expect(lease.fencingToken).toBeGreaterThan(newest);
          newest = lease.fencingToken;
          await release(spec);
          await h.failOver({ to: before, stepMs: -5_000 });
        }
      });
    });

    describe('what may have been told of to nobody', () => {
      test('an inherited grant is not repeated before the full end, and its call is told when that is', async () => {
        const lease = await held({ ttlMs: 30_000 });
        await h.failOver();
        expect(await acquire(lease.spec)).toEqual({ kind: 'quarantined', retryAfterMs: FULL_MS });
        await h.pass(20_000);
        expect(await acquire(lease.spec)).toEqual({ kind: 'quarantined', retryAfterMs: FULL_MS - 20_000 });
      });

      test('a renewal shows that a lease was told of: then it is repeated', async () => {
        const lease = await held();
        await h.failOver();
        expect((await renew(lease)).kind).toBe('renewed');
        const again = await acquire(lease.spec);
        expect(again).toMatchObject({ kind: 'granted', isRepeat: true });
        expect(leaseOf(again).fencingToken).toBe(lease.lease.fencingToken);
      });

      test('a waiting repeat gets its inherited lease at the full end, and nobody overtakes it', async () => {
        const lease = await held({ ttlMs: 30_000, maxHoldMs: 600_000 });
        await h.failOver();
        const stamp = nextStamp();
        expect((await acquire(lease.spec, true, stamp)).kind).toBe('queued');
        expect((await confirm(lease.spec, stamp)).kind).toBe('gone');
        await h.pass(10_000);
        await acquire(lease.spec, true, stamp);
        expect((await view()).queueLength).toBe(1);
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('an inherited offer is confirmed to nobody, lapses, and makes no instance absent', async () => {
        const { spec, stamp } = await offered();
        const next = { spec: leaseSpec(), stamp: nextStamp() };
        await acquire(next.spec, true, next.stamp);
        await h.failOver();
        expect((await confirm(spec, stamp)).kind).toBe('gone');
        expect((await acquire(spec)).kind).toBe('quarantined');
        await h.pass(1_000);
        expect((await confirm(next.spec, next.stamp)).kind).toBe('granted');
      });

      test('an id whose record blocks gets no second grant, even where its mode would admit one', async () => {
        const lease = await held({ mode: SHARED, ttlMs: 30_000 });
        await h.failOver();
        expect((await acquire(lease.spec)).kind).toBe('quarantined');
        const waiting = nextStamp();
        expect((await acquire(lease.spec, true, waiting)).kind).toBe('queued');
        await h.pass(1_000);
        expect((await confirm(lease.spec, waiting)).kind).toBe('gone');
        const [holder, ...others] = (await view()).holders;
        expect(holder?.fencingToken).toBe(lease.lease.fencingToken);
        expect(others).toEqual([]);
        await h.locks.leave({ ...lease.spec, stamp: waiting, keepPlaceMs: 0 }, inTime());
        await held({ mode: SHARED });
      });

      test('a lease is put back although its holder was told that it is lost, for that answer may be lost', async () => {
        const before = await h.snapshot();
        const near = await held({ ttlMs: 20_000 });
        await h.failOver({ unseenMs: 18_000 });
        expect((await renew(near)).kind).toBe('lost');
        await h.failOver({ to: before });
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('a lease near its end at the failover is not renewed, and keeps its resource taken until its deadline', async () => {
        const near = await held({ ttlMs: 3_000 });
        await h.pass(1_000);
        await h.failOver();
        expect((await renew(near)).kind).toBe('lost');
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        expect(await acquire(near.spec)).toEqual({ kind: 'quarantined', retryAfterMs: 4_000 });
        await h.pass(4_000);
        await held();
      });

      test('the lapsed rule is not for leases of this reign', async () => {
        await h.failOver({ unseenMs: 20_000 });
        const lease = await held({ ttlMs: 3_000 });
        expect(LAPSED_AFTER_ADOPTION_MS).toBeGreaterThan(3_000);
        await h.pass(2_000);
        expect((await renew(lease)).kind).toBe('renewed');
      });
    });

    describe('the lease clock', () => {
      test('a step of all clocks in a failover ends no lease that its holder counts on', async () => {
        const lease = await held({ ttlMs: 30_000 });
        await h.pass(1_000);
        await h.failOver({ stepMs: 100_000 });
        const [holder] = (await view()).holders;
        expect(holder?.remainingMs).toBeGreaterThanOrEqual(29_000);
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        expect(lease.lease.fencingToken).toBe(holder?.fencingToken);
      });

      test('a clock that steps to the upper edge and back, and then a primary at that edge, count the step once', async () => {
        await held({ ttlMs: 20_000 });
        await h.step(SKEW_ALLOWANCE_MS);
        await h.step(-SKEW_ALLOWANCE_MS);
        await h.failOver({ stepMs: SKEW_ALLOWANCE_MS });
        expect((await view()).holders[0]?.remainingMs).toBe(20_000);
      });
    });

    describe('while an answer is missing', () => {
      test('a lease that is not there is unknown, however it is asked for, and lost when the quarantine is over', async () => {
        const released = await held();
        await release(released.spec);
        const known = await held();
        const other = { ...known, lease: { ...known.lease, fencingToken: known.lease.fencingToken + 1n } };
        const stranger = { ...known, spec: leaseSpec() };
        const gone = [released, other, stranger];
        const { spec } = await offered({ resource: 'offered' });
        await h.failOver({ missing: true });
        for (const one of gone) {
          for (const how of [{}, { stamp: nextStamp(), takesOver: true }, { onlyLooks: true }]) {
            expect(await renew(one, how)).toEqual({ kind: 'unknown' });
          }
        }
        expect(await renew({ ...known, spec })).toEqual({ kind: 'unknown' });
        for (let left = FULL_MS; left > 0; left -= 5_000) {
          expect((await renew(known)).kind).toBe('renewed');
          await h.pass(Math.min(left, 5_000));
        }
        for (const one of gone) expect(await renew(one)).toEqual({ kind: 'lost' });
      });

      test('a lease that is put back is renewed, and what an administrator took away is known', async () => {
        const before = await h.snapshot();
        const [lost, spec] = [await held(), leaseSpec({ resource: 'taken' })];
        const stamp = { instanceId: INSTANCE_ID, callNumber: 1_001 }; // a stream, which hears of it
        const taken: Held = { spec, stamp, lease: leaseOf(await acquire(spec, false, stamp)) };
        await force('taken');
        await h.failOver({ to: before, missing: true });
        expect(await renew(lost)).toMatchObject({ kind: 'renewed' });
        expect(await renew(taken)).toEqual({ kind: 'revoked' });
      });

      test('what one adoption barred stays barred after the next one, which comes at once', async () => {
        const near = await held({ ttlMs: 20_000 });
        await h.failOver({ unseenMs: 20_000, missing: true });
        expect(await renew(near)).toEqual({ kind: 'unknown' });
        await h.failOver({ missing: true });
        expect(await renew(near)).toEqual({ kind: 'unknown' });
        expect((await view()).holderCount).toBe(1);
      });

      test('what was renewed between two adoptions is renewed after the second one', async () => {
        const kept = await held({ ttlMs: 30_000 });
        await h.failOver({ unseenMs: 20_000, missing: true });
        expect(await renew(kept)).toMatchObject({ kind: 'renewed' });
        await h.failOver({ missing: true });
        expect(await renew(kept)).toMatchObject({ kind: 'renewed' });
      });

      test('a lease that is put back after a long time without a primary can be renewed', async () => {
        const before = await h.snapshot();
        const told = await held({ ttlMs: 14_000 });
        await h.failOver({ to: before, unseenMs: 8_000 });
        expect(await renew(told)).toMatchObject({ kind: 'renewed' });
      });

      test('a lease that is put back after a long time without a primary keeps to its max_hold', async () => {
        const before = await h.snapshot();
        const told = await held({ ttlMs: 14_000, maxHoldMs: 15_000 });
        await h.failOver({ to: before, unseenMs: 4_000 });
        const renewed = await renew(told);
        if (renewed.kind !== 'renewed') throw new Error(renewed.kind);
        expect(renewed.lease.expiresAtWallMs).toBeLessThanOrEqual(told.lease.expiresAtWallMs + 1_000);
      });

      test('what is not there when all have answered is lost', async () => {
        const { spec, ...told } = await held();
        await h.failOver();
        expect(await renew({ ...told, spec })).toMatchObject({ kind: 'renewed' });
        expect(await renew({ ...told, spec: leaseSpec() })).toEqual({ kind: 'lost' });
      });

      test('what is unknown is still remembered, and the next roll call puts it back', async () => {
        const before = await h.snapshot();
        const near = await held({ ttlMs: 3_000 });
        await h.pass(1_000);
        await h.failOver({ missing: true });
        expect(await renew(near)).toEqual({ kind: 'unknown' }); // its record ends too soon to be renewed
        await h.failOver({ to: before });
        expect((await view()).holders[0]?.fencingToken).toBe(near.lease.fencingToken);
      });
    });

    describe('operations', () => {
      const calls = operationCalls(() => h);
      const { begin, claim, claimed, started, update, complete, yieldIt, beat, get, state, cancel, retry } =
        calls;
      const { remove } = calls;

      test('an attempt without its lease is unknown while an answer is missing, and lost at the end', async () => {
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        const taken = await started({ resource: 'taken', lock: EXCLUSIVE_LOCK });
        const done = await started({ operationId: 'done' });
        await complete(done);
        await release(leaseSpec({ leaseId: attempt.claimId }));
        await force('taken');
        await h.failOver({ missing: true });
        expect(await beat(attempt)).toEqual({ kind: 'unknown' });
        expect(await beat(taken)).toEqual({ kind: 'lost', reason: 'lease-lost' });
        expect(await beat(done)).toEqual({ kind: 'lost', reason: 'finished' });
        await h.pass(FULL_MS);
        expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'expired' });
      });

      test('an attempt without a lease that has no time left is unknown while an answer is missing, and lost at the end', async () => {
        const near = await started({ heartbeatTimeoutMs: 3_000 });
        await h.pass(1_000);
        await h.failOver({ missing: true });
        expect(await beat(near)).toEqual({ kind: 'unknown' });
        await h.pass(FULL_MS);
        expect(await beat(near)).toEqual({ kind: 'lost', reason: 'expired' });
      });

      test('an attempt that one adoption barred stays barred after the next one, which comes at once', async () => {
        const near = await started({ heartbeatTimeoutMs: 20_000 });
        await h.failOver({ unseenMs: 20_000 });
        expect(await beat(near)).toEqual({ kind: 'lost', reason: 'expired' });
        await h.failOver();
        expect(await beat(near)).toEqual({ kind: 'lost', reason: 'expired' });
        expect(await claimed()).toEqual([]);
      });

      test('what an attempt writes waits while an answer may bring it back', async () => {
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        const near = await started({ operationId: 'near', heartbeatTimeoutMs: 3_000, exclusive: false });
        const taken = await started({ resource: 'taken', lock: EXCLUSIVE_LOCK });
        await release(leaseSpec({ leaseId: attempt.claimId }));
        await force('taken');
        await h.pass(1_000);
        await h.failOver({ missing: true });
        const waits = { kind: 'quarantined', retryAfterMs: FULL_MS };
        for (const one of [attempt, near]) {
          expect(await update(one)).toEqual(waits);
          expect(await complete(one)).toEqual(waits);
          expect(await yieldIt(one)).toEqual(waits);
        }
        expect(await complete(taken)).toEqual({ kind: 'stale-attempt' });
        expect(await complete({ ...near, fencingToken: 1n })).toEqual({ kind: 'stale-attempt' });
        await h.pass(FULL_MS);
        for (const one of [attempt, near]) expect(await complete(one)).toEqual({ kind: 'stale-attempt' });
      });

      test('an attempt whose lease is put back goes on', async () => {
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        const before = await h.snapshot();
        await h.pass(5_000);
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
        await h.failOver({ to: before, missing: true });
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('operations start right after the early end, and those that run go on', async () => {
        const attempt = await started();
        const failed = await started({ operationId: 'failed', exclusive: false });
        await complete(failed, { transition: 'fail' });
        const lone = { resource: 'lone', operationId: 'lone', exclusive: true };
        await complete(await started(lone), { transition: 'fail' });
        await h.failOver({ missing: true });
        const waits = { kind: 'quarantined', retryAfterMs: FULL_MS };
        expect(await claim()).toEqual(waits);
        expect(await begin({ operationId: 'new' }, { claimId: leaseSpec().leaseId })).toEqual(waits);
        expect(await begin({ resource: 'other', exclusive: true })).toEqual(waits);
        expect(await retry(lone)).toEqual(waits);
        expect(await begin({ operationId: 'pending' })).toMatchObject({ kind: 'begun' });
        expect(await retry({ operationId: 'failed' })).toMatchObject({ kind: 'changed' });
        expect(await cancel({ operationId: 'pending' })).toMatchObject({ kind: 'changed' });
        await h.pass(FULL_MS);
        const goesOn = await started({ operationId: 'goes on', heartbeatTimeoutMs: 30_000 });
        await h.failOver();
        expect(await claimed(leaseSpec().leaseId, 9)).toMatchObject([
          { operationId: attempt.operationId },
          { operationId: failed.operationId },
        ]);
        expect(await beat(goesOn)).toMatchObject({ kind: 'renewed' });
        await started({ operationId: 'new' });
        expect(await begin({ resource: 'other', exclusive: true })).toMatchObject({ kind: 'begun' });
        expect(await retry(lone)).toMatchObject({ kind: 'changed' });
      });

      test('an attempt that the new primary lacks keeps its operation from being started, until it is over', async () => {
        const before = await h.snapshot();
        const lost = await started();
        await h.pass(1_000);
        await h.failOver({ to: before });
        expect(await beat(lost)).toEqual({ kind: 'lost', reason: 'unknown-attempt' });
        const waits = { kind: 'quarantined', retryAfterMs: HEARTBEAT_MS - 1_000 + SKEW_ALLOWANCE_MS };
        expect(await begin({}, { claimId: leaseSpec().leaseId })).toEqual(waits);
        expect(await begin()).toMatchObject({ kind: 'begun', attempt: undefined });
        expect(await claim()).toMatchObject({ claimed: [], askAgainInMs: waits.retryAfterMs });
        await h.pass(waits.retryAfterMs - 1);
        expect(await claimed()).toEqual([]);
        await h.pass(1);
        const [next] = await claimed();
        expect(next?.fencingToken).toBeGreaterThan(lost.fencingToken);
      });

      test('so does one whose worker was told that it is unknown, for that answer may be lost', async () => {
        const before = await h.snapshot();
        const lost = await started();
        await h.failOver({ to: before });
        expect(await beat(lost)).toEqual({ kind: 'lost', reason: 'unknown-attempt' });
        await h.failOver({ to: before });
        expect((await begin({}, { claimId: leaseSpec().leaseId })).kind).toBe('quarantined');
      });

      test('so does one whose operation the new primary knows as pending, also through a second failover', async () => {
        await begin();
        const before = await h.snapshot();
        await claimed();
        await h.failOver({ to: before });
        await h.failOver();
        expect(await claimed()).toEqual([]);
        await h.pass(STALE_MS);
        expect(await claimed()).toHaveLength(1);
      });

      test('an attempt with a shared lock that the new primary lacks keeps its operation from being started', async () => {
        const lock = { ...EXCLUSIVE_LOCK, mode: SHARED };
        await begin({ lock });
        const before = await h.snapshot();
        await claimed();
        await h.failOver({ to: before });
        expect(await claimed()).toEqual([]);
        expect(await begin({ operationId: 'other', lock })).toMatchObject({ kind: 'begun' });
        expect(await claimed()).toMatchObject([{ operationId: 'other' }]);
      });

      test('a heartbeat that the new primary lacks is made up for', async () => {
        const attempt = await started({ heartbeatTimeoutMs: 25_000 });
        await h.pass(20_000);
        const before = await h.snapshot();
        await beat(attempt);
        await h.failOver({ to: before, unseenMs: 1_000 });
        expect((await get())?.heartbeatRemainingMs).toBe(24_000);
        await h.pass(20_000);
        expect(await claimed()).toEqual([]);
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('a heartbeat that the new primary lacks is made up for after a long time without a primary', async () => {
        const attempt = await started({ heartbeatTimeoutMs: 14_000 });
        await h.pass(10_000);
        const before = await h.snapshot();
        await beat(attempt);
        await h.failOver({ to: before, unseenMs: 8_000 });
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('an attempt that ended keeps nothing from being started', async () => {
        await begin();
        const before = await h.snapshot();
        const [first] = await claimed();
        if (!first) throw new Error('nothing claimed');
        await yieldIt(first);
        const [second] = await claimed();
        if (!second) throw new Error('nothing claimed');
        await complete(second);
        await h.failOver({ to: before });
        // These data lack that it was done, and it is run again, as an acknowledged write that is lost always may be.
        expect(await claimed()).toMatchObject([{ operationId: 'send' }]);
      });

      test('of exclusive operations no other one starts beside an attempt that the new primary lacks', async () => {
        const other = { operationId: 'other', exclusive: true };
        await complete(await started(other), { transition: 'fail' });
        const before = await h.snapshot();
        await started({ exclusive: true });
        await h.failOver({ to: before });
        expect(await begin({ operationId: 'third' })).toEqual({ kind: 'open' });
        expect(
          await begin({ operationId: 'third', exclusive: true }, { claimId: leaseSpec().leaseId }),
        ).toEqual({
          kind: 'open',
        });
        expect(await retry(other)).toEqual({ kind: 'open' });
        expect(await begin({ exclusive: true })).toMatchObject({ kind: 'begun' });
        await h.pass(STALE_MS);
        expect(await claimed()).toMatchObject([{ operationId: 'send' }]);
      });

      test('an exclusive operation is not begun or claimed beside an attempt of another one that was forgotten', async () => {
        const lone = { operationId: 'lone', exclusive: true };
        const before = await h.snapshot();
        const running = await started();
        await complete(running);
        await remove();
        await begin(lone);
        const fork = await h.snapshot();
        await h.failOver({ to: before });
        await started();
        await h.failOver({ to: fork });
        expect(await claimed()).toEqual([]);
        await h.pass(STALE_MS);
        expect(await claimed()).toMatchObject([{ operationId: 'lone' }]);
      });

      test('a claim or begin of a former reign is not repeated before the full end', async () => {
        const claimId = leaseSpec().leaseId;
        await begin({ heartbeatTimeoutMs: 30_000 });
        await claimed(claimId);
        const begun = await started({ operationId: 'begun', heartbeatTimeoutMs: 30_000 });
        await h.failOver();
        const waits = { kind: 'quarantined', retryAfterMs: FULL_MS };
        expect(await claim(claimId)).toEqual(waits);
        const again = { operationId: 'begun', heartbeatTimeoutMs: 30_000 };
        expect(await begin(again, { claimId: begun.claimId })).toEqual(waits);
        await beat(begun);
        await h.pass(FULL_MS / 2);
        await beat(begun);
        await h.pass(FULL_MS / 2);
        expect(await begin(again, { claimId: begun.claimId })).toMatchObject({ attempt: { number: 1 } });
      });

      test('an attempt of this reign lives until its deadline, however soon after the failover that is', async () => {
        await h.failOver({ unseenMs: 20_000 });
        const attempt = await started({ heartbeatTimeoutMs: 3_000 });
        expect(LAPSED_AFTER_ADOPTION_MS).toBeGreaterThan(3_000);
        await h.pass(2_000);
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('an attempt that began between two adoptions goes on after the second one', async () => {
        await h.failOver({ unseenMs: 60_000 });
        const attempt = await started({ heartbeatTimeoutMs: 30_000 });
        await h.failOver();
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('an attempt near its end at the failover is lost, and another one starts only at its deadline', async () => {
        const near = await started({ heartbeatTimeoutMs: 3_000, maxAttempts: 1 });
        await begin({ operationId: 'next' });
        await h.pass(1_000);
        await h.failOver();
        expect(await beat(near)).toEqual({ kind: 'lost', reason: 'expired' });
        const again = { heartbeatTimeoutMs: 3_000, maxAttempts: 1 };
        expect(await begin(again, { claimId: leaseSpec().leaseId })).toEqual({
          kind: 'quarantined',
          retryAfterMs: 4_000,
        });
        expect(await state()).toBe('running');
        expect(await claimed()).toMatchObject([{ operationId: 'next' }]);
        await h.pass(4_000);
        expect(await state()).toBe('dead');
      });

      test('the lease of an attempt that the new primary lacks is put back, and its resource stays taken', async () => {
        const before = await h.snapshot();
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        await h.failOver({ to: before });
        expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'unknown-attempt' });
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('a lease that outlives its attempt is put back, also after a heartbeat heard that the attempt is over', async () => {
        const before = await h.snapshot();
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        await complete(attempt, { releaseLease: false });
        expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'finished' });
        await h.failOver({ to: before });
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });

      test('a lease that an attempt released with its result is not put back', async () => {
        const attempt = await started({ lock: EXCLUSIVE_LOCK });
        await complete(attempt, { releaseLease: true });
        await h.failOver();
        await held();
      });

      test('an attempt that an adoption barred lives on if it still has time at the full end', async () => {
        const attempt = await started({ heartbeatTimeoutMs: 30_000 });
        await h.failOver({ unseenMs: 40_000 });
        expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'expired' });
      });
    });
  });
}
