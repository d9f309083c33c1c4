// The deadline rule, on a clock that the test moves: whatever is delayed on its way, a holder never believes longer
// than the server's deadline allows.

import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { LeaseDeadline } from '../../src/client/core/lease-deadline.ts';
import { ManualClock } from '../support/manual-clock.ts';

const TTL_MS = 20_000;

let clock: ManualClock;
let passed: number;
let deadline: LeaseDeadline;

beforeEach(() => {
  clock = new ManualClock();
  passed = 0;
  deadline = new LeaseDeadline({ clock, onPassed: () => passed++ });
});

const now = () => ({ sentAtMs: clock.monotonicMs(), sentAtWallMs: clock.wallMs() });

test('The deadline counts from before the call was sent, less the margin and the drift', () => {
  const sent = now();
  clock.advance(3_000); // on its way
  expect(deadline.extend(sent, TTL_MS, TTL_MS)).toBe(true);
  expect(deadline.remainingMs()).toBeCloseTo(TTL_MS - 3_000 - 1_000 - 20);
  clock.advance(deadline.remainingMs() - 1);
  expect(passed).toBe(0);
  clock.advance(1);
  expect([passed, deadline.remainingMs()]).toEqual([1, 0]);
});

test('The margin of a short lease is 200 ms', () => {
  deadline.extend(now(), 2_000, 2_000);
  expect(deadline.remainingMs()).toBeCloseTo(2_000 - 200 - 2);
});

test('The deadline never moves forward in time, and no answer revives a lease after it', () => {
  const sent = now();
  deadline.extend(sent, TTL_MS, TTL_MS);
  const before = deadline.remainingMs();
  deadline.extend(sent, 5_000, TTL_MS);
  expect(deadline.remainingMs()).toBe(before);
  clock.advance(TTL_MS);
  expect(passed).toBe(1);
  expect(deadline.extend(now(), TTL_MS, TTL_MS)).toBe(false);
  expect([deadline.remainingMs(), passed, clock.timers]).toEqual([0, 1, 0]);
});

test('An answer that is read before the timer of the deadline fires does not revive the lease', () => {
  deadline.extend(now(), TTL_MS, TTL_MS);
  clock.advance(500); // less than until the next look
  clock.stepWall(TTL_MS);
  expect(deadline.extend(now(), TTL_MS, TTL_MS)).toBe(false);
  expect([deadline.remainingMs(), passed]).toEqual([0, 1]);
});

test('A lease that arrives after its deadline was never held', () => {
  const sent = now();
  clock.advance(TTL_MS);
  expect(deadline.extend(sent, TTL_MS, TTL_MS)).toBe(false);
  expect(passed).toBe(1);
});

test('The wall clock ends a lease when the monotonic clock of a suspended machine stood still', () => {
  deadline.extend(now(), TTL_MS, TTL_MS);
  clock.stepWall(TTL_MS);
  expect(deadline.remainingMs()).toBe(0);
  clock.advance(1_000); // the next look
  expect(passed).toBe(1);
});

test('After the end of a lease no timer runs and nothing is called', () => {
  deadline.extend(now(), TTL_MS, TTL_MS);
  deadline.end();
  clock.advance(2 * TTL_MS);
  expect([passed, deadline.remainingMs(), clock.timers]).toEqual([0, 0, 0]);
});

test('Whatever the delays, a holder stops before the lease lapses at the server', () => {
  const delay = fc.integer({ min: 0, max: 40_000 });
  const event = fc.record({ toServer: delay, atServer: delay, back: delay, pause: delay });
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 8 }), (events) => {
      const time = new ManualClock();
      let isOver = false;
      const own = new LeaseDeadline({
        clock: time,
        onPassed: () => {
          isOver = true;
        },
      });
      // When the lease lapses at the server, as its last answer promised.
      let lapsesMs = 0;
      for (const { toServer, atServer, back, pause } of events) {
        const sent = { sentAtMs: time.monotonicMs(), sentAtWallMs: time.wallMs() };
        time.advance(toServer);
        const arrivedMs = time.monotonicMs();
        time.advance(atServer);
        const grantedMs = time.monotonicMs() + TTL_MS;
        time.advance(back);
        // Each answer says what the server counts from the arrival of its request.
        lapsesMs = Math.max(lapsesMs, grantedMs);
        own.extend(sent, grantedMs - arrivedMs, TTL_MS);
        expect(time.monotonicMs() + own.remainingMs()).toBeLessThanOrEqual(
          Math.max(lapsesMs, time.monotonicMs()),
        );
        time.advance(pause);
        if (time.monotonicMs() >= lapsesMs) expect([isOver, own.remainingMs()]).toEqual([true, 0]);
      }
    }),
  );
});
