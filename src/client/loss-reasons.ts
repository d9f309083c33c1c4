// Why a lease or an attempt was lost, in the words of the TypeScript client, and what each word says to people. The two
// lists stand together because they share most of their reasons. The errors that carry them are in client-errors.ts.

import { LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { AttemptLostReason } from '../../generated/leasehold/v1/operation_store_service.ts';

export type LossReason =
  /** Its local deadline passed before any server renewed it. */
  | 'deadline'
  /** Its deadline passed at the server. */
  | 'expired'
  /** Someone who knows its id released it. */
  | 'released'
  /** An administrator force-released it. */
  | 'force-released'
  /** Its `maxHoldMs` ended. */
  | 'max-hold'
  /** The store doesn't know it: a failover forgot it, for example. */
  | 'unknown-lease';

export type AttemptLossReason =
  /** Its local deadline passed before any server renewed it. */
  | 'deadline'
  /** The server heard no heartbeat in time. */
  | 'expired'
  /** Another worker has taken the operation over. */
  | 'superseded'
  /** Its worker gave the operation back. */
  | 'yielded'
  /** The operation is in a final state. */
  | 'finished'
  /** The lease that belongs to it is gone. */
  | 'lease-lost'
  /** The store doesn't know it: a failover forgot it, for example. */
  | 'unknown-attempt';

const LEASE_LOSSES: ReadonlyMap<number, LossReason> = new Map<number, LossReason>([
  [LostReason.LOST_REASON_EXPIRED, 'expired'],
  [LostReason.LOST_REASON_RELEASED, 'released'],
  [LostReason.LOST_REASON_FORCE_RELEASED, 'force-released'],
  [LostReason.LOST_REASON_MAX_HOLD, 'max-hold'],
]);

const ATTEMPT_LOSSES: ReadonlyMap<number, AttemptLossReason> = new Map<number, AttemptLossReason>([
  [AttemptLostReason.ATTEMPT_LOST_REASON_EXPIRED, 'expired'],
  [AttemptLostReason.ATTEMPT_LOST_REASON_SUPERSEDED, 'superseded'],
  [AttemptLostReason.ATTEMPT_LOST_REASON_YIELDED, 'yielded'],
  [AttemptLostReason.ATTEMPT_LOST_REASON_FINISHED, 'finished'],
  [AttemptLostReason.ATTEMPT_LOST_REASON_LEASE_LOST, 'lease-lost'],
]);

const NO_SERVER = 'no server was heard before its deadline';
const FORGOTTEN = 'the store does not know it any more, after a failover for example';

/** Completes "The lease on … is lost: …". */
export const WHY_LEASE_LOST: Readonly<Record<LossReason, string>> = {
  deadline: NO_SERVER,
  expired: 'it was not renewed in time',
  released: 'someone who knows its id released it',
  'force-released': 'an administrator force-released it',
  'max-hold': 'its maxHoldMs is over',
  'unknown-lease': FORGOTTEN,
};

/** Completes "The attempt at the operation … is lost: …". */
export const WHY_ATTEMPT_LOST: Readonly<Record<AttemptLossReason, string>> = {
  deadline: NO_SERVER,
  expired: 'no heartbeat was heard in time',
  superseded: 'another worker has taken the operation over',
  yielded: 'it was given back',
  finished: 'the operation is in a final state',
  'lease-lost': 'its lease is gone',
  'unknown-attempt': FORGOTTEN,
};

/** `reason` is a LostReason; undefined: the deadline passed here. */
export function lossOf(reason: number | undefined): LossReason {
  return reason === undefined ? 'deadline' : (LEASE_LOSSES.get(reason) ?? 'unknown-lease');
}

/** `reason` is an AttemptLostReason; undefined: the deadline passed here. */
export function attemptLossOf(reason: number | undefined): AttemptLossReason {
  return reason === undefined ? 'deadline' : (ATTEMPT_LOSSES.get(reason) ?? 'unknown-attempt');
}
