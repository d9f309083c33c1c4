// The rules of the benchmarks: what counts as a regression, and when a budget is met.
import { expect, test } from 'vitest';
import { recordOf, regressions } from '../../bench/comparison.ts';
import { type Figure, isMet, paired } from '../../bench/figures.ts';

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

test('a ratio is the median of the ratios of the pairs', () => {
  const pairs = [
    { ours: 10, floor: 5 },
    { ours: 90, floor: 30 },
    { ours: 20, floor: 20 },
  ];
  expect(paired(pairs, (sample) => sample)).toEqual({ value: 20, floor: 20, ratio: 2 });
});
