// What the lock service tells of its work while it works, for metrics and for the record of contention. Listeners are
// called in the path of every lock, so they only count: they never wait, throw or keep more than a bounded amount.

import type { Mode } from '../domain/lock.ts';

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
