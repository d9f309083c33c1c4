// What the lock rpcs do, without gRPC: chooses time bounds, refuses while draining, asks the store once, and
// turns its outcomes into an answer or an error. Everything it is given was validated
// (transport/decode-lock.ts).

import type { Caller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import {
  type CallStamp,
  type Granted,
  type Lease,
  type LeaseSpec,
  type LockView,
  leaseIdHash,
} from '../domain/lock.ts';
import {
  type AcquisitionRef,
  durabilityOf,
  type ListQuery,
  type LockStore,
  type RenewCommand,
  type StoreBound,
} from '../store/lock-store.ts';
import { acquireMany } from './acquire-many.ts';
import type { CallStamps } from './call-stamps.ts';
import { type Listing, pageTokenFor, positionIn } from './page-tokens.ts';
import { draining, leaseLost, leaseRevoked, refusal, waitFailure } from './refusals.ts';
import type { WaitRoom } from './wait-room.ts';

/** One call of a client, as the transport received it. */
export interface CallContext {
  /** When its request arrived, on the monotonic clock: `valid_for` counts from here. */
  readonly arrivedAtMs: number;
  /** When its client stops waiting, on the monotonic clock; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  /** Aborts when the call ends before it was answered: cancelled, or its connection is gone. */
  readonly ended: AbortSignal;
  readonly caller: Caller;
  /** The address that the call came from, for the log. */
  readonly peer: string;
}

/** A lease, and how long it is valid counted from the arrival of the call's request. */
export interface GrantedLease {
  readonly lease: Lease;
  readonly validForMs: number;
}

/** One finished mutation, for the log: never a whole lease id. */
export interface MutationRecord {
  readonly rpc: string;
  readonly resource: string;
  readonly lease: string;
  readonly owner?: string;
  readonly outcome: string;
  readonly fencingToken?: string;
  readonly tookMs: number;
}

/** What to list, and which page of it: '' is the first. */
export interface ListRequest extends Omit<ListQuery, 'after'> {
  readonly pageToken: string;
}

/** A page, and what asks for the next one; '' after the last. */
export interface ListedLocks {
  readonly locks: readonly LockView[];
  readonly nextPageToken: string;
}

export interface LockServiceOptions {
  readonly store: LockStore;
  readonly waitRoom: WaitRoom;
  readonly clock: Clock;
  readonly stamps: CallStamps;
  /** The bound of one command, waiting and confirming included. */
  readonly commandTimeoutMs: number;
  /** Called after each mutation; undefined where nobody reads it. */
  readonly onMutation: ((record: MutationRecord) => void) | undefined;
}

/** So long before the client's own deadline a wait ends, so that its answer arrives. */
export const ANSWER_BEFORE_MS = 100;

export class LockService {
  readonly #options: LockServiceOptions;
  #draining = false;

  constructor(options: LockServiceOptions) {
    this.#options = options;
  }

  /** From now on nothing new is acquired here; leases can still be renewed and released. */
  drain(): void {
    this.#draining = true;
    this.#options.waitRoom.drain();
  }

  /**
   * Takes a lease; with a `waitMs` above 0 it waits in the queue that long, and 30 minutes at most. Throws
   * LOCK_CONTENDED, QUARANTINE, LEASE_ID_REUSED, QUEUE_FULL, DRAINING and what the store throws; while it waits also
   * MOVED, LEASE_LOST (someone released it) and CANCELLED.
   */
  acquire(spec: LeaseSpec, waitMs: number, context: CallContext): Promise<GrantedLease> {
    return this.#logged('Acquire', spec, async () => {
      if (this.#draining) throw draining();
      const { lease } = await this.#take(spec, this.#stamp(), waitMs, context);
      return this.#granted(lease, context);
    });
  }

  /**
   * Takes several leases, all or none; `waitMs` is for all of them together. In the order of `specs`, whose resources
   * are distinct. Throws what `acquire` throws.
   */
  async acquireMany(
    specs: readonly LeaseSpec[],
    waitMs: number,
    context: CallContext,
  ): Promise<readonly GrantedLease[]> {
    if (this.#draining) throw draining();
    const { store, clock } = this.#options;
    const stamp = this.#stamp();
    const leases = await acquireMany({
      specs,
      stamp,
      store,
      clock,
      bounded: () => ({ deadlineMs: clock.monotonicMs() + this.#options.commandTimeoutMs }),
      acquire: (spec) =>
        this.#logged('AcquireMany', spec, async () => {
          const granted = await this.#take(spec, stamp, waitMs, context);
          return { ...granted, ...this.#granted(granted.lease, context) };
        }),
    });
    return leases.map((lease) => this.#granted(lease, context));
  }

  /** Throws LEASE_LOST and what the store throws. */
  renew(command: RenewCommand, context: CallContext): Promise<GrantedLease> {
    return this.#logged('Renew', command, async () => {
      const [outcome] = await this.#options.store.renew([command], this.#bounded(context));
      if (outcome?.kind === 'revoked') throw leaseRevoked();
      if (outcome?.kind !== 'renewed') throw leaseLost();
      return this.#granted(outcome.lease, context);
    });
  }

  /** Whether this call ended a live lease. Throws what the store throws. */
  async release(command: AcquisitionRef, context: CallContext): Promise<boolean> {
    const { released } = await this.#logged('Release', command, async () => {
      const outcome = await this.#options.store.release(command, this.#bounded(context));
      return { released: outcome.kind === 'released' };
    });
    return released;
  }

  /** Whether a live lease of the resource carries this token now. Throws what the store throws. */
  checkFencingToken(resource: string, fencingToken: bigint, context: CallContext): Promise<boolean> {
    return this.#options.store.checkFencingToken(resource, fencingToken, this.#bounded(context));
  }

  /** Throws what the store throws. */
  get(resource: string, context: CallContext): Promise<LockView> {
    return this.#options.store.get(resource, this.#bounded(context));
  }

  /**
   * A page of the locks that aren't free. Throws INVALID_ARGUMENT for a page token of another listing, and as
   * the store.
   */
  async list({ pageToken, ...filter }: ListRequest, context: CallContext): Promise<ListedLocks> {
    const { prefix, owner, states } = filter;
    const listing: Listing = { kind: 'locks', filters: [prefix, owner, states.toSorted()] };
    const after = pageToken === '' ? '' : positionIn(listing, pageToken);
    if (states.length === 0) return { locks: [], nextPageToken: '' };
    const { locks, next } = await this.#options.store.list({ ...filter, after }, this.#bounded(context));
    return { locks, nextPageToken: next === undefined ? '' : pageTokenFor(listing, next) };
  }

  #stamp(): CallStamp {
    return this.#options.stamps.forUnary();
  }

  async #take(spec: LeaseSpec, stamp: CallStamp, waitMs: number, context: CallContext): Promise<Granted> {
    if (waitMs > 0) return this.#awaitTurn(spec, stamp, waitMs, context);
    const bound = { ...this.#bounded(context), ...durabilityOf(spec) };
    const outcome = await this.#options.store.acquire({ spec, stamp, mayWait: false }, bound);
    if (outcome.kind !== 'granted') throw refusal(outcome);
    return outcome;
  }

  async #awaitTurn(
    spec: LeaseSpec,
    stamp: CallStamp,
    waitMs: number,
    context: CallContext,
  ): Promise<Granted> {
    const untilMs = Math.min(
      context.arrivedAtMs + Math.min(waitMs, LIMITS.unaryWaitMs),
      context.deadlineMs - ANSWER_BEFORE_MS,
    );
    const { ended } = context;
    const end = await this.#options.waitRoom.wait({
      spec,
      stamp,
      untilMs,
      callEndsMs: context.deadlineMs,
      ended,
      onPosition: () => {},
    });
    if (end.kind === 'granted') return end;
    throw waitFailure(end);
  }

  #bounded(context: CallContext): StoreBound {
    const { clock, commandTimeoutMs } = this.#options;
    return { deadlineMs: Math.min(clock.monotonicMs() + commandTimeoutMs, context.deadlineMs) };
  }

  // A success must be true when it is sent: an answer that took longer than the lease lives tells of a lost
  // lease.
  #granted(lease: Lease, context: CallContext): GrantedLease {
    if (this.#options.clock.monotonicMs() >= lease.deadlineMs) throw leaseLost();
    return { lease, validForMs: lease.deadlineMs - context.arrivedAtMs };
  }

  async #logged<T extends GrantedLease | { readonly released: boolean }>(
    rpc: string,
    about: { readonly resource: string; readonly leaseId: string; readonly owner?: string },
    work: () => Promise<T>,
  ): Promise<T> {
    const { clock, onMutation } = this.#options;
    if (!onMutation) return work();
    const startedMs = clock.monotonicMs();
    const record = (outcome: string, fencingToken?: bigint): void =>
      onMutation({
        rpc,
        resource: about.resource,
        lease: leaseIdHash(about.leaseId),
        ...(about.owner ? { owner: about.owner } : {}),
        outcome,
        ...(fencingToken === undefined ? {} : { fencingToken: fencingToken.toString() }),
        tookMs: Math.round((clock.monotonicMs() - startedMs) * 1_000) / 1_000,
      });
    try {
      const result = await work();
      if ('lease' in result) record('ok', result.lease.fencingToken);
      else record(result.released ? 'released' : 'absent');
      return result;
    } catch (error) {
      record(error instanceof CoordinationError ? error.code : 'INTERNAL');
      throw error;
    }
  }
}
