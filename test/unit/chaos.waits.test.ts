// The check that no waiter waits in vain for what nobody holds. In these runs the quarantine is 10 s, a TTL at most
// 6 s, and a grant may take 10 s more: a resource that is free for 16 s after all that is a violation.
import { describe, expect, test } from 'vitest';
import { Run } from '../chaos/checker/recorded-run.ts';
import { checkWaits } from '../chaos/checker/waits.ts';
import type { Event } from '../chaos/history.ts';
import { believed, call, fault, lockAsked, queued, runBegan } from '../support/chaos-events.ts';

const check = (...events: Event[][]) => checkWaits(new Run([runBegan(), ...events.flat()]));

/** client-1 waits in client-1/w. */
function wait(from: number, to: number, outcome: 'ok' | 'unknown' = 'unknown'): Event[] {
  const name = 'client-1/w';
  const asked = lockAsked('lease-1', { waitMs: 60_000 });
  return [...call('Hold', from, to, { call: name, asked, outcome }), queued(from + 1, name)];
}

test('a wait that is served passes and is counted', () => {
  const { violations, counts } = check(wait(1, 15, 'ok'), [believed(15, 20, 1)]);
  expect(violations).toEqual([]);
  expect(counts).toMatchObject({ waits: 1, 'waits served': 1 });
});

test('a call that was never told a position does not wait', () => {
  const { counts } = check(call('Hold', 1, 50, { asked: lockAsked('lease-1') }));
  expect(counts.waits).toBe(0);
});

test('a waiter beside a free lock for longer than TTL and bound is a violation', () => {
  const { violations } = check(wait(1, 30));
  expect(violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('nobody held it for 20.000 s'),
  ]);
  expect(check(wait(1, 26)).violations).toEqual([]);
});

test('a wait passes while others hold the lock, however long', () => {
  expect(check(wait(1, 80), [believed(2, 45, 2), believed(46, 79, 3)]).violations).toEqual([]);
});

test('a wait through a gap between the other holders, or after them, is a violation', () => {
  expect(check(wait(1, 80), [believed(2, 30, 2), believed(50, 79, 3)]).violations).toHaveLength(1);
  expect(check(wait(1, 80), [believed(2, 40, 2)]).violations).toHaveLength(1);
  expect(check(wait(1, 80), [believed(2, 79, 2, { resource: 's' })]).violations).toHaveLength(1);
});

describe('with faults', () => {
  const failover = (healed: number): Event[] => fault(5, healed, ['node-1']);

  test('the time until the last fault is healed and the quarantine is over does not count', () => {
    expect(check(wait(1, 45), failover(20)).violations).toEqual([]);
    expect(check(wait(1, 47), failover(20)).violations).toHaveLength(1);
    expect(check(wait(1, 47), failover(20), fault(6, 21, ['node-2'])).violations).toEqual([]);
  });

  test('nothing is judged while a fault stays', () => {
    expect(check(wait(1, 80), failover(Number.POSITIVE_INFINITY)).violations).toEqual([]);
  });

  test('a waiter that was killed no longer waits', () => {
    expect(check(wait(1, 80), failover(20), fault(4, 6, ['client-1'])).violations).toEqual([]);
    expect(check(wait(1, 80), failover(20), fault(4, 6, ['client-2'])).violations).toHaveLength(1);
  });
});

test('a wait without its end lasts to the end of the run', () => {
  expect(
    check(wait(1, Number.POSITIVE_INFINITY), [believed(60, 61, 9, { resource: 's' })]).violations,
  ).toHaveLength(1);
});
