// A lease that this client holds: until when, by the deadline rule, and how it ended. A keeper keeps it alive, together
// with others (keeper.ts): a broken stream doesn't lose it yet.
//
//   held ──▶ released   (release)
//     └────▶ lost       (said by a server, or the deadline)

import { status } from '@grpc/grpc-js';
import type { Lease } from '../../../generated/leasehold/v1/lease.ts';
import type { AtRisk, Lost } from '../../../generated/leasehold/v1/lease_events.ts';
import { localError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type KeptLease, keepersOf } from './keepers.ts';
import { type LeaseMessage, leaseKey } from './lease-call.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import { release } from './release.ts';
import { msOf } from './time-spans.ts';

export type HeldLeaseEvent =
  /** `position` counts from 1; it is 0 while the instance can't reach the store and so doesn't know it. */
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'granted' | 'renewed'; readonly lease: Lease }
  | { readonly kind: 'at-risk'; readonly reason: AtRisk['reason'] }
  /** Its stream broke or moves; the lease is still held. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** Without a `reason` the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: Lost['reason'] | undefined }
  | { readonly kind: 'released' };

export type Observer = (event: HeldLeaseEvent) => void;

export interface HeldLeaseOptions {
  /** Hears of every event, for logs and measurements. What it throws is ignored: it must not cost a lease. */
  readonly observer?: Observer;
}

export function tell(observer: Observer | undefined, event: HeldLeaseEvent): void {
  try {
    observer?.(event);
  } catch {
    // A loss may call it before the abort that tells of that loss, or a socket may: no one is there to catch.
  }
}

/** Keeps a lease that a unary Acquire was answered with; `sent` is when that call was sent. */
export function keep(
  channel: Channel,
  lease: Lease,
  sent: SentAt,
  options: HeldLeaseOptions = {},
): HeldLease {
  const held = new HeldLease(channel, lease, sent, options);
  if (held.state === 'held') keepersOf(channel).leases.join(held);
  return held;
}

export class HeldLease implements KeptLease {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
  readonly key: string;
  /** PERMITS: the limit that counts, the smallest of those that holders and waiters name; 0 in the other modes. */
  readonly permitsLimit: number;
  readonly #channel: Channel;
  readonly #observer: Observer | undefined;
  readonly #over = new AbortController();
  readonly #deadline: LeaseDeadline;
  #state: 'held' | 'released' | 'lost' = 'held';

  constructor(channel: Channel, lease: Lease, sent: SentAt, options: HeldLeaseOptions) {
    const { resource, leaseId, fencingToken } = lease;
    this.resource = resource;
    this.leaseId = leaseId;
    this.fencingToken = fencingToken;
    this.key = leaseKey(lease);
    this.permitsLimit = lease.permitsLimit;
    this.#channel = channel;
    this.#observer = options.observer;
    this.#deadline = new LeaseDeadline({
      clock: channel.clock,
      onPassed: () => this.#passed(),
    });
    if (this.#extend(sent, lease)) tell(options.observer, { kind: 'granted', lease });
  }

  /** Aborts when the lease is over: lost, released, or past its deadline. The holder must stop then at the latest. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get ttlMs(): number {
    return this.#deadline.ttlMs;
  }

  get state(): 'held' | 'released' | 'lost' {
    if (this.#state === 'held' && this.#deadline.remainingMs() === 0) this.#passed();
    return this.#state;
  }

  /** Milliseconds until the deadline; 0 when the lease is over. */
  remainingMs(): number {
    return this.#state === 'held' ? this.#deadline.remainingMs() : 0;
  }

  /** Releases it. Says whether that ended a live lease; throws CallError when no server answered in time. */
  async release(): Promise<boolean> {
    const left = this.#finish('released', { kind: 'released' });
    let released = false;
    try {
      released = await release(this.#channel, this);
    } finally {
      // The server ends the stream of what it released. Where it released nothing, it has nothing to say.
      if (released) await left?.finish();
      else left?.stop();
    }
    return released;
  }

  heard(from: SentAt, { event }: LeaseMessage): void {
    if (this.#state !== 'held') return;
    switch (event?.$case) {
      case 'renewed':
        if (this.#extend(from, event.value)) tell(this.#observer, { kind: 'renewed', lease: event.value });
        break;
      case 'atRisk':
        tell(this.#observer, { kind: 'at-risk', reason: event.value.reason });
        break;
      case 'lost':
        void this.#finish('lost', { kind: 'lost', reason: event.value.reason })?.finish();
        break;
      case 'moved': // the keeper's business, as is `draining`
      case 'draining':
      case 'queued':
      case 'granted':
      case undefined:
    }
  }

  reopened(why: string): void {
    tell(this.#observer, { kind: 'reopened', why });
  }

  #extend(sent: SentAt, { validFor }: Lease): boolean {
    return this.#deadline.answered(sent, msOf(validFor) ?? 0);
  }

  /** Returns what kept it. */
  #finish(state: 'released' | 'lost', event: HeldLeaseEvent) {
    if (this.#state !== 'held') return undefined;
    this.#state = state;
    this.#deadline.end();
    const left = keepersOf(this.#channel).leases.leave(this);
    const why = state === 'released' ? 'the lease was released' : 'the lease was lost';
    this.#over.abort(localError(status.ABORTED, why));
    tell(this.#observer, event);
    return left;
  }

  // No server knows of it.
  #passed(): void {
    this.#finish('lost', { kind: 'lost', reason: undefined })?.stop();
  }
}
