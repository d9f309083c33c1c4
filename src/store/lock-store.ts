// The contract that every store of locks keeps, proved by test/conformance/lock-store.suite.ts. Stores decide
// atomically and know nothing of gRPC; time spans are milliseconds, deadlines are on the calling instance's
// monotonic clock. All methods throw CoordinationError: REDIS_UNAVAILABLE, OVERLOADED, DEPLOYMENT_MISMATCH and
// STORE_FULL where nothing was done; PRIMARY_UNCONFIRMED, DURABILITY_UNMET and OUTCOME_UNKNOWN where the outcome is
// unknown.

import type {
  AcquireOutcome,
  CallStamp,
  ConfirmOutcome,
  ForceReleaseOutcome,
  LeaseSpec,
  LockState,
  LockView,
  ReleaseOutcome,
  RenewOutcome,
} from '../domain/lock.ts';
import type { Trace } from '../domain/trace.ts';

/** Names a lease or a waiter. */
export interface AcquisitionRef {
  readonly resource: string;
  readonly leaseId: string;
}

export interface AcquireCommand {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  /** If it can't be granted now, it is queued under this stamp. */
  readonly mayWait: boolean;
  /** The call has asked before. The answer is `moved` if a newer call speaks for the acquisition by now. */
  readonly asksAgain?: boolean;
}

export interface ConfirmCommand {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
}

export interface RenewCommand extends AcquisitionRef {
  readonly fencingToken: bigint;
  /** 0: the TTL of the grant. */
  readonly ttlMs: number;
  /** Given by streams: the renewal counts only while this call still speaks for the lease. */
  readonly stamp?: CallStamp;
  /** Makes `stamp` the call that speaks for the lease. The call that did before gets the notice `moved`. */
  readonly takesOver?: boolean;
  /** Changes nothing: the outcome tells how it stands. */
  readonly onlyLooks?: boolean;
}

export interface LeaveCommand extends AcquisitionRef {
  readonly stamp: CallStamp;
  /** How long the place in the queue is kept for the same lease id; 0: not at all. */
  readonly keepPlaceMs: number;
  /**
   * Gives back a lease too, not only an offer, because nobody knows of it. Only for what this call was granted and what
   * was no repeat. The stamp doesn't prove that: a repeat puts its own stamp on a lease that a former call told its
   * client of.
   */
  readonly giveBack?: boolean;
}

export interface ForceReleaseCommand {
  readonly resource: string;
  /** Only the lease with this token; undefined: all leases of the resource. */
  readonly fencingToken: bigint | undefined;
  /** Ends them now, instead of at the deadlines that their holders were told. */
  readonly immediate: boolean;
}

export interface StoreBound {
  /** Nobody waits for an answer after this; a command that has not run by then never runs. */
  readonly deadlineMs: number;
  /** How many replicas must have what is answered, if that is more than the store's own minimum. */
  readonly minAcks?: number;
  /** Its command is sent at once, even if others could go along a moment later. */
  readonly isUrgent?: boolean;
  /** Undefined unless the call that asks is traced. */
  readonly trace?: Trace | undefined;
}

/** The part of a store bound that follows from the spec of an acquisition. */
export function durabilityOf({ minAcks }: { readonly minAcks?: number }): Pick<StoreBound, 'minAcks'> {
  return minAcks === undefined ? {} : { minAcks };
}

/** A grant by hand-over that its call has not confirmed. */
export interface Offer {
  readonly acquisition: AcquisitionRef;
  readonly callNumber: number;
}

/**
 * What a store tells an instance about its waiters and leases, unasked. Messages can be lost; `refresh` finds the
 * grants.
 */
export type Notice =
  /** The waiter was granted the resource; its call has an offer window (1 s) to confirm. */
  | { readonly kind: 'offered'; readonly acquisition: AcquisitionRef; readonly callNumber: number }
  /** The waiter is next in line; what blocks it may lapse in `blockedForMs`. */
  | {
      readonly kind: 'next';
      readonly acquisition: AcquisitionRef;
      readonly callNumber: number;
      readonly blockedForMs: number;
    }
  /** A newer call speaks for the waiter or lease. */
  | { readonly kind: 'moved'; readonly acquisition: AcquisitionRef; readonly callNumber: number }
  /** The waiter, or the lease that a stream keeps, was released by someone who knows its lease id. */
  | { readonly kind: 'released'; readonly acquisition: AcquisitionRef; readonly callNumber: number }
  /** The lease that a stream keeps, or what a waiter was granted, was revoked by an administrator. */
  | { readonly kind: 'revoked'; readonly acquisition: AcquisitionRef; readonly callNumber: number }
  /** Waiters may have been forgotten or put aside: each must ask again. */
  | { readonly kind: 'resync' };

/** Which locks to list, and where the page begins. A free lock is never listed. */
export interface ListQuery {
  /** The beginning of their resources' names. */
  readonly prefix: string;
  /** Only locks with a live holder or a queued waiter of exactly this owner; '': all. */
  readonly owner: string;
  readonly states: readonly Exclude<LockState, 'free'>[];
  /** Only names behind this one; '': from the first. */
  readonly after: string;
  readonly most: number;
}

/** In the order of the names' bytes, with up to LIMITS.listedPerPagedLock holders and waiters each. */
export interface LockPage {
  readonly locks: readonly LockView[];
  /** The name behind which the next page begins; undefined: this was the last. */
  readonly next: string | undefined;
}

/** What a store tells of changes to locks. */
export type ChangeNotice =
  /** It may look otherwise than before: who holds it or waits for it, or its min_hold. Renewals are not told. */
  | { readonly kind: 'changed'; readonly resource: string }
  /** From now on changes are heard. `missed`: some of those before this may not have been. */
  | { readonly kind: 'listening'; readonly missed: boolean }
  /** From now on changes may not be heard. */
  | { readonly kind: 'deaf' };

export interface LockStore {
  /**
   * Grants the spec if nothing contradicts it and nobody waits before it. The same lease id again is the same
   * acquisition: the lease that lives is returned as a repeat, extended to at least now + TTL, stamped with this call;
   * a waiter keeps its place. During a quarantine nothing is granted, and not even a recorded lease is returned: it may
   * never have been confirmed.
   */
  acquire(command: AcquireCommand, bound: StoreBound): Promise<AcquireOutcome>;

  /**
   * Makes an offer a lease of full length; its client is told only after that. What was a lease already (because it
   * lived through a quarantine) is a repeat.
   */
  confirm(command: ConfirmCommand, bound: StoreBound): Promise<ConfirmOutcome>;

  /**
   * Takes a waiter out of the queue, or gives back its unconfirmed offer, if this call still speaks for it. Returns
   * whether it did; false for a lease whose end was told before.
   */
  leave(command: LeaveCommand, bound: StoreBound): Promise<boolean>;

  /**
   * Extends live leases to now + TTL, never past their max_hold, never backwards. Outcomes in the same order. While a
   * roll call goes on, one that doesn't live here is not `lost` but `unknown`.
   */
  renew(commands: readonly RenewCommand[], bound: StoreBound): Promise<readonly RenewOutcome[]>;

  /** Ends the lease, or the wait for it, and hands over what becomes free. A min_hold goes on without its lease. */
  release(ref: AcquisitionRef, bound: StoreBound): Promise<ReleaseOutcome>;

  /**
   * Revokes leases. Each stays until its recorded deadline, so that its holder never overlaps
   * with the next one, but from now on it is neither renewed nor confirmed nor acquired again, and its token isn't
   * valid. `release` still ends it. Offers, and with `immediate` all leases, end and are handed over now.
   */
  forceRelease(command: ForceReleaseCommand, bound: StoreBound): Promise<ForceReleaseOutcome>;

  /** Frees the lapsed leases of a resource and hands over what becomes free. */
  advance(resource: string, bound: StoreBound): Promise<void>;

  /**
   * Whether a live lease of the resource, not revoked, carries this token now. Throws QUARANTINE while that is unknown:
   * after failovers whose primaries a roll call hasn't heard of yet.
   */
  checkFencingToken(resource: string, fencingToken: bigint, bound: StoreBound): Promise<boolean>;

  /** Who holds the resource, and who waits for it. A resource that was never locked is free; that is no error. */
  get(resource: string, bound: StoreBound): Promise<LockView>;

  /**
   * The same for many at one moment, in the same order, with up to LIMITS.listedPerPagedLock holders and waiters each.
   */
  getMany(resources: readonly string[], bound: StoreBound): Promise<readonly LockView[]>;

  /**
   * A page of the locks that aren't free. A page before the last may have fewer locks than asked for, even none: it
   * also ends after a bounded amount of searching or bytes. A lock that isn't free all the while is on exactly one of
   * the pages.
   */
  list(query: ListQuery, bound: StoreBound): Promise<LockPage>;

  /**
   * Calls back on each change of any lock, and when changes begin or cease to be heard. What is read after `listening`
   * is no older than what was changed before it. A caller that reads first and listens afterwards misses what lies
   * between. Returns the unsubscriber.
   */
  watchChanges(listener: (notice: ChangeNotice) => void): () => void;

  /** This instance's sign of life while it has waiters. Returns the offers that it has not confirmed. */
  refresh(bound: StoreBound): Promise<readonly Offer[]>;

  /** Calls back for this instance's waiters and leases. Returns the unsubscriber. */
  onNotice(listener: (notice: Notice) => void): () => void;
}
