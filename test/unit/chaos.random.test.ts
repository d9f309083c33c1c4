// The chance of chaos runs: a red seed must be red again.

import { expect, test } from 'vitest';
import { Dice } from '../chaos/client/dice.ts';
import { SeededRandom } from '../chaos/rig/random.ts';

function draws(seed: number): number[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: 1_000 }, () => random.next());
}

test('the same seed draws the same numbers and another seed others, all from 0 to below 1', () => {
  expect(draws(7)).toEqual(draws(7));
  expect(draws(7)).not.toEqual(draws(8));
  expect(draws(7).every((drawn) => drawn >= 0 && drawn < 1)).toBe(true);
  const mean = draws(7).reduce((sum, drawn) => sum + drawn, 0) / 1_000;
  expect(mean).toBeGreaterThan(0.45);
  expect(mean).toBeLessThan(0.55);
});

test('both ends of a range are drawn, and a shuffle keeps everything', () => {
  const random = new SeededRandom(1);
  const numbers = new Set(Array.from({ length: 200 }, () => random.between(2, 4)));
  expect([...numbers].sort()).toEqual([2, 3, 4]);
  expect(random.shuffled([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5]);
});

test('each client has dice of its own, which its words determine', () => {
  const throws = (words: string): number[] => {
    const dice = new Dice(words);
    return Array.from({ length: 100 }, () => dice.below(6));
  };
  expect(throws('1 client-1 hold')).toEqual(throws('1 client-1 hold'));
  expect(throws('1 client-1 hold')).not.toEqual(throws('1 client-2 hold'));
  expect([...new Set(throws('1 client-1 hold'))].sort()).toEqual([0, 1, 2, 3, 4, 5]);
});
