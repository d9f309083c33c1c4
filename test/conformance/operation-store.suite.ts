// What every store of operations must do, one behaviour at a time. random-operations.test.ts checks that both do the
// same in every other order of events.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quarantineMs, recoveryRoomMs } from '../../src/domain/safety.ts';
import { ATTEMPTS_USED_UP, TIME_TO_LIVE_OVER } from '../../src/domain/status-bytes.ts';
import type { OperationStore } from '../../src/store/operation-store.ts';
import { inTime, leaseSpec, MAX_TTL_MS, type StoreHarness } from '../support/store-harness.ts';
import {
  DONE,
  EXCLUSIVE_LOCK,
  HEARTBEAT_MS,
  OTHER,
  operationCalls,
  STALE_MS,
  STAMP,
} from '../support/store-operations.ts';

export function operationStoreSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`operations: ${name}`, () => {
    let h: StoreHarness;
    let store: OperationStore;

    beforeEach(async () => {
      h = await open();
      store = h.operations;
    });
    afterEach(() => h.close());

    const calls = operationCalls(() => h);
    const { begin, claim, started, claimed, update, complete, yieldIt, beat, look, get, state } = calls;

    test('an operation begins once: the same content is the same operation, other content is refused', async () => {
      expect(await begin({}, { requestId: 'r' })).toMatchObject({ kind: 'begun', created: true });
      expect(await begin({ owner: 'other' })).toMatchObject({
        created: false,
        operation: { owner: 'billing' },
      });
      expect(await begin({}, { requestId: 'r' })).toMatchObject({ created: true, operation: { version: 1 } });
      expect(await begin({ contentHash: 'another' })).toEqual({ kind: 'exists' });
    });

    test('each operation goes to one of fifty claimers, the oldest first', async () => {
      for (let i = 0; i < 10; i++) await begin({ operationId: String(9 - i) });
      const all = await Promise.all(Array.from({ length: 50 }, () => claimed()));
      const got = all.flat().map(({ operationId }) => operationId);
      expect(got.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => String(i)));
      expect(got[0]).toBe('9');
      expect(await claimed()).toEqual([]);
    });

    test('a repeated claim gets the attempts that it already has, and no more', async () => {
      await begin({ operationId: 'a' });
      await begin({ operationId: 'b' });
      const id = randomUUID();
      const [first] = await claimed(id);
      expect((await claimed(id, 2)).map(({ fencingToken }) => fencingToken)).toEqual([first?.fencingToken]);
      // This holds even when the same call asks twice: the first answer to its repeat may have been lost.
      const another = { stamp: { instanceId: 'another', callNumber: 2 } };
      expect(await claim(id, another)).toMatchObject({ isRepeat: true });
      expect(await claim(id, another)).toMatchObject({ isRepeat: true });
      if (first) await complete(first);
      expect(await claimed(id, 2)).toEqual([]);
      expect(await claimed()).toHaveLength(1);
    });

    test('a stale attempt is claimed again, and every write of the former worker is refused', async () => {
      const former = await started();
      await h.pass(STALE_MS - 1);
      expect(await claimed()).toEqual([]);
      await h.pass(1);
      expect(await update(former)).toEqual({ kind: 'stale-attempt' }); // nobody has claimed it yet
      const [next] = await claimed();
      expect(next?.fencingToken).toBeGreaterThan(former.fencingToken);
      expect(await update(former)).toEqual({ kind: 'stale-attempt' });
      expect(await complete(former)).toEqual({ kind: 'stale-attempt' });
      expect(await yieldIt(former)).toEqual({ kind: 'stale-attempt' });
      expect(await beat(former)).toEqual({ kind: 'lost', reason: 'superseded' });
      expect(await get()).toMatchObject({ state: 'running', attemptNumber: 2, progress: undefined });
    });

    test('heartbeats and updates keep an attempt alive, and change the version only with the record', async () => {
      const attempt = await started();
      for (let i = 0; i < 5; i++) {
        await h.pass(HEARTBEAT_MS - 1_000);
        expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      }
      expect(await get()).toMatchObject({ state: 'running', version: 1 });
      expect(await update(attempt)).toMatchObject({ kind: 'changed', operation: { version: 2 } });
      expect(await update(attempt)).toMatchObject({ kind: 'changed', operation: { version: 2 } });
      expect(await update(attempt, { version: 1, progress: undefined })).toEqual({
        kind: 'version-mismatch',
      });
    });

    test('a look at an attempt tells how it stands, and is no heartbeat and no take-over', async () => {
      const attempt = await started();
      await h.pass(HEARTBEAT_MS - 1_000);
      expect(await look(attempt)).toMatchObject({ kind: 'renewed', attempt: { claimId: attempt.claimId } });
      expect(await look(attempt, OTHER, true)).toEqual({ kind: 'moved' });
      await calls.cancel();
      expect(await look(attempt)).toMatchObject({ kind: 'renewed', cancelReason: 'enough' });
      await h.pass(STALE_MS - HEARTBEAT_MS + 1_000);
      expect(await look(attempt)).toMatchObject({ kind: 'lost' });
    });

    test('an operation whose attempts are used up is dead, and a yielded attempt does not count', async () => {
      await begin({ maxAttempts: 2 });
      for (let i = 0; i < 2; i++) {
        const [attempt] = await claimed();
        if (attempt && i === 0) await yieldIt(attempt);
      }
      await h.pass(STALE_MS);
      expect(await claimed()).toHaveLength(1);
      await h.pass(STALE_MS);
      expect(await get()).toMatchObject({
        state: 'dead',
        outcome: { kind: 'error', value: ATTEMPTS_USED_UP },
      });
      expect(await claimed()).toEqual([]);
      await store.retry({ resource: 'invoice:42', operationId: 'send', version: 0, requestId: '' }, inTime());
      expect(await get()).toMatchObject({ state: 'pending', attemptsCounted: 0, attemptNumber: 3 });
    });

    test('a repeated request has no second effect, whatever it was', async () => {
      const attempt = await started();
      const requestId = randomUUID();
      await update(attempt, { requestId });
      expect(await update(attempt, { requestId, progress: 'remove' })).toMatchObject({
        operation: { version: 2, progress: DONE },
      });
      await complete(attempt, { requestId });
      expect(await complete(attempt, { requestId, transition: 'fail' })).toMatchObject({
        operation: { state: 'succeeded', version: 3 },
      });
      expect(await complete(attempt)).toEqual({ kind: 'wrong-state' });
    });

    test('the newest call speaks for an attempt', async () => {
      const attempt = await started();
      expect(await beat(attempt, OTHER)).toEqual({ kind: 'moved' });
      expect(await beat(attempt, OTHER, true)).toMatchObject({ kind: 'renewed' });
      expect(await beat(attempt, STAMP)).toEqual({ kind: 'moved' });
    });

    test('a cancel ends a pending operation, and asks the worker of a running one', async () => {
      const key = { resource: 'invoice:42', operationId: 'send' };
      const attempt = await started();
      await store.cancel({ ...key, reason: 'enough', requestId: '' }, inTime());
      expect(await beat(attempt)).toMatchObject({ kind: 'renewed', cancelReason: 'enough' });
      await complete(attempt, { transition: 'stop' });
      expect(await store.cancel({ ...key, reason: '', requestId: '' }, inTime())).toMatchObject({
        kind: 'changed',
      });
      await begin({ operationId: 'pending' });
      await store.cancel({ ...key, operationId: 'pending', reason: 'enough', requestId: '' }, inTime());
      expect(await get('pending')).toMatchObject({ state: 'cancelled', outcome: { kind: 'error' } });
    });

    describe('with a lock', () => {
      const lock = EXCLUSIVE_LOCK;

      test('an attempt with a lock is the lease: one token and one deadline, taken and given back in one step', async () => {
        const attempt = await started({ lock });
        expect(attempt).toMatchObject({
          lease: { leaseId: attempt.claimId, fencingToken: attempt.fencingToken },
        });
        const waiter = leaseSpec({ resource: 'invoice:42' });
        expect(await h.locks.acquire({ spec: waiter, stamp: STAMP, mayWait: true }, inTime())).toMatchObject({
          kind: 'queued',
        });
        await complete(attempt, { releaseLease: true });
        expect(await h.locks.confirm({ spec: waiter, stamp: STAMP }, inTime())).toMatchObject({
          kind: 'granted',
        });
      });

      test('an attempt whose lease is gone is stale, and a held lease keeps other workers from the operation', async () => {
        const attempt = await started({ lock });
        await h.locks.release({ resource: 'invoice:42', leaseId: attempt.claimId }, inTime());
        expect(await update(attempt)).toEqual({ kind: 'stale-attempt' });
        expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'lease-lost' });
        await h.locks.acquire(
          { spec: leaseSpec({ resource: 'invoice:42', ttlMs: 30_000 }), stamp: STAMP, mayWait: false },
          inTime(),
        );
        await h.pass(STALE_MS);
        expect(await claim()).toMatchObject({ kind: 'claimed', claimed: [], blockedOn: ['invoice:42'] });
        await h.pass(MAX_TTL_MS);
        expect(await claimed()).toHaveLength(1);
      });

      test('a begin that finds its resource taken records nothing', async () => {
        await h.locks.acquire(
          { spec: leaseSpec({ resource: 'invoice:42' }), stamp: STAMP, mayWait: false },
          inTime(),
        );
        const outcome = await begin({ lock }, { claimId: randomUUID() });
        expect(outcome).toMatchObject({ kind: 'contended', contention: { reason: 'held' } });
        expect(await get()).toBe(undefined);
      });
    });

    test('an exclusive operation is the only open one of its resource', async () => {
      await begin({ operationId: 'a' });
      expect(await begin({ operationId: 'b', exclusive: true })).toEqual({ kind: 'open' });
      const [attempt] = await claimed();
      if (attempt) await complete(attempt);
      expect(await begin({ operationId: 'b', exclusive: true })).toMatchObject({ kind: 'begun' });
      expect(await begin({ operationId: 'c' })).toEqual({ kind: 'open' });
    });

    test('a begin that requires a lease is refused unless that lease is held', async () => {
      const leaseId = randomUUID();
      const granted = await h.locks.acquire(
        { spec: leaseSpec({ resource: 'r', leaseId }), stamp: STAMP, mayWait: false },
        inTime(),
      );
      if (granted.kind !== 'granted') throw new Error('a free lock is granted');
      const { fencingToken } = granted.lease;
      const requireLease = { resource: 'r', leaseId, fencingToken };
      const wrong = { ...requireLease, fencingToken: fencingToken + 1n };
      expect(await begin({}, { requireLease: wrong })).toEqual({ kind: 'lease-required' });
      expect(await begin({}, { requireLease })).toMatchObject({ kind: 'begun' });
    });

    test('a time to live ends a pending operation; a stale one can still be recovered, even through a quarantine', async () => {
      await begin({ operationId: 'pending', timeToLiveMs: 15_000 });
      await started({ timeToLiveMs: 15_000 });
      await h.pass(STALE_MS);
      await h.beginReign();
      await h.pass(quarantineMs(MAX_TTL_MS));
      expect(await get('pending')).toMatchObject({ state: 'dead', outcome: { value: TIME_TO_LIVE_OVER } });
      expect(await claimed()).toHaveLength(1);
      await h.pass(STALE_MS + recoveryRoomMs(MAX_TTL_MS));
      expect(await state()).toBe('dead');
    });

    test('in a quarantine no operation starts, and running ones go on', async () => {
      const attempt = await started();
      await begin({ operationId: 'waits' });
      await h.beginReign();
      for (const refused of [
        await claim(),
        await begin({ operationId: 'new' }, { claimId: randomUUID() }),
        await begin({ operationId: 'new', exclusive: true }),
      ]) {
        expect(refused).toMatchObject({ kind: 'quarantined' });
      }
      expect(await beat(attempt)).toMatchObject({ kind: 'renewed' });
      expect(await complete(attempt)).toMatchObject({ kind: 'changed' });
      await h.pass(quarantineMs(MAX_TTL_MS));
      expect(await claimed()).toHaveLength(1);
    });

    test('an inherited attempt near its deadline counts as stale', async () => {
      const attempt = await started();
      await h.pass(HEARTBEAT_MS - 3_000);
      await h.beginReign();
      expect(await beat(attempt)).toEqual({ kind: 'lost', reason: 'expired' });
    });

    test('pages of operations neither skip nor repeat a record that stays', async () => {
      const ids = ['a', 'a b', 'B', 'é', '\u{1F600}', '\u{FB01}'];
      for (const operationId of ids) await begin({ operationId });
      const found: string[] = [];
      let after: { resource: string; operationId: string } | undefined;
      do {
        const filter = { types: [], states: [], labels: new Map() };
        const page = await store.list({ filter, after, most: 2, withPayloads: false }, inTime());
        found.push(...page.operations.map(({ operationId }) => operationId));
        await begin({ operationId: `A${found.length}` }); // before or after: what stays is told once
        after = page.last;
      } while (after);
      expect(found.filter((id) => ids.includes(id))).toEqual(
        ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
      expect(new Set(found).size).toBe(found.length);
    });

    test('labels have limits, which count the existing ones too', async () => {
      const attempt = await started({ labels: new Map([['a', '1']]) });
      const many = new Map(Array.from({ length: 16 }, (_, i) => [`k${i}`, 'v']));
      expect(await update(attempt, { setLabels: many })).toEqual({ kind: 'labels-full' });
      expect(await update(attempt, { setLabels: many, removeLabels: ['a'] })).toMatchObject({
        kind: 'changed',
      });
    });

    test('an update that removes a label and sets it again as it was changes nothing', async () => {
      const attempt = await started({ labels: new Map([['a', '1']]) });
      const again = { progress: undefined, removeLabels: ['a'] };
      const same = await update(attempt, { ...again, setLabels: new Map([['a', '1']]) });
      expect(same).toMatchObject({ operation: { version: 1, labels: new Map([['a', '1']]) } });
      const other = await update(attempt, { ...again, setLabels: new Map([['a', '2']]) });
      expect(other).toMatchObject({ operation: { version: 2, labels: new Map([['a', '2']]) } });
    });

    test('a month later nothing is left of an operation in any index', { timeout: 60_000 }, async () => {
      const lock = { ...EXCLUSIVE_LOCK, ttlMs: 5_000 };
      const retention = { succeededMs: 1_000, failedMs: 5_000, cancelledMs: 1_000, deadMs: 20_000 };
      for (let day = 0; day < 30; day++) {
        const own = { retention, timeToLiveMs: 50_000, maxAttempts: 2 };
        await started({
          ...own,
          operationId: `run-${day}`,
          resource: `r-${day % 3}`,
          ...(day % 2 ? { lock } : {}),
        });
        await begin({ ...own, operationId: `wait-${day}` });
        const [attempt] = await claimed();
        if (attempt && day % 4 === 0) await complete(attempt, { releaseLease: true });
        if (attempt && day % 4 === 1) await yieldIt(attempt, 3_000);
        await h.pass(7_000);
      }
      await h.pass(400_000);
      expect(await h.recorded()).toBe(0);
      expect(await h.remembered()).toBe(0);
    });
  });
}
