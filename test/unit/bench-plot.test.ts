// The plots of the benchmarks: which figures make a curve, and whether each point is where it should be.
import { expect, test } from 'vitest';
import { type Figure, ofMany } from '../../bench/figures.ts';
import { curvesOf } from '../../bench/plot/curves.ts';
import { type Expectation, GROWTH } from '../../bench/plot/expected-orders.ts';
import { axisOf, logAxis } from '../../bench/plot/log-axis.ts';
import { logLogPlot } from '../../bench/plot/log-log-plot.ts';

function figure(n: number, value: number, floor?: number): Figure {
  const measured = floor === undefined ? { value } : { value, floor };
  return { scenario: 'calls', unit: 'us', better: 'less', ...ofMany(n, 'callers', 'CPU'), ...measured };
}

const KEY = 'calls: callers: CPU';
const expectation: Expectation = {
  title: 'Cost of < a call',
  n: 'callers',
  order: 'O(n)',
  because: 'it is so',
};

test('figures of the same name for different numbers make a curve, in the order of the numbers', () => {
  const { curve: _, ...other } = figure(1, 5);
  expect(curvesOf([figure(10, 3, 2), figure(1, 5), other])).toEqual([
    {
      key: KEY,
      unit: 'us',
      points: [
        { n: 1, value: 5 },
        { n: 10, value: 3, floor: 2 },
      ],
    },
  ]);
});

test('one point makes no curve, and a value without a logarithm makes no point', () => {
  expect(curvesOf([figure(1, 5)])).toEqual([]);
  expect(curvesOf([figure(1, 5), figure(10, 0), figure(0, 7), figure(20, Number.NaN)])).toEqual([]);
});

test('an axis begins and ends at a step of 1, 2 or 5, and both ends have labels', () => {
  const { least, most, ticks, at } = logAxis([30, 700]);
  expect([least, most]).toEqual([20, 1_000]);
  expect(ticks).toEqual([20, 50, 100, 200, 500, 1_000]);
  expect([at(20), at(1_000)]).toEqual([0, 1]);
});

test('an axis of values that are nearly the same is long enough for them to look so', () => {
  const { at } = logAxis([100, 104]);
  expect(at(104) - at(100)).toBeLessThan(0.02);
});

test('an axis of many decades has only powers of ten as labels', () => {
  expect(logAxis([120, 90_000]).ticks).toEqual([100, 1_000, 10_000, 100_000]);
  expect(axisOf([1, 16, 256]).ticks).toEqual([1, 16, 256]);
});

test('the expected order is a dashed line through the first point', () => {
  const [curve] = curvesOf([figure(1, 5), figure(10, 500)]);
  const svg = logLogPlot(curve ?? { key: KEY, unit: 'us', points: [] }, expectation, 'today');
  const [dashed, solid] = [
    /points="(\S+) (\S+)"[^>]*dasharray/g,
    /points="(\S+) (\S+)"[^>]*stroke-width="2"\/>/g,
  ].map((lines) => [...svg.matchAll(lines)].at(-1)?.slice(1));
  expect(dashed?.[0]).toBe(solid?.[0]);
  expect(heightOf(dashed?.[1])).toBeLessThan(heightOf(solid?.[1]));
  expect(svg).toContain('Cost of &lt; a call');
});

/** How far above the bottom a point is. */
function heightOf(end = ''): number {
  return -Number(end.split(',')[1]);
}

test('the floor is drawn where there is one', () => {
  const [curve] = curvesOf([figure(1, 5, 4), figure(10, 500, 40)]);
  if (!curve) throw new Error('no curve');
  const marks = (floor: string | undefined): number =>
    logLogPlot(curve, floor === undefined ? expectation : { ...expectation, floor }, '').split('width="9"')
      .length - 1;
  // Two points and the mark of the legend.
  expect([marks(undefined), marks('bare')]).toEqual([0, 3]);
});

test('the orders grow as their names say', () => {
  expect(GROWTH['O(1)'](1_000)).toBe(1);
  expect(GROWTH['O(n)'](1_000) / GROWTH['O(n)'](10)).toBe(100);
  expect(GROWTH['O(log n)'](1_023) / GROWTH['O(log n)'](31)).toBe(2);
});
