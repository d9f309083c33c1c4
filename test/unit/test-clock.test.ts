// The clock of leasehold/testing: it runs by itself, and can be sent ahead in order.
import { expect, test } from 'vitest';
import { TestClock } from '../../src/testing/test-clock.ts';

test('The clock fires timers on the way in order, also those that others set, and none that is due later', async () => {
  const clock = new TestClock();
  const done: string[] = [];
  const startMs = clock.monotonicMs();
  const tell = (what: string) => () =>
    done.push(`${what} ${Math.floor((clock.monotonicMs() - startMs) / 1_000)}`);
  clock.after(30_000, tell('c'));
  clock.after(10_000, () => {
    tell('a')();
    clock.after(10_000, tell('b'));
  });
  clock.after(40_000, tell('late'));
  clock.after(5_000, tell('cancelled')).cancel();
  await clock.advance(35_000);
  expect(done).toEqual(['a 10', 'b 20', 'c 30']);
  expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(35_000);
  expect(clock.monotonicMs() - startMs).toBeLessThan(36_000);
});

test('The clock runs by itself, and no timer fires early', async () => {
  const clock = new TestClock();
  await clock.advance(3_600_000);
  const startMs = clock.monotonicMs();
  await new Promise<void>((resolve) => clock.after(50, resolve));
  expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(49);
  expect(clock.monotonicMs() - startMs).toBeLessThan(10_000);
});

test('The wall clock is the real one, however far the test clock was sent ahead', async () => {
  const clock = new TestClock();
  await clock.advance(3_600_000);
  expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(5_000);
});
