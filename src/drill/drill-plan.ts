// What a drill is asked to do: how, how long, how large its load is, and what it may cost. Values only; the command
// line fills them.

export interface DrillPlan {
  /** `trigger`: the drill asks a Sentinel for the failover. `observe`: somebody else causes one. */
  readonly cause: 'trigger' | 'observe';
  /** Begins the names of all that the load uses. */
  readonly prefix: string;
  /** How long the load runs before the failover, for comparison. Milliseconds. */
  readonly beforeMs: number;
  /** How long the Sentinels have until they name another primary; with `observe`, how long to wait for that. */
  readonly withinMs: number;
  /** How long the load goes on once grants are back. Milliseconds. */
  readonly afterMs: number;
  /** The TTL of the load's leases, in milliseconds; undefined: the default of the servers. */
  readonly ttlMs: number | undefined;
  /** How long the last failover must be ago, in milliseconds; undefined: twice the `failover-timeout`. */
  readonly restMs: number | undefined;
  /** The checks whose objections don't count. */
  readonly accepted: readonly string[];
  readonly load: LoadSize;
  readonly allowed: Allowed;
}

export interface LoadSize {
  /** Leases that are held all the time: half of them by stream, half of them renewed call by call. */
  readonly holders: number;
  /** New locks acquired and released per second. */
  readonly acquiresPerSecond: number;
  /** Resources with a queue of callers in front of them. */
  readonly queues: number;
  /** Operations that run all the time; as many short ones begin every second. */
  readonly operations: number;
}

/** What a failover may cost; more fails the drill. */
export interface Allowed {
  readonly withoutRenewalsMs: number;
  /** undefined: 20 s, and without a roll call the quarantine that the servers state. */
  readonly withoutGrantsMs: number | undefined;
  /** Leases and operations together. */
  readonly lost: number;
}

/** Callers in front of each resource with a queue. */
export const CALLERS_PER_QUEUE = 3;

/** Which part of the drill a moment belongs to. */
export const PHASES = ['before', 'during', 'after'] as const;
export type Phase = (typeof PHASES)[number];
