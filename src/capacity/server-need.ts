// How many server processes a load needs, and how many connections they all make. A process uses one core at most. One
// process more than the load needs is counted, so that one may end.

import { LIMITS } from '../domain/limits.ts';
import { type Deployment, FULL, type Load } from './load.ts';
import { trafficOf } from './traffic.ts';
import { STREAMS_PER_CONNECTION, type UnitFigures } from './unit-costs.ts';

export interface ServerNeed {
  /** That can carry the load, and one to spare. */
  readonly processes: number;
  /** What decided about them. */
  readonly because: 'CPU' | 'memory' | 'leases kept' | 'waiting calls' | 'spare';
  /** Of a core: that of all together. */
  readonly cpuCores: number;
  readonly memoryBytesEach: number;
  readonly connectionsToRedis: number;
  readonly connectionsToSentinels: number;
  readonly connectionsFromClients: number;
}

/** Of each process to Redis: commands, the commit barrier, hand-overs, changes, monitoring. */
export const REDIS_CONNECTIONS = 5;
/** Of each process to each Sentinel: questions, notifications, monitoring. */
export const SENTINEL_CONNECTIONS = 3;
/** Of each Sentinel to Redis: commands and notifications. */
const CONNECTIONS_OF_A_SENTINEL = 2;

export function serverNeed(load: Load, deployment: Deployment, figures: UnitFigures): ServerNeed {
  const { holdStreams, waiters, clients } = load;
  const { emptyBytes, streamBytes } = figures.server;
  const open = holdStreams + waiters;
  const room = deployment.serverMemoryBytes * FULL.memory - emptyBytes;
  const wanted = [
    { because: 'CPU', count: processesForCpu(load, figures) },
    { because: 'memory', count: (open * streamBytes) / Math.max(room, 1) },
    { because: 'leases kept', count: holdStreams / LIMITS.keptLeasesPerInstance },
    { because: 'waiting calls', count: waiters / LIMITS.waitersPerInstance },
  ] as const;
  const most = wanted.reduce((a, b) => (b.count > a.count ? b : a));
  const carrying = Math.max(Math.ceil(most.count), 1);
  const processes = carrying + 1;
  const perConnection = Math.ceil(open / STREAMS_PER_CONNECTION);
  return {
    processes,
    because: carrying === 1 ? 'spare' : most.because,
    cpuCores: trafficOf(load, figures, processes).cost.serverCpuUs / 1e6,
    memoryBytesEach: emptyBytes + (open / carrying) * streamBytes,
    connectionsToRedis:
      processes * REDIS_CONNECTIONS + deployment.replicas + deployment.sentinels * CONNECTIONS_OF_A_SENTINEL,
    connectionsToSentinels: processes * SENTINEL_CONNECTIONS * deployment.sentinels,
    connectionsFromClients: Math.max(Math.ceil(clients), perConnection),
  };
}

/** Each process also costs something by itself, and makes the batches of the others smaller. */
function processesForCpu(load: Load, figures: UnitFigures): number {
  let count = 1;
  for (let rounds = 0; rounds < 20; rounds++) {
    const { cost } = trafficOf(load, figures, count);
    const needed = cost.serverCpuUs / 1e6 / FULL.cpu;
    if (needed <= count) return needed;
    count = Math.ceil(needed);
  }
  return count;
}
