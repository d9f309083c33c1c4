// What the lock service tells of its work while it works, for metrics and for the record of contention. Listeners are
// called in the path of every lock, so they only count: they never wait, throw or keep more than a bounded amount.

import type { Mode } from '../domain/lock.ts';
import type { LeaseLoss } from '../domain/losses.ts';

/** How an acquisition ended. */
export type AcquireEnd =
  | 'granted'
  /** Others held the resource, or the wait was over. */
  | 'contended'
  | 'quarantine'
  | 'queue-full'
  | 'cancelled'
  | 'moved'
  | 'released'
  | 'revoked'
  | 'draining'
  /** The store could not answer, or its answer is unknown. */
  | 'unavailable'
  /** Anything else: a lease id that was reused, a refused argument, a defect. */
  | 'refused';

export interface Acquired {
  readonly resource: string;
  readonly owner: string;
  readonly mode: Mode['kind'];
  readonly end: AcquireEnd;
  /** It had to wait in the queue. */
  readonly queued: boolean;
  readonly tookMs: number;
  /** It was granted by hand-over: how long that took from the moment at which the resource was free for it. */
  readonly handoverMs?: number | undefined;
}

export interface HoldEnded {
  readonly resource: string;
  readonly end: 'released' | 'expired' | 'forced' | 'lost';
  readonly heldMs: number;
}

export interface LockObserver {
  /** A call begins to wait in the queue. Returns what to call when it no longer does. */
  waits(resource: string, owner: string, leaseId: string): () => void;
  acquired(acquired: Acquired): void;
  /** A lease ended, as far as this instance hears of it: the one that ended it, or the one whose stream kept it. */
  holdEnded(ended: HoldEnded): void;
}

/** What becomes of leases that streams keep. Like a lock observer, it only counts. */
export interface KeepingObserver {
  /** A renewal succeeded, so long after it was due. */
  renewed(lagMs: number): void;
  /** A stream lost its lease. Its release is no loss. */
  lost(reason: Exclude<LeaseLoss, 'released'>): void;
}

/** Tells all of them. */
export function observers(...all: readonly LockObserver[]): LockObserver {
  return {
    waits(resource, owner, leaseId) {
      const ends = all.map((each) => each.waits(resource, owner, leaseId));
      return () => {
        for (const end of ends) end();
      };
    },
    acquired(acquired) {
      for (const each of all) each.acquired(acquired);
    },
    holdEnded(ended) {
      for (const each of all) each.holdEnded(ended);
    },
  };
}
