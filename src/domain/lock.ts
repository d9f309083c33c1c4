// A lock: who may hold a resource, what a lease is, and how stores answer the commands about it. Both stores obey this
// chart:
//
//            acquire                      renew (not past max_hold)
//   FREE ───────────────▶ HELD ◀──────────────────────────┐
//    ▲                     │ └────────────────────────────┘
//    │  min_hold over      │ release, or the deadline passes
//    ├───────── MIN_HOLD ◀─┤ (min_hold not over: taken, but nobody's)
//    └─────────────────────┘ (no min_hold, or it is over)
//
// During a quarantine (safety.ts) nothing leaves FREE; renewals and releases go on. What an administrator revokes
// stays HELD until its deadline, and nothing renews it.

import { createHash } from 'node:crypto';

export type Mode =
  | { readonly kind: 'exclusive' }
  | { readonly kind: 'shared' }
  | { readonly kind: 'permits'; readonly permits: number; readonly limit: number };

/** Which call speaks for a lease right now: written by every Acquire, Hold and KeepAlive. */
export interface CallStamp {
  readonly instanceId: string;
  /** Unique in the instance. Odd for streams, which are told when their lease is released; even for unary calls. */
  readonly callNumber: number;
}

/** What a caller asks for. */
export interface LeaseSpec {
  readonly resource: string;
  /**
   * A lower-case UUID that the client made. It identifies the acquisition, and it is the right to renew and release.
   */
  readonly leaseId: string;
  readonly owner: string;
  readonly mode: Mode;
  readonly metadata: ReadonlyMap<string, string>;
  readonly ttlMs: number;
  /** The resource stays taken at least this long from the grant on; 0 for none. */
  readonly minHoldMs: number;
  /** Renewals never extend past this, counted from the grant; 0 for no bound. */
  readonly maxHoldMs: number;
  /** How many replicas must have the grant before it is answered, if that is more than the server's minimum. */
  readonly minAcks?: number;
}

/** A lease that the store holds, as of one answer. */
export interface Lease {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
  /**
   * When the holder must stop at the latest, on *this instance's* monotonic clock, counted from before the
   * store was asked.
   */
  readonly deadlineMs: number;
  /** About the same moment by the store's wall clock, for people. Milliseconds since 1970. */
  readonly expiresAtWallMs: number;
  /** How many replicas had it when the store answered; undefined: only the primary is known to have it. */
  readonly replicas?: number;
  /** With permits, as of a grant: the smallest limit that a holder names, which is in force. */
  readonly permitsLimit?: number;
}

/** A holder as others may see it: no lease id, only a short hash of it. */
export interface Holder {
  readonly leaseIdHash: string;
  readonly owner: string;
  readonly mode: Mode;
  readonly fencingToken: bigint;
  readonly acquiredAtWallMs: number;
  /** Until the lease lapses if it isn't renewed. */
  readonly remainingMs: number;
  readonly metadata: ReadonlyMap<string, string>;
  /** An administrator revoked it: it ends at its deadline at the latest. */
  readonly revoked: boolean;
}

/** A queued caller as others may see it. */
export interface Waiter {
  readonly leaseIdHash: string;
  readonly owner: string;
  readonly mode: Mode;
  readonly queuedAtWallMs: number;
}

export interface Contention {
  readonly resource: string;
  /** 'ahead': it would be admitted, but others were in the queue first. */
  readonly reason: 'held' | 'ahead' | 'min-hold';
  /** Some of the holders, at most 4. */
  readonly holders: readonly Holder[];
  /** When the resource is free at the earliest if nobody renews or releases. */
  readonly timeLeftMs: number;
  readonly queueLength: number;
}

/** Whether a resource is taken: by live leases, by a min_hold alone, or not at all. */
export type LockState = 'held' | 'min-hold' | 'free';

export interface LockView {
  readonly resource: string;
  /** Some of them, the oldest grant first. */
  readonly holders: readonly Holder[];
  readonly holderCount: number;
  /** The sum of their permits. 0 unless they hold permits. */
  readonly permitsHeld: number;
  /** The smallest limit that one of them names. 0 unless they hold permits. */
  readonly permitsLimit: number;
  /** The head of the queue, in order. */
  readonly waiters: readonly Waiter[];
  readonly queueLength: number;
  /** How long a min_hold keeps the resource taken, with a holder or without; 0 for none. */
  readonly minHoldRemainingMs: number;
}

export function stateOf({ holderCount, minHoldRemainingMs }: LockView): LockState {
  if (holderCount > 0) return 'held';
  return minHoldRemainingMs > 0 ? 'min-hold' : 'free';
}

export interface Granted {
  readonly kind: 'granted';
  readonly lease: Lease;
  /**
   * It was a lease before this command, no matter which call spoke for it: somebody may know of it. Also true when the
   * same call asks again because an answer was lost, since that may have been the answer to a repeat.
   */
  readonly isRepeat: boolean;
  /** It was handed over to a waiter: how long it took from the moment at which the resource was free for it. */
  readonly handoverMs?: number;
}

export type AcquireOutcome =
  | Granted
  /** Only for a caller that may wait: its position, from 1, and when the resource may be free for the next in line. */
  | { readonly kind: 'queued'; readonly position: number; readonly blockedForMs: number }
  | { readonly kind: 'contended'; readonly contention: Contention }
  | { readonly kind: 'quarantined'; readonly retryAfterMs: number }
  /** The lease id names a lease or a waiter in another mode. */
  | { readonly kind: 'reused' }
  /** Asked again, and a newer call speaks for the acquisition. */
  | { readonly kind: 'moved' }
  /** The lease id names a lease that an administrator revoked. */
  | { readonly kind: 'revoked' }
  /** The resource's queue is full. */
  | { readonly kind: 'full' };

export type ConfirmOutcome =
  | Granted
  /** It lapsed, was given back, released or revoked, or a newer call speaks for it. */
  | { readonly kind: 'gone' };

export type RenewOutcome =
  /** `isFinal`: its deadline is the end of its max_hold, which no renewal passes. */
  | { readonly kind: 'renewed'; readonly lease: Lease; readonly isFinal: boolean }
  /** No live lease of this id and token: released, lapsed, or never granted. */
  | { readonly kind: 'lost' }
  /**
   * The same, but a roll call runs, and an instance that has not answered may put it back: ask again. Its holder counts
   * on the deadline that it was told.
   */
  | { readonly kind: 'unknown' }
  /** The lease lives, but a newer call speaks for it. Only if the renewal named a stamp. */
  | { readonly kind: 'moved' }
  /** An administrator revoked the lease. It lives on only so that its holder never overlaps with the next one. */
  | { readonly kind: 'revoked' };

export type ReleaseOutcome =
  /**
   * This call ended a live lease, which had been held for so long. `wasOver`: its holder had been told of its end before,
   * by an administrator who force-released it, or by the stream that kept it until the deadline, and it lived on only
   * for clocks that differ.
   */
  | { readonly kind: 'released'; readonly heldMs: number; readonly wasOver: boolean }
  /** It had lapsed, no stream told of that, and this call is the one that found it. */
  | { readonly kind: 'lapsed'; readonly heldMs: number }
  /** This call took a waiter out of the queue, or gave back a grant that nobody knew of. */
  | { readonly kind: 'dequeued' }
  /** There was neither: never granted, lapsed some time ago, or released before. */
  | { readonly kind: 'absent' };

export interface ForceReleaseOutcome {
  /**
   * The leases and offers that this call revoked; with `immediate` also those that were revoked before and still lived.
   */
  readonly count: number;
  /**
   * How long until what is left is over (leases, min_hold and quarantine), if nobody renews, releases, or is granted
   * the resource first. 0: it is free now.
   */
  readonly freeInMs: number;
  /**
   * How long each lease had been held that this call, and none before it, took from its holder. Offers aren't among
   * them: nobody held those.
   */
  readonly heldMs: readonly number[];
}

/**
 * When a lease was granted, on the monotonic clock of the instance that had it from the store. A token is made from the
 * store's time in microseconds, and so tells about that moment where the store has confirmed the token. After the clock
 * of the store has stepped back, tokens run ahead of it: then this is `nowMs`.
 */
export function grantedAtMs({ fencingToken, deadlineMs, expiresAtWallMs }: Lease, nowMs: number): number {
  return Math.min(deadlineMs - (expiresAtWallMs - Number(fencingToken) / 1_000), nowMs);
}

/** A lease id as logs and other callers may see it: 12 hex digits of its SHA-256. */
export function leaseIdHash(leaseId: string): string {
  return createHash('sha256').update(leaseId).digest('hex').slice(0, 12);
}
