// What the stores tell of operations so that they can be counted exactly: what a command did itself, what it took over
// and after how long, and which operations became dead.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StoreHarness } from '../support/store-harness.ts';
import { EXCLUSIVE_LOCK, operationCalls, STALE_MS } from '../support/store-operations.ts';

/** A step of the system clock that the lease clock follows as a whole. */
const STEP_FOLLOWED_MS = 1_000;

export function operationTallySuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`counting operations: ${name}`, () => {
    let h: StoreHarness;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(() => h.close());

    const calls = operationCalls(() => h);
    const { begin, claim, started, claimed, complete, yieldIt, state, cancel, retry, remove } = calls;

    const pending = (waitedMs: number) => ({ was: 'pending', waitedMs });
    const stale = (waitedMs: number) => ({ was: 'stale', waitedMs });

    describe('what a claim takes over', () => {
      test('a claim tells for how long the operation was pending', async () => {
        await begin();
        await h.pass(3_000);
        expect(await claim()).toMatchObject({ claimed: [{ taken: pending(3_000) }] });
      });

      test('an operation that was given back with a delay waits from the end of the delay', async () => {
        await yieldIt(await started(), 4_000);
        await h.pass(9_000);
        expect(await claim()).toMatchObject({ claimed: [{ taken: pending(5_000) }] });
      });

      test('an operation that was given back without a delay waits from then', async () => {
        const attempt = await started();
        await h.pass(2_000);
        await yieldIt(attempt);
        await h.pass(1_000);
        expect(await claim()).toMatchObject({ claimed: [{ taken: pending(1_000) }] });
      });

      test('an operation that is tried again waits from then', async () => {
        await complete(await started(), { transition: 'fail' });
        await h.pass(2_000);
        await retry();
        await h.pass(1_000);
        expect(await claim()).toMatchObject({ claimed: [{ taken: pending(1_000) }] });
      });

      test.each([undefined, EXCLUSIVE_LOCK])(
        'a stale operation waits from the end of its attempt: lock %#',
        async (lock) => {
          await started({ lock });
          await h.pass(STALE_MS + 3_000);
          expect(await claim()).toMatchObject({ claimed: [{ taken: stale(3_000) }] });
        },
      );

      test('a repeated claim takes nothing over', async () => {
        const claimId = randomUUID();
        await begin();
        expect(await claim(claimId)).toMatchObject({ claimed: [{ taken: pending(0) }] });
        expect(await claim(claimId)).toMatchObject({ claimed: [{ taken: undefined }] });
      });
    });

    describe('what a begin does', () => {
      test('the begin that records an operation says so, and its repeat does not', async () => {
        expect(await begin({}, { requestId: 'r' })).toMatchObject({ created: true, did: 'record' });
        expect(await begin({}, { requestId: 'r' })).toMatchObject({ created: true, did: undefined });
        expect(await begin()).toMatchObject({ created: false, did: undefined });
      });

      test('a begin with a claim_id tells what it takes over', async () => {
        const claimId = randomUUID();
        await begin();
        await h.pass(2_000);
        expect(await begin({}, { claimId })).toMatchObject({ did: pending(2_000) });
        expect(await begin({}, { claimId })).toMatchObject({ did: undefined });
        await h.pass(STALE_MS + 1_000);
        expect(await begin({}, { claimId: randomUUID() })).toMatchObject({ did: stale(1_000) });
      });
    });

    describe('what a change does', () => {
      test('a change says whether it repeats another one', async () => {
        const requestId = randomUUID();
        const first = await started();
        expect(await yieldIt(first, 0, requestId)).toMatchObject({ isNew: true });
        expect(await yieldIt(first, 0, requestId)).toMatchObject({ isNew: false });
        const [second] = await claimed();
        if (!second) throw new Error('nothing claimed');
        const failed = { transition: 'fail', requestId };
        expect(await complete(second, failed)).toMatchObject({ isNew: true });
        expect(await complete(second, failed)).toMatchObject({ isNew: false });
        expect(await retry({}, requestId)).toMatchObject({ isNew: true });
        expect(await retry({}, requestId)).toMatchObject({ isNew: false });
        expect(await cancel()).toMatchObject({ isNew: true });
        expect(await cancel()).toMatchObject({ isNew: false });
      });

      test('only the first that asks for the cancellation of a running operation is new', async () => {
        await started();
        expect(await cancel()).toMatchObject({ isNew: true, operation: { state: 'running' } });
        expect(await cancel()).toMatchObject({ isNew: false, operation: { state: 'running' } });
      });
    });

    describe('deaths', () => {
      test('each operation that becomes dead by itself is told once, by its type', async () => {
        await started({ type: 'a', operationId: '1', maxAttempts: 1 });
        await started({ type: 'a', operationId: '2', maxAttempts: 1 });
        await begin({ type: 'b', operationId: '3', timeToLiveMs: 5_000 });
        await h.pass(STALE_MS);
        expect(h.deaths.toSorted()).toEqual(['a', 'a', 'b']);
        await claim();
        await h.pass(STALE_MS);
        expect(h.deaths).toHaveLength(3);
      });

      test.each([
        ['claim', () => claim()],
        ['begin', () => begin({}, { claimId: randomUUID() })],
        ['begin with another content', () => begin({ contentHash: 'other' })],
        ['cancel', () => cancel()],
      ] as const)('a death that a %s finds is told too', async (_, act) => {
        await started({ maxAttempts: 1 });
        // The lease clock follows by commands that look at nothing else, so that no sweep comes first.
        for (let passed = 0; passed < STALE_MS; passed += STEP_FOLLOWED_MS) {
          await h.stepUnseen(STEP_FOLLOWED_MS);
          await remove({ operationId: 'none' });
        }
        await act();
        expect(await state()).toBe('dead');
        expect(h.deaths).toEqual(['send']);
      });
    });
  });
}
