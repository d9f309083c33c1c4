// An attempt at an operation that is kept alive by streams: when one breaks, moves, falls silent or grows old, by
// another one on whatever instance answers, until the work has ended, the attempt is lost, or its deadline passes. The
// same rules as for a lease (held-lease.ts), and what only operations have: a request to cancel.
//
//   held ──▶ ended   (end: the worker completed it or gave it back)
//     └────▶ lost    (said by a server, or the deadline)

import type { AtRiskReason } from '../../generated/leasehold/v1/lease_events.ts';
import type { Attempt } from '../../generated/leasehold/v1/operation.ts';
import type {
  AttemptLost,
  KeepAliveOperationResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { fullJitterMs } from '../domain/backoff.ts';
import type { Timer } from '../domain/clock.ts';
import type { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import { StreamCall } from './stream-call.ts';
import { BACKOFF } from './unary.ts';

export type AttemptEvent =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'at-risk'; readonly reason: AtRiskReason }
  /** Its stream ended or moves; the attempt is held on. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** Said again by every stream. */
  | { readonly kind: 'cancel-requested'; readonly reason: string }
  /** `reason` undefined: the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: AttemptLost['reason'] | undefined };

/** An attempt, as every write of its worker names it. */
export interface AttemptName {
  readonly resource: string;
  readonly operationId: string;
  readonly claimId: string;
  readonly fencingToken: bigint;
}

type Call = StreamCall<KeepAliveOperationResponse>;

const REOPEN_AFTER_MS = 30 * 60_000;
const SILENCE_MS = 20_000;
const FIRST_ANSWER_MS = 3_000;
const SHORTEST_PATIENCE_MS = 100;

export class HeldAttempt {
  readonly name: AttemptName;
  readonly #channel: Channel;
  readonly #observer: (event: AttemptEvent) => void;
  readonly #deadline: LeaseDeadline;
  /** What is left at most when a renewal arrives. */
  #timeoutMs = 0;
  #state: 'held' | 'ended' | 'lost' = 'held';
  /** The newest stream, which counts; and the one before it, until the newest has said that it keeps the attempt. */
  #call: Call | undefined;
  #former: Call | undefined;
  #age: Timer | undefined;
  #retry: Timer | undefined;
  #failures = 0;

  /** Keeps an attempt that an answer brought, `sent` as that call was. The observer must not throw. */
  constructor(
    channel: Channel,
    name: AttemptName,
    attempt: Attempt,
    sent: SentAt,
    observer: (event: AttemptEvent) => void,
  ) {
    this.name = name;
    this.#channel = channel;
    this.#observer = observer;
    this.#deadline = new LeaseDeadline({ clock: channel.clock, onPassed: () => this.lose(undefined) });
    if (this.extend(attempt, sent)) this.#open();
  }

  get state(): 'held' | 'ended' | 'lost' {
    if (this.#state === 'held' && this.#deadline.remainingMs() === 0) this.lose(undefined);
    return this.#state;
  }

  /** Until the deadline; 0 when it is over. */
  remainingMs(): number {
    return this.#state === 'held' ? this.#deadline.remainingMs() : 0;
  }

  /** Takes what any answer says of it. Says whether it is held. */
  extend({ validFor }: Attempt, sent: SentAt): boolean {
    if (this.#state !== 'held') return false;
    const validForMs = Number(validFor?.seconds ?? 0n) * 1_000 + (validFor?.nanos ?? 0) / 1e6;
    const leftMs = validForMs - (this.#channel.clock.monotonicMs() - sent.sentAtMs);
    this.#timeoutMs = Math.max(this.#timeoutMs, leftMs);
    return this.#deadline.extend(sent, validForMs, this.#timeoutMs);
  }

  /** An answer said that it is over. */
  lose(reason: AttemptLost['reason'] | undefined): void {
    if (this.#state !== 'held') return;
    this.#state = 'lost';
    this.#stop();
    this.#observer({ kind: 'lost', reason });
  }

  /** The work has ended: nothing keeps it alive any more, and nothing more is told. */
  end(): void {
    if (this.#state === 'held') this.#state = 'ended';
    this.#stop();
  }

  #open(): void {
    const silenceMs = Math.min(SILENCE_MS, Math.max(this.#timeoutMs / 2, SHORTEST_PATIENCE_MS));
    const { channel, name } = { channel: this.#channel, name: this.name };
    const call: Call = new StreamCall<KeepAliveOperationResponse>(
      {
        channel,
        silenceMs,
        onMessage: (from, { event }) => this.#heard(from, event),
        onEnd: (from, error) => this.#ended(from, error),
      },
      ({ operations }, metadata) => operations.keepAliveOperation(name, metadata),
    );
    this.#call = call;
    this.#age?.cancel();
    this.#age = channel.clock.after(REOPEN_AFTER_MS * (1 - 0.1 * channel.random()), () =>
      this.#reopen('the stream is old'),
    );
    // Of a stream that is accepted and never answered: the next one, long before the silence is over.
    const patienceMs = Math.max(SHORTEST_PATIENCE_MS, Math.min(FIRST_ANSWER_MS, this.remainingMs() / 2));
    this.#retry = channel.clock.after(patienceMs, () => {
      channel.leave(call.seat);
      this.#reopenLater('the server does not answer', 0);
    });
  }

  // The former stream goes on until the new one has said that it keeps the attempt.
  #reopen(why: string): void {
    // On a closed channel nobody keeps it any more; it is held until its deadline all the same.
    if (this.#state !== 'held' || this.#channel.isClosed) return;
    this.#observer({ kind: 'reopened', why });
    this.#retry?.cancel();
    if (this.#call) {
      this.#former?.cancel();
      this.#former = this.#call;
    }
    this.#open();
  }

  #heard(from: Call, event: KeepAliveOperationResponse['event']): void {
    if (this.#state !== 'held') return;
    switch (event?.$case) {
      case 'renewed':
        // Also of the former stream: what it says of the deadline is as true, counted from when it was sent.
        if (!this.extend(event.value, from)) return;
        if (from === this.#call) this.#settled();
        this.#observer({ kind: 'renewed' });
        break;
      case 'atRisk':
        if (from === this.#call) this.#atRisk(from);
        this.#observer({ kind: 'at-risk', reason: event.value.reason });
        break;
      case 'cancelRequested':
        this.#observer({ kind: 'cancel-requested', reason: event.value.reason });
        break;
      case 'lost':
        this.lose(event.value.reason);
        break;
      case 'draining':
        if (from !== this.#call) break;
        this.#channel.leave(from.seat);
        this.#reopen('the instance stops');
        break;
      case 'moved': // the end of the stream says more
      case undefined:
    }
  }

  #ended(from: Call, error: CallError): void {
    if (from === this.#former) this.#former = undefined;
    if (from !== this.#call || this.#state !== 'held' || this.#channel.isClosed) return;
    this.#call = undefined;
    // `moved` on the newest stream: an older request arrived late, and is answered by asking again.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    this.#reopenLater(error.message, error.retryAfterMs ?? 0);
  }

  // It answers, and goes on trying. But it may be the only one that can't reach the store: before the time runs out
  // another one is asked. Not at once, and not all at the same moment: in a failover all instances are like this.
  #atRisk(from: Call): void {
    this.#retry?.cancel();
    const channel = this.#channel;
    if (!channel.hasOthers) return;
    const waitMs = (this.remainingMs() / 4) * (0.5 + 0.5 * channel.random());
    this.#retry = channel.clock.after(waitMs, () => {
      channel.leave(from.seat);
      this.#reopen('the instance cannot renew it');
    });
  }

  // What it is asked to wait is honoured as long as it is no certain loss.
  #reopenLater(why: string, askedToWaitMs: number): void {
    const { clock, random } = this.#channel;
    const leastMs = Math.min(askedToWaitMs, this.remainingMs() / 2);
    const waitMs = Math.max(leastMs, fullJitterMs(this.#failures++, BACKOFF, random));
    this.#retry?.cancel();
    this.#retry = clock.after(waitMs, () => this.#reopen(why));
  }

  #settled(): void {
    this.#failures = 0;
    this.#retry?.cancel();
    this.#former?.cancel();
    this.#former = undefined;
  }

  #stop(): void {
    this.#deadline.end();
    for (const timer of [this.#age, this.#retry]) timer?.cancel();
    for (const call of [this.#call, this.#former]) call?.cancel();
  }
}
