// The guard of a drill's locks: what it takes for a violation, and what it doesn't.
import { expect, test } from 'vitest';
import { GuardedCounters } from '../../src/drill/guarded-counters.ts';

const yes = (): boolean => true;

function guard() {
  const violations: string[] = [];
  const counters = new GuardedCounters({ violated: (text) => violations.push(text) });
  return { counters, violations };
}

test('Holders that take turns, each with a larger token, violate nothing', () => {
  const { counters, violations } = guard();
  const first = counters.granted('a', 5n, 'alice', yes);
  expect(first.write(first.read())).toBe(true);
  first.end();
  const second = counters.granted('a', 6n, 'bob', yes);
  expect(second.write(second.read())).toBe(true);
  expect(violations).toEqual([]);
  expect(counters).toMatchObject({ grants: 2, writes: 2 });
});

test('A second holder while the first one may still act is a violation', () => {
  const { counters, violations } = guard();
  counters.granted('a', 5n, 'alice', yes);
  counters.granted('a', 6n, 'bob', yes);
  expect(violations).toEqual(['a: bob was granted it while alice held it']);
});

test('A second holder after the deadline of the first one is no violation, and the late writer is refused', () => {
  const { counters, violations } = guard();
  let isHeld = true;
  const first = counters.granted('a', 5n, 'alice', () => isHeld);
  const read = first.read();
  isHeld = false;
  const second = counters.granted('a', 6n, 'bob', yes);
  expect(second.write(second.read())).toBe(true);
  expect(first.write(read)).toBe(false);
  expect(violations).toEqual([]);
});

test('A token that does not grow is a violation', () => {
  const { counters, violations } = guard();
  counters.granted('a', 5n, 'alice', yes).end();
  counters.granted('a', 5n, 'bob', yes).end();
  counters.granted('b', 1n, 'bob', yes).end();
  counters.granted('a', 4n, 'carol', yes).end();
  expect(violations).toEqual(['a: the token 5 came after 5', 'a: the token 4 came after 5']);
});

test('A counter that changed between the read and the write of its holder is a violation', () => {
  const { counters, violations } = guard();
  const first = counters.granted('a', 5n, 'alice', yes);
  const read = first.read();
  first.write(read);
  first.write(read);
  expect(violations).toEqual(['a: it changed between the read and the write of alice']);
});
