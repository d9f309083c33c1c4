// The check that every call ends by its deadline.
import { expect, test } from 'vitest';
import { checkCallDeadlines } from '../chaos/checker/call-deadlines.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { acquire, call, fault, leftovers } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkCallDeadlines(new Run(events));
const UNSEEN = Number.POSITIVE_INFINITY;
const within5s = { deadlineMs: 6_000, by: 'client-1' };

test('a call that ends by its deadline, or a little after, passes with any outcome', () => {
  const { violations, counts } = check(
    ...call('Acquire', 1, 5, within5s),
    ...call('Acquire', 1, 7.9, { ...within5s, outcome: 'unknown' }),
  );
  expect(violations).toEqual([]);
  expect(counts['calls judged']).toBe(2);
});

test('a call that ends later is a violation', () => {
  const { violations } = check(...call('Acquire', 1, 9, within5s));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('ended 3.000 s after its deadline'),
  ]);
});

test('a call that is open at the end of the run is a violation if its deadline has passed', () => {
  expect(check(...call('Acquire', 1, UNSEEN, within5s), leftovers()).violations).toHaveLength(1);
  expect(check(...call('Hold', 1, UNSEEN, { deadlineMs: 100_000 }), leftovers()).violations).toEqual([]);
});

test('time in which the caller stood still does not count, but that of others does', () => {
  const pause = (who: string): Event[] => fault(2, 6, [who], { fault: 'pause' });
  expect(check(...call('Acquire', 1, 11.9, within5s), ...pause('client-1')).violations).toEqual([]);
  expect(check(...call('Acquire', 1, 12.1, within5s), ...pause('client-1')).violations).toHaveLength(1);
  expect(check(...call('Acquire', 1, 11, within5s), ...pause('server-1')).violations).toHaveLength(1);
});

test('a client that was killed meanwhile has no calls to end, but one that was killed before has', () => {
  const open = call('Acquire', 1, UNSEEN, within5s);
  expect(check(...open, ...fault(2, 4, ['client-1']), leftovers()).violations).toEqual([]);
  expect(check(...open, ...fault(0, 0.5, ['client-1']), leftovers()).violations).toHaveLength(1);
  expect(check(...open, ...fault(2, 4, ['client-2']), leftovers()).violations).toHaveLength(1);
  expect(check(...acquire(1, 2, 5), ...fault(3, 4, ['client-5'])).violations).toEqual([]);
});
