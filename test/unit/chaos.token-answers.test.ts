// The check of what CheckFencingToken says.
import { expect, test } from 'vitest';
import { Run } from '../chaos/checker/recorded-run.ts';
import { checkTokenAnswers } from '../chaos/checker/token-answers.ts';
import type { Event } from '../chaos/history.ts';
import { believed, call, lockAsked } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkTokenAnswers(new Run(events));
const asks = (token: string, valid: boolean, mode = 'exclusive'): Event[] =>
  call('CheckFencingToken', 4, 5, { asked: lockAsked('lease-x', { token, mode }), said: { valid } });

test('the token of the holder may be valid, and any token may be invalid', () => {
  const { violations, counts } = check(believed(1, 9, 7), ...asks('7', true), ...asks('6', false));
  expect(violations).toEqual([]);
  expect(counts['tokens found valid']).toBe(1);
});

test('no other token is valid while somebody holds the lock all the time', () => {
  const { violations } = check(believed(1, 9, 7), ...asks('6', true));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('client-7 held it with token 7'),
  ]);
});

test('another token passes if it can have been live before the holder began, or after it ended', () => {
  expect(check(believed(4.5, 9, 7), ...asks('6', true)).violations).toEqual([]);
  expect(check(believed(1, 4.5, 7), ...asks('8', true)).violations).toEqual([]);
  expect(check(believed(1, 9, 7, { resource: 's' }), ...asks('6', true)).violations).toEqual([]);
});

test('tokens of shared leases are valid together, but not beside that of an exclusive one', () => {
  const shared = { mode: 'shared' };
  expect(check(believed(1, 9, 7, shared), ...asks('6', true, 'shared')).violations).toEqual([]);
  expect(check(believed(1, 9, 7), ...asks('6', true, 'shared')).violations).toHaveLength(1);
  expect(check(believed(1, 9, 7, shared), ...asks('6', true)).violations).toHaveLength(1);
});
