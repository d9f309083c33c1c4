// How the streams of an instance that drains are told, and ended, on a clock that the test moves.

import { expect, test } from 'vitest';
import { OpenStreams } from '../../src/service/open-streams.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Told {
  readonly atMs: number;
  readonly moveWithinMs: number;
}

function streams(count: number) {
  const clock = new ManualClock();
  const startMs = clock.monotonicMs();
  const open = new OpenStreams(clock);
  const told: Told[] = [];
  const ended: number[] = [];
  const stream = () => ({
    tellDraining: (moveWithinMs: number) => told.push({ atMs: clock.monotonicMs() - startMs, moveWithinMs }),
    finish: () => ended.push(clock.monotonicMs() - startMs),
  });
  const all = Array.from({ length: count }, stream);
  for (const each of all) open.add(each);
  return { clock, open, told, ended, all, stream };
}

test('a drain tells the streams one after the other, within half of its time, how much time each has left', () => {
  const { clock, open, told, ended } = streams(1_000);
  open.drain(10_000);
  clock.advance(10);
  expect(told.length).toBeLessThan(10);
  clock.advance(2_490);
  expect(told.length).toBeGreaterThan(450);
  expect(told.length).toBeLessThan(550);
  clock.advance(2_500);
  expect(told).toHaveLength(1_000);
  for (const { atMs, moveWithinMs } of told) expect(atMs + moveWithinMs).toBeCloseTo(10_000);
  expect(ended).toEqual([]);
  clock.advance(5_000);
  expect(ended).toEqual(Array(1_000).fill(10_000));
});

test('a stream that has ended is not told, and a stream that comes late is told what is left', () => {
  const { clock, open, told, ended, all, stream } = streams(2);
  open.drain(10_000);
  for (const each of all) open.delete(each);
  clock.advance(6_000);
  expect(told).toHaveLength(0); // nobody is left to be told
  open.add(stream());
  expect(told).toEqual([{ atMs: 6_000, moveWithinMs: 4_000 }]);
  clock.advance(4_000);
  expect(ended).toEqual([10_000]);
  open.add(stream());
  expect(ended).toEqual([10_000, 10_000]);
  expect(() => open.admit()).toThrow(expect.objectContaining({ code: 'DRAINING' }));
});
