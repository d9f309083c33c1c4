// The plan for a load: what it needs, and what runs out first if it grows. Owns the comparison with the machines.

import { type Deployment, FULL, type Load, times } from './load.ts';
import { type RedisNeed, redisNeed } from './redis-need.ts';
import { type ServerNeed, serverNeed } from './server-need.ts';
import { type Traffic, trafficOf } from './traffic.ts';
import type { UnitFigures } from './unit-costs.ts';

export type ResourceName = 'memory' | 'CPU' | 'network in' | 'network out' | 'disk' | 'connections';

export interface Resource {
  readonly name: ResourceName;
  readonly needed: number;
  /** All that there is. */
  readonly has: number;
  /** How much of it may be used: a part of `has`. */
  readonly usable: number;
  /** How many times the load may grow until this is full; below 1, the load doesn't fit. */
  readonly fullAtTimes: number;
}

export interface Plan {
  readonly load: Load;
  readonly deployment: Deployment;
  readonly traffic: Traffic;
  readonly redis: RedisNeed;
  readonly servers: ServerNeed;
  /** Of Redis; what is full first comes first. */
  readonly resources: readonly Resource[];
  readonly fits: boolean;
}

/** Of Redis: `maxclients`, as it comes. */
const MAX_CLIENTS = 10_000;
/** Loads this many times as large are no longer told apart. */
export const MOST_TIMES = 1e6;
const STEPS = 60;

export function planFor(load: Load, deployment: Deployment, figures: UnitFigures): Plan {
  const needs = needsOf(load, deployment, figures);
  const resources = LIMITED.map((limited): Resource => {
    const { name, needed, has, share } = limited;
    const all = has(deployment);
    const usable = all * share;
    const full = (factor: number): boolean =>
      needed(needsOf(times(load, factor), deployment, figures)) > usable;
    return { name, needed: needed(needs), has: all, usable, fullAtTimes: largestThatFits(full) };
  }).toSorted((a, b) => a.fullAtTimes - b.fullAtTimes);
  return {
    load,
    deployment,
    ...needs,
    resources,
    fits: resources.every(({ needed, usable }) => needed <= usable),
  };
}

type Needs = Pick<Plan, 'traffic' | 'redis' | 'servers'>;

function needsOf(load: Load, deployment: Deployment, figures: UnitFigures): Needs {
  const servers = serverNeed(load, deployment, figures);
  const traffic = trafficOf(load, figures, servers.processes);
  const redis = redisNeed(load, deployment, figures, traffic, servers.connectionsToRedis);
  return { traffic, redis, servers };
}

interface Limited {
  readonly name: ResourceName;
  readonly needed: (needs: Needs) => number;
  readonly has: (deployment: Deployment) => number;
  readonly share: number;
}

const LIMITED: readonly Limited[] = [
  {
    name: 'memory',
    needed: ({ redis }) => redis.memoryBytes,
    has: ({ redisMemoryBytes }) => redisMemoryBytes,
    share: FULL.memory,
  },
  // Scripts run on one core, however many the machine has.
  { name: 'CPU', needed: ({ redis }) => redis.cpuShare, has: () => 1, share: FULL.cpu },
  {
    name: 'network in',
    needed: ({ redis }) => redis.inBytesPerSecond,
    has: ({ networkBytesPerSecond }) => networkBytesPerSecond,
    share: FULL.network,
  },
  {
    name: 'network out',
    needed: ({ redis }) => redis.outBytesPerSecond,
    has: ({ networkBytesPerSecond }) => networkBytesPerSecond,
    share: FULL.network,
  },
  {
    name: 'disk',
    needed: ({ redis }) => redis.diskBytes,
    has: ({ redisDiskBytes }) => redisDiskBytes,
    share: FULL.disk,
  },
  {
    name: 'connections',
    needed: ({ servers }) => servers.connectionsToRedis,
    has: () => MAX_CLIENTS,
    share: FULL.connections,
  },
];

/** The largest factor at which it isn't full, by halving; 0 if it is full without any load. */
function largestThatFits(full: (factor: number) => boolean): number {
  if (!full(MOST_TIMES)) return MOST_TIMES;
  let [fits, tooMuch] = [0, MOST_TIMES];
  for (let step = 0; step < STEPS; step++) {
    // On a logarithmic scale first: the answer may be 0.01 or 10,000.
    const middle = fits > 0 ? Math.sqrt(fits * tooMuch) : tooMuch / 10;
    if (full(middle)) tooMuch = middle;
    else fits = middle;
    if (tooMuch < 1e-9) return 0;
  }
  return fits;
}
