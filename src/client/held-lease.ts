// A lease that is kept by streams: taken by Hold, and when a stream breaks, moves or grows old, kept by KeepAlive on
// whatever instance answers, until it is released, lost, or its deadline passes. A broken stream is no loss yet.
//
//   hold ──queued…──▶ held ──▶ released   (release)
//     │                 └────▶ lost       (said by a server, or the deadline)
//     └ refused, given up: nothing is left behind

import { status } from '@grpc/grpc-js';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type { AtRisk, Lost } from '../../generated/leasehold/v1/lease_events.ts';
import { HoldRequest } from '../../generated/leasehold/v1/lock_service.ts';
import { fullJitterMs } from '../domain/backoff.ts';
import { pause, type Timer } from '../domain/clock.ts';
import { CallError, localError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { LeaseCall, type LeaseMessage, type LeaseName } from './lease-call.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import { ANSWER_WITHIN_MS, release } from './release.ts';
import { BACKOFF } from './unary.ts';

export type HeldEvent =
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'granted' | 'renewed'; readonly lease: Lease }
  | { readonly kind: 'at-risk'; readonly reason: AtRisk['reason'] }
  /** Its stream ended or moves; the lease is held on. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** `reason` undefined: the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: Lost['reason'] | undefined }
  | { readonly kind: 'released' };

export interface KeepOptions {
  readonly observer?: (event: HeldEvent) => void;
  /** How old a stream may be. */
  readonly reopenAfterMs?: number;
  readonly silenceMs?: number;
}

export interface HoldOptions extends KeepOptions {
  /** Its lease_id names the acquisition; a random UUID, new for each. */
  readonly spec: Parameters<typeof LeaseSpec.fromPartial>[0] & { resource: string; leaseId: string };
  /** How long to wait for it, over all streams; Infinity for ever, 0 or undefined: not at all. */
  readonly waitMs?: number;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

const REOPEN_AFTER_MS = 30 * 60_000;
const SILENCE_MS = 20_000;
const FIRST_ANSWER_MS = 3_000;
const GIVE_BACK_MS = 1_000;

/**
 * Acquires by Hold and keeps. Throws CallError: LOCK_CONTENDED when the wait is over, what no repeat mends, CANCELLED
 * after `signal`; nothing is left in a queue then, as far as a server could be reached.
 */
export async function hold(channel: Channel, options: HoldOptions): Promise<HeldLease> {
  const { clock, random } = channel;
  const { waitMs = 0, signal, observer, silenceMs = SILENCE_MS } = options;
  const spec = LeaseSpec.fromPartial(options.spec);
  const giveUpMs = clock.monotonicMs() + (waitMs > 0 ? waitMs : ANSWER_WITHIN_MS);
  for (let tries = 0; ; tries++) {
    const { seat } = channel;
    const request = HoldRequest.fromPartial({ spec, wait: waitOf(waitMs, giveUpMs - clock.monotonicMs()) });
    try {
      return await granted(channel, request, { ...options, silenceMs });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const isOver = signal?.aborted || clock.monotonicMs() >= giveUpMs;
      const canPass = error.isPassing || error.reason === 'MOVED';
      const pauseMs = Math.max(error.retryAfterMs ?? 0, fullJitterMs(tries, BACKOFF, random));
      if (isOver || !canPass || clock.monotonicMs() + pauseMs >= giveUpMs) {
        // It may be queued, or even granted, where we don't hear of it any more.
        if (error.reason !== 'LOCK_CONTENDED' && error.code !== status.INVALID_ARGUMENT) {
          // That it couldn't be given back is no news to whoever gets no lease; it goes on trying for a while.
          const givenBack = release(channel, spec).catch(() => false);
          await Promise.race([givenBack, pause(clock, GIVE_BACK_MS)]);
        }
        throw error;
      }
      channel.leave(seat);
      observer?.({ kind: 'reopened', why: error.message });
      await pause(clock, pauseMs, signal);
    }
  }
}

/** Keeps a lease that a unary Acquire was answered with, `sent` as that call was. */
export function keep(channel: Channel, lease: Lease, sent: SentAt, options: KeepOptions = {}): HeldLease {
  const held = new HeldLease(channel, lease, sent, options);
  held.reopen('taken over from Acquire');
  return held;
}

// One stream, until it grants or ends.
function granted(channel: Channel, request: HoldRequest, options: HoldOptions): Promise<HeldLease> {
  const { signal, observer, silenceMs = SILENCE_MS } = options;
  return new Promise((resolve, reject) => {
    let held: HeldLease | undefined;
    const finish = (): void => {
      firstAnswer.cancel();
      signal?.removeEventListener('abort', cancel);
    };
    const fail = (error: CallError): void => {
      finish();
      reject(error);
    };
    const call = new LeaseCall(
      {
        channel,
        silenceMs,
        onMessage: (from, message) => {
          firstAnswer.cancel();
          if (held) held.heard(from, message);
          else if (message.$case === 'queued')
            observer?.({ kind: 'queued', position: message.value.position });
          else if (message.$case === 'granted') {
            finish();
            held = new HeldLease(channel, message.value, from, options);
            held.adopt(from);
            resolve(held);
          }
        },
        onEnd: (from, error) => (held ? held.ended(from, error) : fail(error)),
      },
      request,
    );
    const cancel = (): void => {
      call.cancel();
      fail(localError(status.CANCELLED, 'the caller gave up waiting'));
    };
    // An instance that accepts and says nothing is not waited for. (One that queues says so every 15 s.)
    const answerWithinMs = request.wait ? silenceMs : FIRST_ANSWER_MS;
    const firstAnswer = channel.clock.after(answerWithinMs, () => {
      call.cancel();
      fail(localError(status.UNAVAILABLE, 'the server does not answer'));
    });
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}

export class HeldLease implements LeaseName {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
  readonly #channel: Channel;
  readonly #options: KeepOptions;
  readonly #over = new AbortController();
  readonly #deadline: LeaseDeadline;
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
    if (this.#extend(sent, lease)) this.#tell({ kind: 'granted', lease });
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
    const { clock } = this.#channel;
    this.#age?.cancel();
    const ageMs = this.#options.reopenAfterMs ?? REOPEN_AFTER_MS;
    this.#age = clock.after(ageMs, () => this.reopen('the stream is old'));
    if (this.#state !== 'held') this.#stop(); // granted too late
  }

  /** Opens a new stream. The former one goes on until the new one has said that it keeps the lease. */
  reopen(why: string): void {
    // On a closed channel nobody keeps it any more; it is held until its deadline all the same.
    if (this.#state !== 'held' || this.#channel.isClosed) return;
    this.#tell({ kind: 'reopened', why });
    this.#retry?.cancel();
    if (this.#call) {
      this.#former?.cancel();
      this.#former = this.#call;
    }
    const { resource, leaseId, fencingToken } = this;
    const call = new LeaseCall(
      {
        channel: this.#channel,
        silenceMs: this.#options.silenceMs ?? SILENCE_MS,
        onMessage: (from, message) => this.heard(from, message),
        onEnd: (from, error) => this.ended(from, error),
      },
      { resource, leaseId, fencingToken },
    );
    this.adopt(call);
    // Of a stream that is accepted and never answered: the next one, long before the silence is over.
    this.#retry = this.#channel.clock.after(FIRST_ANSWER_MS, () => {
      this.#channel.leave(call.seat);
      this.reopen('the server does not answer');
    });
  }

  heard(from: LeaseCall, message: LeaseMessage): void {
    if (this.#state !== 'held') return;
    switch (message.$case) {
      case 'renewed':
        // Also of the former stream: what it says of the deadline is as true, counted from when it was sent.
        if (!this.#extend(from, message.value)) return;
        this.#tell({ kind: 'renewed', lease: message.value });
        if (from === this.#call) this.#settled();
        break;
      case 'atRisk':
        if (from === this.#call) this.#retry?.cancel(); // it answers, and goes on trying
        this.#tell({ kind: 'at-risk', reason: message.value.reason });
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
    if (from !== this.#call || this.#state !== 'held') return;
    this.#call = undefined;
    // `moved` on the newest stream: an older request arrived late, and is answered by asking again.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    const { clock, random } = this.#channel;
    const waitMs = Math.max(error.retryAfterMs ?? 0, fullJitterMs(this.#failures++, BACKOFF, random));
    this.#retry?.cancel();
    this.#retry = clock.after(waitMs, () => this.reopen(error.message));
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
    this.#tell(event);
    const why = state === 'released' ? 'the lease was released' : 'the lease was lost';
    this.#over.abort(localError(status.ABORTED, why));
  }

  #stop(): void {
    this.#deadline.end();
    for (const timer of [this.#age, this.#retry]) timer?.cancel();
    for (const call of [this.#call, this.#former]) call?.cancel();
  }

  #tell(event: HeldEvent): void {
    this.#options.observer?.(event);
  }
}

function waitOf(waitMs: number, leftMs: number): HoldRequest['wait'] {
  if (waitMs <= 0) return undefined;
  if (!Number.isFinite(leftMs)) return { $case: 'waitForever', value: true };
  const ms = Math.max(1, Math.floor(leftMs));
  const value = { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 };
  return { $case: 'waitTimeout', value };
}
