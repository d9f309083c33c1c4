// Locks as users see them: plain values with units in their names. lock.proto says what they mean.

import {
  type LockHolder as HolderMessage,
  type Lock as LockMessage,
  LockState as LockStateNumber,
  type LockWaiter as WaiterMessage,
} from '../../generated/leasehold/v1/lock.ts';
import { dateOf, msOf } from './core/time-spans.ts';

export type LockMode =
  | { readonly kind: 'exclusive' }
  | { readonly kind: 'shared' }
  | { readonly kind: 'permits'; readonly permits: number; readonly limit: number };

/** `min-hold`: it has no holder, but it stays taken until the minHold of a lease that ended is over. */
export type LockState = 'free' | 'held' | 'min-hold' | 'unknown';

export interface LockHolder {
  /** Identifies a lease; gives no power over it. */
  readonly leaseIdHash: string;
  readonly owner: string;
  readonly mode: LockMode;
  readonly fencingToken: bigint;
  /** By the server's wall clock, for people. */
  readonly acquiredAt: Date | undefined;
  /** Milliseconds until the lease ends unless it is renewed. */
  readonly remainingMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** An administrator force-released it: the server no longer renews it. */
  readonly revoked: boolean;
}

export interface LockWaiter {
  readonly leaseIdHash: string;
  readonly owner: string;
  readonly mode: LockMode;
  readonly queuedAt: Date | undefined;
  /** Its call has ended or its server is gone: the queue passes over it until it comes back. */
  readonly absent: boolean;
}

export interface Lock {
  readonly resource: string;
  readonly state: LockState;
  /** The oldest grant first. Where there are many, only the first of them: see holderCount. */
  readonly holders: readonly LockHolder[];
  readonly holderCount: number;
  /** The head of the queue. */
  readonly waiters: readonly LockWaiter[];
  readonly waiterCount: number;
  readonly permitsHeld: number;
  readonly permitsLimit: number;
  readonly minHoldRemainingMs: number | undefined;
}

export const LOCK_STATES: Readonly<Record<Exclude<LockState, 'unknown'>, LockStateNumber>> = {
  free: LockStateNumber.LOCK_STATE_FREE,
  held: LockStateNumber.LOCK_STATE_HELD,
  'min-hold': LockStateNumber.LOCK_STATE_MIN_HOLD,
};

export function lockOf(lock: LockMessage): Lock {
  return {
    resource: lock.resource,
    state: stateOf(lock.state),
    holders: lock.holders.map(holderOf),
    holderCount: lock.holderCount,
    waiters: lock.waiters.map(waiterOf),
    waiterCount: lock.waiterCount,
    permitsHeld: lock.permitsHeld,
    permitsLimit: lock.permitsLimit,
    minHoldRemainingMs: msOf(lock.minHoldRemaining),
  };
}

export function freeLock(resource: string): Lock {
  return {
    resource,
    state: 'free',
    holders: [],
    holderCount: 0,
    waiters: [],
    waiterCount: 0,
    permitsHeld: 0,
    permitsLimit: 0,
    minHoldRemainingMs: undefined,
  };
}

export function holderOf(holder: HolderMessage): LockHolder {
  return {
    leaseIdHash: holder.leaseIdHash,
    owner: holder.owner,
    mode: modeOf(holder.mode),
    fencingToken: holder.fencingToken,
    acquiredAt: dateOf(holder.acquireTime),
    remainingMs: msOf(holder.remaining) ?? 0,
    metadata: Object.fromEntries(holder.metadata),
    revoked: holder.revoked,
  };
}

function waiterOf(waiter: WaiterMessage): LockWaiter {
  return {
    leaseIdHash: waiter.leaseIdHash,
    owner: waiter.owner,
    mode: modeOf(waiter.mode),
    queuedAt: dateOf(waiter.queueTime),
    absent: waiter.absent,
  };
}

function modeOf(mode: HolderMessage['mode']): LockMode {
  switch (mode?.$case) {
    case 'shared':
      return { kind: 'shared' };
    case 'permits':
      return { kind: 'permits', permits: mode.value.permits, limit: mode.value.limit };
    case 'exclusive':
    case undefined:
      return { kind: 'exclusive' };
  }
}

function stateOf(state: LockStateNumber): LockState {
  const entry = Object.entries(LOCK_STATES).find(([, number]) => number === state);
  return (entry?.[0] as LockState | undefined) ?? 'unknown'; // a key of LOCK_STATES
}
