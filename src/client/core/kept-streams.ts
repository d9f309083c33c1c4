// The streams that keep one thing alive, a lease or an attempt: when one breaks, moves, falls silent or grows old,
// another one follows on the next instance that answers. Of two that overlap the newest counts. It owns no deadline:
// its owner decides until when the thing is held, and what a message means for that.

import { AtRiskReason } from '../../../generated/leasehold/v1/lease_events.ts';
import { fullJitterMs } from '../../domain/backoff.ts';
import { pause, type Timer } from '../../domain/clock.ts';
import { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type OpenStream, StreamCall } from './stream-call.ts';
import { BACKOFF, TRY_FOR_MS } from './unary-call.ts';

export interface KeepOptions {
  /** How old a stream may grow, in milliseconds; 30 min by default. */
  readonly reopenAfterMs?: number;
  /** How long a stream may say nothing, in milliseconds: 20 s by default, and half the TTL where that is less. */
  readonly silenceMs?: number;
}

export interface KeptStreamsOptions<Message> extends KeepOptions {
  readonly channel: Channel;
  /** Opens a stream that keeps the thing alive. */
  readonly open: OpenStream<Message>;
  /** Hears the former stream too: what that says of the deadline is as true, counted from when it was sent. */
  readonly onMessage: (from: StreamCall<Message>, message: Message) => void;
  readonly onReopen: (why: string) => void;
  /** Milliseconds until the thing is over. */
  readonly remainingMs: () => number;
}

export const REOPEN_AFTER_MS = 30 * 60_000;
export const SILENCE_MS = 20_000;
/** How long a client waits for the server to end the stream of what is over. */
const END_WITHIN_MS = 500;
const SHORTEST_PATIENCE_MS = 100;
/** The risks of one instance, from which the next one may be free. */
const MOVES_ON: readonly AtRiskReason[] = [
  AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
  AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
];

export class KeptStreams<Message> {
  /** How many milliseconds are left at most when a renewal arrives. */
  ttlMs = 0;
  readonly #options: KeptStreamsOptions<Message>;
  readonly #channel: Channel;
  /** The newest stream, which counts, and the one before it, until the newest has said that it keeps the thing. */
  #call: StreamCall<Message> | undefined;
  #former: StreamCall<Message> | undefined;
  #age: Timer | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #unanswered = 0;
  #isOver = false;
  readonly #ended = new AbortController();

  constructor(options: KeptStreamsOptions<Message>) {
    this.#options = options;
    this.#channel = options.channel;
  }

  /** Makes this the stream that counts. */
  adopt(call: StreamCall<Message>): void {
    this.#call = call;
    call.silenceMs = this.#silenceMs();
    const { clock, random } = this.#channel;
    // Counted from when it was sent: a stream that queued for long is old already. The random part spreads out streams
    // that were opened together.
    const ageMs = (this.#options.reopenAfterMs ?? REOPEN_AFTER_MS) * (1 - 0.1 * random());
    const leftMs = call.sentAtMs + ageMs - clock.monotonicMs();
    this.#age?.cancel();
    this.#age = clock.after(leftMs, () => this.reopen('the stream is old'));
    if (this.#isOver) this.stop(); // the grant came too late
  }

  /** Opens a new stream and says so. The former one goes on until the new one has said that it keeps the thing. */
  reopen(why: string): void {
    // On a closed channel nothing keeps it any more; it is held until its deadline all the same.
    if (this.#isOver || this.#channel.isClosed) return;
    this.#options.onReopen(why);
    this.open();
  }

  /** Opens a stream without saying so: the first one. Throws CallError, CANCELLED, on a closed channel. */
  open(): void {
    if (this.#isOver) return;
    const { channel, open, onMessage, remainingMs } = this.#options;
    this.#retry?.cancel();
    const silenceMs = this.#silenceMs();
    const onEnd = (from: StreamCall<Message>, error: CallError): void => this.ended(from, error);
    let call: StreamCall<Message>;
    try {
      call = new StreamCall<Message>({ channel, silenceMs, onMessage, onEnd }, open);
    } catch (error) {
      if (error instanceof CallError) throw error;
      // The user's `token` function threw. A timer may have called this, where no one could catch it; and the function
      // may work the next time.
      this.#reopenLater(error instanceof Error ? error.message : String(error), 0);
      return;
    }
    if (this.#call) {
      this.#former?.cancel();
      this.#former = this.#call;
    }
    this.adopt(call);
    // When a stream is accepted but never answered, the next one follows long before the silence is over.
    // Each that follows has twice the time: the link may be slow.
    const answerMs = TRY_FOR_MS * 2 ** this.#unanswered;
    const patienceMs = Math.max(SHORTEST_PATIENCE_MS, Math.min(answerMs, remainingMs() / 2));
    this.#retry = channel.clock.after(patienceMs, () => {
      this.#unanswered++;
      channel.leave(call.seat);
      this.#reopenLater('the server does not answer', 0);
    });
  }

  /** Call it when a stream says that it keeps the thing. */
  renewed(from: StreamCall<Message>): void {
    if (from !== this.#call) return;
    this.#failures = 0;
    this.#unanswered = 0;
    this.#retry?.cancel();
    this.#former?.cancel();
    this.#former = undefined;
  }

  // The instance answers, and goes on trying. But it may be the only one that can't reach the store, so another one is
  // asked before the time runs out. Not at once, and not by all clients at the same moment: in a failover all instances
  // are at risk.
  atRisk(from: StreamCall<Message>, reason: AtRiskReason): void {
    if (from !== this.#call) return;
    this.#retry?.cancel();
    const channel = this.#channel;
    if (!MOVES_ON.includes(reason) || channel.instances === 1) return;
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
    if (from !== this.#call) return;
    if (this.#isOver) {
      this.#call = undefined;
      this.#ended.abort();
    }
    if (this.#isOver || this.#channel.isClosed) return;
    this.#call = undefined;
    // MOVED on the newest stream: an older request arrived late, and asking again is the answer to that.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    this.#reopenLater(error.message, error.retryAfterMs ?? 0);
  }

  /** Call it when the thing is over here, and a server hears of that or said so: no stream follows this one. */
  retire(): void {
    this.#isOver = true;
    for (const timer of [this.#age, this.#retry]) timer?.cancel();
    this.#former?.cancel();
    this.#former = undefined;
  }

  /**
   * Call it when a server knows that the thing is over: it waits a little for the server to end the stream. A stream
   * that the client cancels counts as CANCELLED there, and a trace shows it as an error.
   */
  async finish(): Promise<void> {
    this.retire();
    if (this.#call) await pause(this.#channel.clock, END_WITHIN_MS, this.#ended.signal);
    this.stop();
  }

  /** Call it when the thing is over: nothing keeps it alive any more, and no message is heard. */
  stop(): void {
    this.retire();
    this.#call?.cancel();
    this.#call = undefined;
    this.#ended.abort();
  }

  // It waits as long as the server asks, unless that would surely lose the thing.
  #reopenLater(why: string, askedToWaitMs: number): void {
    const { clock, random } = this.#channel;
    const leastMs = Math.min(askedToWaitMs, this.#options.remainingMs() / 2);
    const waitMs = Math.max(leastMs, fullJitterMs(this.#failures++, BACKOFF, random));
    this.#retry?.cancel();
    this.#retry = clock.after(waitMs, () => this.reopen(why));
  }

  // Renewals come every quarter of the TTL. When half of the TTL has passed without a word, there is still time to go
  // on elsewhere; after the time in which every stream says something there may be none left.
  #silenceMs(): number {
    const { silenceMs = SILENCE_MS } = this.#options;
    return Math.min(silenceMs, Math.max(this.ttlMs / 2, SHORTEST_PATIENCE_MS));
  }
}
