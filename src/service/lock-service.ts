// What the lock rpcs do, without gRPC: chooses time bounds, refuses while draining, asks the store once, and
// turns its outcomes into an answer or an error. Everything it is given was validated
// (transport/decode-lock.ts).

import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import {
  type AcquireOutcome,
  type CallStamp,
  type Contention,
  type Lease,
  type LeaseSpec,
  type LockView,
  leaseIdHash,
} from '../domain/lock.ts';
import type { AcquisitionRef, LockStore, RenewCommand, StoreCall } from '../store/lock-store.ts';
import type { WaitRoom } from './wait-room.ts';
import type { WaitEnd } from './waiter.ts';

/** One call of a client, as the transport received it. */
export interface CallContext {
  /** When its request arrived, on the monotonic clock: `valid_for` counts from here. */
  readonly arrivedAtMs: number;
  /** When its client stops waiting, on the monotonic clock; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  /** Aborts when the call ends before it was answered: cancelled, or its connection is gone. */
  readonly ended: AbortSignal;
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

export interface LockServiceOptions {
  readonly store: LockStore;
  readonly waitRoom: WaitRoom;
  readonly clock: Clock;
  readonly instanceId: string;
  /** The bound of one command, waiting and confirming included. */
  readonly commandTimeoutMs: number;
  /** Called after each mutation; undefined where nobody reads it. */
  readonly onMutation: ((record: MutationRecord) => void) | undefined;
}

const RETRY_AT_LEAST_MS = 50;
/** A holder may release long before its deadline, so nobody is told to wait for that. */
const RETRY_AT_MOST_MS = 1_000;
const RETRY_ELSEWHERE_MS = 100;
/** So long before the client's own deadline a wait ends, so that its answer arrives. */
const ANSWER_BEFORE_MS = 100;

export class LockService {
  readonly #options: LockServiceOptions;
  #calls = 0;
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
      const stamp = { instanceId: this.#options.instanceId, call: ++this.#calls };
      if (waitMs > 0) return this.#granted(await this.#awaitTurn(spec, stamp, waitMs, context), context);
      const outcome = await this.#options.store.acquire(spec, stamp, false, this.#bounded(context));
      if (outcome.kind !== 'granted') throw refusal(outcome);
      return this.#granted(outcome.lease, context);
    });
  }

  /** Throws LEASE_LOST and what the store throws. */
  renew(command: RenewCommand, context: CallContext): Promise<GrantedLease> {
    return this.#logged('Renew', command, async () => {
      const [outcome] = await this.#options.store.renew([command], this.#bounded(context));
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

  /** Throws what the store throws. */
  get(resource: string, context: CallContext): Promise<LockView> {
    return this.#options.store.get(resource, this.#bounded(context));
  }

  async #awaitTurn(spec: LeaseSpec, stamp: CallStamp, waitMs: number, context: CallContext): Promise<Lease> {
    const untilMs = Math.min(
      context.arrivedAtMs + Math.min(waitMs, LIMITS.unaryWaitMs),
      context.deadlineMs - ANSWER_BEFORE_MS,
    );
    const { ended } = context;
    const end = await this.#options.waitRoom.wait({ spec, stamp, untilMs, ended, onPosition: () => {} });
    if (end.kind === 'granted') return end.lease;
    throw waitFailure(end);
  }

  #bounded(context: CallContext): StoreCall {
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

function refusal(outcome: Exclude<AcquireOutcome, { kind: 'granted' }>): CoordinationError {
  switch (outcome.kind) {
    case 'contended':
      return contended(outcome.contention);
    case 'quarantined':
      return new CoordinationError('QUARANTINE', 'nothing is granted for a while after a failover', {
        retryAfterMs: outcome.retryAfterMs,
      });
    case 'reused':
      return new CoordinationError('LEASE_ID_REUSED', 'the lease_id names an acquisition in another mode');
    case 'full':
      return new CoordinationError('QUEUE_FULL', 'too many callers wait for the resource', {
        retryAfterMs: RETRY_AT_MOST_MS,
      });
    case 'queued':
      throw new Error('queued without waiting');
  }
}

function waitFailure(end: Exclude<WaitEnd, { kind: 'granted' }>): CoordinationError {
  switch (end.kind) {
    case 'refused':
      return refusal(end.outcome);
    case 'moved':
      return new CoordinationError('MOVED', 'a newer call with the same lease_id waits in its place');
    case 'released':
      return new CoordinationError('LEASE_LOST', 'the lease_id was released while the call waited');
    case 'cancelled':
      return new CoordinationError('CANCELLED', 'the call was cancelled while it waited');
    case 'draining':
      return draining();
  }
}

const REASONS: Readonly<Record<Contention['reason'], string>> = {
  held: 'someone else holds the resource',
  ahead: 'others wait for the resource, and nobody overtakes them',
  'min-hold': 'the resource stays taken until its min_hold is over',
};

function contended(contention: Contention): CoordinationError {
  const { reason, timeLeftMs } = contention;
  const retryAfterMs =
    reason === 'min-hold' ? timeLeftMs : clamp(timeLeftMs, RETRY_AT_LEAST_MS, RETRY_AT_MOST_MS);
  return new CoordinationError('LOCK_CONTENDED', REASONS[reason], { contention, retryAfterMs });
}

function draining(): CoordinationError {
  const message = 'this instance is stopping; use another';
  return new CoordinationError('DRAINING', message, { retryAfterMs: RETRY_ELSEWHERE_MS });
}

function leaseLost(): CoordinationError {
  return new CoordinationError('LEASE_LOST', 'no live lease of the resource has this lease_id and token');
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
