// How every lock store must revoke leases: the resource stays taken until the deadline that the holder was told, and
// until then nothing revives the lease; it is free at once if the caller asks for that. force-release.test.ts runs this
// for each store.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallStamp, LeaseSpec, Mode } from '../../src/domain/lock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { Notice, RenewCommand } from '../../src/store/lock-store.ts';
import { eventually } from '../support/eventually.ts';
import { INSTANCE_ID, inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';

const RESOURCE = 'invoice:42';
const TTL_MS = 20_000;
const SHARED: Mode = { kind: 'shared' };

export function forceReleaseSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`forced releases: ${name}`, () => {
    let h: StoreHarness;
    let notices: Notice[];
    let calls = 0;

    beforeEach(async () => {
      h = await open();
      notices = [];
      h.locks.onNotice((notice) => notices.push(notice));
    });
    afterEach(async () => {
      await h.close();
    });

    interface Asked {
      readonly spec: LeaseSpec;
      readonly stamp: CallStamp;
    }

    interface Held extends Asked {
      readonly renewal: RenewCommand;
    }

    /** A stream, unless the test says otherwise. */
    function asked(overrides: Partial<LeaseSpec> = {}, callNumber?: number): Asked {
      calls += 2;
      return {
        spec: leaseSpec(overrides),
        stamp: { instanceId: INSTANCE_ID, callNumber: callNumber ?? calls + 1 },
      };
    }

    const tryOnce = ({ spec, stamp }: Asked) => h.locks.acquire({ spec, stamp, mayWait: false }, inTime());
    const wait = ({ spec, stamp }: Asked) => h.locks.acquire({ spec, stamp, mayWait: true }, inTime());
    const confirm = ({ spec, stamp }: Asked) => h.locks.confirm({ spec, stamp }, inTime());
    const release = ({ spec }: Asked) => h.locks.release(spec, inTime());
    const renew = async (command: RenewCommand) => (await h.locks.renew([command], inTime()))[0];
    const view = () => h.locks.get(RESOURCE, inTime());
    const owners = async () => (await view()).holders.map(({ owner }) => owner);
    const force = (of?: Held, immediate = false) =>
      h.locks.forceRelease(
        { resource: RESOURCE, fencingToken: of?.renewal.fencingToken, immediate },
        inTime(),
      );

    async function held(overrides: Partial<LeaseSpec> = {}, callNumber?: number): Promise<Held> {
      const ask = asked({ owner: 'holder', ttlMs: TTL_MS, ...overrides }, callNumber);
      const outcome = await tryOnce(ask);
      if (outcome.kind !== 'granted') throw new Error(`not granted: ${outcome.kind}`);
      const { resource, leaseId } = ask.spec;
      return { ...ask, renewal: { resource, leaseId, fencingToken: outcome.lease.fencingToken, ttlMs: 0 } };
    }

    async function inQueue(owner: string, overrides: Partial<LeaseSpec> = {}): Promise<Asked> {
      const ask = asked({ owner, ...overrides });
      expect((await wait(ask)).kind).toBe('queued');
      return ask;
    }

    const toldOf = (kind: Notice['kind'], { spec, stamp }: Asked): number =>
      notices.filter(
        (notice) =>
          notice.kind === kind &&
          'acquisition' in notice &&
          notice.callNumber === stamp.callNumber &&
          notice.acquisition.leaseId === spec.leaseId &&
          notice.acquisition.resource === spec.resource,
      ).length;

    async function told(kind: Notice['kind'], ask: Asked): Promise<void> {
      await eventually(() => toldOf(kind, ask) > 0, {
        what: `the notice ${kind}`,
        withinMs: 5_000,
        everyMs: 2,
      });
    }

    describe('without haste', () => {
      test('a force-released resource stays taken until the deadline that its holder was told, and then goes to the next waiter', async () => {
        const holder = await held();
        const next = await inQueue('next');
        await h.pass(5_000);
        const leftMs = TTL_MS - 5_000 + SKEW_ALLOWANCE_MS;
        expect(await force()).toMatchObject({ count: 1, freeInMs: leftMs });
        expect(await owners()).toEqual(['holder']);
        await told('revoked', holder);
        await h.pass(leftMs - 1);
        expect(await owners()).toEqual(['holder']);
        await h.pass(1);
        expect(await owners()).toEqual(['next']);
        await told('offered', next);
        expect(await confirm(next)).toMatchObject({ kind: 'granted' });
      });

      test('a revoked lease is not renewed, and the renewal says why', async () => {
        const holder = await held();
        await force();
        expect(await renew(holder.renewal)).toEqual({ kind: 'revoked' });
        expect(await renew({ ...holder.renewal, stamp: holder.stamp })).toEqual({ kind: 'revoked' });
        expect(await renew({ ...holder.renewal, fencingToken: 7n })).toEqual({ kind: 'lost' });
        await h.pass(TTL_MS + SKEW_ALLOWANCE_MS);
        expect(await view()).toMatchObject({ holders: [] });
        expect(await renew(holder.renewal)).toEqual({ kind: 'lost' });
      });

      test('no take-over by a newer call revives a revoked lease', async () => {
        const holder = await held();
        await force();
        const stamp = { instanceId: 'other', callNumber: 1 };
        expect(await renew({ ...holder.renewal, stamp, takesOver: true })).toEqual({ kind: 'revoked' });
        await h.pass(TTL_MS + SKEW_ALLOWANCE_MS);
        expect(await owners()).toEqual([]);
      });

      test('no repeat of its call revives a revoked lease, whether the repeat would wait or not', async () => {
        const holder = await held();
        const next = await inQueue('next');
        await force();
        const { spec } = holder;
        const newer = { spec, stamp: { instanceId: 'other', callNumber: 1 } };
        for (const ask of [holder, newer]) {
          expect(await tryOnce(ask)).toEqual({ kind: 'revoked' });
          expect(await wait(ask)).toEqual({ kind: 'revoked' });
          expect(
            await h.locks.acquire({ spec, stamp: ask.stamp, mayWait: true, asksAgain: true }, inTime()),
          ).toEqual({ kind: 'revoked' });
        }
        expect((await view()).queueLength).toBe(1);
        await h.pass(TTL_MS + SKEW_ALLOWANCE_MS);
        await told('offered', next);
        expect(await owners()).toEqual(['next']);
        expect(toldOf('moved', holder)).toBe(0);
        // It has ended, and the store doesn't remember ids of leases that have ended.
        expect((await wait(holder)).kind).toBe('queued');
      });

      test('no repeat of its confirmation revives a revoked lease', async () => {
        const holder = await held();
        const next = await inQueue('next', { ttlMs: TTL_MS });
        await release(holder);
        expect((await confirm(next)).kind).toBe('granted');
        await force();
        await h.pass(10_000);
        expect(await confirm(next)).toEqual({ kind: 'gone' });
        await h.pass(12_000);
        expect(await owners()).toEqual([]);
      });

      test('the token of a revoked lease is no longer valid, although the resource is still taken', async () => {
        const holder = await held();
        const check = () => h.locks.checkFencingToken(RESOURCE, holder.renewal.fencingToken, inTime());
        expect(await check()).toBe(true);
        await force();
        expect(await check()).toBe(false);
      });

      test('a revoked lease is shown as a holder, and as revoked', async () => {
        await held();
        expect((await view()).holders).toMatchObject([{ owner: 'holder', revoked: false }]);
        await force();
        expect((await view()).holders).toMatchObject([{ owner: 'holder', revoked: true }]);
        const other = await tryOnce(asked());
        expect(other).toMatchObject({
          kind: 'contended',
          contention: { reason: 'held', holders: [{ owner: 'holder', revoked: true }] },
        });
      });

      test('the holder of a revoked lease can still release it, which frees the resource at once', async () => {
        const holder = await held();
        const next = await inQueue('next');
        await force();
        expect(await release(holder)).toMatchObject({ kind: 'released', wasOver: true });
        expect(await owners()).toEqual(['next']);
        expect((await confirm(next)).kind).toBe('granted');
      });

      test('a revoked lease that its caller was not told of is given back with its min_hold, which is no end of its own', async () => {
        const holder = await held({ minHoldMs: 60_000 });
        await force();
        const { resource, leaseId } = holder.spec;
        const { stamp } = holder;
        expect(
          await h.locks.leave({ resource, leaseId, stamp, keepPlaceMs: 0, giveBack: true }, inTime()),
        ).toBe(false); // it ended before
        expect((await tryOnce(asked())).kind).toBe('granted');
      });

      test('a lease that its stream has told to be over is revoked, but no longer taken from anybody', async () => {
        await held({ ttlMs: 5_000 });
        await h.pass(5_000);
        expect(await force()).toMatchObject({ count: 1, heldMs: [] });
      });

      test('a second forced release revokes nothing, tells nobody, and still says when the resource is free', async () => {
        const holder = await held();
        await force();
        await told('revoked', holder);
        await h.pass(1_000);
        const again = await force();
        expect(again).toMatchObject({ count: 0, freeInMs: TTL_MS - 1_000 + SKEW_ALLOWANCE_MS });
        expect(await force(holder)).toEqual(again);
        // A notice that every store sends after the others.
        const last = await held({ resource: 'last' });
        await release(last);
        await told('released', last);
        expect(toldOf('revoked', holder)).toBe(1);
      });

      test('a forced release leaves a min_hold as it is', async () => {
        await held({ minHoldMs: 60_000 });
        expect(await force()).toMatchObject({ count: 1, freeInMs: 60_000 });
        await h.pass(TTL_MS + SKEW_ALLOWANCE_MS);
        expect(await tryOnce(asked())).toMatchObject({ contention: { reason: 'min-hold' } });
      });

      test('a forced release says how long each lease was held that it took from its holder, and names none twice', async () => {
        await held({ mode: { kind: 'shared' } });
        await h.pass(2_000);
        const second = await held({ mode: { kind: 'shared' } });
        await h.pass(1_000);
        expect((await force(second)).heldMs).toEqual([1_000]);
        expect((await force()).heldMs).toEqual([3_000]);
        expect((await force(undefined, true)).heldMs).toEqual([]);
      });

      test('an offer that a forced release ends was not held', async () => {
        const holder = await held();
        await inQueue('next');
        await release(holder);
        expect(await force()).toMatchObject({ count: 1, heldMs: [] });
      });

      test('a unary call that releases its revoked lease is told that it was over', async () => {
        const unary = await held({}, 2);
        await force();
        expect(await release(unary)).toMatchObject({ kind: 'released', wasOver: true });
      });

      test('a stream is told that its lease is revoked; for a unary call nobody is told', async () => {
        const unary = await held({}, 2);
        await force();
        await release(unary);
        const stream = await held();
        await force();
        await told('revoked', stream);
        expect(notices.filter(({ kind }) => kind === 'revoked')).toHaveLength(1);
      });
    });

    describe('at once', () => {
      test('an immediate forced release grants the next waiter in the same step', async () => {
        const holder = await held();
        const next = await inQueue('next');
        expect(await force(holder, true)).toMatchObject({ count: 1, freeInMs: 0 });
        expect(await owners()).toEqual(['next']);
        await told('revoked', holder);
        await told('offered', next);
        expect(await renew(holder.renewal)).toEqual({ kind: 'lost' });
        // A repeat of the call by its token does not touch the next lease.
        expect(await force(holder, true)).toMatchObject({ count: 0 });
        expect((await confirm(next)).kind).toBe('granted');
        expect(await owners()).toEqual(['next']);
      });

      test('an immediate forced release ends a min_hold too, even one whose lease has already ended', async () => {
        await held({ minHoldMs: 60_000 });
        expect(await force(undefined, true)).toMatchObject({ count: 1, freeInMs: 0 });
        const second = await held({ minHoldMs: 60_000 });
        await release(second);
        expect(await force(undefined, false)).toMatchObject({ count: 0, freeInMs: 60_000 });
        expect(await force(second, true)).toMatchObject({ count: 0, freeInMs: 60_000 }); // it no longer names a lease
        expect(await force(undefined, true)).toMatchObject({ count: 0, freeInMs: 0 });
        expect((await tryOnce(asked())).kind).toBe('granted');
        expect(await h.remembered()).toBe(1);
      });

      test('a min_hold that an immediate forced release ended does not come back with that of the next holder', async () => {
        await held({ minHoldMs: 60_000 });
        const next = await inQueue('next', { minHoldMs: 2_000 });
        await force(undefined, true);
        expect((await confirm(next)).kind).toBe('granted');
        await release(next);
        expect(await tryOnce(asked())).toMatchObject({ contention: { reason: 'min-hold' } });
        await h.pass(2_000);
        expect((await tryOnce(asked())).kind).toBe('granted');
      });

      test('an immediate forced release ends a lease that is already revoked, and counts it', async () => {
        const holder = await held();
        await force();
        expect(await force(holder, true)).toMatchObject({ count: 1, freeInMs: 0 });
        expect(await owners()).toEqual([]);
      });

      test('an immediate forced release leaves no key behind', async () => {
        await held({ minHoldMs: 60_000 });
        await force(undefined, true);
        expect(await h.remembered()).toBe(0);
      });
    });

    describe('of several leases', () => {
      test('a forced release that names a token revokes only the lease with that token', async () => {
        const first = await held({ mode: SHARED, owner: 'first' });
        await h.pass(2_000);
        const second = await held({ mode: SHARED, owner: 'second' });
        const writer = await inQueue('writer');
        const freeInMs = TTL_MS + SKEW_ALLOWANCE_MS; // until the second lease ends, which was not touched
        expect(await force(first)).toMatchObject({ count: 1, freeInMs });
        expect(await renew(first.renewal)).toEqual({ kind: 'revoked' });
        expect(await renew(second.renewal)).toMatchObject({ kind: 'renewed' });
        expect(await force(first, true)).toMatchObject({ count: 1, freeInMs });
        expect(await owners()).toEqual(['second']);
        await release(second);
        expect((await confirm(writer)).kind).toBe('granted');
      });

      test('a forced release without a token revokes all leases, and their permits are free when each is over', async () => {
        const mode = (permits: number): Mode => ({ kind: 'permits', permits, limit: 3 });
        await held({ mode: mode(2), owner: 'two', ttlMs: 10_000 });
        await held({ mode: mode(1), owner: 'one', ttlMs: 20_000 });
        expect(await force()).toMatchObject({ count: 2, freeInMs: 20_000 + SKEW_ALLOWANCE_MS });
        expect((await tryOnce(asked({ mode: mode(1) }))).kind).toBe('contended');
        await h.pass(10_000 + SKEW_ALLOWANCE_MS);
        expect(await owners()).toEqual(['one']);
        expect((await tryOnce(asked({ mode: mode(2) }))).kind).toBe('granted');
        expect((await tryOnce(asked({ mode: mode(1) }))).kind).toBe('contended');
      });

      test('a forced release of one of several leases keeps a min_hold that another holder may have asked for', async () => {
        const first = await held({ mode: SHARED });
        await held({ mode: SHARED, minHoldMs: 60_000 });
        expect(await force(first, true)).toMatchObject({ count: 1, freeInMs: 60_000 });
        expect((await view()).minHoldRemainingMs).toBe(60_000);
      });
    });

    describe('an offer', () => {
      test('a forced release ends an offer at once, counts it, tells its call and makes the offer to the next waiter', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        await release(holder);
        expect(await force()).toMatchObject({ count: 1, freeInMs: 0 });
        await told('revoked', first);
        expect(await owners()).toEqual(['second']);
        expect(await confirm(first)).toEqual({ kind: 'gone' });
        expect(await h.locks.refresh(inTime())).toMatchObject([
          { acquisition: { leaseId: second.spec.leaseId }, callNumber: second.stamp.callNumber },
        ]);
        expect((await confirm(second)).kind).toBe('granted');
      });

      test('a forced release leaves waiters alone, and succeeds when there is nothing to revoke', async () => {
        await held();
        await inQueue('first');
        await inQueue('second');
        await force();
        expect((await view()).waiters.map(({ owner }) => owner)).toEqual(['first', 'second']);
        expect(
          await h.locks.forceRelease(
            { resource: 'free', fencingToken: undefined, immediate: true },
            inTime(),
          ),
        ).toMatchObject({ count: 0, freeInMs: 0 });
        expect(
          await h.locks.forceRelease({ resource: 'free', fencingToken: 7n, immediate: false }, inTime()),
        ).toMatchObject({ count: 0, freeInMs: 0 });
      });
    });

    describe('in a quarantine', () => {
      test('a forced release in a quarantine grants nothing before its end, even an immediate one', async () => {
        await held({ ttlMs: MAX_TTL_MS });
        const next = await inQueue('next');
        await h.beginReign();
        const leftMs = quarantineMs(MAX_TTL_MS);
        expect(await force(undefined, true)).toMatchObject({ count: 1, freeInMs: leftMs });
        expect(await owners()).toEqual([]);
        expect((await wait(next)).kind).toBe('queued');
        await h.pass(leftMs - 1);
        expect(await owners()).toEqual([]);
        await wait(next);
        await h.pass(1);
        expect(await owners()).toEqual(['next']);
      });

      test('a forced release in a quarantine revokes the lease, and its repeat, which waits for the end, does not get it back', async () => {
        const holder = await held({ ttlMs: MAX_TTL_MS });
        await h.beginReign();
        const { stamp } = asked();
        const repeat = { spec: holder.spec, stamp };
        expect((await wait(repeat)).kind).toBe('queued');
        expect(await force()).toMatchObject({ count: 1 });
        await told('revoked', repeat);
        expect((await view()).queueLength).toBe(0);
        expect(await wait(repeat)).toEqual({ kind: 'revoked' });
        expect(await renew(holder.renewal)).toEqual({ kind: 'revoked' });
      });

      test('a revoked lease stays revoked in a quarantine, and lapses like every other', async () => {
        const long = await held({ ttlMs: MAX_TTL_MS });
        await force();
        await h.beginReign();
        expect(await renew(long.renewal)).toEqual({ kind: 'revoked' });
        expect(await wait(long)).toEqual({ kind: 'revoked' });
        await h.pass(quarantineMs(MAX_TTL_MS));
        await held({ ttlMs: LAPSED_AFTER_ADOPTION_MS - SKEW_ALLOWANCE_MS - 1 });
        await force();
        await h.beginReign();
        expect(await renew(long.renewal)).toEqual({ kind: 'lost' });
        await h.pass(LAPSED_AFTER_ADOPTION_MS);
        expect(await owners()).toEqual([]);
      });
    });
  });
}
