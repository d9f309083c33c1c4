// What `leasehold capacity` prints: the plan as tables for people, and as one JSON document. Owns the words and the
// rounding; every number comes from the plan.

import { MOST_TIMES, type Plan, type Resource } from '../capacity/capacity-plan.ts';
import { FULL } from '../capacity/load.ts';
import type { Scale } from '../capacity/scale.ts';
import { REDIS_CONNECTIONS, SENTINEL_CONNECTIONS } from '../capacity/server-need.ts';
import type { UnitFigures } from '../capacity/unit-costs.ts';
import { fields, table } from './text.ts';

const DAY_S = 86_400;
const MINUTE_S = 60;
/** `client-output-buffer-limit replica`, as Redis comes. */
const REPLICA_BUFFER_LIMIT = 256 * 2 ** 20;

export function planText(
  plan: Plan,
  figures: UnitFigures,
  scale: Scale | undefined,
  width: number | undefined,
): string {
  return [
    table(['REDIS, ITS PRIMARY', 'NEEDS', 'HAS', 'FULL AT'], plan.resources.map(rowOf), width),
    `${verdict(plan)}\n`,
    section('Memory of Redis', memoryRows(plan)),
    section('Redis, each second', trafficRows(plan)),
    section('Append-only file', fileRows(plan)),
    section('Servers', serverRows(plan)),
    section('Figures', sourceRows(figures, scale)),
  ].join('\n');
}

/** Names say their units; CPU is in cores. `full_at_times` is null where nothing fills the resource. */
export function planJson(plan: Plan, figures: UnitFigures, scale: Scale | undefined): unknown {
  const { load, deployment, traffic, redis, servers, resources, fits } = plan;
  const finite = (number: number): number | null => (Number.isFinite(number) ? number : null);
  return {
    fits,
    firstFull: firstFull(plan)?.name ?? null,
    resources: resources.map(({ fullAtTimes, ...rest }) => ({
      ...rest,
      fullAtTimes: fullAtTimes >= MOST_TIMES ? null : fullAtTimes,
    })),
    redis: { ...redis, rewriteEverySeconds: finite(redis.rewriteEverySeconds) },
    traffic,
    servers,
    load,
    deployment,
    figures: { ...figures.measured, ...(scale ? { calibration: scale } : {}) },
  };
}

function rowOf({ name, needed, has, usable, fullAtTimes }: Resource): string[] {
  const share = `${Math.round((usable / has) * 100)} % of `;
  return [name, amount(name, needed), `${share}${amount(name, has)}`, timesText(fullAtTimes)];
}

function amount(name: Resource['name'], value: number): string {
  if (name === 'CPU') return value === 1 ? 'one core' : cores(value);
  if (name === 'network in' || name === 'network out') return bits(value);
  return name === 'connections' ? count(value) : bytes(value);
}

function verdict(plan: Plan): string {
  const lacking = plan.resources.filter(({ needed, usable }) => needed > usable);
  if (lacking.length > 0) {
    const each = lacking.map(
      ({ name, needed, usable }) =>
        `${name} needs ${amount(name, needed)} and may use ${amount(name, usable)}`,
    );
    return `This doesn't fit: ${each.join('; ')}.`;
  }
  const first = firstFull(plan);
  return first === undefined
    ? 'This fits, and nothing is full at a million times this load.'
    : `This fits. If all of it grows, ${first.name} runs out first, at ${timesText(first.fullAtTimes)}.`;
}

function firstFull({ resources }: Plan): Resource | undefined {
  return resources.find(({ fullAtTimes }) => fullAtTimes < MOST_TIMES);
}

type Rows = (readonly [name: string, value: string])[];

function memoryRows({ redis, deployment, load }: Plan): Rows {
  const { data } = redis;
  return [
    ['Redis itself', bytes(data.empty)],
    ['locks', each(data.locks, load.locks)],
    ['waiters', each(data.waiters, load.waiters)],
    ['operations', each(data.operations, load.operations)],
    ['used, all of it', `${bytes(data.total)}: give maxmemory ${bytes(data.total / FULL.memory)} at least`],
    [`fragmentation (${deployment.fragmentation})`, bytes(redis.fragmentationBytes)],
    ['replication backlog', bytes(redis.backlogBytes)],
    ['buffers of replicas in a full sync', bytes(redis.replicaBufferBytes)],
    ['buffers of connections', bytes(redis.clientBufferBytes)],
    ['copied while a snapshot is taken', bytes(redis.copyOnWriteBytes)],
    ...(redis.replicaBufferBytes > REPLICA_BUFFER_LIMIT
      ? [
          [
            'note',
            'a replica gets no full copy unless client-output-buffer-limit allows it that buffer',
          ] as const,
        ]
      : []),
  ];
}

function trafficRows({ redis, traffic, deployment }: Plan): Rows {
  const calls = Object.values(traffic.calls).reduce((sum, rate) => sum + rate, 0);
  return [
    ['calls of clients', count(calls + traffic.calls.waited)],
    ['renewals of streams', `${count(traffic.streamRenewals)}, ${count(traffic.batch)} in a batch`],
    ['from the servers', bits(redis.inBytesPerSecond)],
    ['to the servers', bits(redis.outBytesPerSecond - redis.replicationBytesPerSecond)],
    [`to ${deployment.replicas} replicas`, bits(redis.replicationBytesPerSecond)],
  ];
}

function fileRows({ redis }: Plan): Rows {
  const { aofBytesPerSecond: growth, rewriteEverySeconds: every, snapshotSeconds } = redis;
  return [
    ['grows', `${bytes(growth * 3_600)} an hour, ${bytes(growth * DAY_S)} a day`],
    ['after a rewrite', bytes(redis.snapshotBytes)],
    ['rewritten', `every ${seconds(every)}, which takes ${seconds(snapshotSeconds)} of another core`],
    ['largest, with a snapshot beside it', bytes(redis.diskBytes)],
    ...(every < 2 * snapshotSeconds
      ? [['note', 'rewrites follow each other without a pause: the disk and a core are always busy'] as const]
      : []),
  ];
}

function serverRows({ servers, deployment }: Plan): Rows {
  const { processes, because } = servers;
  const why = because === 'spare' ? 'one would do' : `because of ${because}`;
  return [
    ['processes', `${count(processes)} (one of them to spare; ${why})`],
    ['CPU, all together', `${servers.cpuCores.toFixed(2)} cores`],
    ['memory of each', bytes(servers.memoryBytesEach)],
    ['connections to Redis', `${count(servers.connectionsToRedis)} (${REDIS_CONNECTIONS} of each process)`],
    [
      `connections to ${deployment.sentinels} Sentinels`,
      `${count(servers.connectionsToSentinels)} (${SENTINEL_CONNECTIONS} of each process to each)`,
    ],
    ['connections from clients', `${count(servers.connectionsFromClients)} at least`],
  ];
}

function sourceRows({ measured }: UnitFigures, scale: Scale | undefined): Rows {
  const { date, machine, redis, node } = measured;
  if (!scale) return [['measured', `${date} on ${machine}; ${redis}, Node ${node}`]];
  const { calibration, redisCpu, serverCpu } = scale;
  return [
    ['measured', `${date} on ${machine}; ${redis}, Node ${node}`],
    ['calibrated', `CPU of Redis × ${redisCpu.toFixed(2)}, of the servers × ${serverCpu.toFixed(2)}`],
    [
      'by',
      `${count(calibration.calls)} calls in ${(calibration.tookMs / 1_000).toFixed(1)} s on keys that begin with ` +
        `${calibration.prefix}; none is left`,
    ],
  ];
}

function section(title: string, rows: Rows): string {
  return `${title}\n${fields(rows).replaceAll(/^/gm, '  ').trimEnd()}\n`;
}

function each(all: number, of: number): string {
  return of === 0 ? bytes(0) : `${bytes(all)} (${count(all / of)} bytes each)`;
}

function timesText(times: number): string {
  if (times >= MOST_TIMES) return '-';
  if (times < 0.001) return 'less than 0.001 × this load';
  const text = times >= 100 ? count(times) : times >= 10 ? times.toFixed(0) : Number(times.toPrecision(2));
  return `${text} × this load`;
}

function count(value: number): string {
  return value > 0 && value < 10 && !Number.isInteger(value)
    ? value.toFixed(1)
    : Math.round(value).toLocaleString('en');
}

function cores(value: number): string {
  return value < 10 ? `${percent(value)} of a core` : `${count(value)} cores`;
}

function percent(share: number): string {
  return share > 0 && share < 0.095 ? `${(share * 100).toFixed(1)} %` : `${Math.round(share * 100)} %`;
}

function bytes(value: number): string {
  return scaledText(value, 1_024, ['B', 'KB', 'MB', 'GB', 'TB', 'PB']);
}

function bits(bytesPerSecond: number): string {
  return scaledText(bytesPerSecond * 8, 1_000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

function scaledText(value: number, step: number, units: readonly string[]): string {
  let [left, unit] = [value, 0];
  while (left >= step && unit < units.length - 1) {
    left /= step;
    unit++;
  }
  const digits = unit === 0 || left >= 100 ? 0 : left >= 10 ? 0 : 1;
  return `${left.toFixed(digits)} ${units[unit]}`;
}

function seconds(value: number): string {
  if (!Number.isFinite(value)) return 'never';
  if (value >= 2 * DAY_S) return `${count(value / DAY_S)} days`;
  if (value >= 2 * 60 * MINUTE_S) return `${count(value / 3_600)} h`;
  if (value >= 2 * MINUTE_S) return `${count(value / MINUTE_S)} min`;
  return `${value.toFixed(1)} s`;
}
