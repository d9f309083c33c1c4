// The check of believed holds: which holders can hold side by side, and when a belief begins and ends.
import { describe, expect, test } from 'vitest';
import { checkBeliefs } from '../chaos/checker/beliefs.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { beliefEnded, believed, fault, reign } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkBeliefs(new Run(events)).violations;
const shared = { mode: 'shared' };
const permits = (taken: number, limit: number) => ({ mode: `permits:${taken}/${limit}` });

describe('exclusive', () => {
  test('exclusive holds one after the other pass, even at the same moment', () => {
    expect(check(believed(1, 5, 1), believed(5, 9, 2), believed(6, 8, 3, { resource: 's' }))).toEqual([]);
  });

  test('two exclusive holds at once are a violation, with its length, both tokens and reigns', () => {
    const [violation, ...others] = check(reign(0, 'a'), believed(1, 5, 1), reign(3, 'b'), believed(4, 9, 2));
    expect(others).toEqual([]);
    expect(violation).toMatchObject({ check: 'beliefs', atMs: 4_000 });
    expect(violation?.text).toContain('held twice for 1.000 s');
    expect(violation?.text).toMatch(/token 1 .*reign a\).*token 2 .*reign b\)/);
  });

  test('an exclusive hold beside a shared one or beside permits is a violation too', () => {
    expect(check(believed(1, 5, 1), believed(4, 9, 2, shared))).toHaveLength(1);
    expect(check(believed(1, 5, 1, permits(1, 3)), believed(4, 9, 2))).toHaveLength(1);
  });

  test('the check sees a hold within a longer one, past the end of a third', () => {
    expect(check(believed(1, 20, 1, shared), believed(2, 3, 2, shared), believed(10, 11, 3))).toHaveLength(1);
  });
});

describe('shared and permits', () => {
  test('shared holders may hold together', () => {
    expect(check(believed(1, 5, 1, shared), believed(2, 6, 2, shared))).toEqual([]);
  });

  test('shared holders and holders of permits do not hold together', () => {
    expect(check(believed(1, 5, 1, shared), believed(2, 6, 2, permits(1, 5)))).toHaveLength(1);
  });

  test('permits up to the limit pass, and more are a violation', () => {
    const two = [believed(1, 5, 1, permits(2, 3)), believed(2, 5, 2, permits(1, 3))];
    expect(check(...two, believed(5, 6, 3, permits(3, 3)))).toEqual([]);
    expect(check(...two, believed(4, 6, 3, permits(1, 3)))).toHaveLength(1);
  });

  test('the smallest limit of the permits that are held counts', () => {
    expect(check(believed(1, 5, 1, permits(2, 5)), believed(2, 5, 2, permits(1, 2)))).toHaveLength(1);
    expect(check(believed(1, 5, 1, permits(2, 3)), believed(2, 5, 2, permits(1, 9)))).toEqual([]);
  });
});

describe('a belief', () => {
  test('a belief lasts until the last deadline that arrived before it ended', () => {
    const extended = [believed(1, 5, 1), believed(4, 8, 1)];
    expect(check(...extended, believed(8, 9, 2))).toEqual([]);
    expect(check(...extended, believed(7, 9, 2))).toHaveLength(1);
  });

  test('a belief is never shortened by an earlier deadline', () => {
    expect(check(believed(1, 8, 1), believed(2, 5, 1), believed(6, 9, 2))).toHaveLength(1);
  });

  test('a belief is not revived by an answer that arrives after its end', () => {
    expect(check(believed(1, 5, 1), believed(6, 9, 1), believed(7, 8, 2))).toEqual([]);
  });

  test('a belief ends when its holder stops, and no extension counts after that', () => {
    expect(check(believed(1, 8, 1), beliefEnded(3, 1), believed(4, 9, 2))).toEqual([]);
    expect(check(believed(1, 8, 1), beliefEnded(3, 1), believed(3.5, 9, 1), believed(4, 9, 2))).toEqual([]);
    expect(check(believed(1, 8, 1), beliefEnded(5, 1), believed(4, 9, 2))).toHaveLength(1);
  });

  test('a belief lasts until its deadline where nobody ended it', () => {
    expect(check(believed(1, 5, 1), beliefEnded(9, 1, 'deadline'), believed(6, 7, 2))).toEqual([]);
  });

  test('a belief goes on although its holder was killed or stands still', () => {
    const struck = [...fault(2, 9, ['client-1']), ...fault(2, 8, ['client-1'], { fault: 'pause' })];
    expect(check(...struck, believed(1, 5, 1), believed(4, 6, 2))).toHaveLength(1);
  });
});

test('two leaders at once are reported under a name of their own', () => {
  const leader = { resource: 'leader:a' };
  expect(check(believed(1, 5, 1, leader), believed(4, 9, 2, leader))).toMatchObject([{ check: 'leaders' }]);
});

test('two attempts of one operation at once are a violation, and attempts of two operations are not', () => {
  const attempt = (resource: string) => ({ of: 'attempt', mode: 'shared', resource }) as const;
  const first = believed(1, 5, 1, attempt('r/o'));
  expect(check(first, believed(4, 9, 2, attempt('r/o')))).toMatchObject([{ check: 'attempts' }]);
  expect(check(first, believed(4, 9, 2, attempt('r/p')))).toEqual([]);
  // The lease of the attempt is no second holder.
  expect(check(first, believed(4, 9, 2, { resource: 'r/o' }))).toEqual([]);
});
