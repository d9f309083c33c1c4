// What a scrape shows of tallies and distributions is what prom-client's own counters and histograms would show.

import { Counter, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Distribution, Tally } from '../../src/admin/tally.ts';

const BUCKETS = [0.001, 0.5, 2];
const VALUES = [0, 0.001, 0.0011, 0.5, 1.25, 2, 1_000];

const samples = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').toSorted()}}`))
    .toSorted();

async function shown(fill: (registry: Registry) => void, worker?: string): Promise<string[]> {
  const registry = new Registry();
  if (worker !== undefined) registry.setDefaultLabels({ worker });
  fill(registry);
  return samples(await registry.metrics());
}

test.each([undefined, '2'])(
  'a scrape of worker %s shows the same as with the counters of prom-client',
  async (worker) => {
    const ours = await shown((registry) => {
      const plain = { name: 'plain_total', help: 'No labels' };
      new Tally(registry, plain);
      const one = new Tally(registry, { name: 'one_total', help: 'One', labelNames: ['a'] });
      const two = new Tally(registry, { name: 'two_total', help: 'Two', labelNames: ['a', 'b'] });
      for (let i = 0; i < 3; i++) one.of('x').add();
      one.of('y').add(0.25);
      for (const [a, b] of [
        ['x', 'y'],
        ['y', 'x'],
        ['x', 'y'],
      ] as const)
        two.of(a, b).add();
    }, worker);
    const theirs = await shown((registry) => {
      const registers = [registry];
      new Counter({ name: 'plain_total', help: 'No labels', registers });
      const one = new Counter({ name: 'one_total', help: 'One', labelNames: ['a'], registers });
      const two = new Counter({ name: 'two_total', help: 'Two', labelNames: ['a', 'b'], registers });
      for (let i = 0; i < 3; i++) one.inc({ a: 'x' });
      one.inc({ a: 'y' }, 0.25);
      for (const [a, b] of [
        ['x', 'y'],
        ['y', 'x'],
        ['x', 'y'],
      ] as const)
        two.inc({ a, b });
    }, worker);
    expect(ours).toEqual(theirs);
    expect(ours.join()).toContain('two_total');
  },
);

test.each([undefined, '2'])(
  'a scrape of worker %s shows the same as with the histograms of prom-client',
  async (worker) => {
    const settings = { help: 'Some values', buckets: BUCKETS };
    const ours = await shown((registry) => {
      const plain = new Distribution(registry, { ...settings, name: 'plain' });
      const two = new Distribution(registry, { ...settings, name: 'two', labelNames: ['a', 'b'] });
      new Distribution(registry, { ...settings, name: 'none' });
      new Distribution(registry, { ...settings, name: 'nothing', labelNames: ['a'] });
      for (const value of VALUES) {
        plain.of().add(value);
        two.of('x', 'y').add(value);
        two.of('y', 'y').add(value / 2);
      }
    }, worker);
    const theirs = await shown((registry) => {
      const registers = [registry];
      const plain = new Histogram({ ...settings, name: 'plain', registers });
      const two = new Histogram({ ...settings, name: 'two', labelNames: ['a', 'b'], registers });
      new Histogram({ ...settings, name: 'none', registers });
      new Histogram({ ...settings, name: 'nothing', labelNames: ['a'], registers });
      for (const value of VALUES) {
        plain.observe(value);
        two.observe({ a: 'x', b: 'y' }, value);
        two.observe({ a: 'y', b: 'y' }, value / 2);
      }
    }, worker);
    expect(ours).toEqual(theirs);
    expect(ours.join()).toContain('two_bucket');
  },
);

test('a distribution can be read as JSON too', async () => {
  const registry = new Registry();
  new Distribution(registry, { name: 'd', help: 'D', labelNames: ['a'], buckets: BUCKETS }).of('x').add(1);
  const [found] = await registry.getMetricsAsJSON();
  expect(found).toMatchObject({ name: 'd', type: 'histogram' });
  expect(found?.values).toContainEqual({ labels: { a: 'x', le: 2 }, value: 1, metricName: 'd_bucket' });
});
