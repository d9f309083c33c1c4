// The contract that every store of locks keeps, proved by test/conformance/lock-store.suite.ts. Stores decide
// atomically and know nothing of gRPC; time spans are milliseconds, deadlines are on the calling instance's
// monotonic clock.

import type {
  AcquireOutcome,
  CallStamp,
  LeaseSpec,
  LockView,
  ReleaseOutcome,
  RenewOutcome,
} from '../domain/lock.ts';

export interface RenewCommand {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
  readonly ttlMs: number;
  /** Given by streams: the renewal counts only while this call still speaks for the lease. */
  readonly stamp?: CallStamp;
}

export interface ReleaseCommand {
  readonly resource: string;
  readonly leaseId: string;
}

export interface StoreCall {
  /** Nobody waits for an answer after this; a command that has not run by then never runs. */
  readonly deadlineMs: number;
}

export interface LockStore {
  /**
   * Grants `spec` if nothing contradicts it. The same lease id again is the same acquisition: the lease that
   * lives is returned, extended to at least now + TTL, stamped with this call. During a quarantine nothing is
   * granted, and not even a recorded lease is returned: it may never have been confirmed.
   */
  acquire(spec: LeaseSpec, stamp: CallStamp, call: StoreCall): Promise<AcquireOutcome>;

  /** Extends a live lease that carries this token to now + TTL, never past its max_hold, never backwards. */
  renew(command: RenewCommand, call: StoreCall): Promise<RenewOutcome>;

  /** Ends the lease. A min_hold goes on without it. */
  release(command: ReleaseCommand, call: StoreCall): Promise<ReleaseOutcome>;

  /** Who holds the resource now. A resource that nobody ever locked is free, not an error. */
  get(resource: string, call: StoreCall): Promise<LockView>;
}
// All methods throw CoordinationError: REDIS_UNAVAILABLE, OVERLOADED, DEPLOYMENT_MISMATCH and STORE_FULL
// where nothing was done; PRIMARY_UNCONFIRMED and OUTCOME_UNKNOWN where the outcome is unknown.
