// How every lock store must let callers wait and hand over: queues, offers, modes. waiting.test.ts runs this for each,
// without exemptions.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallStamp, LeaseSpec, Mode } from '../../src/domain/lock.ts';
import { quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { Notice } from '../../src/store/lock-store.ts';
import { eventually } from '../support/eventually.ts';
import { INSTANCE_ID, inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';

const OFFER_MS = 1_000;
const FORGET_MS = 30_000;
const SHARED: Mode = { kind: 'shared' };

function permits(n: number, limit: number): Mode {
  return { kind: 'permits', permits: n, limit };
}

export function waitingSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`waiting: ${name}`, () => {
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

    function asked(overrides: Partial<LeaseSpec> = {}, instanceId = INSTANCE_ID): Asked {
      return { spec: leaseSpec(overrides), stamp: { instanceId, callNumber: ++calls } };
    }

    const tryOnce = ({ spec, stamp }: Asked) => h.locks.acquire({ spec, stamp, mayWait: false }, inTime());
    const wait = ({ spec, stamp }: Asked) => h.locks.acquire({ spec, stamp, mayWait: true }, inTime());
    const confirm = ({ spec, stamp }: Asked) => h.locks.confirm({ spec, stamp }, inTime());
    const release = ({ spec }: Asked) => h.locks.release(spec, inTime());
    const leave = ({ spec, stamp }: Asked, keepPlaceMs = 0) =>
      h.locks.leave({ resource: spec.resource, leaseId: spec.leaseId, stamp, keepPlaceMs }, inTime());
    const owners = async (resource = 'invoice:42') =>
      (await h.locks.get(resource, inTime())).holders.map((holder) => holder.owner);
    const queued = async (resource = 'invoice:42') =>
      (await h.locks.get(resource, inTime())).waiters.map((waiter) => waiter.owner);

    async function held(overrides: Partial<LeaseSpec> = {}): Promise<Asked> {
      const ask = asked({ owner: 'holder', ...overrides });
      expect((await tryOnce(ask)).kind).toBe('granted');
      return ask;
    }

    async function inQueue(
      owner: string,
      overrides: Partial<LeaseSpec> = {},
      instanceId?: string,
    ): Promise<Asked> {
      const ask = asked({ owner, ...overrides }, instanceId);
      expect((await wait(ask)).kind).toBe('queued');
      return ask;
    }

    async function told(kind: Notice['kind'], { spec, stamp }: Asked): Promise<void> {
      await eventually(
        () =>
          notices.some(
            (notice) =>
              notice.kind === kind &&
              notice.kind !== 'resync' &&
              notice.callNumber === stamp.callNumber &&
              notice.acquisition.leaseId === spec.leaseId &&
              notice.acquisition.resource === spec.resource,
          ),
        { what: `the notice ${kind}`, withinMs: 5_000, everyMs: 2 },
      );
    }

    describe('the queue', () => {
      test('a queue hands over in the order of arrival, in the step that releases, and tells the instance', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        expect(await queued()).toEqual(['first', 'second']);
        await release(holder);
        expect(await owners()).toEqual(['first']);
        expect(await queued()).toEqual(['second']);
        await told('offered', first);
        expect(await confirm(first)).toMatchObject({ kind: 'granted' });
        await release(first);
        expect(await owners()).toEqual(['second']);
        await told('offered', second);
      });

      test('a waiter is told its position, from 1', async () => {
        await held();
        for (const position of [1, 2, 3]) {
          expect(await wait(asked())).toMatchObject({ kind: 'queued', position });
        }
      });

      test('nobody overtakes a waiter', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        expect((await confirm(first)).kind).toBe('granted');
        const late = await inQueue('late');
        const intruder = asked({ owner: 'intruder' });
        expect(await tryOnce(intruder)).toMatchObject({
          kind: 'contended',
          contention: { reason: 'held', queueLength: 1 },
        });
        await release(first);
        expect(await tryOnce(intruder)).toMatchObject({ kind: 'contended' });
        expect((await confirm(late)).kind).toBe('granted');
      });

      test('a waiter is granted the lock when the lease of the holder lapses', async () => {
        await held({ ttlMs: 5_000 });
        const first = await inQueue('first');
        await h.pass(5_000 + SKEW_ALLOWANCE_MS);
        await told('offered', first);
        expect((await confirm(first)).kind).toBe('granted');
      });

      test('the next waiter is told when the leases that block it may lapse', async () => {
        const holder = await held();
        await inQueue('first');
        const second = await inQueue('second');
        await release(holder);
        await told('next', second);
      });

      test('tokens grow from hand-over to hand-over', async () => {
        const holder = await held();
        const asks = [await inQueue('a'), await inQueue('b'), await inQueue('c')];
        await release(holder);
        let last = 0n;
        for (const ask of asks) {
          const outcome = await confirm(ask);
          const token = outcome.kind === 'granted' ? outcome.lease.fencingToken : 0n;
          expect(token).toBeGreaterThan(last);
          last = token;
          await release(ask);
        }
      });

      test('a release takes a waiter out of the queue at once, and its call is told', async () => {
        await held();
        const first = await inQueue('first');
        await inQueue('second');
        expect(await release(first)).toEqual({ kind: 'dequeued' });
        await told('released', first);
        expect(await queued()).toEqual(['second']);
      });

      test('a waiter whose lease id tries without waiting leaves the queue', async () => {
        await held();
        const first = await inQueue('first');
        expect((await tryOnce(first)).kind).toBe('contended');
        expect(await queued()).toEqual([]);
      });

      test('an empty queue leaves nothing behind', async () => {
        const holder = await held({ ttlMs: 10_000 });
        const asks = [];
        for (let i = 0; i < 20; i++) asks.push(await inQueue(`w${i}`));
        for (const ask of asks) expect(await leave(ask)).toBe(true);
        await release(holder);
        expect(await h.remembered()).toBe(0);
      });
    });

    describe('an offer', () => {
      test('a confirmation makes an offer a lease of full length, whose bounds count from then on', async () => {
        const holder = await held();
        const first = await inQueue('first', { ttlMs: 10_000, minHoldMs: 60_000 });
        await release(holder);
        await h.pass(500);
        const outcome = await confirm(first);
        expect(outcome).toMatchObject({ kind: 'granted' });
        await h.pass(9_000);
        expect(await owners()).toEqual(['first']);
        await release(first);
        expect((await h.locks.get('invoice:42', inTime())).minHoldRemainingMs).toBe(51_000);
      });

      test('a grant by hand-over says how long it took since the resource was free, a repeat and another grant do not', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        await release(holder);
        await h.pass(300);
        expect(await confirm(first)).toMatchObject({ kind: 'granted', isRepeat: false, handoverMs: 300 });
        expect(await confirm(first)).not.toHaveProperty('handoverMs');
        await release(first);
        await h.pass(200);
        expect(await wait(second)).toMatchObject({ kind: 'granted', isRepeat: false, handoverMs: 200 });
        await release(second);
        const third = await tryOnce(asked());
        expect(third).toMatchObject({ kind: 'granted', isRepeat: false });
        expect(third).not.toHaveProperty('handoverMs');
      });

      test('an offer that is not confirmed lapses, marks its instance as absent and is made to the next waiter', async () => {
        const holder = await held();
        const dead = await inQueue('dead', {}, 'dead-instance');
        const alsoDead = await inQueue('also dead', {}, 'dead-instance');
        const alive = await inQueue('alive');
        await release(holder);
        expect(await owners()).toEqual(['dead']);
        await h.pass(OFFER_MS);
        await told('offered', alive);
        expect(await owners()).toEqual(['alive']);
        expect((await confirm(dead)).kind).toBe('gone');
        expect(await queued()).toEqual([]);
        // It comes back: its other waiter still has its place.
        expect((await confirm(alive)).kind).toBe('granted');
        await inQueue('later');
        expect(await wait(alsoDead)).toMatchObject({ kind: 'queued', position: 1 });
      });

      test('an offer is given back by the call that left, and by no other', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        await release(holder);
        expect(await leave({ ...first, stamp: { ...first.stamp, callNumber: 0 } })).toBe(false);
        expect(await owners()).toEqual(['first']);
        expect(await leave(first)).toBe(true);
        expect(await owners()).toEqual(['second']);
        await told('offered', second);
      });

      test('an offer that was confirmed is not given back: a late leave does not touch the lease', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        await confirm(first);
        expect(await leave(first)).toBe(false);
        expect(await owners()).toEqual(['first']);
      });

      test('an offer that a newer call resumed is neither confirmed nor given back by the older one', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        const newer = { spec: first.spec, stamp: { instanceId: 'other', callNumber: 1 } };
        expect((await tryOnce(newer)).kind).toBe('granted');
        await told('moved', first);
        expect((await confirm(first)).kind).toBe('gone');
        expect(await leave(first)).toBe(false);
        expect(await owners()).toEqual(['first']);
      });

      test.each([
        ['stream', 101],
        ['unary call', 102],
      ])(
        'the offer to a %s can be released: it was no lease, and nothing of it is left',
        async (_, callNumber) => {
          const holder = await held();
          const only = { ...asked(), stamp: { instanceId: INSTANCE_ID, callNumber } };
          await wait(only);
          await release(holder);
          expect(await release(only)).toEqual({ kind: 'dequeued' });
          expect(await h.locks.refresh(inTime())).toEqual([]);
          expect(await h.remembered()).toBe(0);
        },
      );

      test('a refresh finds an offer whose notice was lost, until it is confirmed', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        const { resource, leaseId } = first.spec;
        expect(await h.locks.refresh(inTime())).toEqual([
          { acquisition: { resource, leaseId }, callNumber: first.stamp.callNumber },
        ]);
        await confirm(first);
        expect(await h.locks.refresh(inTime())).toEqual([]);
      });

      test('an offer is not renewed', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        const [shown] = (await h.locks.get('invoice:42', inTime())).holders;
        const renewal = { ...first.spec, fencingToken: shown?.fencingToken ?? 0n };
        expect(await h.locks.renew([renewal], inTime())).toEqual([{ kind: 'lost' }]);
      });
    });

    describe('a grant by hand-over', () => {
      test('a grant by hand-over is new when it is confirmed, and a repeat from then on', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        expect(await confirm(first)).toMatchObject({ kind: 'granted', isRepeat: false });
        expect(await confirm(first)).toMatchObject({ kind: 'granted', isRepeat: true });
        expect(await wait(first)).toMatchObject({ kind: 'granted', isRepeat: true });
      });

      test('a grant by hand-over is new when its call, or a newer one, asks instead of confirming: nobody was told of it', async () => {
        for (const owner of ['own', 'newer']) {
          const holder = await held({ resource: owner });
          const first = await inQueue(owner, { resource: owner });
          await release(holder);
          const asks = owner === 'own' ? first : { spec: first.spec, stamp: asked().stamp };
          expect(await wait(asks)).toMatchObject({ kind: 'granted', isRepeat: false });
        }
      });
    });

    describe('a lease that its caller was not told of', () => {
      test('a lease that its caller was not told of is given back, with its min_hold, by the call that speaks for it and by no other', async () => {
        const told = await held({ minHoldMs: 60_000 });
        const back = (stamp: CallStamp) =>
          h.locks.leave({ ...told.spec, stamp, keepPlaceMs: 0, giveBack: true }, inTime());
        expect(await back({ instanceId: 'other', callNumber: 1 })).toBe(false);
        expect(await owners()).toEqual(['holder']);
        expect(await back(told.stamp)).toBe(true);
        expect((await tryOnce(asked())).kind).toBe('granted');
      });

      test.each([
        ['ended already', true],
        ['still lives', false],
      ])('takes its own min_hold along, and not that of a lease which %s', async (_, hasEnded) => {
        const holder = await held();
        const told = await inQueue('told', { mode: SHARED, minHoldMs: 10_000 });
        const untold = await inQueue('untold', { mode: SHARED, minHoldMs: 60_000 });
        await release(holder);
        for (const one of [told, untold]) expect((await confirm(one)).kind).toBe('granted');
        if (hasEnded) await release(told);
        const { resource, leaseId } = untold.spec;
        const { stamp } = untold;
        const left = h.locks.leave({ resource, leaseId, stamp, keepPlaceMs: 0, giveBack: true }, inTime());
        expect(await left).toBe(true);
        expect((await h.locks.get(resource, inTime())).minHoldRemainingMs).toBe(10_000);
        await h.pass(10_000);
        expect((await tryOnce(asked({ mode: SHARED }))).kind).toBe('granted');
      });
    });

    describe('a fencing token', () => {
      test('a fencing token is valid while its lease lives, and no other token is', async () => {
        const check = (token: bigint, resource = 'invoice:42') =>
          h.locks.checkFencingToken(resource, token, inTime());
        const holder = await held({ ttlMs: 5_000 });
        const token = (await h.locks.get('invoice:42', inTime())).holders[0]?.fencingToken ?? 0n;
        expect(await check(token)).toBe(true);
        expect(await check(token + 1n)).toBe(false);
        expect(await check(token, 'another')).toBe(false);
        await inQueue('next');
        await h.pass(5_000 + SKEW_ALLOWANCE_MS);
        expect(await check(token)).toBe(false);
        const offered = (await h.locks.get('invoice:42', inTime())).holders[0]?.fencingToken ?? 0n;
        expect(offered).toBeGreaterThan(token);
        expect(await check(offered)).toBe(false); // nobody was told of it
        await release(holder);
      });
    });

    describe('a detached waiter', () => {
      test('a detached waiter is passed over, and keeps its place for the same lease id', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        await inQueue('third');
        expect(await leave(first, 5_000)).toBe(true);
        expect(await queued()).toEqual(['second', 'third']);
        await h.pass(4_000);
        const again = { spec: first.spec, stamp: { instanceId: 'other', callNumber: 9 } };
        expect(await wait(again)).toMatchObject({ kind: 'queued', position: 1 });
        expect(await leave(again, 5_000)).toBe(true);
        await release(holder);
        expect(await owners()).toEqual(['second']);
        await told('offered', second);
      });

      test('a detached waiter is still one of its mode when the resource is free, and is granted by its place', async () => {
        const holder = await held();
        const first = await inQueue('first', { mode: SHARED });
        await leave(first, 5_000);
        await release(holder);
        const other = { ...first, spec: { ...first.spec, mode: { kind: 'exclusive' as const } } };
        expect(await wait(other)).toMatchObject({ kind: 'reused' });
        expect(await wait(first)).toMatchObject({ kind: 'granted', isRepeat: false });
        await release(first);
        expect(await h.remembered()).toBe(0);
      });

      test('a detached waiter that does not come back is forgotten', async () => {
        await held({ ttlMs: 30_000 });
        const first = await inQueue('first');
        await inQueue('second');
        await leave(first, 5_000);
        await h.pass(5_000);
        expect(await wait(first)).toMatchObject({ kind: 'queued', position: 2 });
      });

      test('a detached waiter of an absent instance is forgotten after a while', async () => {
        const holder = await held();
        const dead = await inQueue('dead', {}, 'dead-instance');
        const alsoDead = await inQueue('also dead', {}, 'dead-instance');
        await release(holder);
        await h.pass(OFFER_MS + FORGET_MS);
        expect(await h.remembered()).toBe(0);
        expect((await tryOnce(alsoDead)).kind).toBe('granted');
        expect((await confirm(dead)).kind).toBe('gone');
      });
    });

    describe('a waiter that does not ask again', () => {
      test('a waiter that does not ask again is forgotten, wherever it is in the queue', async () => {
        const holder = await held({ ttlMs: 30_000 });
        const token = (await h.locks.get('invoice:42', inTime())).holders[0]?.fencingToken ?? 0n;
        await inQueue('dead', {}, 'dead-instance');
        const alive = await inQueue('alive');
        await inQueue('also dead', {}, 'dead-instance');
        for (let passed = 0; passed < FORGET_MS; passed += 10_000) {
          await h.pass(10_000);
          await wait(alive);
          await h.locks.renew([{ ...holder.spec, fencingToken: token }], inTime());
        }
        expect(await queued()).toEqual(['alive']);
      });
    });

    describe('the same lease id', () => {
      test('a newer call with the same lease id keeps the place in the queue, and the older call is told', async () => {
        await held();
        const first = await inQueue('first');
        await inQueue('second');
        const newer = { spec: first.spec, stamp: { instanceId: 'other', callNumber: 1 } };
        expect(await wait(newer)).toMatchObject({ kind: 'queued', position: 1 });
        await told('moved', first);
        expect(await leave(first)).toBe(false);
        expect(await queued()).toEqual(['first', 'second']);
      });

      test('a request with the same lease id in another mode is refused', async () => {
        const holder = await held();
        const first = await inQueue('first');
        expect(await tryOnce({ ...holder, spec: { ...holder.spec, mode: SHARED } })).toEqual({
          kind: 'reused',
        });
        expect(await wait({ ...first, spec: { ...first.spec, mode: permits(1, 2) } })).toEqual({
          kind: 'reused',
        });
      });
    });

    describe('modes', () => {
      test('shared leases are held together, and not beside an exclusive one', async () => {
        await held({ mode: SHARED, owner: 'r1' });
        await held({ mode: SHARED, owner: 'r2' });
        expect((await tryOnce(asked())).kind).toBe('contended');
        expect((await tryOnce(asked({ mode: permits(1, 5) }))).kind).toBe('contended');
        expect((await owners()).sort()).toEqual(['r1', 'r2']);
      });

      test('readers do not starve a writer, since none overtakes it', async () => {
        const reader = await held({ mode: SHARED, owner: 'r1' });
        const writer = await inQueue('writer');
        const late = asked({ mode: SHARED, owner: 'r2' });
        expect(await tryOnce(late)).toMatchObject({ kind: 'contended', contention: { reason: 'ahead' } });
        expect((await wait(late)).kind).toBe('queued');
        await release(reader);
        expect(await owners()).toEqual(['writer']);
        await confirm(writer);
        await release(writer);
        expect(await owners()).toEqual(['r2']);
      });

      test('a hand-over grants all readers up to the next writer', async () => {
        const holder = await held();
        const asks = [];
        for (const owner of ['r1', 'r2', 'r3']) asks.push(await inQueue(owner, { mode: SHARED }));
        await inQueue('writer');
        await inQueue('r4', { mode: SHARED });
        await release(holder);
        expect((await owners()).sort()).toEqual(['r1', 'r2', 'r3']);
        expect(await queued()).toEqual(['writer', 'r4']);
      });

      test('1,200 readers behind a writer are granted by its release and two looks at the queue, each of which follows at once', async () => {
        const writer = await held();
        const readers = Array.from({ length: 1_200 }, () => asked({ mode: SHARED }));
        await Promise.all(readers.map(wait));
        notices.length = 0;
        await release(writer);
        const nexts = () => notices.filter((notice) => notice.kind === 'next');
        const offered = () => notices.filter(({ kind }) => kind === 'offered').length;
        let looks = 0;
        for (;;) {
          const isTold = () => offered() === 1_200 || nexts().length > looks;
          await eventually(isTold, { what: 'grants, or who is next', withinMs: 5_000, everyMs: 1 });
          if (offered() === 1_200) break;
          looks++;
          await h.locks.advance(writer.spec.resource, inTime());
        }
        expect(looks).toBeLessThanOrEqual(2);
        // So the instance of the next one looks at once, and waits for no tick.
        for (const next of nexts()) expect(next).toMatchObject({ blockedForMs: 0 });
        const lock = await h.locks.get(writer.spec.resource, inTime());
        expect(lock).toMatchObject({ holderCount: 1_200, queueLength: 0 });
      });

      test('a leaving writer lets the readers behind it in', async () => {
        await held({ mode: SHARED, owner: 'r1' });
        const writer = await inQueue('writer');
        await inQueue('r2', { mode: SHARED });
        await leave(writer);
        expect((await owners()).sort()).toEqual(['r1', 'r2']);
      });

      test('permits add up to the limit', async () => {
        await held({ mode: permits(2, 5) });
        const two = await held({ mode: permits(3, 5) });
        expect((await tryOnce(asked({ mode: permits(1, 5) }))).kind).toBe('contended');
        await release(two);
        await held({ mode: permits(1, 5) });
        await held({ mode: permits(2, 5) });
        expect((await tryOnce(asked({ mode: permits(1, 5) }))).kind).toBe('contended');
      });

      test('the smallest limit of the held permits counts', async () => {
        const small = await held({ mode: permits(1, 2) });
        await held({ mode: permits(1, 10) });
        expect((await tryOnce(asked({ mode: permits(1, 10) }))).kind).toBe('contended');
        await release(small);
        await held({ mode: permits(8, 10) });
        expect((await tryOnce(asked({ mode: permits(1, 9) }))).kind).toBe('contended');
      });

      test('a grant of permits says which limit is in force, the smallest that a holder names', async () => {
        const inForce = (limit: number | undefined) => ({ kind: 'granted', lease: { permitsLimit: limit } });
        const small = asked({ mode: permits(1, 3) });
        expect(await tryOnce(small)).toMatchObject(inForce(3));
        const large = asked({ mode: permits(2, 10) });
        expect(await tryOnce(large)).toMatchObject(inForce(3));
        expect(await tryOnce(large)).toMatchObject({ isRepeat: true, ...inForce(3) });
        const next = await inQueue('next', { mode: permits(1, 10) });
        await release(small);
        await told('offered', next);
        expect(await confirm(next)).toMatchObject(inForce(10));
        const other = await tryOnce(asked({ resource: 'other' }));
        expect(other.kind === 'granted' && other.lease.permitsLimit).toBe(undefined);
      });

      test('a waiter for many permits is not starved by waiters for few', async () => {
        const holder = await held({ mode: permits(3, 4) });
        const large = await inQueue('large', { mode: permits(4, 4) });
        expect(await tryOnce(asked({ mode: permits(1, 4) }))).toMatchObject({
          kind: 'contended',
          contention: { reason: 'ahead' },
        });
        await release(holder);
        expect(await owners()).toEqual(['large']);
        expect((await confirm(large)).kind).toBe('granted');
      });

      test('a lapsed reader frees only its own share', async () => {
        await held({ mode: permits(1, 2), ttlMs: 1_000, owner: 'short' });
        await held({ mode: permits(1, 2), ttlMs: 20_000, owner: 'long' });
        const next = await inQueue('next', { mode: permits(1, 2) });
        await h.pass(1_000 + SKEW_ALLOWANCE_MS);
        expect((await confirm(next)).kind).toBe('granted');
        expect((await owners()).sort()).toEqual(['long', 'next']);
      });
    });

    describe('in a quarantine', () => {
      test('waiters keep their places in a quarantine, and the first is granted the lock at its end', async () => {
        const holder = await held();
        const first = await inQueue('first');
        const second = await inQueue('second');
        await h.beginReign();
        await release(holder);
        const third = asked({ owner: 'third' });
        expect(await wait(third)).toMatchObject({ kind: 'queued', position: 3 });
        await h.pass(20_000);
        for (const ask of [first, second, third]) await wait(ask);
        await h.pass(quarantineMs(MAX_TTL_MS) - 20_000 - 1);
        expect(await owners()).toEqual([]);
        await h.pass(1);
        expect(await owners()).toEqual(['first']);
        await told('offered', first);
      });

      test('a call that waits for its own lease is granted another in the step that finds that it has lapsed', async () => {
        const holder = await held();
        await h.beginReign();
        const again = { spec: holder.spec, stamp: { instanceId: INSTANCE_ID, callNumber: ++calls } };
        await wait(again);
        await h.pass(20_000);
        expect((await wait(again)).kind).toBe('queued');
        await h.passUnseen(quarantineMs(MAX_TTL_MS) - 20_000);
        await h.locks.advance('invoice:42', inTime());
        expect(await owners()).toEqual(['holder']);
        await told('offered', again);
      });

      test('a call that comes right after a quarantine, before anything was handed over, overtakes nobody', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await h.beginReign();
        await release(holder);
        await h.pass(20_000);
        await wait(first);
        await h.passUnseen(quarantineMs(MAX_TTL_MS) - 20_000);
        expect((await tryOnce(asked({ owner: 'late' }))).kind).toBe('contended');
        expect(await owners()).toEqual(['first']);
        await told('offered', first);
      });

      test('an offer of the former reign is not confirmed', async () => {
        const holder = await held();
        const first = await inQueue('first');
        await release(holder);
        await h.beginReign();
        expect((await confirm(first)).kind).toBe('gone');
        expect((await wait(first)).kind).toBe('queued');
      });

      test('an offer of the former reign can be given back, and its lapse makes no instance absent', async () => {
        const [holder, waiter] = [await held(), await inQueue('waiter')];
        const other = await held({ resource: 'other' });
        const second = await inQueue('second', { resource: 'other' });
        for (const one of [holder, other]) await release(one);
        await h.beginReign();
        expect(await leave(waiter)).toBe(true);
        expect((await release(waiter)).kind).toBe('absent');
        const third = await inQueue('third', { resource: 'other' });
        await h.pass(quarantineMs(MAX_TTL_MS) - 1);
        for (const ask of [second, third]) await wait(ask);
        await h.pass(1);
        expect((await confirm(second)).kind).toBe('granted');
      });

      test('a repeated confirmation is not answered in a quarantine, although its lease lives on', async () => {
        const holder = await held();
        const first = await inQueue('first', { ttlMs: 30_000 });
        await release(holder);
        expect((await confirm(first)).kind).toBe('granted');
        await h.beginReign();
        expect((await confirm(first)).kind).toBe('gone');
      });

      test('a repeat of a grant waits for the end of a quarantine, and then gets the same lease', async () => {
        const holder = await held({ ttlMs: 30_000 });
        const token = (await h.locks.get('invoice:42', inTime())).holders[0]?.fencingToken ?? 0n;
        const second = await inQueue('second');
        await h.beginReign();
        const again = { spec: holder.spec, stamp: { instanceId: INSTANCE_ID, callNumber: ++calls } };
        expect(await wait(again)).toMatchObject({ kind: 'queued', position: 1 });
        for (let passed = 0; passed < quarantineMs(MAX_TTL_MS); passed += 10_000) {
          await h.pass(10_000);
          await wait(second);
          if (passed < 20_000) await wait(again);
          const [renewal] = await h.locks.renew([{ ...holder.spec, fencingToken: token }], inTime());
          expect(renewal?.kind).toBe('renewed');
        }
        await told('offered', again);
        const same = { kind: 'granted', isRepeat: true, lease: { fencingToken: token } };
        expect(await confirm(again)).toMatchObject(same);
        // The same holds if the notice was lost: the hand-over put the stamp of this call on a lease that is not its
        // own.
        expect(await wait(again)).toMatchObject(same);
        expect(await queued()).toEqual(['second']);
      });
    });
  });
}
