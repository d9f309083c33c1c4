// The metrics that docs/metrics.md promises, with their types and labels, and those of prom-client that it refers to.
// For tests that hold alerts, the dashboard and the runbooks to them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';

const PAGE = join(import.meta.dirname, '../../docs/metrics.md');
const ROW = /^\| `([a-z_]+)` \| (counter|gauge|histogram) \| (.*?) \|/gm;

export interface CataloguedMetric {
  readonly type: string;
  readonly labels: readonly string[];
}

export type Catalogue = ReadonlyMap<string, CataloguedMetric>;

/** By the names of series: a histogram has three. */
export async function metricCatalogue(): Promise<Catalogue> {
  const own = [...readFileSync(PAGE, 'utf8').matchAll(ROW)].map(
    ([, name = '', type = '', labels = '']) =>
      [name, { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) }] as const,
  );
  const byName = [...own, ...(await fromPromClient())];
  return new Map(byName.flatMap(([name, metric]) => series(name, metric)));
}

async function fromPromClient(): Promise<(readonly [string, CataloguedMetric])[]> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = await registry.getMetricsAsJSON();
  // Those are the labels that prom-client itself writes; the declared ones are not among what it tells.
  return metrics.map(({ name, type, values }) => {
    const labels = values.flatMap((value) => Object.keys(value.labels)).filter((label) => label !== 'le');
    const known = name === 'nodejs_gc_duration_seconds' ? ['kind'] : [...new Set(labels)];
    return [name, { type: String(type), labels: known }] as const;
  });
}

function series(name: string, metric: CataloguedMetric): (readonly [string, CataloguedMetric])[] {
  if (metric.type !== 'histogram') return [[name, metric]];
  const counter = { ...metric, type: 'counter' };
  return [
    [`${name}_bucket`, { ...counter, labels: [...metric.labels, 'le'] }],
    [`${name}_sum`, counter],
    [`${name}_count`, counter],
  ];
}
