// The check of FIFO within a reign.
import { expect, test } from 'vitest';
import { checkQueueOrder } from '../chaos/checker/queue-fairness.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { acquire, call, fault, lockAsked, queued, reign } from '../support/chaos-events.ts';

const check = (...events: Event[][]) => checkQueueOrder(new Run(events.flat()));

/** The first asks at 1 s, has its position at 2 s, and is granted at 8 s. */
const first = (token: number, change = {}): Event[] => [
  ...acquire(1, 8, token, { call: 'first/1', by: 'first', asked: lockAsked('lease-first', change) }),
  queued(2, 'first/1', { leaseId: 'lease-first' }),
];
const second = (from: number, to: number, token: number, change = {}): Event[] =>
  acquire(from, to, token, { call: 'second/1', by: 'second', asked: lockAsked('lease-second', change) });

test('callers that are granted in the order of their places pass', () => {
  const { violations, counts } = check(first(10), second(3, 9, 11));
  expect(violations).toEqual([]);
  expect(counts['pairs in a queue']).toBe(1);
});

test('a caller that asked later and is granted earlier is a violation', () => {
  const { violations } = check(first(11), second(3, 7, 10));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('second/1 of second got token 10 before first/1'),
  ]);
});

test('the tokens give the order of grants, not the moments of the answers', () => {
  expect(check(first(10), second(3, 7, 11)).violations).toEqual([]);
  expect(check(first(11), second(3, 9, 10)).violations).toHaveLength(1);
});

test('two callers are compared only if one asked while the other had its place', () => {
  expect(check(first(11), second(1.5, 7, 10)).counts['pairs in a queue']).toBeUndefined();
  expect(check(first(10), second(8.5, 9, 11)).counts['pairs in a queue']).toBeUndefined();
});

test('only exclusive waits on one resource that were granted are compared', () => {
  expect(check(first(11), second(3, 7, 10, { mode: 'shared' })).violations).toEqual([]);
  expect(check(first(11, { mode: 'permits:1/2' }), second(3, 7, 10)).violations).toEqual([]);
  expect(check(first(11), second(3, 7, 10, { resource: 's' })).violations).toEqual([]);
  expect(check(first(0), second(3, 7, 10)).violations).toEqual([]);
});

test('nothing is judged across a new reign, a fault, or a stall of a server', () => {
  const bad = [first(11), second(3, 7, 10)];
  const pulses = (...moments: number[]): Event[] => moments.map((at) => reign(at, 'a'));
  const steady = pulses(...Array.from({ length: 100 }, (_, index) => index / 10));
  expect(check(...bad, steady).violations).toHaveLength(1);
  expect(check(...bad, steady, [reign(5, 'b')]).violations).toEqual([]);
  expect(check(...bad, steady, [reign(5, 'a', { serving: false })]).violations).toEqual([]);
  expect(check(...bad, pulses(2, 3, 4)).violations).toEqual([]);
  expect(check(...bad, fault(0, 4, ['server-1'])).violations).toEqual([]);
  expect(check(...bad, fault(0, 1, ['server-1'])).violations).toHaveLength(1);
  expect(check(...bad, fault(9, 10, ['server-1'])).violations).toHaveLength(1);
});

test('nothing is judged where a caller opened its stream again, or asked twice', () => {
  const reopened: Event = { kind: 'noted', atMs: 5_000, by: 'first', what: 'reopened', resource: 'r' };
  expect(check(first(11), second(3, 7, 10), [reopened]).violations).toEqual([]);
  expect(check(first(11), second(3, 7, 10), [{ ...reopened, by: 'third' }]).violations).toHaveLength(1);
  const again = call('Hold', 4, 5, { by: 'first', asked: lockAsked('lease-first'), outcome: 'unknown' });
  expect(check(first(11), second(3, 7, 10), again).violations).toEqual([]);
});
