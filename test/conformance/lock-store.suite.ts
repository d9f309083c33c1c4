// What every lock store must do. lock-store.test.ts runs this for each, without exemptions.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AcquireOutcome, CallStamp, Lease, LeaseSpec, RenewOutcome } from '../../src/domain/lock.ts';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { RenewCommand } from '../../src/store/lock-store.ts';
import { INSTANCE_ID, inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';

const QUARANTINE_MS = quarantineMs(MAX_TTL_MS);

export function lockStoreSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`lock store: ${name}`, () => {
    let h: StoreHarness;
    let calls = 0;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(async () => {
      await h.close();
    });

    const nextStamp = (instanceId = INSTANCE_ID) => ({ instanceId, callNumber: ++calls });
    const acquire = (spec: LeaseSpec, stamp: CallStamp = nextStamp()): Promise<AcquireOutcome> =>
      h.locks.acquire({ spec, stamp, mayWait: false }, inTime());
    const release = ({ resource, leaseId }: LeaseSpec) => h.locks.release({ resource, leaseId }, inTime());

    async function granted(spec: LeaseSpec, stamp: CallStamp = nextStamp()): Promise<Lease> {
      const outcome = await acquire(spec, stamp);
      if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
      return outcome.lease;
    }

    async function renew(spec: LeaseSpec, token: bigint, ttlMs = spec.ttlMs): Promise<RenewOutcome> {
      const command = { resource: spec.resource, leaseId: spec.leaseId, fencingToken: token, ttlMs };
      return renewOne(command);
    }

    async function renewOne(command: RenewCommand): Promise<RenewOutcome> {
      const [outcome] = await h.locks.renew([command], inTime());
      if (!outcome) throw new Error('no outcome');
      return outcome;
    }

    async function renewed(spec: LeaseSpec, token: bigint, ttlMs = spec.ttlMs): Promise<Lease> {
      const outcome = await renew(spec, token, ttlMs);
      if (outcome.kind !== 'renewed') throw new Error(`not renewed but ${outcome.kind}`);
      return outcome.lease;
    }

    /**
     * How long a lease lasts from now on, by the store's wall clock, compared with an earlier answer of the same store.
     */
    const extendedBy = (before: Lease, after: Lease) => after.expiresAtWallMs - before.expiresAtWallMs;

    describe('acquire', () => {
      test('a free resource is granted for the TTL, with a token', async () => {
        const before = performance.now();
        const spec = leaseSpec();
        const lease = await granted(spec);
        expect(lease.resource).toBe(spec.resource);
        expect(lease.leaseId).toBe(spec.leaseId);
        expect(lease.fencingToken).toBeGreaterThan(0n);
        expect(lease.deadlineMs).toBeGreaterThanOrEqual(before + spec.ttlMs);
        // Counted from before the store was asked: never later than the TTL from now.
        expect(lease.deadlineMs).toBeLessThanOrEqual(performance.now() + spec.ttlMs);
      });

      test('a lease lasts for the largest TTL at most, whatever its caller asks for', async () => {
        await granted(leaseSpec({ ttlMs: MAX_TTL_MS + 30_000 }));
        const timeLeftMs = MAX_TTL_MS + SKEW_ALLOWANCE_MS;
        expect(await acquire(leaseSpec())).toMatchObject({ kind: 'contended', contention: { timeLeftMs } });
      });

      test('a resource that someone else holds is refused, with the holder but without the lease id', async () => {
        const holder = leaseSpec({ metadata: new Map([['job', 'nightly']]) });
        const lease = await granted(holder);
        const outcome = await acquire(leaseSpec({ owner: 'other' }));
        expect(outcome).toMatchObject({
          kind: 'contended',
          contention: {
            resource: holder.resource,
            reason: 'held',
            timeLeftMs: holder.ttlMs + SKEW_ALLOWANCE_MS,
          },
        });
        if (outcome.kind !== 'contended') return;
        const [seen] = outcome.contention.holders;
        expect(seen).toMatchObject({
          leaseIdHash: leaseIdHash(holder.leaseId),
          owner: holder.owner,
          mode: { kind: 'exclusive' },
          fencingToken: lease.fencingToken,
        });
        expect([...(seen?.metadata ?? [])]).toEqual([['job', 'nightly']]);
        expect(JSON.stringify(outcome, (_, v) => (typeof v === 'bigint' ? v.toString() : v))).not.toContain(
          holder.leaseId,
        );
      });

      test('a second acquire with the same lease id is the same acquisition: it keeps the token and extends the lease', async () => {
        const spec = leaseSpec();
        const first = await granted(spec);
        await h.pass(5_000);
        const second = await granted(spec);
        expect(second.fencingToken).toBe(first.fencingToken);
        expect(extendedBy(first, second)).toBe(5_000);
      });

      test('a grant says whether the lease existed before, whichever call spoke for it', async () => {
        const spec = leaseSpec();
        const stamp = nextStamp();
        const ask = (by: CallStamp) => h.locks.acquire({ spec, stamp: by, mayWait: false }, inTime());
        expect(await ask(stamp)).toMatchObject({ kind: 'granted', isRepeat: false });
        expect(await ask(stamp)).toMatchObject({ kind: 'granted', isRepeat: true });
        const late = nextStamp('another');
        expect(await ask(late)).toMatchObject({ kind: 'granted', isRepeat: true });
        // Its first answer is lost, and it asks again: the lease now has its stamp, and still isn't its own.
        expect(await ask(late)).toMatchObject({ kind: 'granted', isRepeat: true });
        await release(spec);
        expect(await ask(late)).toMatchObject({ kind: 'granted', isRepeat: false });
      });

      test('an acquire that is repeated with a smaller TTL never brings the deadline forward', async () => {
        const spec = leaseSpec({ ttlMs: 20_000 });
        const first = await granted(spec);
        const second = await granted({ ...spec, ttlMs: 1_000 });
        expect(extendedBy(first, second)).toBe(0);
      });

      test('one of a thousand simultaneous acquires wins', async () => {
        const specs = Array.from({ length: 1_000 }, () => leaseSpec());
        const outcomes = await Promise.all(specs.map((spec) => acquire(spec)));
        expect(outcomes.filter((o) => o.kind === 'granted')).toHaveLength(1);
        expect(outcomes.filter((o) => o.kind === 'contended')).toHaveLength(999);
      });

      test('resources stay apart, whatever their names contain', async () => {
        const names = [
          'a',
          '{a}',
          '{',
          '}',
          '{}',
          ':',
          'a:b',
          'meta',
          'lock:a',
          '0',
          '__proto__',
          'ä',
          'a ',
          '*',
          '?',
          '\\',
        ];
        for (const resource of names) await granted(leaseSpec({ resource, owner: resource }));
        for (const resource of names) {
          const view = await h.locks.get(resource, inTime());
          expect(view.holders.map((holder) => holder.owner)).toEqual([resource]);
        }
        expect(await h.remembered()).toBe(names.length);
      });

      test('metadata is kept as it was given, whatever its keys', async () => {
        const metadata = new Map([
          ['__proto__', 'x'],
          ['constructor', 'y'],
          ['toString', 'ü "quoted"\\ and more'],
        ]);
        await granted(leaseSpec({ metadata }));
        const view = await h.locks.get('invoice:42', inTime());
        expect(view.holders[0]?.metadata).toEqual(metadata);
      });

      test('an acquire whose caller no longer waits does nothing', async () => {
        const spec = leaseSpec();
        const late = h.locks.acquire(
          { spec, stamp: nextStamp(), mayWait: false },
          { deadlineMs: performance.now() - 1 },
        );
        await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
        expect((await h.locks.get(spec.resource, inTime())).holders).toEqual([]);
      });
    });

    describe('expiry', () => {
      test('a lapsed lease frees the resource when the deadline and the skew allowance have passed, not before', async () => {
        const first = await granted(leaseSpec({ ttlMs: 10_000 }));
        await h.pass(10_000 + SKEW_ALLOWANCE_MS - 1);
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        await h.pass(1);
        const second = await granted(leaseSpec());
        expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
      });

      test('a lapsed lease is not renewed, and its release ends nothing', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const { fencingToken } = await granted(spec);
        await h.pass(10_000 + SKEW_ALLOWANCE_MS);
        expect((await renew(spec, fencingToken)).kind).toBe('lost');
        expect((await release(spec)).kind).not.toBe('released');
      });

      test('a lapsed lease leaves nothing behind', async () => {
        for (let i = 0; i < 250; i++) await granted(leaseSpec({ resource: `r-${i}`, ttlMs: 5_000 }));
        const kept = leaseSpec({ resource: 'kept', ttlMs: 30_000 });
        await granted(kept);
        await h.pass(5_000 + SKEW_ALLOWANCE_MS);
        expect(await h.remembered()).toBe(1);
        expect((await release(kept)).kind).toBe('released');
        expect(await h.remembered()).toBe(0);
      });

      test('a lapsed lease is counted once, whatever finds it first, and an end of another kind is not', async () => {
        const count = () => h.expiredLeases();
        const specOf = async (overrides: Partial<LeaseSpec>): Promise<LeaseSpec> => {
          const spec = leaseSpec(overrides);
          await granted(spec);
          return spec;
        };
        await release(await specOf({ resource: 'released' }));
        const kept = await specOf({ resource: 'kept', mode: { kind: 'shared' } });
        expect(await count()).toBe(0);
        await specOf({ resource: 'ticked', ttlMs: 5_000 });
        await h.pass(5_000 + SKEW_ALLOWANCE_MS);
        expect(await count()).toBe(1);
        await h.pass(1_000);
        for (const resource of ['acquired', 'revoked', 'freed']) await specOf({ resource, ttlMs: 100 });
        const late = await specOf({ resource: 'released late', ttlMs: 100 });
        const force = (resource: string, immediate: boolean) =>
          h.locks.forceRelease({ resource, fencingToken: undefined, immediate }, inTime());
        await force('revoked', false);
        await force('freed', true);
        await h.pass(200);
        await h.stepUnseen(SKEW_ALLOWANCE_MS);
        await granted(leaseSpec({ resource: 'acquired' }));
        expect((await release(late)).kind).not.toBe('released');
        await h.step(1);
        expect(await count()).toBe(3);
        expect((await release(kept)).kind).toBe('released');
        await h.pass(1_000);
        expect(await count()).toBe(3);
      });

      test('a lock that is renewed past its first deadline is not forgotten', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const { fencingToken } = await granted(spec);
        for (let i = 0; i < 5; i++) {
          await h.pass(8_000);
          await renewed(spec, fencingToken);
          expect(await h.remembered()).toBe(1);
        }
        expect((await acquire(leaseSpec())).kind).toBe('contended');
      });
    });

    describe('renew', () => {
      test('a renewal extends the lease to the TTL from now', async () => {
        const spec = leaseSpec({ ttlMs: 20_000 });
        const lease = await granted(spec);
        await h.pass(6_000);
        const after = await renewed(spec, lease.fencingToken);
        expect(after.fencingToken).toBe(lease.fencingToken);
        expect(extendedBy(lease, after)).toBe(6_000);
      });

      test('a renewal without a TTL takes that of the grant', async () => {
        const spec = leaseSpec({ ttlMs: 7_000 });
        const lease = await granted(spec);
        await h.pass(3_000);
        expect(extendedBy(lease, await renewed(spec, lease.fencingToken, 0))).toBe(3_000);
      });

      test('a renewal never brings the deadline forward', async () => {
        const spec = leaseSpec({ ttlMs: 20_000 });
        const lease = await granted(spec);
        expect(extendedBy(lease, await renewed(spec, lease.fencingToken, 1_000))).toBe(0);
      });

      test('a renewal is refused for another token, another lease id or another resource', async () => {
        const spec = leaseSpec();
        const { fencingToken } = await granted(spec);
        expect((await renew(spec, fencingToken + 1n)).kind).toBe('lost');
        expect((await renew({ ...spec, leaseId: randomUUID() }, fencingToken)).kind).toBe('lost');
        expect((await renew({ ...spec, resource: 'another' }, fencingToken)).kind).toBe('lost');
      });

      test('a renewal by a stream counts only while its call speaks for the lease', async () => {
        const spec = leaseSpec();
        const first = nextStamp('instance-1');
        const second = nextStamp('instance-2');
        const outcome = await h.locks.acquire({ spec, stamp: first, mayWait: false }, inTime());
        const fencingToken = outcome.kind === 'granted' ? outcome.lease.fencingToken : 0n;
        const command = { resource: spec.resource, leaseId: spec.leaseId, fencingToken, ttlMs: spec.ttlMs };
        expect((await renewOne({ ...command, stamp: first })).kind).toBe('renewed');
        await h.locks.acquire({ spec, stamp: second, mayWait: false }, inTime());
        expect((await renewOne({ ...command, stamp: first })).kind).toBe('moved');
        expect((await renewOne({ ...command, stamp: second })).kind).toBe('renewed');
        expect((await renewOne(command)).kind).toBe('renewed');
      });
    });

    describe('release', () => {
      test('a release frees the resource at once, and says whether it did', async () => {
        const spec = leaseSpec();
        const first = await granted(spec);
        expect((await release(spec)).kind).toBe('released');
        expect((await release(spec)).kind).toBe('absent');
        const second = await granted(leaseSpec());
        expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
      });

      test('a release says for how long the lease was held', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const { fencingToken } = await granted(spec);
        await h.pass(8_000);
        await renewed(spec, fencingToken);
        await h.pass(4_000);
        expect(await release(spec)).toEqual({ kind: 'released', heldMs: 12_000, wasOver: false });
      });

      test('the token and the deadline of a lease tell when it was granted', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const lease = await granted(spec);
        await h.pass(8_000);
        const after = await renewed(spec, lease.fencingToken);
        expect(after.expiresAtWallMs - Number(after.fencingToken) / 1_000).toBeCloseTo(18_000, 0);
      });

      test('a release that finds its lease lapsed says for how long it was recorded, unless a stream has kept it', async () => {
        const [unary, stream] = ['unary', 'stream'].map((resource) => leaseSpec({ resource, ttlMs: 10_000 }));
        if (!unary || !stream) throw new Error('there are two');
        await granted(unary, { instanceId: INSTANCE_ID, callNumber: 1_000 });
        await granted(stream, { instanceId: INSTANCE_ID, callNumber: 1_001 });
        await h.pass(11_000);
        await h.stepUnseen(1_000); // they have lapsed, but nothing has looked at them
        expect(await release(unary)).toMatchObject({ kind: 'lapsed', heldMs: 12_000 });
        expect(await release(unary)).toEqual({ kind: 'absent' });
        expect(await release(stream)).toEqual({ kind: 'absent' }); // its stream has told of it
      });

      test('a release by a former holder does not touch the next one', async () => {
        const former = leaseSpec({ ttlMs: 1_000 });
        await granted(former);
        await h.pass(1_000 + SKEW_ALLOWANCE_MS);
        const next = leaseSpec();
        const { fencingToken } = await granted(next);
        expect((await release(former)).kind).toBe('absent');
        expect((await renew(next, fencingToken)).kind).toBe('renewed');
      });

      test('a release of a resource that nobody ever locked answers absent', async () => {
        expect((await release(leaseSpec({ resource: 'never locked' }))).kind).toBe('absent');
        expect(await h.remembered()).toBe(0);
      });
    });

    describe('min_hold', () => {
      test('a min_hold keeps the resource taken after a release, from everybody', async () => {
        const spec = leaseSpec({ minHoldMs: 60_000 });
        await granted(spec);
        await h.pass(10_000);
        expect((await release(spec)).kind).toBe('released');
        const refused = {
          kind: 'contended',
          contention: { reason: 'min-hold', holders: [], timeLeftMs: 50_000 },
        };
        expect(await acquire(leaseSpec())).toMatchObject(refused);
        expect(await acquire(spec)).toMatchObject(refused);
        expect(await h.locks.get(spec.resource, inTime())).toEqual({
          resource: spec.resource,
          holders: [],
          holderCount: 0,
          permitsHeld: 0,
          permitsLimit: 0,
          waiters: [],
          queueLength: 0,
          minHoldRemainingMs: 50_000,
        });
        await h.pass(49_999);
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        await h.pass(1);
        await granted(leaseSpec());
      });

      test('a min_hold keeps the resource taken after a lapse too, and is forgotten afterwards', async () => {
        await granted(leaseSpec({ ttlMs: 1_000, minHoldMs: 30_000 }));
        await h.pass(10_000);
        expect(await acquire(leaseSpec())).toMatchObject({
          kind: 'contended',
          contention: { timeLeftMs: 20_000 },
        });
        expect(await h.remembered()).toBe(1);
        await h.pass(20_000);
        expect(await h.remembered()).toBe(0);
      });

      test('a min_hold is that of its grant, and the next grant brings its own', async () => {
        await granted(leaseSpec({ ttlMs: 1_000, minHoldMs: 5_000 }));
        await h.pass(5_000);
        const next = leaseSpec();
        await granted(next);
        await release(next);
        await granted(leaseSpec());
      });
    });

    describe('max_hold', () => {
      test('no renewal and no repeat passes max_hold', async () => {
        const spec = leaseSpec({ ttlMs: 10_000, maxHoldMs: 25_000 });
        const lease = await granted(spec);
        await h.pass(9_000);
        await renewed(spec, lease.fencingToken);
        await h.pass(9_000);
        const last = await renewed(spec, lease.fencingToken);
        expect(extendedBy(lease, last)).toBe(15_000); // 25 s after the grant, not 28 s
        expect(extendedBy(last, await granted(spec))).toBe(0);
        await h.pass(7_000 + SKEW_ALLOWANCE_MS);
        expect((await renew(spec, lease.fencingToken)).kind).toBe('lost');
      });

      test('a max_hold shorter than the TTL bounds the first deadline', async () => {
        const before = performance.now();
        const lease = await granted(leaseSpec({ ttlMs: 10_000, maxHoldMs: 4_000 }));
        expect(lease.deadlineMs - before).toBeLessThan(5_000);
      });
    });

    describe('a step of the system clock', () => {
      test('a step of the system clock forwards ends no lease early by more than the allowance that it carries', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const { fencingToken } = await granted(spec);
        await h.step(60_000);
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        await h.pass(9_999); // the holder's own deadline lies 1 ms ahead
        expect((await acquire(leaseSpec())).kind).toBe('contended');
        expect((await renew(spec, fencingToken)).kind).toBe('renewed');
      });

      test('a step of the system clock by a year drops no lock', async () => {
        const spec = leaseSpec();
        const { fencingToken } = await granted(spec);
        await h.step(365 * 86_400_000);
        expect((await renew(spec, fencingToken)).kind).toBe('renewed');
      });

      test('after a step of the system clock backwards, leases still end and tokens still grow', async () => {
        const first = await granted(leaseSpec({ ttlMs: 5_000 }));
        await h.step(-3_600_000);
        // The lease clock first gives back what it may have got too much: it stands still for as long as the allowance.
        await h.pass(5_000 + 2 * SKEW_ALLOWANCE_MS);
        const second = await granted(leaseSpec({ ttlMs: 5_000 }));
        expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
      });
    });

    describe('a new reign', () => {
      test('a new reign grants nothing until its quarantine is over, and then gives larger tokens', async () => {
        const before = leaseSpec({ resource: 'before' });
        const lease = await granted(before);
        await release(before);
        await h.beginReign();
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: QUARANTINE_MS });
        await h.pass(QUARANTINE_MS - 1);
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: 1 });
        await h.pass(1);
        expect((await granted(leaseSpec())).fencingToken).toBeGreaterThan(lease.fencingToken);
      });

      test('a new reign does not repeat a recorded grant, which may never have been confirmed, but renews it by its token', async () => {
        const spec = leaseSpec({ ttlMs: 20_000 });
        const { fencingToken } = await granted(spec);
        await h.beginReign();
        expect((await acquire(spec)).kind).toBe('quarantined');
        expect((await renew(spec, fencingToken)).kind).toBe('renewed');
        for (let passed = 0; passed < QUARANTINE_MS; passed += 10_000) {
          await h.pass(10_000);
          expect((await renew(spec, fencingToken)).kind).toBe('renewed');
        }
        expect((await granted(spec)).fencingToken).toBe(fencingToken);
      });

      test('a resource that is released in a quarantine is free only when the quarantine is over', async () => {
        const spec = leaseSpec();
        await granted(spec);
        await h.beginReign();
        expect((await release(spec)).kind).toBe('released');
        expect((await acquire(leaseSpec())).kind).toBe('quarantined');
        await h.pass(QUARANTINE_MS);
        await granted(leaseSpec());
      });

      test('a new reign renews no inherited lease near its deadline, and keeps its resource taken until then', async () => {
        const near = leaseSpec({ resource: 'near', ttlMs: 10_000 });
        const far = leaseSpec({ resource: 'far', ttlMs: 10_000 });
        const nearLease = await granted(near);
        // The recorded deadline carries the skew allowance.
        await h.pass(10_000 + SKEW_ALLOWANCE_MS - LAPSED_AFTER_ADOPTION_MS);
        await h.pass(1);
        const farLease = await granted(far);
        await h.beginReign();
        expect((await renew(near, nearLease.fencingToken)).kind).toBe('lost');
        expect((await renew(far, farLease.fencingToken)).kind).toBe('renewed');
        expect((await h.locks.get('near', inTime())).holders).toHaveLength(1);
        await h.pass(LAPSED_AFTER_ADOPTION_MS - 1);
        expect((await h.locks.get('near', inTime())).holders).toEqual([]);
      });

      test('a new reign in the quarantine of another never ends it earlier', async () => {
        await h.beginReign();
        await h.pass(20_000);
        await h.beginReign();
        expect(await acquire(leaseSpec())).toEqual({ kind: 'quarantined', retryAfterMs: QUARANTINE_MS });
      });

      test('who goes together with the holders is told to come back when the quarantine ends, however long they hold', async () => {
        const mode = { kind: 'shared' as const };
        const holder = leaseSpec({ mode, ttlMs: 20_000 });
        const { fencingToken } = await granted(holder);
        await h.beginReign();
        await h.pass(15_000);
        expect((await renew(holder, fencingToken)).kind).toBe('renewed');
        await h.pass(15_000);
        expect((await renew(holder, fencingToken)).kind).toBe('renewed');
        const retryAfterMs = QUARANTINE_MS - 30_000;
        expect(await acquire(leaseSpec({ mode }))).toEqual({ kind: 'quarantined', retryAfterMs });
        expect(await acquire(holder)).toEqual({ kind: 'quarantined', retryAfterMs });
      });

      test('the holder of a lease that a new reign no longer renews can release it, which frees the resource', async () => {
        const spec = leaseSpec({ ttlMs: 3_000 });
        const { fencingToken } = await granted(spec, { instanceId: INSTANCE_ID, callNumber: 1_000 });
        await h.beginReign();
        expect((await renew(spec, fencingToken)).kind).toBe('lost');
        expect(await release(spec)).toEqual({ kind: 'released', heldMs: 0, wasOver: false });
        expect((await h.locks.get(spec.resource, inTime())).holders).toEqual([]);
      });

      test('time in which nobody was primary ends no lease and keeps it from being renewed, and the clock never goes back', async () => {
        const spec = leaseSpec({ ttlMs: 30_000 });
        const { fencingToken } = await granted(spec);
        await h.beginReign(-10_000);
        expect((await renew(spec, fencingToken)).kind).toBe('renewed');
        await h.beginReign(30_000 + SKEW_ALLOWANCE_MS);
        expect((await renew(spec, fencingToken)).kind).toBe('lost');
        const [holder] = (await h.locks.get(spec.resource, inTime())).holders;
        expect(holder).toMatchObject({ fencingToken, remainingMs: 30_000 });
      });
    });

    describe('get', () => {
      test('a resource that nobody ever locked is shown as free', async () => {
        expect(await h.locks.get('never locked', inTime())).toEqual({
          resource: 'never locked',
          holders: [],
          holderCount: 0,
          permitsHeld: 0,
          permitsLimit: 0,
          waiters: [],
          queueLength: 0,
          minHoldRemainingMs: 0,
        });
      });

      test('a held resource is shown with its holder and the time left', async () => {
        const spec = leaseSpec({ ttlMs: 10_000 });
        const lease = await granted(spec);
        await h.pass(4_000);
        const view = await h.locks.get(spec.resource, inTime());
        expect(view.holders).toEqual([
          {
            leaseIdHash: leaseIdHash(spec.leaseId),
            owner: spec.owner,
            mode: { kind: 'exclusive' },
            fencingToken: lease.fencingToken,
            acquiredAtWallMs: lease.expiresAtWallMs - 10_000,
            remainingMs: 6_000 + SKEW_ALLOWANCE_MS,
            metadata: new Map(),
            revoked: false,
          },
        ]);
      });

      test('a lapsed lease is not shown', async () => {
        const spec = leaseSpec({ ttlMs: 1_000 });
        await granted(spec);
        await h.pass(1_000 + SKEW_ALLOWANCE_MS);
        expect((await h.locks.get(spec.resource, inTime())).holders).toEqual([]);
      });
    });
  });
}
