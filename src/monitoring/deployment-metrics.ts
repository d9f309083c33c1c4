// The series of docs/metrics.md that come from the monitor: the deployment, Redis, Sentinel. Each is made anew at a
// scrape, of what the monitor read last: a node that is gone takes its labels along, and what could not be read is not
// there. Counters are those of Redis: they begin at 0 with its process.

import { Counter, Gauge, type Registry } from 'prom-client';
import type { DeploymentMonitor } from './deployment-monitor.ts';
import type { NodeReading } from './node-reader.ts';
import { CPU_SECONDS, REDIS_SERIES, roleOf, versionOf } from './redis-series.ts';
import { replicationLags } from './replication-lag.ts';
import { flaggedNodes, isFailingOver, type SentinelReading, WATCHED_FLAGS } from './sentinel-reader.ts';

/** A value with its labels; undefined: there is none now. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | undefined];

interface Series {
  readonly kind?: 'gauge' | 'counter';
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly samples: () => Iterable<Sample>;
}

/** Adds the monitor's series to what is scraped. Call it once. */
export function addDeploymentMetrics(registry: Registry, monitor: DeploymentMonitor): void {
  const series = [...deploymentSeries(monitor), ...redisSeries(monitor)];
  if (monitor.hasSentinels) series.push(...sentinelSeries(monitor));
  for (const one of series) register(registry, one);
}

function register(registry: Registry, { kind = 'gauge', name, help, labelNames, samples }: Series): void {
  const options = { name, help, labelNames: [...labelNames], registers: [registry] };
  if (kind === 'gauge') {
    new Gauge({
      ...options,
      collect() {
        this.reset();
        this.remove({}); // without labels, a reset leaves a 0
        for (const [labels, value] of samples()) if (isNumber(value)) this.set(labels, value);
      },
    });
    return;
  }
  new Counter({
    ...options,
    collect() {
      this.reset();
      this.remove({});
      // prom-client throws for a counter below 0, and the whole scrape would fail.
      for (const [labels, value] of samples()) if (isNumber(value) && value >= 0) this.inc(labels, value);
    },
  });
}

/** Whether it is a value that can be shown: what a node says of itself need not be. */
function isNumber(value: number | undefined): value is number {
  return Number.isFinite(value);
}

function deploymentSeries(monitor: DeploymentMonitor): readonly Series[] {
  const prefix = 'leasehold_deployment';
  const one =
    (value: () => number | undefined): Series['samples'] =>
    () => [[{}, value()]];
  return [
    {
      name: `${prefix}_locks`,
      help: 'Resources that are not free',
      labelNames: [],
      samples: one(() => monitor.lockCounts?.locks),
    },
    {
      name: `${prefix}_leases`,
      help: 'Leases that are held, including those that no stream keeps',
      labelNames: [],
      samples: one(() => monitor.lockCounts?.leases),
    },
    {
      name: `${prefix}_waiters`,
      help: 'Waiters in all queues',
      labelNames: [],
      samples: one(() => monitor.lockCounts?.waiters),
    },
    {
      kind: 'counter',
      name: `${prefix}_expired_leases_total`,
      help: 'Leases that ran out instead of being released',
      labelNames: [],
      samples: one(() => monitor.lockCounts?.expiredLeases),
    },
    {
      name: `${prefix}_operations`,
      help: 'Operations that are pending, running or dead',
      labelNames: ['type', 'state'],
      samples: () =>
        (monitor.census?.counts ?? []).map(({ type, state, count }): Sample => [{ type, state }, count]),
    },
    {
      name: `${prefix}_oldest_pending_seconds`,
      help: 'For how long the oldest operation that can be claimed has waited',
      labelNames: ['type'],
      samples: () =>
        [...(monitor.census?.oldestPending ?? [])].map(([type, value]): Sample => [{ type }, value]),
    },
    ...collectorSeries(monitor),
  ];
}

function collectorSeries(monitor: DeploymentMonitor): readonly Series[] {
  const series = (
    name: string,
    help: string,
    value: (state: ReturnType<DeploymentMonitor['collectors']>[number]) => number | undefined,
  ): Series => ({
    name: `leasehold_collector_${name}`,
    help,
    labelNames: ['collector'],
    samples: () =>
      monitor.collectors().map((state): Sample => [{ collector: state.collector }, value(state)]),
  });
  return [
    series('up', "1 if the collector's last read succeeded as a whole", ({ isUp }) => Number(isUp)),
    series('duration_seconds', 'How long its last read took', ({ durationSeconds }) => durationSeconds),
    series(
      'last_success_timestamp_seconds',
      'When it last succeeded',
      ({ lastSuccessSeconds }) => lastSuccessSeconds,
    ),
  ];
}

function redisSeries(monitor: DeploymentMonitor): readonly Series[] {
  /** One sample of each node that could be read. */
  const ofEach = (value: (reading: NodeReading) => number | undefined): Series['samples'] =>
    ofReadings(({ name, reading }) => [[{ node: name }, value(reading)]]);
  const ofReadings =
    (samples: (node: { name: string; reading: NodeReading }) => readonly Sample[]): Series['samples'] =>
    () =>
      monitor.nodes().flatMap(({ name, reading }) => (reading ? samples({ name, reading }) : []));
  const lags = (): ReturnType<typeof replicationLags> =>
    replicationLags(monitor.nodes().flatMap(({ reading }) => reading ?? []));
  return [
    {
      name: 'leasehold_redis_up',
      help: '1 if the node answered',
      labelNames: ['node'],
      samples: () => monitor.nodes().map(({ name, isUp }): Sample => [{ node: name }, Number(isUp)]),
    },
    {
      name: 'leasehold_redis_info',
      help: 'Always 1; role is primary or replica',
      labelNames: ['node', 'version', 'role'],
      samples: ofReadings(({ name, reading: { info } }) => [
        [{ node: name, version: versionOf(info), role: roleOf(info) }, 1],
      ]),
    },
    ...REDIS_SERIES.map(
      ({ kind, name, help, value }): Series => ({
        kind,
        name,
        help,
        labelNames: ['node'],
        samples: ofEach(({ info }) => value(info)),
      }),
    ),
    {
      kind: 'counter',
      name: 'leasehold_redis_cpu_seconds_total',
      help: 'CPU time of the process: user, system',
      labelNames: ['node', 'mode'],
      samples: ofReadings(({ name, reading: { info } }) =>
        CPU_SECONDS.map(({ mode, value }): Sample => [{ node: name, mode }, value(info)]),
      ),
    },
    {
      name: 'leasehold_redis_command_latency_seconds',
      help: 'Time that commands ran in Redis since it started: the highest percentile of a family',
      labelNames: ['node', 'family', 'quantile'],
      samples: ofReadings(({ name, reading: { latencies } }) =>
        latencies.map(({ family, quantile, seconds }): Sample => [{ node: name, family, quantile }, seconds]),
      ),
    },
    {
      name: 'leasehold_redis_slowlog_length',
      help: 'Entries in the slow log',
      labelNames: ['node'],
      samples: ofEach(({ slowlogLength }) => slowlogLength),
    },
    {
      name: 'leasehold_redis_replication_lag_bytes',
      help: 'On a replica: how many bytes of the stream it lacks',
      labelNames: ['node'],
      samples: () => lags().map(({ node, bytes }): Sample => [{ node }, bytes]),
    },
    {
      name: 'leasehold_redis_replication_lag_seconds',
      help: 'On a replica: how long ago it last acknowledged to the primary',
      labelNames: ['node'],
      samples: () => lags().map(({ node, seconds }): Sample => [{ node }, seconds]),
    },
  ];
}

function sentinelSeries(monitor: DeploymentMonitor): readonly Series[] {
  const ofEach =
    (value: (reading: SentinelReading) => number | undefined): Series['samples'] =>
    () =>
      monitor
        .sentinels()
        .map(({ name, reading }): Sample => [{ sentinel: name }, reading ? value(reading) : undefined]);
  const series = (
    name: string,
    help: string,
    value: (reading: SentinelReading) => number | undefined,
  ): Series => ({
    name: `leasehold_sentinel_${name}`,
    help,
    labelNames: ['sentinel'],
    samples: ofEach(value),
  });
  return [
    {
      name: 'leasehold_sentinel_up',
      help: '1 if the Sentinel answered',
      labelNames: ['sentinel'],
      samples: () => monitor.sentinels().map(({ name, isUp }): Sample => [{ sentinel: name }, Number(isUp)]),
    },
    series('tilt', '1 while it is in TILT mode and does nothing', ({ isInTilt }) => numberOf(isInTilt)),
    series('quorum_ok', '1 if SENTINEL CKQUORUM says that a failover could be decided', ({ isQuorumOk }) =>
      numberOf(isQuorumOk),
    ),
    series('failover_in_progress', '1 while it runs a failover', (reading) => Number(isFailingOver(reading))),
    series('config_epoch', 'The config epoch of the primary: grows by each failover', ({ view }) =>
      Number(view.primary.get('config-epoch') ?? Number.NaN),
    ),
    {
      name: 'leasehold_sentinel_flags',
      help: 'Whether the Sentinel has the flag on a node: s_down, o_down, disconnected',
      labelNames: ['sentinel', 'node', 'flag'],
      samples: () =>
        monitor
          .sentinels()
          .flatMap(({ name, reading }) =>
            (reading ? flaggedNodes(reading) : []).flatMap(({ node, flags }) =>
              WATCHED_FLAGS.map(
                (flag): Sample => [{ sentinel: name, node, flag }, Number(flags.includes(flag))],
              ),
            ),
          ),
    },
    {
      kind: 'counter',
      name: 'leasehold_sentinel_events_total',
      help: 'Notifications, counted once and not once per Sentinel',
      labelNames: ['event'],
      samples: () => [...monitor.notices()].map(([event, count]): Sample => [{ event }, count]),
    },
    {
      name: 'leasehold_last_failover_timestamp_seconds',
      help: 'When the monitor last saw the primary change; 0 if never',
      labelNames: [],
      samples: () => [[{}, (monitor.lastFailoverMs ?? 0) / 1_000]],
    },
  ];
}

function numberOf(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
