// `npm run test:monitoring`: a real Prometheus with the shipped configuration and rules scrapes a running deployment
// (Redis with two replicas, three Sentinels, an instance alone and one with two workers) under a load that does
// something of everything, through a crash of the primary. Then it prints every query of the dashboard with its values,
// and the alerts. It takes a minute. Exit codes: 0 every query has data, the failover was an alert, and nothing else
// was one before it; or skipped because there is no Prometheus; 1 otherwise; 130 Ctrl-C.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../src/domain/host-port.ts';
import { findPrometheus, type PrometheusPrograms } from '../test/support/debian-prometheus.ts';
import { eventually } from '../test/support/eventually.ts';
import { dashboardQueries, dashboardVariables, filledIn } from '../test/support/monitoring-files.ts';
import { freePort } from '../test/support/ports.ts';
import { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import { ServerProcess } from '../test/support/server-process.ts';
import { clusterEnvironment, TestClient } from '../test/support/test-instance.ts';
import { PrometheusProcess, type Series } from './test-monitoring/prometheus-process.ts';
import { VariedLoad } from './test-monitoring/varied-load.ts';

const MASTER_NAME = 'mymaster';
/** Short, so that the quarantine is. */
const MAX_TTL_MS = 7_000;
const LOAD_BEFORE_MS = 12_000;
const LOAD_AFTER_MS = 10_000;
const ALL_WITHIN_MS = 115_000;
const SHOWN_SERIES = 4;
/** What the load gives cause for while all is well. */
const OF_THE_LOAD = ['LeaseholdDeadOperations', 'LeaseholdLeasesLost', 'LeaseholdSuspectedDeadlock'];
/** The whole run, so that everything that happened counts. */
const INTERVAL = '2m';

const ending: (() => Promise<unknown> | unknown)[] = [];
const beganMs = performance.now();
let isEnding = false;

function say(what: string): void {
  console.log(`${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6)} s  ${what}`);
}

async function story(programs: PrometheusPrograms): Promise<boolean> {
  say(`Prometheus ${programs.version}`);
  const cluster = await SentinelCluster.start({
    masterName: MASTER_NAME,
    appendonly: true,
    directives: ['maxmemory 256mb', 'save 900 1'],
  });
  ending.push(() => cluster.stop());
  const admins = [await freePort(), await freePort()].map((port) => ({ host: '127.0.0.1', port }));
  const servers = await Promise.all(
    admins.map(async (admin, index) => {
      const server = await ServerProcess.start({
        environment: {
          ...clusterEnvironment(cluster, MASTER_NAME),
          LEASEHOLD_ADMIN_ADDRESS: formatHostPort(admin),
          LEASEHOLD_SERVER_WORKERS: String(index + 1),
          LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
          LEASEHOLD_LOCKS_DEFAULT_TTL: '6s',
          LEASEHOLD_SERVER_DRAIN_TIMEOUT: '1s',
          LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
          LEASEHOLD_MONITORING_POLL_INTERVAL: '1s',
          LEASEHOLD_MONITORING_GROUP_BY: '/',
        },
      });
      ending.push(() => server.kill());
      return server;
    }),
  );
  const prometheus = await PrometheusProcess.start(programs, admins.map(formatHostPort));
  ending.push(() => prometheus.stop());
  const client = new TestClient(servers[0]?.address ?? admins[0] ?? { host: '127.0.0.1', port: 0 });
  ending.push(() => client.close());
  say('a deployment runs, and Prometheus scrapes it each second');

  const load = new VariedLoad(servers.map(({ address }) => address));
  ending.push(() => load.stop());
  await sleep(LOAD_BEFORE_MS);
  const falseAlarms = (await prometheus.query('ALERTS'))
    .map(({ labels }) => labels.alertname ?? '')
    .filter((name) => !OF_THE_LOAD.includes(name));
  const old = await cluster.primary();
  await old.process.kill();
  say('the primary was killed');
  await cluster.waitForNewPrimary(old, 30_000);
  await old.process.restart();
  say('the Sentinels name another; the old one was started again, and the quarantine goes on');
  await eventually(async () => (await client.acquire({ resource: 'after/failover' })).lease !== undefined, {
    what: 'a grant after the failover',
    withinMs: 45_000,
    everyMs: 250,
  });
  say('new locks are granted again');
  await sleep(LOAD_AFTER_MS);
  const isComplete = await dump(prometheus);
  for (const name of falseAlarms) console.log(`  ${name} was pending or fired while all was well`);
  await load.stop();
  return isComplete && falseAlarms.length === 0;
}

/** Prints every query with what it answers now. Says whether all have data. */
async function dump(prometheus: PrometheusProcess): Promise<boolean> {
  const [{ labels: { job = 'leasehold' } = {} } = {}] = await prometheus.query('up');
  const without: string[] = [];
  let panel = '';
  // label_values is Grafana's own: the values of a label in a query.
  const variables = dashboardVariables().map(({ of, expr }) => ({
    of,
    expr: expr.replace(/^label_values\((.+), (\w+)\)$/, 'count by ($2) ($1)'),
  }));
  const queries = [...variables, ...dashboardQueries()];
  for (const { of, expr } of queries) {
    const series = await prometheus.query(filledIn(expr, { job, interval: INTERVAL }));
    const values = series.filter(({ value }) => !Number.isNaN(value));
    if (of !== panel) console.log(`\n${of}`);
    panel = of;
    console.log(`  ${expr}`);
    for (const one of values.slice(0, SHOWN_SERIES)) console.log(`    ${shown(one)}`);
    if (values.length > SHOWN_SERIES) console.log(`    … and ${values.length - SHOWN_SERIES} more`);
    if (values.length === 0) {
      console.log('    NO DATA');
      without.push(`${of}: ${expr}`);
    }
  }
  const alerts = await prometheus.query('ALERTS');
  console.log('\nAlerts');
  for (const { labels } of alerts) {
    const { __name__, alertname, alertstate, severity, ...rest } = labels;
    console.log(`  ${alertstate} ${alertname} (${severity}) ${JSON.stringify(rest)}`);
  }
  if (
    !alerts.some(
      ({ labels }) => labels.alertname === 'LeaseholdSwitchMaster' && labels.alertstate === 'firing',
    )
  )
    without.push('LeaseholdSwitchMaster does not fire after a failover');
  console.log(`\n${queries.length} queries, ${without.length} without data`);
  for (const one of without) console.log(`  ${one}`);
  return without.length === 0;
}

function shown({ labels, value }: Series): string {
  const { __name__, ...rest } = labels;
  const text = Object.entries(rest)
    .map(([name, label]) => `${name}=${label}`)
    .join(' ');
  return `${text}${text === '' ? '' : '  '}${Number(value.toPrecision(4))}`;
}

async function main(): Promise<number> {
  const programs = await findPrometheus();
  if ('missing' in programs) {
    console.log(`test:monitoring is skipped: ${programs.missing}`);
    return 0;
  }
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(130));
  });
  const late = sleep(ALL_WITHIN_MS, 1, { ref: false }).then((code) => {
    if (!isEnding) console.error(`not done after ${ALL_WITHIN_MS / 1_000} s`);
    return code;
  });
  const told = story(programs).then(
    (isComplete) => (isComplete ? 0 : 1),
    (error: unknown) => {
      if (!isEnding) console.error(`failed: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    },
  );
  const code = await Promise.race([told, interrupted, late]);
  isEnding = true;
  for (const end of ending.toReversed())
    await Promise.resolve(end()).catch((error: unknown) => console.error(`cleaning up: ${error}`));
  return code;
}

process.exit(await main());
