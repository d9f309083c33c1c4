// The alert rules and the dashboard of deploy/monitoring at rest, and what docker-compose.yml makes of them: what they
// name exists, every alert says what an alert has to say and has its cases. Whether Prometheus takes them is in
// alert-rules.test.ts.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboardJson } from '../../scripts/dashboard/grafana-json.ts';
import { type Catalogue, metricCatalogue } from '../support/metric-catalogue.ts';
import {
  alertCases,
  alertRules,
  DASHBOARD,
  dashboardQueries,
  dashboardVariables,
  readMonitoring,
} from '../support/monitoring-files.ts';
import { namesIn } from '../support/promql.ts';

/** What Prometheus makes itself. */
const OF_PROMETHEUS = new Map([
  ['up', { type: 'gauge', labels: [] }],
  ['ALERTS', { type: 'gauge', labels: ['alertname', 'alertstate'] }],
]);
/** Labels that a scrape or the supervisor adds to every series. */
const ADDED = ['job', 'instance', 'worker'];

const catalogue: Catalogue = new Map([...(await metricCatalogue()), ...OF_PROMETHEUS]);
const rules = alertRules();

/** What an expression names and the catalogue doesn't have. */
function unknownIn(expr: string): string[] {
  const { selectors, grouping } = namesIn(expr);
  const known = (metric: string): readonly string[] => [...(catalogue.get(metric)?.labels ?? []), ...ADDED];
  const all = selectors.flatMap(({ metric }) => known(metric));
  return [
    ...selectors.filter(({ metric }) => !catalogue.has(metric)).map(({ metric }) => metric),
    ...selectors.flatMap(({ metric, labels }) =>
      labels.filter((label) => catalogue.has(metric) && !known(metric).includes(label)),
    ),
    ...grouping.filter((label) => !all.includes(label)),
  ];
}

test.for([
  ['leasehold_ready', []],
  ['sum by (job, nodes) (leasehold_redis_up{node="a"}) and on (job) up', ['nodes']],
  ['rate(leasehold_redy[5m]) > 0', ['leasehold_redy']],
  ['leasehold_redis_up{family="scripts"}', ['family']],
  ['histogram_quantile(0.5, sum by (le) (rate(leasehold_commit_duration_seconds_bucket[5m])))', []],
  ['leasehold_commit_duration_seconds', ['leasehold_commit_duration_seconds']],
] as const)('of %s, what the catalogue lacks is found', ([expr, expected]) => {
  expect(unknownIn(expr)).toEqual(expected);
});

test('Every metric and label in an alert rule is in docs/metrics.md', () => {
  expect(rules.length).toBeGreaterThan(30);
  const unknown = rules.flatMap(({ alert, expr }) => unknownIn(expr).map((name) => `${alert}: ${name}`));
  expect(unknown).toEqual([]);
});

test('Every metric and label in a query of the dashboard is in docs/metrics.md', () => {
  const queries = dashboardQueries();
  expect(queries.length).toBeGreaterThan(80);
  expect(queries.flatMap(({ of, expr }) => unknownIn(expr).map((name) => `${of}: ${name}`))).toEqual([]);
  const ofVariables = dashboardVariables().flatMap(({ of, expr }) => {
    const [, metric = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(expr) ?? [];
    return unknownIn(`max by (${label}) (${metric})`).map((name) => `${of}: ${name}`);
  });
  expect(ofVariables).toEqual([]);
});

test('Every metric of docs/metrics.md that Leasehold has of its own is on the dashboard', () => {
  const shown = new Set(
    [...dashboardQueries(), ...dashboardVariables()].flatMap(({ expr }) =>
      namesIn(expr).selectors.map(({ metric }) => metric),
    ),
  );
  const own = [...catalogue.keys()].filter((name) => /^leasehold_.*(?<!_sum|_count)$/.test(name));
  expect(own.filter((name) => !shown.has(name))).toEqual([]);
});

test('The dashboard is what npm run generate:dashboard makes', () => {
  expect(readMonitoring(DASHBOARD)).toBe(dashboardJson());
});

test('No two alerts have the same name, and each has a severity, a summary and a description', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, labels, annotations } of rules) {
    expect(labels.severity, alert).toMatch(/^(critical|warning)$/);
    expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook']);
    expect(annotations.summary, alert).toMatch(/^[A-Z].+[^.]$/);
    expect(annotations.description, alert).toMatch(/\.$/);
  }
});

test('Every alert has a case in which it fires and one in which it does not', () => {
  const names = (fires: boolean): string[] =>
    [
      ...new Set(
        alertCases()
          .filter((one) => one.exp_alerts.length > 0 === fires)
          .map((one) => one.alertname),
      ),
    ].sort();
  const all = rules.map(({ alert }) => alert).sort();
  expect(names(true)).toEqual(all);
  expect(names(false)).toEqual(all);
});

interface ComposeService {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes: readonly string[];
}

describe('the profile "monitoring" of docker-compose.yml', () => {
  const root = join(import.meta.dirname, '../..');
  const file = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, ComposeService>;
    volumes: Record<string, unknown>;
  };
  const services = Object.entries(file.services).filter(([, { profiles }]) => profiles !== undefined);

  test('it has Prometheus and Grafana, and everything else starts without it', () => {
    expect(services.map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['prometheus', ['monitoring']],
      ['grafana', ['monitoring']],
    ]);
  });

  test.each(services)(
    '%s is pinned, hardened, published on loopback alone, and finds its files',
    (_name, service) => {
      expect(service.image).toMatch(/^[a-z]+\/[a-z]+:v?\d+\.\d+\.\d+$/);
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
      expect(service.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+$/)]);
      for (const volume of service.volumes) {
        const [source = '', , mode] = volume.split(':');
        if (source.startsWith('./')) {
          expect(existsSync(join(root, source)), source).toBe(true);
          expect(mode, source).toBe('ro');
        } else expect(Object.keys(file.volumes)).toContain(source);
      }
    },
  );

  test('Prometheus scrapes the instances of the file', () => {
    const { scrape_configs: jobs } = parse(readMonitoring('prometheus.yml')) as {
      scrape_configs: { static_configs: { targets: string[] }[] }[];
    };
    const instances = Object.keys(file.services).filter((name) => name.startsWith('leasehold-'));
    expect(jobs.flatMap((job) => job.static_configs.flatMap(({ targets }) => targets))).toEqual(
      instances.map((name) => `${name}:9464`),
    );
  });
});
