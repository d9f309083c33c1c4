// The check that the service comes back. In these runs it has 15 s to switch, 10 s of quarantine, 6 s of TTL and 10 s
// for a grant: 41 s in all.
import { describe, expect, test } from 'vitest';
import { checkProgress } from '../chaos/checker/progress.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { acquire, believed, fault, lockAsked, reign, runBegan } from '../support/chaos-events.ts';

const check = (...events: Event[][]) => checkProgress(new Run(events.flat()));
const end = [reign(200, 'b')];

describe('after the last fault was healed', () => {
  const struck = [[runBegan()], fault(5, 10, ['node-1']), end];
  const asks = acquire(45, 46, 0, { asked: lockAsked('lease-x') });

  test('a grant within the bound after the last fault passes', () => {
    const { violations, counts } = check(...struck, asks, acquire(48, 50, 7));
    expect(violations).toEqual([]);
    expect(counts['returns judged']).toBe(1);
  });

  test('no grant within the bound, though somebody asked, is a violation', () => {
    expect(check(...struck, asks).violations).toHaveLength(1);
    expect(check(...struck, asks, acquire(51, 52, 7), acquire(1, 2, 6)).violations).toHaveLength(1);
  });

  test('nothing is judged where nobody asked, or where somebody held the lock all the time', () => {
    expect(check(...struck).counts['returns judged']).toBeUndefined();
    expect(check(...struck, [believed(1, 60, 6)], asks).counts['returns judged']).toBeUndefined();
    const other = [believed(1, 60, 6, { resource: 's' })];
    expect(check(...struck, other, asks).violations).toHaveLength(1);
  });

  test('nothing is judged where another fault began or lasted, or where the run ended', () => {
    expect(check(...struck, fault(30, 32, ['node-2']), asks).violations).toEqual([]);
    expect(check(...struck, fault(1, Number.POSITIVE_INFINITY, ['node-2']), asks).violations).toEqual([]);
    expect(check([runBegan()], fault(5, 10, ['node-1']), asks, [reign(50, 'b')]).violations).toEqual([]);
  });
});

describe('in liveness mode', () => {
  const standing = fault(5, Number.POSITIVE_INFINITY, ['node-1']);
  const asks = acquire(100, 101, 0, { asked: lockAsked('lease-x') });
  const run = [[runBegan({ mode: 'liveness' })], standing, asks, end];
  const grant = [believed(60, 70, 7)];
  const renewal = [believed(62, 75, 7)];

  test('grants and renewals while a fault stays pass', () => {
    const { violations, counts } = check(...run, grant, renewal);
    expect(violations).toEqual([]);
    expect(counts['standing faults judged']).toBe(1);
  });

  test('grants and renewals both have to come, and late enough, while a fault stays', () => {
    expect(check(...run, grant).violations.map(({ text }) => text)).toEqual([
      expect.stringContaining('nothing was renewed'),
    ]);
    expect(check(...run).violations).toHaveLength(2);
    expect(check(...run, [believed(40, 70, 7), believed(42, 70, 7)]).violations).toHaveLength(2);
  });

  test('no progress is asked where nobody could serve, nor in safety mode', () => {
    const helpless = fault(5, Number.POSITIVE_INFINITY, ['sentinel-1'], { mayProgress: false });
    expect(check([runBegan({ mode: 'liveness' })], helpless, asks, end).violations).toEqual([]);
    expect(check([runBegan()], standing, asks, end).violations).toEqual([]);
  });

  test('a fault that was healed early does not count as one that stays', () => {
    expect(
      check([runBegan({ mode: 'liveness' })], fault(5, 20, ['node-1']), [reign(30, 'b')], acquire(25, 26, 0)),
    ).toMatchObject({
      violations: [],
      undecided: [],
    });
  });

  test('a run too short to judge is undecided', () => {
    const { violations, undecided } = check([runBegan({ mode: 'liveness' })], standing, acquire(30, 31, 0));
    expect(violations).toEqual([]);
    expect(undecided).toHaveLength(1);
  });
});
