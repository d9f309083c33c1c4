// The clock of leasehold/testing: it runs by itself, and can be sent ahead in order.
import { expect, test } from 'vitest';
import { TestClock } from '../../src/testing/test-clock.ts';

test('what is due on the way is done in order, also what that sets off, and nothing later', async () => {
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

test('it runs by itself, and is never early', async () => {
  const clock = new TestClock();
  await clock.advance(3_600_000);
  const startMs = clock.monotonicMs();
  await new Promise<void>((resolve) => clock.after(50, resolve));
  expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(49);
  expect(clock.monotonicMs() - startMs).toBeLessThan(10_000);
});

test('the wall clock is the real one, whatever was skipped: gRPC counts its deadlines by it', async () => {
  const clock = new TestClock();
  await clock.advance(3_600_000);
  expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(5_000);
});
