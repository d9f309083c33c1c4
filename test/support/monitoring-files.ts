// Reads what deploy/monitoring has for Prometheus and Grafana, for the tests that hold it to the docs and to a real
// Prometheus. Owns the forms of the files; judges nothing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const MONITORING = join(import.meta.dirname, '../../deploy/monitoring');
export const DASHBOARD = 'grafana/dashboards/leasehold.json';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface AlertCase {
  readonly alertname: string;
  readonly exp_alerts: readonly unknown[];
}

export interface DashboardQuery {
  /** Row and title of the panel, or the name of the variable. */
  readonly of: string;
  readonly expr: string;
}

interface DashboardPanel {
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export function readMonitoring(path: string): string {
  return readFileSync(join(MONITORING, path), 'utf8');
}

export function alertRules(): readonly AlertRule[] {
  const file = parse(readMonitoring('alerts.yml')) as { groups: { rules: AlertRule[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

export function alertCases(): readonly AlertCase[] {
  const file = parse(readMonitoring('alerts.test.yml')) as {
    tests: { alert_rule_test?: AlertCase[] }[];
  };
  return file.tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
}

/** Every query of the dashboard's panels, in order. */
export function dashboardQueries(): readonly DashboardQuery[] {
  const { panels } = JSON.parse(readMonitoring(DASHBOARD)) as { panels: DashboardPanel[] };
  let row = '';
  return panels.flatMap(({ type, title, targets = [] }) => {
    if (type === 'row') row = title;
    return targets.map(({ expr }) => ({ of: `${row}: ${title}`, expr }));
  });
}

/** What fills the dashboard's variables: `label_values(metric, label)`. */
export function dashboardVariables(): readonly DashboardQuery[] {
  const { templating } = JSON.parse(readMonitoring(DASHBOARD)) as {
    templating: { list: { name: string; definition?: string }[] };
  };
  return templating.list.flatMap(({ name, definition }) =>
    definition === undefined ? [] : [{ of: `variable ${name}`, expr: definition }],
  );
}

/** With the variables as Grafana fills them in when nobody has chosen anything. */
export function filledIn(expr: string, values: { readonly job: string; readonly interval: string }): string {
  return expr
    .replaceAll('$__rate_interval', values.interval)
    .replaceAll('$job', values.job)
    .replaceAll(/\$(instance|node)\b/g, '.*');
}
