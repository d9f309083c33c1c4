// The streams that keep one thing alive, a lease or an attempt: when one breaks, moves, falls silent or grows old,
// another one on whatever instance answers. Of two that overlap the newest counts. Owns no deadline: until when the
// thing is held, and what a message means for that, is its owner's business.

import { AtRiskReason } from '../../../generated/leasehold/v1/lease_events.ts';
import { fullJitterMs } from '../../domain/backoff.ts';
import type { Timer } from '../../domain/clock.ts';
import type { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type OpenStream, StreamCall } from './stream-call.ts';
import { BACKOFF } from './unary-call.ts';

export interface KeepOptions {
  /** How old a stream may be. */
  readonly reopenAfterMs?: number;
  /** How long a stream may say nothing; half the TTL, where that is less. */
  readonly silenceMs?: number;
}

export interface KeptStreamsOptions<Message> extends KeepOptions {
  readonly channel: Channel;
  /** Asks to keep the thing alive. */
  readonly open: OpenStream<Message>;
  /** Also of the former stream: what it says of the deadline is as true, counted from when it was sent. */
  readonly onMessage: (from: StreamCall<Message>, message: Message) => void;
  readonly onReopen: (why: string) => void;
  /** Until the thing is over. */
  readonly remainingMs: () => number;
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

export class KeptStreams<Message> {
  /** What is left at most when a renewal arrives. */
  ttlMs = 0;
  readonly #options: KeptStreamsOptions<Message>;
  readonly #channel: Channel;
  /** The newest stream, which counts; and the one before it, until the newest has said that it keeps the thing. */
  #call: StreamCall<Message> | undefined;
  #former: StreamCall<Message> | undefined;
  #age: Timer | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #isOver = false;

  constructor(options: KeptStreamsOptions<Message>) {
    this.#options = options;
    this.#channel = options.channel;
  }

  /** Makes this the stream that counts. */
  adopt(call: StreamCall<Message>): void {
    this.#call = call;
    call.silenceMs = this.#silenceMs();
    const { clock, random } = this.#channel;
    // From when it was sent: one that was queued for long is old already. Those that were opened together spread out.
    const ageMs = (this.#options.reopenAfterMs ?? REOPEN_AFTER_MS) * (1 - 0.1 * random());
    const leftMs = call.sentAtMs + ageMs - clock.monotonicMs();
    this.#age?.cancel();
    this.#age = clock.after(leftMs, () => this.reopen('the stream is old'));
    if (this.#isOver) this.stop(); // granted too late
  }

  /** Opens a new stream. The former one goes on until the new one has said that it keeps the thing. */
  reopen(why: string): void {
    // On a closed channel nobody keeps it any more; it is held until its deadline all the same.
    if (this.#isOver || this.#channel.isClosed) return;
    this.#options.onReopen(why);
    this.open();
  }

  /** The same, of which nobody is told: the first one. Throws CallError, CANCELLED, on a closed channel. */
  open(): void {
    if (this.#isOver) return;
    const { channel, open, onMessage, remainingMs } = this.#options;
    this.#retry?.cancel();
    if (this.#call) {
      this.#former?.cancel();
      this.#former = this.#call;
    }
    const silenceMs = this.#silenceMs();
    const onEnd = (from: StreamCall<Message>, error: CallError): void => this.ended(from, error);
    const call = new StreamCall<Message>({ channel, silenceMs, onMessage, onEnd }, open);
    this.adopt(call);
    // Of a stream that is accepted and never answered: the next one, long before the silence is over.
    const patienceMs = Math.max(SHORTEST_PATIENCE_MS, Math.min(FIRST_ANSWER_MS, remainingMs() / 2));
    this.#retry = channel.clock.after(patienceMs, () => {
      channel.leave(call.seat);
      this.#reopenLater('the server does not answer', 0);
    });
  }

  /** The stream said that it keeps the thing. */
  renewed(from: StreamCall<Message>): void {
    if (from !== this.#call) return;
    this.#failures = 0;
    this.#retry?.cancel();
    this.#former?.cancel();
    this.#former = undefined;
  }

  // It answers, and goes on trying. But it may be the only one that can't reach the store: before the time runs out
  // another one is asked. Not at once, and not all at the same moment: in a failover all instances are like this.
  atRisk(from: StreamCall<Message>, reason: AtRiskReason): void {
    if (from !== this.#call) return;
    this.#retry?.cancel();
    const channel = this.#channel;
    if (!MOVES_ON.includes(reason) || !channel.hasOthers) return;
    const waitMs = (this.#options.remainingMs() / 4) * (0.5 + 0.5 * channel.random());
    this.#retry = channel.clock.after(waitMs, () => {
      channel.leave(from.seat);
      this.reopen('the instance cannot renew it');
    });
  }

  draining(from: StreamCall<Message>): void {
    if (from !== this.#call) return;
    this.#channel.leave(from.seat);
    this.reopen('the instance stops');
  }

  ended(from: StreamCall<Message>, error: CallError): void {
    if (from === this.#former) this.#former = undefined;
    if (from !== this.#call || this.#isOver || this.#channel.isClosed) return;
    this.#call = undefined;
    // `moved` on the newest stream: an older request arrived late, and is answered by asking again.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    this.#reopenLater(error.message, error.retryAfterMs ?? 0);
  }

  /** The thing is over: nothing keeps it alive any more, and nothing more is heard. */
  stop(): void {
    this.#isOver = true;
    for (const timer of [this.#age, this.#retry]) timer?.cancel();
    for (const call of [this.#call, this.#former]) call?.cancel();
  }

  // What it is asked to wait is honoured as long as it is no certain loss.
  #reopenLater(why: string, askedToWaitMs: number): void {
    const { clock, random } = this.#channel;
    const leastMs = Math.min(askedToWaitMs, this.#options.remainingMs() / 2);
    const waitMs = Math.max(leastMs, fullJitterMs(this.#failures++, BACKOFF, random));
    this.#retry?.cancel();
    this.#retry = clock.after(waitMs, () => this.reopen(why));
  }

  // Renewals come at a quarter of the TTL. When half of it has passed without a word there is still time to go on
  // elsewhere; when the time in which every stream says something has passed, there is none any more.
  #silenceMs(): number {
    const { silenceMs = SILENCE_MS } = this.#options;
    return Math.min(silenceMs, Math.max(this.ttlMs / 2, SHORTEST_PATIENCE_MS));
  }
}
