// The rules of operations that every store keeps, one by one: the table of transitions, repeats, bounds, and the
// corners where one rule meets another. The common paths are in operation-store.suite.ts.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/domain/limits.ts';
import {
  type AttemptRef,
  OPERATION_STATES,
  type OperationState,
  TRANSITIONS,
  type Transition,
} from '../../src/domain/operation.ts';
import { quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { AttemptNotice } from '../../src/store/operation-store.ts';
import { inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';
import {
  DAY_MS,
  EXCLUSIVE_LOCK,
  HEARTBEAT_MS,
  KEY,
  OTHER,
  operationCalls,
  STALE_MS,
  STAMP,
} from '../support/store-operations.ts';

export function operationRulesSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`rules of operations: ${name}`, () => {
    let h: StoreHarness;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(() => h.close());

    const calls = operationCalls(() => h);
    const { begin, claim, started, claimed, update, complete, yieldIt, beat, get, state } = calls;
    const { cancel, retry, remove } = calls;

    const hold = async (resource = KEY.resource) => {
      const spec = leaseSpec({ resource, ttlMs: MAX_TTL_MS });
      const outcome = await h.locks.acquire({ spec, stamp: STAMP, mayWait: false }, inTime());
      if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
      return { resource, leaseId: spec.leaseId, fencingToken: outcome.lease.fencingToken };
    };

    describe('the table of transitions', () => {
      /** An operation in this state, and its last attempt. */
      async function broughtTo(wanted: OperationState): Promise<AttemptRef> {
        const attempt = await started({ maxAttempts: 1 });
        if (wanted === 'pending') await yieldIt(attempt);
        if (wanted === 'succeeded') await complete(attempt);
        if (wanted === 'failed') await complete(attempt, { transition: 'fail' });
        if (wanted === 'cancelled') await complete(attempt, { transition: 'stop' });
        if (wanted === 'dead') await h.pass(STALE_MS);
        expect(await state()).toBe(wanted);
        return attempt;
      }

      const attempts: Record<Exclude<Transition, 'giveUp'>, (attempt: AttemptRef) => Promise<unknown>> = {
        claim: () => claim(),
        succeed: (attempt) => complete(attempt),
        fail: (attempt) => complete(attempt, { transition: 'fail' }),
        stop: (attempt) => complete(attempt, { transition: 'stop' }),
        yield: (attempt) => yieldIt(attempt),
        cancel: () => cancel(),
        retry: () => retry(),
      };

      test.each(OPERATION_STATES)(
        'the table of transitions says what can happen to an operation that is %s',
        async (from) => {
          for (const [transition, attempt] of Object.entries(attempts)) {
            const ref = await broughtTo(from);
            const before = await get();
            await attempt(ref);
            const { from: allowed, to } = TRANSITIONS[transition as Transition];
            const isLive = transition === 'claim' && from === 'running'; // only a stale one is claimed
            const moves = (allowed as readonly OperationState[]).includes(from) && !isLive;
            expect(await state(), transition).toBe(moves ? to : from);
            // For a running operation, a cancel only asks; a call that the table does not allow changes nothing else.
            const asks = transition === 'cancel' && from === 'running';
            if (!moves && !asks) expect((await get())?.version, transition).toBe(before?.version);
            await h.close();
            h = await open();
          }
        },
      );

      test('a stale attempt is claimed again, or its operation is given up', async () => {
        await started({ maxAttempts: 2 });
        await h.pass(STALE_MS);
        expect(await state()).toBe('running');
        await claimed();
        await h.pass(STALE_MS);
        expect(await state()).toBe('dead');
      });
    });

    describe('repeats', () => {
      test('a mutation that is repeated with its request_id has no second effect', async () => {
        const requestId = randomUUID();
        const first = await started();
        await update(first, { requestId });
        await update(first, { progress: undefined, setLabels: new Map([['l', '1']]) });
        await update(first, { requestId, progress: 'remove' });
        expect(await get()).toMatchObject({ version: 3, progress: Uint8Array.from([1]) });

        await yieldIt(first, 0, requestId);
        const [second] = await claimed();
        if (!second) throw new Error('nothing claimed');
        expect(await yieldIt(first, 0, requestId)).toMatchObject({ operation: { state: 'running' } });

        await complete(second, { transition: 'fail', requestId });
        await retry({}, requestId);
        const [third] = await claimed();
        if (!third) throw new Error('nothing claimed');
        await complete(third, { transition: 'fail' });
        expect(await retry({}, requestId)).toMatchObject({ operation: { state: 'failed' } });
        expect(await complete(second, { transition: 'succeed', requestId })).toMatchObject({
          operation: { state: 'failed' },
        });

        await retry();
        await cancel({}, requestId);
        expect(await cancel({}, requestId)).toMatchObject({ operation: { state: 'cancelled' } });
        expect(await remove()).toEqual({ kind: 'deleted' });
        expect(await remove()).toEqual({ kind: 'absent' });
      });

      test('a repeated cancel that found one already asked for does not cancel an operation that was retried since', async () => {
        const requestId = randomUUID();
        const attempt = await started();
        await cancel();
        await cancel({}, requestId);
        await complete(attempt, { transition: 'fail' });
        await retry();
        expect(await cancel({}, requestId)).toMatchObject({ operation: { state: 'pending' } });
        expect(await cancel()).toMatchObject({ operation: { state: 'cancelled' } });
      });

      test('the last eight request_ids of an operation are remembered', async () => {
        const attempt = await started();
        const ids = Array.from({ length: 9 }, () => randomUUID());
        for (const [index, requestId] of ids.entries()) {
          await update(attempt, { requestId, progress: Uint8Array.from([index]) });
        }
        const again = (index: number) => update(attempt, { requestId: ids[index], progress: 'remove' });
        for (let index = 1; index < 9; index++) {
          expect(await again(index)).toMatchObject({ operation: { version: 10 } });
        }
        expect(await again(0)).toMatchObject({ operation: { version: 11, progress: undefined } });
      });

      test('a repeated update is a sign of life too', async () => {
        const attempt = await started();
        const requestId = randomUUID();
        await update(attempt, { requestId });
        await h.pass(HEARTBEAT_MS);
        expect(await update(attempt, { requestId })).toMatchObject({ operation: { version: 2 } });
        await h.pass(HEARTBEAT_MS);
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      });

      test('a repeated claim answers by its claim_id, including what was begun under it', async () => {
        const claimId = randomUUID();
        for (let index = 0; index < 3; index++) await begin({ operationId: `b${index}` }, { claimId });
        for (let index = 0; index < 3; index++) await begin({ operationId: `c${index}` });
        const ids = (refs: readonly AttemptRef[]) => refs.map(({ operationId }) => operationId);
        expect(ids(await claimed(claimId, 2))).toEqual(['c0', 'c1']);
        expect(ids(await claimed(claimId, 2))).toEqual(['c0', 'c1']);
        await begin({ operationId: 'c0' }, { claimId });
        expect(ids(await claimed(claimId, 2))).toEqual(['c0', 'c1']);
      });
    });

    test('a caller that waits for the attempt of another is told when that attempt is stale', async () => {
      await started();
      await h.pass(HEARTBEAT_MS + SKEW_ALLOWANCE_MS / 2);
      const refused = await begin({}, { claimId: randomUUID() });
      expect(refused).toEqual({ kind: 'attempt-held', retryAfterMs: SKEW_ALLOWANCE_MS / 2 });
      await h.pass(SKEW_ALLOWANCE_MS / 2);
      expect(await begin({}, { claimId: randomUUID() })).toMatchObject({ attempt: { number: 2 } });
    });

    test('a required lease must be held by the caller that starts the operation, even one that exists', async () => {
      const requireLease = await hold('other');
      await begin();
      await h.locks.release(requireLease, inTime());
      const claimId = randomUUID();
      expect(await begin({}, { claimId, requireLease })).toEqual({ kind: 'lease-required' });
      expect(await begin({}, { requireLease })).toMatchObject({ kind: 'begun', attempt: undefined });
      expect(await state()).toBe('pending');
      const held = await hold('other');
      expect(await begin({}, { claimId, requireLease: held })).toMatchObject({ attempt: { number: 1 } });
      // A repeat starts nothing: it gets the attempt, whatever happened to the lease.
      await h.locks.release(held, inTime());
      expect(await begin({}, { claimId, requireLease: held })).toMatchObject({ attempt: { number: 1 } });
    });

    test('an operation that is cancelled at the moment when its last attempt goes stale is dead', async () => {
      await started({ maxAttempts: 1, timeToLiveMs: 0 });
      await h.pass(STALE_MS - 1);
      await h.stepUnseen(1);
      expect(await cancel()).toEqual({ kind: 'wrong-state' });
      expect(await state()).toBe('dead');
    });

    test('a request to cancel outlives the attempt during which it was made', async () => {
      await started();
      await h.pass(STALE_MS - 1);
      await h.stepUnseen(1);
      expect(await cancel()).toMatchObject({ kind: 'changed', operation: { state: 'running' } });
      const [next] = await claimed();
      if (!next) throw new Error('nothing claimed');
      expect(await beat(next, OTHER)).toMatchObject({ kind: 'renewed', cancelReason: 'enough' });
    });

    test('a yielded operation is claimable after its delay, to the millisecond', async () => {
      await yieldIt(await started(), 5_000);
      await h.pass(4_999);
      expect(await claimed()).toEqual([]);
      await h.pass(1);
      expect(await claimed()).toHaveLength(1);
    });

    test('a version that a request names must be that of the record', async () => {
      const attempt = await started();
      expect(await update(attempt, { version: 1 })).toMatchObject({ operation: { version: 2 } });
      expect(await update(attempt, { version: 1 })).toEqual({ kind: 'version-mismatch' });
      await complete(attempt, { transition: 'fail' });
      const named = (version: number) => ({ ...KEY, version, requestId: '' });
      expect(await h.operations.retry(named(2), inTime())).toEqual({ kind: 'version-mismatch' });
      expect(await h.operations.retry(named(3), inTime())).toMatchObject({ kind: 'changed' });
      expect(await h.operations.delete(named(3), inTime())).toEqual({ kind: 'version-mismatch' });
      expect(await h.operations.delete(named(4), inTime())).toEqual({ kind: 'deleted' });
    });

    test('a stale operation counts as running: it is not deleted while a worker may recover it', async () => {
      await started();
      await h.pass(STALE_MS);
      expect(await remove()).toEqual({ kind: 'wrong-state' });
      expect(await claimed()).toHaveLength(1);
    });

    test('an exclusive operation is not retried beside another one, nor another one beside it', async () => {
      const first = await started({ operationId: 'a', exclusive: true });
      await complete(first, { transition: 'fail' });
      const second = await started({ operationId: 'b' });
      await begin({ operationId: 'c' });
      expect(await retry({ operationId: 'a' })).toEqual({ kind: 'open' });
      await complete(second, { transition: 'fail' });
      expect(await retry({ operationId: 'a' })).toEqual({ kind: 'open' });
      await remove({ operationId: 'c' });
      expect(await retry({ operationId: 'a' })).toMatchObject({ kind: 'changed' });
      expect(await retry({ operationId: 'b' })).toEqual({ kind: 'open' });
      expect(await begin({ operationId: 'd' })).toEqual({ kind: 'open' });
      expect(await begin({ operationId: 'a', exclusive: true })).toMatchObject({ kind: 'begun' });
      expect(await begin({ operationId: 'e', resource: 'another', exclusive: true })).toMatchObject({
        kind: 'begun',
      });
    });

    test.each([
      [
        'revoked by an administrator',
        'lease-lost',
        (l: AttemptRef) =>
          h.locks.forceRelease({ resource: l.resource, fencingToken: undefined, immediate: false }, inTime()),
      ],
      [
        'released by its id',
        'lease-lost',
        (l: AttemptRef) => h.locks.release({ resource: l.resource, leaseId: l.claimId }, inTime()),
      ],
    ] as const)('an attempt whose lease is %s is stale, and its stream is told', async (_, reason, end) => {
      const attempt = await started({ lock: EXCLUSIVE_LOCK });
      const heard: AttemptNotice[] = [];
      const stop = h.operations.onAttemptNotice((notice) => heard.push(notice));
      await end(attempt);
      await expect
        .poll(() => heard)
        .toEqual([{ kind: 'look', claimId: attempt.claimId, callNumber: STAMP.callNumber }]);
      stop();
      expect(await beat(attempt)).toEqual({ kind: 'lost', reason });
      expect(await update(attempt)).toEqual({ kind: 'stale-attempt' });
      expect(await complete(attempt)).toEqual({ kind: 'stale-attempt' });
      expect(await yieldIt(attempt)).toEqual({ kind: 'stale-attempt' });
      await h.pass(STALE_MS);
      expect(await claimed()).toMatchObject([{ operationId: KEY.operationId }]);
    });

    describe('a claim passes over', () => {
      const many = LIMITS.looksPerPage + 50;
      const beginAll = (overrides: object) =>
        Promise.all(
          Array.from({ length: many }, (_, index) => begin({ ...overrides, operationId: String(index) })),
        );

      test('a claim passes over any number of operations whose resource is held', {
        timeout: 60_000,
      }, async () => {
        await hold();
        await beginAll({ lock: EXCLUSIVE_LOCK });
        expect(await claim()).toMatchObject({ claimed: [], blockedOn: [KEY.resource] });
        await begin({ resource: 'free', operationId: 'last', lock: EXCLUSIVE_LOCK });
        expect(await claimed()).toMatchObject([{ operationId: 'last' }]);
      });

      test('a claim passes over any number of operations of other resources', {
        timeout: 60_000,
      }, async () => {
        await beginAll({});
        await begin({ resource: 'mine', operationId: 'last' });
        expect(await claim(randomUUID(), { resourcePrefix: 'min' })).toMatchObject({
          claimed: [{ operation: { operationId: 'last' } }],
        });
      });
    });

    test('a page has at most about a mebibyte, and all pages together have everything', async () => {
      const data = new Uint8Array(LIMITS.defaultPayloadBytes);
      for (let index = 0; index < 70; index++) await begin({ operationId: String(index + 10), data });
      const failed = await started({ operationId: 'failed' });
      await complete(failed, { transition: 'fail', outcome: data });
      const filter = { types: [], states: [], labels: new Map() };
      const sizes: number[] = [];
      let after: { resource: string; operationId: string } | undefined;
      do {
        const page = await h.operations.list({ filter, after, most: 500, withPayloads: true }, inTime());
        sizes.push(page.operations.length);
        after = page.last;
      } while (after);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(71);
      expect(Math.max(...sizes) * data.length).toBeLessThan(LIMITS.pageBytes + 2 * data.length);
      const bare = await h.operations.list({ filter, after, most: 500, withPayloads: false }, inTime());
      expect(bare.operations).toHaveLength(71);
    });

    // The lease clock takes a whole day at once only when a reign begins.
    test('each record stays for its retention, and nothing of it stays longer, through a month', {
      timeout: 120_000,
    }, async () => {
      const retention = { succeededMs: 7 * DAY_MS, failedMs: DAY_MS / 2, cancelledMs: 0, deadMs: 2 * DAY_MS };
      const counts: number[] = [];
      for (let day = 0; day < 30; day++) {
        const own = { retention, timeToLiveMs: DAY_MS / 4, maxAttempts: 1 };
        const begun = (what: string, more: object = {}) =>
          started({ ...own, ...more, operationId: `${what}-${day}`, resource: `r-${day % 4}` });
        await complete(await begun('done', { lock: EXCLUSIVE_LOCK }), { releaseLease: true });
        await complete(await begun('failed'), { transition: 'fail' });
        await complete(await begun('stopped'), { transition: 'stop' });
        await begun('lost');
        await begin({ ...own, operationId: `never-${day}` });
        await h.pass(STALE_MS);
        await h.passUnseen(DAY_MS - STALE_MS);
        await h.beginReign();
        await h.pass(quarantineMs(MAX_TTL_MS));
        counts.push(await h.recorded());
      }
      // What is left from the last seven days is the successes; from the last two, the dead: lost at once, or given up
      // a day later.
      expect(new Set(counts.slice(7)).size).toBe(1);
      expect(counts.at(-1)).toBeLessThanOrEqual(7 + 2 * 2);
      await h.passUnseen(8 * DAY_MS);
      await h.pass(1_000);
      expect(await h.recorded()).toBe(0);
      expect(await h.remembered()).toBe(0);
    });

    test('times to live and retentions of zero and of a year are kept to the millisecond', async () => {
      const yearMs = 365 * DAY_MS;
      const retention = { succeededMs: yearMs, failedMs: 0, cancelledMs: yearMs, deadMs: yearMs };
      const attempt = await started({ retention, timeToLiveMs: yearMs });
      const open = await get();
      expect((open?.expiresAtWallMs ?? 0) - (open?.createdAtWallMs ?? 0)).toBe(yearMs);
      await complete(attempt);
      const done = await get();
      expect((done?.expiresAtWallMs ?? 0) - (done?.finishedAtWallMs ?? 0)).toBe(yearMs);
      const failing = await started({ operationId: 'b', retention });
      await complete(failing, { transition: 'fail' });
      await h.pass(1);
      expect(await get('b')).toBe(undefined);
    });
  });
}
