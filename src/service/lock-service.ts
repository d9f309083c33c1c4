// What the lock rpcs do, without gRPC: bounds the time, refuses while the instance drains, asks the store once, and
// turns its outcome into an answer or an error. The transport has validated every argument (decode-lock.ts).

import { LIMITS } from '../domain/limits.ts';
import type { CallStamp, Granted, Lease, LeaseSpec, LockView } from '../domain/lock.ts';
import type { AcquisitionRef, ListQuery, LockStore, RenewCommand, StoreBound } from '../store/lock-store.ts';
import { acquireMany } from './acquire-many.ts';
import type { Acquisitions } from './acquisitions.ts';
import {
  bounded,
  type CallContext,
  type CallStamps,
  type CommandTime,
  logged,
  type MutationLog,
  type MutationResult,
} from './call.ts';
import type { LockObserver } from './lock-observer.ts';
import { type Listing, pageTokenFor, positionIn } from './page-tokens.ts';
import { draining, leaseLost, leaseRevoked, leaseUnknown, waitFailure } from './refusals.ts';
import type { WaitRoom } from './wait-room.ts';

/** A lease, and how long it is valid counted from the arrival of the call's request. */
export interface GrantedLease {
  readonly lease: Lease;
  readonly validForMs: number;
}

/** What to list, and which page of it; '' is the first page. */
export interface ListRequest extends Omit<ListQuery, 'after'> {
  readonly pageToken: string;
}

/** A page, and the token of the next one; '' after the last page. */
export interface ListedLocks {
  readonly locks: readonly LockView[];
  readonly nextPageToken: string;
}

export interface LockServiceOptions extends CommandTime, MutationLog {
  readonly store: LockStore;
  readonly waitRoom: WaitRoom;
  readonly acquisitions: Acquisitions;
  readonly observer: LockObserver;
  readonly stamps: CallStamps;
}

export class LockService {
  readonly #options: LockServiceOptions;
  #draining = false;

  constructor(options: LockServiceOptions) {
    this.#options = options;
  }

  /** From now on this instance acquires nothing new; leases can still be renewed and released. */
  drain(): void {
    this.#draining = true;
    this.#options.waitRoom.drain();
  }

  /**
   * Acquires a lease; with a `waitMs` above 0 it waits in the queue for that long, at most LIMITS.unaryWaitMs. Throws
   * LOCK_CONTENDED, QUARANTINE, LEASE_ID_REUSED, QUEUE_FULL, DRAINING and what the store throws; while it waits also
   * MOVED, LEASE_LOST (someone released it) and CANCELLED.
   */
  acquire(spec: LeaseSpec, waitMs: number, context: CallContext): Promise<GrantedLease> {
    const work = async (): Promise<GrantedLease> => {
      if (this.#draining) throw this.#options.acquisitions.refused(spec, draining());
      const { lease } = await this.#take(spec, this.#stamp(), waitMs, context);
      return this.#granted(lease, context);
    };
    return logged(this.#options, 'Acquire', spec, work, granting);
  }

  /**
   * Acquires several leases, all or none. `waitMs` is for all of them together, their resources must be distinct, and
   * the answer is in the order of `specs`. Throws what `acquire` throws.
   */
  async acquireMany(
    specs: readonly LeaseSpec[],
    waitMs: number,
    context: CallContext,
  ): Promise<readonly GrantedLease[]> {
    const { store, clock, acquisitions, observer } = this.#options;
    if (this.#draining) {
      for (const spec of specs) acquisitions.refused(spec, draining());
      throw draining();
    }
    const stamp = this.#stamp();
    const acquire = (spec: LeaseSpec): Promise<Granted> => {
      const work = async (): Promise<Granted> => {
        const granted = await this.#take(spec, stamp, waitMs, context);
        this.#granted(granted.lease, context);
        return granted;
      };
      return logged(this.#options, 'AcquireMany', spec, work, granting);
    };
    // Bounded by the command timeout alone: what was taken is given back after the call's own deadline too.
    const bound = (): StoreBound => bounded(this.#options);
    const onGivenBack = ({ resource }: LeaseSpec, heldMs: number): void =>
      observer.holdEnded({ resource, end: 'released', heldMs });
    const leases = await acquireMany({ specs, stamp, store, clock, bounded: bound, acquire, onGivenBack });
    return leases.map((lease) => this.#granted(lease, context));
  }

  /** Throws LEASE_LOST, QUARANTINE while a roll call may put the lease back, and what the store throws. */
  renew(command: RenewCommand, context: CallContext): Promise<GrantedLease> {
    const work = async (): Promise<GrantedLease> => {
      const [outcome] = await this.#options.store.renew([command], bounded(this.#options, context));
      if (outcome?.kind === 'revoked') throw leaseRevoked();
      if (outcome?.kind === 'unknown') throw leaseUnknown();
      if (outcome?.kind !== 'renewed') throw leaseLost();
      return this.#granted(outcome.lease, context);
    };
    return logged(this.#options, 'Renew', command, work, granting);
  }

  /** Whether this call ended a live lease. Throws what the store throws. */
  release(command: AcquisitionRef, context: CallContext): Promise<boolean> {
    const work = async (): Promise<boolean> => {
      const { store, observer } = this.#options;
      const { resource } = command;
      const outcome = await store.release(command, bounded(this.#options, context));
      if (outcome.kind === 'lapsed') {
        observer.holdEnded({ resource, end: 'expired', heldMs: outcome.heldMs });
      } else if (outcome.kind === 'released' && !outcome.wasOver) {
        observer.holdEnded({ resource, end: 'released', heldMs: outcome.heldMs });
      }
      return outcome.kind === 'released';
    };
    return logged(this.#options, 'Release', command, work, (released) => [
      { outcome: released ? 'released' : 'absent' },
    ]);
  }

  /** Whether a live lease of the resource carries this token now. Throws what the store throws. */
  checkFencingToken(resource: string, fencingToken: bigint, context: CallContext): Promise<boolean> {
    return this.#options.store.checkFencingToken(resource, fencingToken, bounded(this.#options, context));
  }

  /** Throws what the store throws. */
  get(resource: string, context: CallContext): Promise<LockView> {
    return this.#options.store.get(resource, bounded(this.#options, context));
  }

  /**
   * A page of the locks that aren't free. Throws INVALID_ARGUMENT for a page token of another listing, and as
   * the store.
   */
  async list({ pageToken, ...filter }: ListRequest, context: CallContext): Promise<ListedLocks> {
    const { prefix, owner, states } = filter;
    const listing: Listing = { kind: 'locks', prefix, filters: [owner, states.toSorted()] };
    const after = pageToken === '' ? '' : positionIn(listing, pageToken);
    if (states.length === 0) return { locks: [], nextPageToken: '' };
    const { locks, next } = await this.#options.store.list(
      { ...filter, after },
      bounded(this.#options, context),
    );
    return { locks, nextPageToken: next === undefined ? '' : pageTokenFor(listing, next) };
  }

  #stamp(): CallStamp {
    return this.#options.stamps.forUnary();
  }

  async #take(spec: LeaseSpec, stamp: CallStamp, waitMs: number, context: CallContext): Promise<Granted> {
    const wanted = { spec, stamp, waitMs: Math.min(waitMs, LIMITS.unaryWaitMs) };
    const end = await this.#options.acquisitions.obtain(wanted, context);
    if (end.kind !== 'granted') throw waitFailure(end);
    return end;
  }

  // A success must be true when it is sent: if the answer took longer than the lease lives, the lease is lost.
  #granted(lease: Lease, context: CallContext): GrantedLease {
    if (this.#options.clock.monotonicMs() >= lease.deadlineMs) throw leaseLost();
    return { lease, validForMs: lease.deadlineMs - context.arrivedAtMs };
  }
}

function granting({ lease }: { readonly lease: Lease }): readonly MutationResult[] {
  return [{ outcome: 'ok', fencingToken: lease.fencingToken }];
}
