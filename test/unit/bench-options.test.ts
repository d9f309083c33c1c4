// The arguments of the benchmarks: what they mean, and the sentences about those that don't go together.
import { expect, test } from 'vitest';
import { chosenBy, readOptions } from '../../bench/options.ts';

test('without arguments, every scenario runs once', () => {
  expect(readOptions([])).toEqual({
    quick: false,
    only: [],
    json: undefined,
    plots: undefined,
    runs: 1,
    against: undefined,
    rounds: undefined,
  });
});

test('another checkout is compared in the rounds that are asked for', () => {
  const args = [
    '--against',
    '../other',
    '--rounds',
    '7',
    '--quick',
    '--only',
    'watch',
    '--only',
    'hand-over',
  ];
  expect(readOptions(args)).toMatchObject({
    against: '../other',
    rounds: 7,
    quick: true,
    only: ['watch', 'hand-over'],
  });
});

test.each([
  [['--runs', '0'], '--runs 0: it is a whole number from 1'],
  [['--runs', 'three'], '--runs three: it is a whole number from 1'],
  [['--against', '.', '--rounds', '4'], '--rounds 4: it is a whole number from 5'],
  [['--rounds', '9'], '--rounds goes with --against DIR'],
  [['--against', '.', '--runs', '3'], '--runs does not go with --against DIR'],
  [['--against', '.', '--plots', 'out'], '--plots does not go with --against DIR'],
  [['--agianst', '.'], '--agianst'],
])('%j is refused with a sentence', (args, sentence) => {
  expect(() => readOptions(args)).toThrow(sentence);
});

test('scenarios are chosen by name, and run in their own order', () => {
  const all = [{ name: 'uncontended' }, { name: 'hand-over' }, { name: 'watch' }];
  expect(chosenBy([], all)).toEqual(all);
  expect(chosenBy(['watch', 'uncontended'], all)).toEqual([all[0], all[2]]);
  expect(() => chosenBy(['wach'], all)).toThrow(
    '--only wach: there is no such scenario; there are uncontended, hand-over, watch',
  );
});
