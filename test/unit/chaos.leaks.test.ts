// The check of what is left when all clients have gone.
import { expect, test } from 'vitest';
import { checkLeaks } from '../chaos/checker/leaks.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { leftovers } from '../support/chaos-events.ts';

const MIB = 1024 * 1024;
const leftKeys = (...keys: string[]): Event => ({ kind: 'left-keys', atMs: 91_000, keys });
const ended = (...crashed: string[]): Event => ({ kind: 'run-ended', atMs: 92_000, crashed });
const check = (...events: Event[]) => checkLeaks(new Run(events));

test('a run that leaves nothing passes', () => {
  expect(check(leftovers(), leftKeys(), ended())).toMatchObject({ violations: [], undecided: [] });
});

test.each(['waitingCalls', 'keptLeases', 'watches', 'openCalls'])(
  'a run that leaves one of %s is a violation',
  (what) => {
    const { violations } = check(leftovers({ [what]: 1 }));
    expect(violations.map(({ text }) => text)).toEqual([`server-1 still has 1 ${what}`]);
  },
);

test('the last of several looks at a server counts', () => {
  expect(check(leftovers({ atMs: 1, watches: 3 }), leftovers()).violations).toEqual([]);
  expect(check(leftovers(), leftovers({ server: 'server-2', watches: 3 })).violations).toHaveLength(1);
});

test('memory may grow within bounds', () => {
  const grown = (from: number, to: number) =>
    check(leftovers({ atMs: 1, rssBytes: from * MIB }), leftovers({ rssBytes: to * MIB })).violations;
  expect(grown(140, 400)).toEqual([]);
  expect(grown(130, 400)).toHaveLength(1);
  expect(grown(50, 380)).toEqual([]);
  expect(grown(500, 520)).toHaveLength(1);
});

test('a key that nothing would remove is a violation', () => {
  expect(check(leftKeys('lock:a')).violations.map(({ text }) => text)).toEqual([
    expect.stringContaining('lock:a'),
  ]);
});

test('a process that ended by itself is a violation', () => {
  expect(check(leftovers(), leftKeys(), ended('server-1: TypeError')).violations).toHaveLength(1);
});

test('a run after which nobody looked is undecided', () => {
  expect(check(ended()).undecided).toHaveLength(1);
  expect(check(leftKeys(), ended()).undecided).toHaveLength(1);
});
