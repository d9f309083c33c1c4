// The check of the tokens that are granted: unique, one per lease_id, and rising in real time.
import { expect, test } from 'vitest';
import { checkGrants } from '../chaos/checker/grants.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { acquire, believed, call, lockAsked, operationCall, reign } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkGrants(new Run(events));

test('rising tokens pass, also across reigns, and overlapping calls in any order', () => {
  const { violations, counts } = check(
    ...[reign(0, 'a'), ...acquire(1, 2, 5), reign(3, 'b'), ...acquire(4, 6, 8), ...acquire(5, 7, 7)],
  );
  expect(violations).toEqual([]);
  expect(counts.grants).toBe(3);
});

test('a smaller token for a call that began after a larger one was received is a violation, which is reported with the reigns', () => {
  const { violations } = check(reign(0, 'a'), ...acquire(1, 2, 8), reign(3, 'b'), ...acquire(4, 5, 7));
  expect(violations).toHaveLength(1);
  expect(violations[0]?.text).toContain('asked after token 8 was out, and got 7 (reigns a and b)');
});

test('a grant counts from the first line about it, and its request from the first call of its lease_id', () => {
  const asked = { asked: lockAsked('lease-7') };
  const retried = [...call('Acquire', 1, 2, { ...asked, outcome: 'unknown' }), ...acquire(5, 6, 7)];
  expect(check(...retried, believed(3, 9, 8)).violations).toEqual([]);
  expect(check(...acquire(5, 6, 7), believed(3, 9, 8), ...acquire(1, 7, 8)).violations).toHaveLength(1);
});

test('the largest token counts, not the latest', () => {
  expect(check(...acquire(1, 2, 9), ...acquire(1, 3, 4), ...acquire(4, 5, 6)).violations).toHaveLength(1);
});

test('one token for two lease_ids is a violation', () => {
  const { violations } = check(...acquire(1, 4, 5), ...acquire(2, 3, 5, { asked: lockAsked('lease-other') }));
  expect(violations.map(({ text }) => text)).toEqual([expect.stringContaining('token 5 was given to')]);
});

test('each shared lease has a token of its own', () => {
  const shared = { mode: 'shared', leaseId: 'lease-other' };
  expect(check(believed(1, 5, 4, { mode: 'shared' }), believed(2, 6, 4, shared)).violations).toHaveLength(1);
});

test('two tokens for one lease_id are a violation', () => {
  const { violations } = check(...acquire(1, 2, 5), ...acquire(3, 4, 6, { asked: lockAsked('lease-5') }));
  expect(violations.map(({ text }) => text)).toEqual([expect.stringContaining('and a second one, 6')]);
});

test('a caller with the id of a lapsed lease gets another lease', () => {
  const first = acquire(1, 2, 5, { lease: { token: '5', validForMs: 2_000 } });
  const again = (toS: number) => acquire(2, toS, 6, { asked: lockAsked('lease-5') });
  expect(check(...first, ...again(8)).violations).toEqual([]);
  expect(check(...first, ...again(2.9)).violations).toHaveLength(1);
  // A renewal of the first lease had shown that it still lives.
  const renewal = { asked: lockAsked('lease-5', { token: '5' }), lease: { token: '5', validForMs: 9_000 } };
  expect(check(...first, ...call('Renew', 1.5, 1.9, renewal), ...again(8)).violations).toHaveLength(1);
});

test('a renewal that tells another token is a violation too', () => {
  const renewal = { asked: lockAsked('lease-5', { token: '5' }), lease: { token: '6', validForMs: 1 } };
  expect(check(...acquire(1, 2, 5), ...call('Renew', 3, 4, renewal)).violations).toHaveLength(1);
});

test('an AcquireMany grants as many leases as it asked for, each at its resource', () => {
  const locks = ['a', 'b'].map((resource) => lockAsked(`lease-${resource}`, { resource }).lock);
  const leases = ['8', '9'].map((token) => ({ token, validForMs: 1 }));
  const many = call('AcquireMany', 1, 2, { asked: { locks }, leases });
  const later = (token: number, resource: string): Event[] =>
    acquire(3, 4, token, { asked: lockAsked('lease-later', { resource }) });
  expect(check(...many, ...later(10, 'a')).violations).toEqual([]);
  expect(check(...many, ...later(9, 'a')).violations).toEqual([]);
  expect(check(...many, ...later(8, 'b')).violations).toHaveLength(1);
});

test('attempts have one token per claim_id, rising within their operation', () => {
  const attempt = (at: number, token: number, leaseId: string): Event =>
    believed(at, at + 1, token, { of: 'attempt', resource: 'r/o', leaseId });
  const claim = (from: number, claimId: string): Event[] =>
    operationCall('ClaimOperations', from, from + 1, 'RUNNING 1 1', { operationId: '', claimId });
  expect(
    check(...claim(1, 'a'), attempt(2, 5, 'a'), ...claim(4, 'b'), attempt(5, 6, 'b')).violations,
  ).toEqual([]);
  expect(
    check(...claim(1, 'a'), attempt(2, 5, 'a'), ...claim(4, 'b'), attempt(5, 4, 'b')).violations,
  ).toHaveLength(1);
  expect(check(attempt(2, 5, 'a'), attempt(5, 6, 'a')).violations).toHaveLength(1);
});

test('the lease of an attempt counts as requested with its claim', () => {
  const claim = operationCall('ClaimOperations', 1, 4, 'RUNNING 1 1', {
    operationId: '',
    claimId: 'lease-7',
  });
  expect(check(...claim, believed(4, 9, 7), ...acquire(2, 3, 8)).violations).toEqual([]);
});
