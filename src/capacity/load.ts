// The load and the machines that a plan is made for. Owns their meaning, units and defaults; the options of the command
// line are in cli/capacity-command.ts.

import { LIMITS } from '../domain/limits.ts';

export type LockMode = 'exclusive' | 'shared' | 'permits';

export interface Load {
  /** Held at once. */
  readonly locks: number;
  readonly mode: LockMode;
  /** Of the locks: those that a stream keeps, which the server renews. The holders of the others renew by calls. */
  readonly holdStreams: number;
  /** Locks that are taken and given back a second. */
  readonly ratePerSecond: number;
  /** The part of them that waited in a queue: from 0 to 1. */
  readonly waitedShare: number;
  readonly ttlMs: number;
  /** Calls that wait at once, and how many of them for the same lock. */
  readonly waiters: number;
  readonly queueLength: number;
  /** Recorded at once, finished ones included. */
  readonly operations: number;
  /** Begun, claimed, updated once and completed a second. */
  readonly operationsPerSecond: number;
  /** All payloads of one operation. */
  readonly payloadBytes: number;
  readonly nameBytes: number;
  readonly ownerBytes: number;
  readonly metadataBytes: number;
  /** Processes of clients, each with a connection to one server. */
  readonly clients: number;
}

export interface Deployment {
  readonly replicas: number;
  readonly sentinels: number;
  /** `repl-backlog-size`. */
  readonly backlogBytes: number;
  /** What the allocator takes for each byte that is used. */
  readonly fragmentation: number;
  /** For Redis and what it forks. */
  readonly redisMemoryBytes: number;
  readonly redisDiskBytes: number;
  /** Of a Redis node, in each direction. */
  readonly networkBytesPerSecond: number;
  /** Of one server process. */
  readonly serverMemoryBytes: number;
}

export const DEFAULT_DEPLOYMENT: Deployment = {
  replicas: 2,
  sentinels: 3,
  backlogBytes: 2 ** 20,
  fragmentation: 1.2,
  redisMemoryBytes: 4 * 2 ** 30,
  redisDiskBytes: 50 * 2 ** 30,
  networkBytesPerSecond: 1e9 / 8,
  serverMemoryBytes: 2 * 2 ** 30,
};

/** How full a resource may be. Beyond this, latencies grow (CPU, network), or there is no room for the unforeseen. */
export const FULL = { cpu: 0.7, network: 0.7, memory: 0.8, disk: 0.8, connections: 0.8 } as const;

const SHORTEST_RENEWAL_MS = 200;
const LONGEST_RENEWAL_MS = 12_000;
/** The server renews after 88 to 100 % of a quarter of the TTL. */
const MEAN_JITTER = 0.94;

/** How long after one renewal a stream's lease is renewed again, on average (service/renewal-wheel.ts). */
export function renewalIntervalMs(ttlMs: number): number {
  return Math.max(Math.min(ttlMs / 4, LONGEST_RENEWAL_MS) * MEAN_JITTER, SHORTEST_RENEWAL_MS);
}

/** How long a client leaves leases on one stream; the next stream takes them over (client/core/batch.ts). */
const STREAM_AGE_MS = { least: 8_000, most: 10_000 } as const;
export const MEAN_STREAM_AGE_MS = (STREAM_AGE_MS.least + STREAM_AGE_MS.most) / 2;

export function takeOversPerSecond({ holdStreams }: Load): number {
  return holdStreams / (MEAN_STREAM_AGE_MS / 1_000);
}

/** Each stream renews what it takes over; until the next one does, the server renews as often as there is time for. */
export function streamRenewalsPerSecond(load: Load): number {
  const { least, most } = STREAM_AGE_MS;
  let byServer = 0;
  for (let atMs = renewalIntervalMs(load.ttlMs); atMs < most; atMs += renewalIntervalMs(load.ttlMs)) {
    byServer += Math.min((most - atMs) / (most - least), 1);
  }
  return takeOversPerSecond(load) * (1 + byServer);
}

/**
 * Looks at locks for which the deadline has passed that was last written down: they were renewed since. A lock that is
 * given back before costs none.
 */
export function looksPerSecond({ locks, ratePerSecond, ttlMs }: Load): number {
  const everyMs = ttlMs - renewalIntervalMs(ttlMs) / 2;
  return Math.max(locks / (everyMs / 1_000) - ratePerSecond, 0);
}

/**
 * Calls of Renew a second, by holders without a stream: at each quarter of the TTL, but not in the first one after the
 * grant. So locks that are given back sooner cost none.
 */
export function renewCallsPerSecond({ locks, holdStreams, ratePerSecond, ttlMs }: Load): number {
  return Math.max((locks - holdStreams) / (ttlMs / 4_000) - ratePerSecond, 0);
}

/** The same load, `factor` times as much of everything but lengths and times. */
export function times(load: Load, factor: number): Load {
  return {
    ...load,
    locks: load.locks * factor,
    holdStreams: load.holdStreams * factor,
    ratePerSecond: load.ratePerSecond * factor,
    waiters: load.waiters * factor,
    queueLength: Math.min(load.queueLength, LIMITS.waitersPerResource),
    operations: load.operations * factor,
    operationsPerSecond: load.operationsPerSecond * factor,
    clients: load.clients * factor,
  };
}
