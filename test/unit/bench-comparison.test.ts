// The rules of the benchmarks: what counts as a regression, and when a budget is met.
import { expect, test } from 'vitest';
import { missedBudgets, recordOf, regressions } from '../../bench/comparison.ts';
import { type Figure, isMet, medianOfRuns, paired } from '../../bench/figures.ts';

function figure(is: number, more: Partial<Figure> = {}): Figure {
  return {
    scenario: 'calls',
    name: 'CPU',
    unit: 'us',
    value: 1_000,
    ratio: is,
    steady: 'ratio',
    better: 'less',
    ...more,
  };
}

const KEY = 'calls: CPU';
const recorded = { [KEY]: { is: 1, better: 'less' } } as const;

test('the record has the median of the runs, and only figures that hold on another machine', () => {
  const time = figure(3, { name: 'p50' });
  const { steady: _, ...ofThisMachine } = time;
  expect(recordOf([[figure(1.4), ofThisMachine], [figure(1.1)], [figure(1.2)]])).toEqual({
    [KEY]: { is: 1.2, better: 'less' },
  });
});

test('a figure may be up to 15 % worse than its record', () => {
  expect(regressions(recorded, [[figure(1.14)]])).toEqual([]);
  expect(regressions(recorded, [[figure(1.16)]])).toEqual([{ key: KEY, recorded: 1, measured: 1.16 }]);
});

test('a figure of which more is better is worse when it is less', () => {
  const rate = { [KEY]: { is: 1, better: 'more' } } as const;
  expect(regressions(rate, [[figure(0.86), figure(5)]])).toEqual([]);
  expect(regressions(rate, [[figure(0.84)]])).toHaveLength(1);
});

test('a figure counts with the best of its runs', () => {
  expect(regressions(recorded, [[figure(2)], [figure(1.1)]])).toEqual([]);
  expect(regressions(recorded, [[figure(2)], [figure(1.5)]])[0]?.measured).toBe(1.5);
});

test('a figure that was recorded and is not measured is a regression', () => {
  expect(regressions(recorded, [[figure(1, { name: 'memory' })]])[0]?.measured).toBeUndefined();
  expect(regressions(recorded, [[figure(Number.NaN)]])[0]?.measured).toBeUndefined();
});

test('a budget bounds the figure, its ratio, or its excess over the floor', () => {
  const measured = { value: 2, floor: 1.8 };
  expect(isMet(figure(1.2, measured))).toBeUndefined();
  expect(isMet(figure(1.2, { ...measured, budget: { of: 'ratio', atMost: 1.25 } }))).toBe(true);
  expect(isMet(figure(1.3, { ...measured, budget: { of: 'ratio', atMost: 1.25 } }))).toBe(false);
  expect(isMet(figure(1, { ...measured, budget: { of: 'excess', atMost: 0.3 } }))).toBe(true);
  expect(isMet(figure(1, { ...measured, budget: { of: 'value', atLeast: 3 } }))).toBe(false);
});

test('a figure that is missing meets no budget', () => {
  expect(isMet(figure(Number.NaN, { budget: { of: 'ratio', atMost: 1.25 } }))).toBe(false);
  expect(isMet(figure(1, { budget: { of: 'excess', atMost: 1 } }))).toBe(false);
});

test('a ratio is the median of the ratios of the pairs, with the least and the most of them', () => {
  const pairs = [
    { ours: 10, floor: 5 },
    { ours: 90, floor: 30 },
    { ours: 20, floor: 20 },
  ];
  expect(paired(pairs, (sample) => sample)).toEqual({
    value: 20,
    floor: 20,
    ratio: 2,
    spread: { least: 1, most: 3 },
  });
});

test('a budget limits the median of the runs', () => {
  const budget = { of: 'ratio', atMost: 1.25 } as const;
  const runs = [1.34, 1.2, 1.22].map((ratio, run) => [
    figure(ratio, { value: 100 + run, floor: 80 + run, budget }),
  ]);
  const [middle] = medianOfRuns(runs);
  expect(middle).toEqual(figure(1.22, { value: 101, floor: 81, budget, spread: { least: 1.2, most: 1.34 } }));
  expect(runs.flat().map(isMet)).toEqual([false, true, true]);
  expect(isMet(middle ?? figure(9))).toBe(true);
});

test('one run is its own median, with the spread of its rounds', () => {
  const run = [figure(1.1, { spread: { least: 1, most: 1.2 } })];
  expect(medianOfRuns([run])).toEqual(run);
});

test('a figure that a run lacks is the median of the runs that have it', () => {
  const tail = { name: 'p99.9', better: 'less', unit: 'ms', scenario: 'calls' } as const;
  const runs = [[{ ...tail, value: 3 }], [], [{ ...tail, value: 5 }]];
  expect(medianOfRuns(runs)).toEqual([{ ...tail, value: 4 }]);
});

test('bench:check asks for the budget of the median of the runs, of figures that hold on another machine', () => {
  const budget = { of: 'ratio', atMost: 1.25 } as const;
  const runs = (...ratios: number[]) => ratios.map((ratio) => [figure(ratio, { budget })]);
  expect(missedBudgets(recorded, runs(1.34, 1.2, 1.22))).toEqual([]);
  expect(missedBudgets(recorded, runs(1.34, 1.2, 1.27))).toEqual([{ key: KEY, measured: 1.27 }]);
  const { steady: _, ...ofThisMachine } = figure(9, { budget });
  expect(missedBudgets(recorded, [[ofThisMachine]])).toEqual([]);
  const everywhere = { of: 'value', atMost: 10, isForAnyMachine: true } as const;
  expect(missedBudgets({}, [[{ ...ofThisMachine, value: 11, budget: everywhere }]])).toEqual([
    { key: KEY, measured: 11 },
  ]);
});

test('a budget that the record misses too is no news', () => {
  const budget = { of: 'ratio', atMost: 1.03 } as const;
  const known = { [KEY]: { is: 1.12, better: 'less' } } as const;
  expect(missedBudgets(known, [[figure(1.14, { budget })]])).toEqual([]);
  expect(missedBudgets({}, [[figure(1.14, { budget })]])).toHaveLength(1);
});
