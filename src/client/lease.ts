// A lease as its holder sees it: until when the holder may act, and how the lease ended. The client core keeps it
// alive; this file adds what users catch. A lease that is over stays over: the client never acquires it again silently.

import { AtRiskReason } from '../../generated/leasehold/v1/lease_events.ts';
import { ADVICE } from './advice.ts';
import type { Caller } from './client-calls.ts';
import { LeaseLostError, NotHeldError } from './client-errors.ts';
import type { HeldLease, HeldLeaseEvent } from './core/held-lease.ts';
import { lossOf, WHY_LEASE_LOST } from './loss-reasons.ts';

export type AtRisk =
  | 'store-unavailable'
  | 'primary-unconfirmed'
  | 'durability-unmet'
  | 'max-hold'
  | 'renew-for'
  | 'unknown';

export type LeaseEvent =
  /** `position` counts from 1; it is 0 while it isn't known. */
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'granted' | 'renewed'; readonly fencingToken: bigint }
  /** The last renewal failed; the deadline stands. A holder that can reach a safe point should do so. */
  | { readonly kind: 'at-risk'; readonly reason: AtRisk }
  /** Its connection broke or moves; the lease is still held. */
  | { readonly kind: 'reopened'; readonly why: string }
  | { readonly kind: 'lost'; readonly error: LeaseLostError }
  | { readonly kind: 'released' }
  /** The release at the end of a `withLock` or an `await using` failed: the lease ends with its time to live. */
  | { readonly kind: 'release-failed'; readonly error: unknown };

const RISKS: ReadonlyMap<number, AtRisk> = new Map<number, AtRisk>([
  [AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE, 'store-unavailable'],
  [AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED, 'primary-unconfirmed'],
  [AtRiskReason.AT_RISK_REASON_DURABILITY_UNMET, 'durability-unmet'],
  [AtRiskReason.AT_RISK_REASON_MAX_HOLD, 'max-hold'],
  [AtRiskReason.AT_RISK_REASON_RENEW_FOR, 'renew-for'],
]);

export function riskOf(reason: number): AtRisk {
  return RISKS.get(reason) ?? 'unknown';
}

/** How long the end of a `withLock` waits for its release, which goes on in the background after that. */
const GIVE_BACK_MS = 2_000;

/** Turns what the client core says of one lease into events and errors. It exists before the lease is granted. */
export class LeaseEnd {
  readonly resource: string;
  readonly #over = new AbortController();
  readonly #onEvent: ((event: LeaseEvent) => void) | undefined;

  constructor(resource: string, onEvent: ((event: LeaseEvent) => void) | undefined) {
    this.resource = resource;
    this.#onEvent = onEvent;
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get loss(): LeaseLostError | undefined {
    const { reason }: { readonly reason: unknown } = this.#over.signal;
    return reason instanceof LeaseLostError ? reason : undefined;
  }

  /** The observer that the client core calls. */
  readonly heard = (event: HeldLeaseEvent): void => this.tell(this.#told(event));

  tell(event: LeaseEvent): void {
    try {
      this.#onEvent?.(event);
    } catch {
      // Sockets and timers call this, where no one could catch the error; and it must not cost the lease.
    }
  }

  #told(event: HeldLeaseEvent): LeaseEvent {
    switch (event.kind) {
      case 'lost': {
        const error = this.#lostBy(event.reason);
        this.#over.abort(error);
        return { kind: 'lost', error };
      }
      case 'released': {
        const message = `The lease on ${this.resource} was released. Do the work before that, or acquire it again.`;
        this.#over.abort(new NotHeldError(message, { reason: 'LEASE_LOST' }));
        return event;
      }
      case 'granted':
      case 'renewed':
        return { kind: event.kind, fencingToken: event.lease.fencingToken };
      case 'at-risk':
        return { kind: 'at-risk', reason: riskOf(event.reason) };
      case 'queued':
      case 'reopened':
        return event;
    }
  }

  #lostBy(reason: number | undefined): LeaseLostError {
    const loss = lossOf(reason);
    const message = `The lease on ${this.resource} is lost: ${WHY_LEASE_LOST[loss]}. ${ADVICE.LEASE_LOST}`;
    return new LeaseLostError(message, { reason: 'LEASE_LOST', resource: this.resource, loss });
  }
}

export class Lease implements AsyncDisposable {
  readonly resource: string;
  /** Send it with every write to what the lease protects, which must refuse a write with a smaller token. */
  readonly fencingToken: bigint;
  /**
   * With permits, the limit that counted at the grant: the smallest of those that holders and waiters name. 0 in the
   * other modes.
   */
  readonly permitsLimit: number;
  /**
   * Aborts when the lease is over: with a LeaseLostError when it was lost or its deadline passed here, with a
   * NotHeldError when it was released. Stop then at the latest.
   */
  readonly signal: AbortSignal;
  readonly #held: HeldLease;
  readonly #end: LeaseEnd;
  readonly #caller: Caller;
  #released: Promise<boolean> | undefined;

  constructor(held: HeldLease, end: LeaseEnd, caller: Caller) {
    this.resource = held.resource;
    this.fencingToken = held.fencingToken;
    this.permitsLimit = held.permitsLimit;
    this.signal = end.signal;
    this.#held = held;
    this.#end = end;
    this.#caller = caller;
  }

  /** It gives the right to renew and to release the lease: a secret. */
  get leaseId(): string {
    return this.#held.leaseId;
  }

  get state(): 'held' | 'released' | 'lost' {
    return this.#held.state;
  }

  /** Milliseconds until the deadline, by the clocks and not by a timer; 0 when the lease is over. */
  remainingMs(): number {
    return this.#held.remainingMs();
  }

  /** Throws LeaseLostError or NotHeldError unless it is held. Call it before what must not happen without the lease. */
  assertHeld(): void {
    if (this.state !== 'held') throw this.signal.reason;
  }

  /**
   * Releases it. Says whether that ended a live lease; a second call answers as the first did. Rejects with
   * UnavailableError when no server answered in time: the lease is over here all the same, and at the servers with its
   * time to live.
   */
  release(): Promise<boolean> {
    this.#released ??= this.#caller.caught(() => this.#held.release());
    return this.#released;
  }

  /** Why it was lost; undefined while it is held, and after a release. */
  get loss(): LeaseLostError | undefined {
    return this.state === 'lost' ? this.#end.loss : undefined;
  }

  /** Releases it, and never throws: the error of the work that it protected is what matters. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isHopeless = this.loss?.loss === 'deadline';
    const released = this.release().then(
      () => {},
      (error: unknown) => this.#end.tell({ kind: 'release-failed', error }),
    );
    // No server was heard for as long as a lease lives: it isn't worth another wait.
    if (isHopeless) return;
    const done = new AbortController();
    void released.then(() => done.abort());
    await this.#caller.channel.pause(GIVE_BACK_MS, done.signal);
  }
}
