// The check for leases that were released and are there again.
import { expect, test } from 'vitest';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { checkGhosts } from '../chaos/checker/ghosts.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event, Outcome, SeenHeld } from '../chaos/history.ts';
import { call, fault, lockAsked, reign, runBegan } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkGhosts(new Run([runBegan(), reign(0, 'first'), ...events]));
const asks = (from: number, to: number, outcome: Outcome = 'unknown', waitMs = 0): Event[] =>
  call('Acquire', from, to, { asked: lockAsked('lease-1', { waitMs }), outcome });
const releases = (from: number, to: number, outcome: Outcome = 'ok'): Event[] =>
  call('Release', from, to, { asked: lockAsked('lease-1'), outcome });

function seen(at: number, change: Partial<SeenHeld> = {}): Event {
  const who = { server: 'server-1', resource: 'r', leaseHash: leaseIdHash('lease-1'), token: '7' };
  return { kind: 'seen-held', atMs: at * 1_000, askedMs: at * 1_000 - 100, ...who, ...change };
}

test('a lease that was given up and is seen only until its release passes', () => {
  const { violations, counts } = check(...asks(1, 2), seen(2.5), ...releases(3.1, 3.3), seen(3.35));
  expect(violations).toEqual([]);
  expect(counts['leases given up and released']).toBe(1);
});

test('a lease that is there after its release is a ghost', () => {
  const { violations } = check(...asks(1, 2), ...releases(3.1, 3.3), seen(4), seen(5.5), seen(6.5));
  expect(violations.map(({ text, atMs }) => [text, atMs])).toEqual([
    [
      expect.stringMatching(/lease-1 of client-1 was released, and 0.600 s after .* token 7 .*reign first/),
      6_500,
    ],
  ]);
});

test('a lease of a granted call, or one of several at once, is a ghost after its release too', () => {
  expect(check(...asks(1, 2, 'ok', 500), ...releases(5, 5.1), seen(6), seen(8)).violations).toHaveLength(1);
  const { lock } = lockAsked('lease-1');
  const many = call('AcquireMany', 1, 2, { asked: { locks: [lock] }, outcome: 'unknown' });
  expect(check(...many, ...releases(5, 5.1), seen(6), seen(8)).violations).toHaveLength(1);
});

test('a lease that is seen for a moment after its release passes', () => {
  expect(check(...asks(1, 2), ...releases(3.1, 3.3), seen(4), seen(4.9)).violations).toEqual([]);
});

test('other leases and other resources are no ghosts', () => {
  const other = { leaseHash: leaseIdHash('lease-2') };
  const elsewhere = { resource: 's' };
  const looks = [seen(4, other), seen(6, other), seen(4, elsewhere), seen(6, elsewhere)];
  expect(check(...asks(1, 2), ...releases(3.1, 3.3), ...looks).violations).toEqual([]);
});

test.each([
  ['a release that comes too soon', [...asks(1, 2), ...releases(2.9, 3)]],
  ['one whose answer is lost', [...asks(1, 2), ...releases(3.1, 3.3, 'unknown')]],
  ['one before the last call', [...asks(1, 2), ...releases(3.1, 3.3), ...asks(3.4, 3.5, 'ok')]],
  ['one of a call that nobody saw the end of', [...asks(1, Number.POSITIVE_INFINITY), ...releases(3.1, 3.3)]],
  ['one of a wait that was broken off', [...asks(1, 2, 'unknown', 500), ...releases(3.1, 3.3)]],
  ['one in an earlier reign', [...asks(1, 2), ...releases(3.1, 3.3), reign(3.5, 'second')]],
  [
    'one while clocks move',
    [...asks(1, 2), ...releases(3.1, 3.3), ...fault(2, 2, ['n'], { step: 'step-clocks' })],
  ],
  [
    'one of a client that stood still',
    [...asks(1, 2), ...releases(3.1, 3.3), ...fault(2, 3, ['client-1'], { fault: 'pause' })],
  ],
])('a lease is no ghost when its release promises nothing: %s', (_what, events) => {
  expect(check(...events, seen(4), seen(6)).violations).toEqual([]);
});
