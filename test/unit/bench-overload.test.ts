// The load beyond capacity: when calls are due, what they look like on the wire, and how the lag of renewals is read
// from two scrapes.
import { expect, test } from 'vitest';
import { bucketsOf, counted, quantileOf } from '../../bench/bucket-quantile.ts';
import { Arrivals } from '../../bench/loads/arrivals.ts';
import { CallFrames } from '../../bench/loads/call-frames.ts';
import { readExposition } from '../support/exposition.ts';

test('an open loop has its calls due evenly, the first at once', () => {
  const arrivals = new Arrivals(400, 1_000);
  expect(arrivals.count).toBe(400);
  expect([-1, 0, 2.4, 2.5, 10].map((ms) => arrivals.dueBy(ms))).toEqual([0, 1, 1, 2, 5]);
  expect([0, 1, 399].map((index) => arrivals.dueMs(index))).toEqual([0, 2.5, 997.5]);
});

test('an open loop that was held up has everything due at once, and ends with its time', () => {
  const arrivals = new Arrivals(400, 1_000);
  expect(arrivals.dueBy(500)).toBe(201);
  expect(arrivals.dueBy(60_000)).toBe(400);
});

test('a prepared call says how much time it has left when it is sent', () => {
  const frames = new CallFrames('localhost:1', '/a.B/C', Buffer.from('an-id'), true);
  const sent = (): string => frames.onStream(1).toString('latin1');
  frames.setTimeout(850.4);
  expect(sent()).toContain('grpc-timeout\x0900000850m');
  expect(sent().endsWith('an-id')).toBe(true);
  frames.setTimeout(-3);
  expect(sent()).toContain('00000001m');
  expect(() => new CallFrames('localhost:1', '/a.B/C', Buffer.from('an-id')).setTimeout(1)).toThrow(
    'without a deadline',
  );
});

const LAG = 'lag_seconds';
const scrape = (...counts: readonly number[]): string =>
  [
    `# HELP ${LAG} How late`,
    `# TYPE ${LAG} histogram`,
    ...['0.1', '0.5', '1', '+Inf'].map((le, index) => `${LAG}_bucket{le="${le}"} ${counts[index]}`),
    `${LAG}_sum 3`,
    `${LAG}_count ${counts[3]}`,
  ].join('\n');
const buckets = (...counts: readonly number[]) =>
  bucketsOf(readExposition(scrape(...counts)).get(LAG)?.samples ?? [], LAG);

test('a quantile is that of what was counted between two scrapes', () => {
  const between = counted(buckets(1_000, 1_000, 1_000, 1_000), buckets(1_090, 1_098, 1_100, 1_100));
  expect(between.map(({ count }) => count)).toEqual([90, 98, 100, 100]);
  expect(quantileOf(between, 0.45)).toBeCloseTo(0.05);
  expect(quantileOf(between, 0.94)).toBeCloseTo(0.3);
  expect(quantileOf(between, 0.99)).toBeCloseTo(0.75);
});

test('before the first scrape there was nothing', () => {
  expect(quantileOf(counted([], buckets(0, 10, 10, 10)), 0.5)).toBeCloseTo(0.3);
});

test('a quantile past all buckets is the highest bound, and of nothing it is no number', () => {
  expect(quantileOf(buckets(0, 0, 1, 9), 0.5)).toBe(1);
  expect(quantileOf(buckets(0, 0, 0, 0), 0.5)).toBeNaN();
});
