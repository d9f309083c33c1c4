// An operation: the durable record of a piece of long-running work, run by one worker at a time. Both stores obey this
// chart, and take it from TRANSITIONS:
//
//                     claim, begin with a claim_id              complete
//   begin ──▶ PENDING ───────────────────────────▶ RUNNING ─────────────────▶ SUCCEEDED, FAILED, CANCELLED
//              │ ▲ ▲ └── cancel ──▶ CANCELLED       │ ▲ │
//              │ │ └────────── yield ───────────────┘ │ └── stale, and the attempts are used up; or its time to live
//              │ │                                    │     is over and nobody recovered it ──▶ DEAD
//              │ └── retry ── FAILED, DEAD            └── stale: claimed again
//              └── its time to live is over ──▶ DEAD
//
// An attempt is one run by one worker. It lives until its heartbeat deadline; after that it is *stale*: what it writes
// is refused, and the operation may be claimed again. The record still says RUNNING then.

import type { Lease, LeaseSpec } from './lock.ts';

export const OPERATION_STATES = ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'dead'] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

/** What moves an operation, and from which states. Not in the table: heartbeats and updates, which move nothing. */
export const TRANSITIONS = {
  claim: { from: ['pending', 'running'], to: 'running' }, // from running: only when stale
  succeed: { from: ['running'], to: 'succeeded' },
  fail: { from: ['running'], to: 'failed' },
  stop: { from: ['running'], to: 'cancelled' },
  yield: { from: ['running'], to: 'pending' },
  cancel: { from: ['pending'], to: 'cancelled' }, // the worker of a running one is told, and decides
  retry: { from: ['failed', 'dead'], to: 'pending' },
  giveUp: { from: ['pending', 'running'], to: 'dead' },
} as const satisfies Readonly<
  Record<string, { readonly from: readonly OperationState[]; readonly to: OperationState }>
>;

export type Transition = keyof typeof TRANSITIONS;

export function isFinal(state: OperationState): boolean {
  return state !== 'pending' && state !== 'running';
}

/** An encoded google.protobuf.Any, or google.rpc.Status. Never unpacked here. */
export type Payload = Uint8Array;

export interface OperationKey {
  readonly resource: string;
  readonly operationId: string;
}

/** One text for both. Listings are in the order of these texts. Neither part contains a control character. */
export function nameOf({ resource, operationId }: OperationKey): string {
  return `${resource}\t${operationId}`;
}

export function keyOfName(name: string): OperationKey {
  const tab = name.indexOf('\t');
  return { resource: name.slice(0, tab), operationId: name.slice(tab + 1) };
}

/** The right to write as one attempt. */
export interface AttemptRef extends OperationKey {
  /**
   * A lower-case UUID that the worker made. It is secret, and is the lease id of the attempt's lease if there is one.
   */
  readonly claimId: string;
  readonly fencingToken: bigint;
}

/** How long a finished record stays, in milliseconds, by its final state. */
export interface Retention {
  readonly succeededMs: number;
  readonly failedMs: number;
  readonly cancelledMs: number;
  readonly deadMs: number;
}

/**
 * The lease that every attempt takes on the operation's resource; its lease id is the claim id. Owner '': the
 * attempt's.
 */
export type AttemptLock = Omit<LeaseSpec, 'resource' | 'leaseId'>;

/** What a caller wants recorded. */
export interface OperationSpec extends OperationKey {
  readonly type: string;
  readonly data: Payload | undefined;
  readonly labels: ReadonlyMap<string, string>;
  /** The hash of type, data and labels as they were sent: tells a repeat from another operation under the same id. */
  readonly contentHash: string;
  readonly owner: string;
  /** How long a running attempt may be silent. With `lock`, this is the TTL of the lease. */
  readonly heartbeatTimeoutMs: number;
  /** An operation that isn't finished by then becomes dead; 0 for no such time. */
  readonly timeToLiveMs: number;
  /** It must be the only open operation of its resource. */
  readonly exclusive: boolean;
  readonly lock: AttemptLock | undefined;
  /** How many attempts may go stale before it becomes dead. */
  readonly maxAttempts: number;
  readonly retention: Retention;
}

/** One run of an operation, as its own worker may see it. */
export interface Attempt {
  /** From 1. */
  readonly number: number;
  readonly claimId: string;
  readonly fencingToken: bigint;
  /** When the worker must stop at the latest, on *this instance's* monotonic clock. */
  readonly deadlineMs: number;
  /** Only with `lock`. Its token and deadline are those of the attempt. */
  readonly lease: Lease | undefined;
}

export type OperationOutcome =
  | { readonly kind: 'result'; readonly value: Payload | undefined }
  | { readonly kind: 'error'; readonly value: Payload | undefined };

/** A record as anyone may see it: no claim id. Wall times are for people, in milliseconds since 1970. */
export interface Operation extends OperationKey {
  readonly type: string;
  readonly state: OperationState;
  /** Undefined if there is none, or if payloads were not asked for. */
  readonly data: Payload | undefined;
  readonly progress: Payload | undefined;
  /**
   * Undefined unless finished. Its value is undefined if payloads were not asked for, but an error's is always there.
   */
  readonly outcome: OperationOutcome | undefined;
  readonly labels: ReadonlyMap<string, string>;
  /** Who runs it, or ran it last, or began it. */
  readonly owner: string;
  /** Of the current or latest attempt; 0 if there was none. Never goes back. */
  readonly attemptNumber: number;
  readonly attemptsCounted: number;
  readonly maxAttempts: number;
  /** Of the current or latest attempt; 0 if there was none. */
  readonly fencingToken: bigint;
  /** Counts the changes of the record, from 1. A heartbeat is not a change. */
  readonly version: number;
  readonly cancelRequested: boolean;
  readonly cancelReason: string;
  readonly exclusive: boolean;
  readonly lock: AttemptLock | undefined;
  readonly heartbeatTimeoutMs: number;
  /** Until the attempt is stale: 0 if it is; undefined unless running. */
  readonly heartbeatRemainingMs: number | undefined;
  readonly createdAtWallMs: number;
  readonly startedAtWallMs: number | undefined;
  readonly updatedAtWallMs: number;
  readonly finishedAtWallMs: number | undefined;
  /** No claim gets a pending operation before this. */
  readonly claimableAtWallMs: number | undefined;
  /** When an open record becomes dead, or a finished one is removed. */
  readonly expiresAtWallMs: number | undefined;
  readonly retention: Retention;
}
