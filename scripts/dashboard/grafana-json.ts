// Makes the JSON that Grafana reads of the dashboard's rows: places the panels, numbers them, and adds the variables.
// What the panels show is in glance-and-locks.ts and redis-and-process.ts.
import { CONTENTION, GLANCE, OPERATIONS } from './glance-and-locks.ts';
import type { Panel, Row } from './panel.ts';
import { FAILOVER, PROCESS, REDIS } from './redis-and-process.ts';

const ROWS = [GLANCE, CONTENTION, FAILOVER, REDIS, OPERATIONS, PROCESS];
const COLUMNS = 24;
const SIZES = { stat: { w: 3, h: 4 }, timeseries: { w: 8, h: 8 }, table: { w: 8, h: 8 } } as const;
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** The text of deploy/monitoring/grafana/dashboards/leasehold.json. */
export function dashboardJson(): string {
  const dashboard = {
    uid: 'leasehold',
    title: 'Leasehold',
    description:
      'docs/runbooks.md tells what to do. Values of the deployment are the max or min over the instances.',
    tags: ['leasehold'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: VARIABLES },
    annotations: { list: [FAILOVERS] },
    panels: placed(ROWS),
  };
  return `${JSON.stringify(dashboard, null, 1)}\n`;
}

const chosenFrom = (name: string, label: string, query: string, several: boolean) => ({
  type: 'query',
  name,
  label,
  datasource: DATASOURCE,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  sort: 1,
  multi: several,
  includeAll: several,
  ...(several && { allValue: '.*', current: { text: ['All'], value: ['$__all'] } }),
});

const VARIABLES = [
  { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus' },
  chosenFrom('job', 'Deployment', 'label_values(leasehold_info, job)', false),
  chosenFrom('instance', 'Instance', 'label_values(leasehold_info{job="$job"}, instance)', true),
  chosenFrom('node', 'Redis node', 'label_values(leasehold_redis_up{job="$job"}, node)', true),
];

/** Lines through all graphs where the primary changed. */
const FAILOVERS = {
  name: 'Failovers',
  enable: true,
  iconColor: 'orange',
  datasource: DATASOURCE,
  expr: 'changes(max(leasehold_last_failover_timestamp_seconds{job="$job"})[1m:10s]) > 0',
  step: '10s',
  titleFormat: 'failover',
};

function placed(rows: readonly Row[]): object[] {
  const all: object[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    all.push({
      id: all.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of panels) {
      const { w, h } = SIZES[panel.kind];
      if (x + w > COLUMNS || (height > 0 && h !== height)) {
        y += height;
        x = 0;
      }
      height = h;
      all.push({ id: all.length + 1, gridPos: { x, y, w, h }, ...grafanaPanel(panel) });
      x += w;
    }
    y += height;
  }
  return all;
}

function grafanaPanel(panel: Panel): object {
  const { kind, title, description, unit, queries, colours = [], noValue } = panel;
  const steps = [{ color: 'green', value: null }, ...colours.map(([value, color]) => ({ color, value }))];
  const isGraph = kind === 'timeseries';
  return {
    type: kind,
    title,
    ...(description !== undefined && { description }),
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      expr,
      ...(isGraph ? { legendFormat: legend, range: true } : { instant: true }),
      ...(kind === 'table' && { format: 'table' }),
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(noValue !== undefined && { noValue }),
        ...(kind === 'stat' && { color: { mode: 'thresholds' }, thresholds: { mode: 'absolute', steps } }),
        ...(isGraph && { min: 0, custom: { lineWidth: 1, fillOpacity: 8, showPoints: 'never' } }),
      },
      overrides: [],
    },
    options: OPTIONS[kind],
    ...(kind === 'table' && { transformations: [WITHOUT_VALUE] }),
  };
}

const OPTIONS = {
  stat: { colorMode: 'background', graphMode: 'none', reduceOptions: { calcs: ['lastNotNull'] } },
  timeseries: {
    legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  },
  table: { showHeader: true },
};

/** The labels are what such a table is about; its value is always 1. */
const WITHOUT_VALUE = { id: 'organize', options: { excludeByName: { Time: true, Value: true } } };
