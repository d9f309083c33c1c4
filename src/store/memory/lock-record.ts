// One lock in memory: the leases of a resource, its queue and its min_holds, as plain lists, and what follows from
// those. Changes nothing by itself. Times are on the lease clock, in milliseconds, unless a name says otherwise.

import type { CallStamp, LeaseSpec, Mode } from '../../domain/lock.ts';
import { WaitQueue } from './wait-queue.ts';

export interface LeaseRecord {
  /** As asked for. Its confirmation may have named another TTL and other bounds. */
  readonly spec: LeaseSpec;
  readonly fencingToken: bigint;
  readonly acquiredAtWallMs: number;
  /** An offer is a grant by hand-over that its call has not confirmed: nobody was told of it. */
  state: 'offer' | 'held' | 'revoked';
  stamp: CallStamp;
  deadlineMs: number;
  ttlMs: number;
  /** No renewal passes this. */
  endsAtMs: number;
  /** The reign that granted or last renewed it. */
  epoch: string;
}

export class LockRecord {
  readonly resource: string;
  /** By lease id, the oldest grant first. What has lapsed may still be among them. */
  readonly leases = new Map<string, LeaseRecord>();
  readonly queue = new WaitQueue();
  /** When each min_hold ends, by the token of its lease, which may have ended already. */
  readonly minHolds = new Map<bigint, number>();
  /** Watchers must be told that it may look different now. */
  isChanged = false;

  constructor(resource: string) {
    this.resource = resource;
  }

  /** Nothing is known of it. */
  get isBlank(): boolean {
    return this.leases.size + this.queue.size + this.minHolds.size === 0;
  }

  /** The end of the last min_hold; 0 for none. */
  get takenUntilMs(): number {
    let lastMs = 0;
    for (const untilMs of this.minHolds.values()) lastMs = Math.max(lastMs, untilMs);
    return lastMs;
  }

  /** The smallest limit that a holder names; 0 unless all hold permits. */
  get permitsLimit(): number {
    return limitOf([...this.leases.values()].map(({ spec }) => spec.mode));
  }

  /** The first deadline of a lease; 0 for none. */
  get firstDeadlineMs(): number {
    if (this.leases.size === 0) return 0;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.leases.values()) firstMs = Math.min(firstMs, deadlineMs);
    return firstMs;
  }

  /**
   * Whether a lease in this mode goes together with the recorded ones. For permits the smallest limit that any of them
   * names counts, so that a rollout which changes the limit converges.
   */
  admits(mode: Mode): boolean {
    let [permits, limit] = mode.kind === 'permits' ? [mode.permits, mode.limit] : [0, 0];
    for (const { spec } of this.leases.values()) {
      if (mode.kind === 'exclusive' || spec.mode.kind !== mode.kind) return false;
      if (spec.mode.kind !== 'permits') continue;
      permits += spec.mode.permits;
      limit = Math.min(limit, spec.mode.limit);
    }
    return permits <= limit;
  }
}

/** The limit in force where all of these are held together: 0 unless they are permits, or where there are none. */
export function limitOf(modes: readonly Mode[]): number {
  const limits = modes.map((mode) => (mode.kind === 'permits' ? mode.limit : 0));
  return limits.length === 0 ? 0 : Math.min(...limits);
}

export function sameStamp(a: CallStamp, b: CallStamp): boolean {
  return a.instanceId === b.instanceId && a.callNumber === b.callNumber;
}

export function sameMode(a: Mode, b: Mode): boolean {
  if (a.kind !== 'permits' || b.kind !== 'permits') return a.kind === b.kind;
  return a.permits === b.permits && a.limit === b.limit;
}

/** Streams have odd numbers. They hear what becomes of their lease; a unary call has ended and hears nothing. */
export function isOfStream({ callNumber }: CallStamp): boolean {
  return callNumber % 2 === 1;
}
