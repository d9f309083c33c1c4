// The check that a repeat has no second effect.
import { expect, test } from 'vitest';
import { Run } from '../chaos/checker/recorded-run.ts';
import { checkRetries } from '../chaos/checker/retries.ts';
import type { Event } from '../chaos/history.ts';
import { call, fault, operationCall, reign, runBegan } from '../support/chaos-events.ts';

const check = (...events: Event[][]) => checkRetries(new Run(events.flat()));
const update = (at: number, shown: string, requestId: string): Event[] =>
  operationCall('UpdateOperation', at, at + 1, shown, { claimId: 'a', requestId });
const begin = (at: number, shown: string, claimId = 'a'): Event[] =>
  operationCall('BeginOperation', at, at + 1, shown, { claimId });

test('a repeat that is answered with the same version passes', () => {
  const { violations, counts } = check(update(1, 'RUNNING 2 1', 'q'), update(3, 'RUNNING 2 1', 'q'));
  expect(violations).toEqual([]);
  expect(counts['repeats answered']).toBe(1);
});

test('a repeat that is answered with a newer version is a violation', () => {
  const { violations } = check(update(1, 'RUNNING 2 1', 'q'), update(3, 'RUNNING 3 1', 'q'));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('version 2 and its repeat with 3'),
  ]);
});

test('a repeat with a newer version passes if enough other calls can have moved the record in between', () => {
  const twice = (shown: string): Event[] => [...update(1, 'RUNNING 2 1', 'q'), ...update(9, shown, 'q')];
  const other = update(3, 'RUNNING 3 1', 'other');
  expect(check(twice('RUNNING 3 1'), other).violations).toEqual([]);
  expect(check(twice('RUNNING 4 1'), other).violations).toHaveLength(1);
  const unknown = operationCall('CancelOperation', 0, Number.POSITIVE_INFINITY, '', { requestId: 'c' });
  expect(check(twice('RUNNING 3 1'), unknown).violations).toEqual([]);
  const read = operationCall('GetOperation', 3, 4, 'RUNNING 3 1');
  expect(check(twice('RUNNING 3 1'), read).violations).toHaveLength(1);
  const refused = operationCall('UpdateOperation', 3, 4, '', { requestId: 'n' }, { outcome: 'failed' });
  expect(check(twice('RUNNING 3 1'), refused).violations).toHaveLength(1);
});

test('a claim whose answer nobody saw can have moved the record twice', () => {
  const asked = { operation: { resource: '', operationId: '', claimId: 'x' } };
  const claim = call('ClaimOperations', 2, 3, { asked, outcome: 'unknown' });
  const twice = [update(1, 'RUNNING 2 1', 'q'), update(9, 'RUNNING 4 1', 'q')];
  expect(check(...twice, claim).violations).toEqual([]);
  expect(check(...twice).violations).toHaveLength(1);
});

test('a claim_id with one attempt passes, with two it is a violation', () => {
  expect(check(begin(1, 'RUNNING 1 1'), update(3, 'RUNNING 2 1', 'q')).violations).toEqual([]);
  const { violations } = check(begin(1, 'RUNNING 1 1'), begin(3, 'RUNNING 2 2'));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('attempt 1 and then attempt 2'),
  ]);
});

test('an answer about a record that no longer runs for the caller does not show the caller’s attempt', () => {
  expect(check(begin(1, 'RUNNING 1 1'), begin(3, 'SUCCEEDED 3 2')).violations).toEqual([]);
  expect(check(begin(1, 'RUNNING 1 1'), begin(3, 'RUNNING 3 2', 'b')).violations).toEqual([]);
});

test('a failover that may have lost the first effect explains the second', () => {
  const switched = [[runBegan(), reign(0, 'a'), reign(23, 'b')], fault(20, 30, ['node-1'])];
  const events = [begin(18, 'RUNNING 1 1'), begin(30, 'RUNNING 2 2')];
  expect(check(...switched, ...events).violations).toHaveLength(1);
  expect(check(...switched, ...events, fault(19, 30, ['node-2'])).violations).toEqual([]);
  const requests = [update(18, 'RUNNING 2 1', 'q'), update(30, 'RUNNING 3 1', 'q')];
  expect(check(...switched, ...requests).violations).toHaveLength(1);
  expect(check(...switched, ...requests, fault(19, 30, ['node-2'])).violations).toEqual([]);
});
