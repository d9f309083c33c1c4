// A lease that is kept by streams: granted to a Hold or an Acquire, and when a stream breaks, moves, falls silent or
// grows old, kept by KeepAlive on whatever instance answers, until it is released, lost, or its deadline passes. A
// broken stream is no loss yet.
//
//   held ──▶ released   (release)
//     └────▶ lost       (said by a server, or the deadline)

import { status } from '@grpc/grpc-js';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { type AtRisk, AtRiskReason, type Lost } from '../../generated/leasehold/v1/lease_events.ts';
import { fullJitterMs } from '../domain/backoff.ts';
import type { Timer } from '../domain/clock.ts';
import { type CallError, localError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { LeaseCall, type LeaseMessage, type LeaseName } from './lease-call.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import { release } from './release.ts';
import { BACKOFF } from './unary.ts';

export type HeldEvent =
  /** `position` is from 1, and 0 while the instance can't reach the store and so doesn't know it. */
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'granted' | 'renewed'; readonly lease: Lease }
  | { readonly kind: 'at-risk'; readonly reason: AtRisk['reason'] }
  /** Its stream ended or moves; the lease is held on. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** `reason` undefined: the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: Lost['reason'] | undefined }
  | { readonly kind: 'released' };

export type Observer = (event: HeldEvent) => void;

export interface KeepOptions {
  /** For logs and measurements. What it throws is ignored: it must not cost a lease. */
  readonly observer?: Observer;
  /** How old a stream may be. */
  readonly reopenAfterMs?: number;
  /** How long a stream may say nothing; half the TTL, where that is less. */
  readonly silenceMs?: number;
}

export const REOPEN_AFTER_MS = 30 * 60_000;
export const SILENCE_MS = 20_000;
/** How long an instance may take to say anything to a new stream that waits for nothing. */
export const FIRST_ANSWER_MS = 3_000;
const SHORTEST_PATIENCE_MS = 100;
/** What an instance can do about; the next one may be better placed. */
const MOVES_ON: readonly AtRiskReason[] = [
  AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
  AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
];

export function tell(observer: Observer | undefined, event: HeldEvent): void {
  try {
    observer?.(event);
  } catch {
    // It may be called between a loss and the abort that tells of it, or from a socket: nobody is there to catch.
  }
}

/** Keeps a lease that a unary Acquire was answered with, `sent` as that call was. */
export function keep(channel: Channel, lease: Lease, sent: SentAt, options: KeepOptions = {}): HeldLease {
  const held = new HeldLease(channel, lease, sent, options);
  held.reopen('taken over from Acquire');
  return held;
}

export class HeldLease implements LeaseName {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
  readonly #channel: Channel;
  readonly #options: KeepOptions;
  readonly #over = new AbortController();
  readonly #deadline: LeaseDeadline;
  /** What is left at most when a renewal arrives. */
  #ttlMs = 0;
  #state: 'held' | 'released' | 'lost' = 'held';
  /** The newest stream, which counts; and the one before it, until the newest has said that it keeps the lease. */
  #call: LeaseCall | undefined;
  #former: LeaseCall | undefined;
  #age: Timer | undefined;
  #retry: Timer | undefined;
  #failures = 0;

  constructor(channel: Channel, lease: Lease, sent: SentAt, options: KeepOptions) {
    this.resource = lease.resource;
    this.leaseId = lease.leaseId;
    this.fencingToken = lease.fencingToken;
    this.#channel = channel;
    this.#options = options;
    this.#deadline = new LeaseDeadline({
      clock: channel.clock,
      onPassed: () => this.#finish('lost', { kind: 'lost', reason: undefined }),
    });
    if (this.#extend(sent, lease)) tell(options.observer, { kind: 'granted', lease });
  }

  /** Aborts when the lease is over: lost, or the deadline passed, or released. Then, at the latest, stop. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  get state(): 'held' | 'released' | 'lost' {
    if (this.#state === 'held' && this.#deadline.remainingMs() === 0) {
      this.#finish('lost', { kind: 'lost', reason: undefined });
    }
    return this.#state;
  }

  /** Until the deadline; 0 when it is over. */
  remainingMs(): number {
    return this.#state === 'held' ? this.#deadline.remainingMs() : 0;
  }

  /** Gives it back. Whether a live lease was ended; throws CallError when no server could be asked in time. */
  async release(): Promise<boolean> {
    this.#finish('released', { kind: 'released' });
    return release(this.#channel, this);
  }

  /** Makes this the stream that keeps the lease. */
  adopt(call: LeaseCall): void {
    this.#call = call;
    call.silenceMs = this.#silenceMs();
    const { clock, random } = this.#channel;
    // From when it was sent: one that was queued for long is old already. Those that were opened together spread out.
    const ageMs = (this.#options.reopenAfterMs ?? REOPEN_AFTER_MS) * (1 - 0.1 * random());
    const leftMs = call.sentAtMs + ageMs - clock.monotonicMs();
    this.#age?.cancel();
    this.#age = clock.after(leftMs, () => this.reopen('the stream is old'));
    if (this.#state !== 'held') this.#stop(); // granted too late
  }

  /** Opens a new stream. The former one goes on until the new one has said that it keeps the lease. */
  reopen(why: string): void {
    // On a closed channel nobody keeps it any more; it is held until its deadline all the same.
    if (this.#state !== 'held' || this.#channel.isClosed) return;
    tell(this.#options.observer, { kind: 'reopened', why });
    this.#retry?.cancel();
    if (this.#call) {
      this.#former?.cancel();
      this.#former = this.#call;
    }
    const { resource, leaseId, fencingToken } = this;
    const call = new LeaseCall(
      {
        channel: this.#channel,
        silenceMs: this.#silenceMs(),
        onMessage: (from, message) => this.heard(from, message),
        onEnd: (from, error) => this.ended(from, error),
      },
      { resource, leaseId, fencingToken },
    );
    this.adopt(call);
    // Of a stream that is accepted and never answered: the next one, long before the silence is over.
    const patienceMs = Math.max(SHORTEST_PATIENCE_MS, Math.min(FIRST_ANSWER_MS, this.remainingMs() / 2));
    this.#retry = this.#channel.clock.after(patienceMs, () => {
      this.#channel.leave(call.seat);
      this.#reopenLater('the server does not answer', 0);
    });
  }

  heard(from: LeaseCall, message: LeaseMessage): void {
    if (this.#state !== 'held') return;
    switch (message.$case) {
      case 'renewed':
        // Also of the former stream: what it says of the deadline is as true, counted from when it was sent.
        if (!this.#extend(from, message.value)) return;
        if (from === this.#call) this.#settled();
        tell(this.#options.observer, { kind: 'renewed', lease: message.value });
        break;
      case 'atRisk':
        if (from === this.#call) this.#atRisk(from, message.value.reason);
        tell(this.#options.observer, { kind: 'at-risk', reason: message.value.reason });
        break;
      case 'lost':
        this.#finish('lost', { kind: 'lost', reason: message.value.reason });
        break;
      case 'draining':
        if (from !== this.#call) break;
        this.#channel.leave(from.seat);
        this.reopen('the instance stops');
        break;
      case 'moved':
      case 'queued':
      case 'granted': // of `moved` the end of the stream says more
    }
  }

  ended(from: LeaseCall, error: CallError): void {
    if (from === this.#former) this.#former = undefined;
    if (from !== this.#call || this.#state !== 'held' || this.#channel.isClosed) return;
    this.#call = undefined;
    // `moved` on the newest stream: an older request arrived late, and is answered by asking again.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    this.#reopenLater(error.message, error.retryAfterMs ?? 0);
  }

  // It answers, and goes on trying. But it may be the only one that can't reach the store: before the time runs out
  // another one is asked. Not at once, and not all at the same moment: in a failover all instances are like this.
  #atRisk(from: LeaseCall, reason: AtRisk['reason']): void {
    this.#retry?.cancel();
    const channel = this.#channel;
    if (!MOVES_ON.includes(reason) || !channel.hasOthers) return;
    const waitMs = (this.remainingMs() / 4) * (0.5 + 0.5 * channel.random());
    this.#retry = channel.clock.after(waitMs, () => {
      channel.leave(from.seat);
      this.reopen('the instance cannot renew it');
    });
  }

  // What it is asked to wait is honoured as long as it is no certain loss.
  #reopenLater(why: string, askedToWaitMs: number): void {
    const { clock, random } = this.#channel;
    const leastMs = Math.min(askedToWaitMs, this.remainingMs() / 2);
    const waitMs = Math.max(leastMs, fullJitterMs(this.#failures++, BACKOFF, random));
    this.#retry?.cancel();
    this.#retry = clock.after(waitMs, () => this.reopen(why));
  }

  // Renewals come at a quarter of the TTL. When half of it has passed without a word there is still time to go on
  // elsewhere; when the time in which every stream says something has passed, there is none any more.
  #silenceMs(): number {
    const { silenceMs = SILENCE_MS } = this.#options;
    return Math.min(silenceMs, Math.max(this.#ttlMs / 2, SHORTEST_PATIENCE_MS));
  }

  #settled(): void {
    this.#failures = 0;
    this.#retry?.cancel();
    this.#former?.cancel();
    this.#former = undefined;
  }

  #extend(sent: SentAt, { validFor }: Lease): boolean {
    const validForMs = Number(validFor?.seconds ?? 0n) * 1_000 + (validFor?.nanos ?? 0) / 1e6;
    // What is left when it arrives is at most the TTL.
    const leftMs = validForMs - (this.#channel.clock.monotonicMs() - sent.sentAtMs);
    this.#ttlMs = Math.max(this.#ttlMs, leftMs);
    return this.#deadline.extend(sent, validForMs, this.#ttlMs);
  }

  #finish(state: 'released' | 'lost', event: HeldEvent): void {
    if (this.#state !== 'held') return;
    this.#state = state;
    this.#stop();
    const why = state === 'released' ? 'the lease was released' : 'the lease was lost';
    this.#over.abort(localError(status.ABORTED, why));
    tell(this.#options.observer, event);
  }

  #stop(): void {
    this.#deadline.end();
    for (const timer of [this.#age, this.#retry]) timer?.cancel();
    for (const call of [this.#call, this.#former]) call?.cancel();
  }
}
