// What the lock rpcs do, without gRPC: chooses time bounds, refuses while draining, asks the store once, and
// turns its outcomes into an answer or an error. Everything it is given was validated
// (transport/decode-lock.ts).

import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { type Contention, type Lease, type LeaseSpec, type LockView, leaseIdHash } from '../domain/lock.ts';
import type { LockStore, ReleaseCommand, RenewCommand, StoreCall } from '../store/lock-store.ts';

/** One call of a client, as the transport received it. */
export interface CallContext {
  /** When its request arrived, on the monotonic clock: `valid_for` counts from here. */
  readonly arrivedAtMs: number;
  /** When its client stops waiting, on the monotonic clock; Infinity when it set no deadline. */
  readonly deadlineMs: number;
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
  }

  /** Throws LOCK_CONTENDED, QUARANTINE, DRAINING and what the store throws. */
  acquire(spec: LeaseSpec, context: CallContext): Promise<GrantedLease> {
    return this.#logged('Acquire', spec, async () => {
      if (this.#draining) {
        throw new CoordinationError('DRAINING', 'this instance is stopping; use another', {
          retryAfterMs: RETRY_ELSEWHERE_MS,
        });
      }
      const stamp = { instanceId: this.#options.instanceId, call: ++this.#calls };
      const outcome = await this.#options.store.acquire(spec, stamp, this.#bounded(context));
      switch (outcome.kind) {
        case 'granted':
          return this.#granted(outcome.lease, context);
        case 'contended':
          throw contended(outcome.contention);
        case 'quarantined':
          throw new CoordinationError('QUARANTINE', 'nothing is granted for a while after a failover', {
            retryAfterMs: outcome.retryAfterMs,
          });
      }
    });
  }

  /** Throws LEASE_LOST and what the store throws. */
  renew(command: RenewCommand, context: CallContext): Promise<GrantedLease> {
    return this.#logged('Renew', command, async () => {
      const outcome = await this.#options.store.renew(command, this.#bounded(context));
      if (outcome.kind !== 'renewed') throw leaseLost();
      return this.#granted(outcome.lease, context);
    });
  }

  /** Whether this call ended a live lease. Throws what the store throws. */
  async release(command: ReleaseCommand, context: CallContext): Promise<boolean> {
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

function contended(contention: Contention): CoordinationError {
  const { reason, timeLeftMs } = contention;
  const held = reason === 'held';
  const retryAfterMs = held ? clamp(timeLeftMs, RETRY_AT_LEAST_MS, RETRY_AT_MOST_MS) : timeLeftMs;
  const message = held
    ? 'someone else holds the resource'
    : 'the resource stays taken until its min_hold is over';
  return new CoordinationError('LOCK_CONTENDED', message, { contention, retryAfterMs });
}

function leaseLost(): CoordinationError {
  return new CoordinationError('LEASE_LOST', 'no live lease of the resource has this lease_id and token');
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
