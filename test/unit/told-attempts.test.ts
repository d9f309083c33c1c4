// What an instance remembers of the attempts that it told of: how answers about one are merged, when it is over, and
// that attempts count for the bound of told memory.
import { expect, test } from 'vitest';
import type { Operation } from '../../src/domain/operation.ts';
import type { Answer } from '../../src/store/redis/command-lane.ts';
import { noteAttempt } from '../../src/store/redis/told-answers.ts';
import type { AttemptTold } from '../../src/store/redis/told-attempts.ts';
import type { Cut } from '../../src/store/redis/told-cut.ts';
import { ToldMemory } from '../../src/store/redis/told-memory.ts';

const NONE: Cut = { fromReign: '', fromClockUs: 0, ownReign: '' };
const NAME = 'r\t1';

function memory(maxLeases = 10) {
  const time = { nowMs: 0 };
  const told = new ToldMemory({ maxLeases, monotonicMs: () => time.nowMs });
  const note = (given: Partial<AttemptTold> = {}): void =>
    told.attempts.note({
      name: NAME,
      claimId: 'c',
      token: 7,
      isExclusive: false,
      deadlineMs: 10_000,
      reign: 'a',
      clockUs: 5,
      ...given,
    });
  const unknown = (cut: Cut = NONE) =>
    [...told.attempts.unknownTo(cut)].map(({ claimId, token, deadlineMs }) => [claimId, token, deadlineMs]);
  return { time, told, note, unknown, attempts: told.attempts };
}

test('an attempt is told of until its deadline, and the latest one that was told counts', () => {
  const { time, note, unknown } = memory();
  note();
  note({ deadlineMs: 30_000, clockUs: 9 });
  note({ deadlineMs: 20_000, clockUs: 7 });
  expect(unknown()).toEqual([['c', 7, 30_000]]);
  time.nowMs = 30_000;
  expect(unknown()).toEqual([]);
});

test('data that come from the reign in which it was told know it below the cut, and under their own reign', () => {
  const { note, unknown } = memory();
  note();
  expect(unknown({ ...NONE, fromReign: 'a', fromClockUs: 6 })).toEqual([]);
  expect(unknown({ ...NONE, fromReign: 'a', fromClockUs: 5 })).toHaveLength(1);
  expect(unknown({ ...NONE, ownReign: 'a' })).toEqual([]);
});

test('what was said in a roll call is known to that reign, unless it was told of again meanwhile', () => {
  const { note, attempts, unknown } = memory();
  note();
  note({ name: 'r\t2' });
  const [first, second] = [...attempts.unknownTo(NONE)];
  if (!first || !second) throw new Error('two attempts');
  attempts.renewed(second, { deadlineMs: 12_000, reign: 'b', clockUs: 50 });
  for (const one of [first, second]) attempts.putBack(one, 5, { reign: 'b', clockUs: 40 });
  expect(unknown({ ...NONE, fromReign: 'b', fromClockUs: 45 })).toEqual([['c', 7, 12_000]]);
});

test('a heartbeat that is answered after the end of its attempt is not noted', () => {
  const { note, attempts, unknown } = memory();
  note();
  const known = attempts.find(NAME, 'c', 7);
  if (!known) throw new Error('it is not known');
  attempts.isOver(known);
  attempts.renewed(known, { deadlineMs: 20_000, reign: 'a', clockUs: 8 });
  expect(unknown()).toEqual([]);
});

test('of two attempts under one claim the later one counts, whichever answer comes first', () => {
  const { note, attempts, unknown } = memory();
  note({ token: 9 });
  note({ token: 7, deadlineMs: 40_000 });
  expect(unknown()).toEqual([['c', 9, 10_000]]);
  expect(attempts.find(NAME, 'c', 7)).toBeUndefined();
});

test('a heartbeat brings back what was swept while it was under way', () => {
  const { time, note, told, attempts, unknown } = memory();
  note();
  const known = attempts.find(NAME, 'c', 7);
  time.nowMs = 10_000;
  told.sweep();
  expect(attempts.size).toBe(0);
  if (known) attempts.renewed(known, { deadlineMs: 20_000, reign: 'a', clockUs: 8 });
  expect(unknown()).toEqual([['c', 7, 20_000]]);
});

test('attempts beyond the bound make the memory incomplete until they are over', () => {
  const { time, note, told } = memory(1);
  note();
  note({ name: 'r\t2', deadlineMs: 15_000 });
  expect(told.isCompleteFor(NONE)).toBe(false);
  expect(told.incompleteUntilMs).toBe(15_000);
  time.nowMs = 15_000;
  expect(told.isCompleteFor(NONE)).toBe(true);
  note({ name: 'r\t3', deadlineMs: 20_000 });
  expect(told.attempts.size).toBe(1);
});

test('a begin that found its operation finished tells of no attempt', () => {
  const { told } = memory();
  // Of both, nothing is read.
  const [operation, answer] = [{} as Operation, { reply: ['begun', '0'] } as unknown as Answer];
  noteAttempt(told, operation, 'c', '', answer);
  expect(told.attempts.size).toBe(0);
});

test('the largest token that was told is also that of an attempt which another instance started', () => {
  const { note, told } = memory();
  note({ token: 9 });
  note({ name: 'r\t2', token: 8 });
  expect(told.largestToken).toBe(9);
});
