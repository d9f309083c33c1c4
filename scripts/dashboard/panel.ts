// What a panel of the dashboard is, and short ways to write the kinds that it has. What Grafana makes of them is in
// grafana-json.ts.

export interface Query {
  readonly expr: string;
  /** With {{label}} for the labels of the series. */
  readonly legend: string;
}

export interface Panel {
  readonly kind: 'stat' | 'timeseries' | 'table';
  readonly title: string;
  /** Shown at the title: what the numbers mean, where the title can't say it. */
  readonly description?: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Of a stat: the colour from this value on; below the first it is green. */
  readonly colours?: readonly (readonly [from: number, colour: 'green' | 'orange' | 'red'])[];
  /** Of a stat without data. */
  readonly noValue?: string;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** The instances that the viewer has chosen. */
export const I = 'job="$job", instance=~"$instance"';
/** As these instances see the nodes that the viewer has chosen. */
export const N = `${I}, node=~"$node"`;

export function timeseries(
  title: string,
  unit: string,
  queries: readonly (readonly [legend: string, expr: string])[],
  description?: string,
): Panel {
  const named = queries.map(([legend, expr]) => ({ legend, expr }));
  return { kind: 'timeseries', title, unit, queries: named, ...(description && { description }) };
}

export function stat(
  title: string,
  unit: string,
  expr: string,
  more: Pick<Panel, 'colours' | 'noValue' | 'description'> = {},
): Panel {
  return { kind: 'stat', title, unit, queries: [{ legend: '', expr }], ...more };
}

export function table(title: string, expr: string, description?: string): Panel {
  const queries = [{ legend: '', expr }];
  return { kind: 'table', title, unit: 'none', queries, ...(description && { description }) };
}

/** `rate` of a counter, added up over the instances. */
export function rate(by: string, metric: string, filter = ''): string {
  return `sum by (${by}) (rate(${metric}{${I}${filter}}[$__rate_interval]))`;
}

/** `rate` of a counter that all instances read from the same node. */
export function nodeRate(by: string, metric: string): string {
  return `max by (${by}) (rate(${metric}{${N}}[$__rate_interval]))`;
}

/** Queries for the median and the 99th percentile of a histogram, each for the values of `by`. */
export function quantiles(histogram: string, by?: string): readonly (readonly [string, string])[] {
  const labels = by === undefined ? 'le' : `le, ${by}`;
  const suffix = by === undefined ? '' : ` {{${by}}}`;
  const buckets = `sum by (${labels}) (rate(${histogram}_bucket{${I}}[$__rate_interval]))`;
  return [
    [`p50${suffix}`, `histogram_quantile(0.5, ${buckets})`],
    [`p99${suffix}`, `histogram_quantile(0.99, ${buckets})`],
  ];
}

/** Of one number: 0 where there is no series, because nothing of the kind has happened yet. */
export function orZero(expr: string): string {
  return `${expr} or vector(0)`;
}
