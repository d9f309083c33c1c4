// A batch: the leases, or the one attempt, that one stream keeps alive, and the streams that do so one after the other.
// When the stream breaks, moves, falls silent or is old, another one follows on the next instance that answers. Of
// several the newest counts, and the former ones go on until it has said that it keeps everything. It owns no deadline:
// each holder decides until when it holds, and what a message means for that.

import { AtRiskReason } from '../../../generated/leasehold/v1/lease_events.ts';
import { fullJitterMs } from '../../domain/backoff.ts';
import { pause, type Timer } from '../../domain/clock.ts';
import { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { END_WITHIN_MS, FormerStreams } from './former-streams.ts';
import type { Kept, KeptEntry, KeptEvent, KeptMessage } from './kept.ts';
import { QuietTimer } from './quiet-timer.ts';
import type { StreamCall } from './stream-call.ts';
import { BACKOFF, TRY_FOR_MS } from './unary-call.ts';

export interface BatchOptions<Thing extends Kept<Message>, Message extends KeptMessage> {
  readonly channel: Channel;
  /** How long a batch waits for others that need a stream at the same moment, in milliseconds. */
  readonly gatherMs: number;
  /** Adds what else is to share the next stream of a batch. `isOld`: its stream has nothing wrong with it. */
  readonly gather: (batch: Batch<Thing, Message>, isOld: boolean) => void;
  /** Throws CallError on a closed channel, and what the user's `token` function throws. */
  readonly open: (batch: Batch<Thing, Message>, silenceMs: number) => StreamCall<Message>;
  /** Called when nothing is left in a batch: its entries are over or elsewhere. */
  readonly onEmpty: (batch: Batch<Thing, Message>) => void;
}

export const SILENCE_MS = 20_000;
const SHORTEST_PATIENCE_MS = 100;
/** How long an instance that can't renew is stayed with at least: it would be left more and more often otherwise. */
const SHORTEST_STAY_MS = 250;
/** The risks of one instance, from which the next one may be free. */
const MOVES_ON: readonly AtRiskReason[] = [
  AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
  AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
];

export class Batch<Thing extends Kept<Message>, Message extends KeptMessage> {
  readonly entries = new Set<KeptEntry<Thing, Message>>();
  readonly #options: BatchOptions<Thing, Message>;
  readonly #channel: Channel;
  /** The newest stream, which counts. */
  #call: StreamCall<Message> | undefined;
  readonly #formers: FormerStreams<Message>;
  /** The entries of which the newest stream has said nothing yet, which it has not renewed yet, and cannot renew. */
  readonly #unheard = new Set<KeptEntry<Thing, Message>>();
  readonly #unkept = new Set<KeptEntry<Thing, Message>>();
  readonly #atRisk = new Set<KeptEntry<Thing, Message>>();
  /** Each of them leads to the next stream. */
  #due: Timer | undefined;
  #age: Timer | undefined;
  readonly #patience: QuietTimer;
  #escape: Timer | undefined;
  #isOnHold = false;
  #failures = 0;
  #unanswered = 0;
  readonly #ended = new AbortController();

  constructor(options: BatchOptions<Thing, Message>) {
    this.#options = options;
    this.#channel = options.channel;
    this.#formers = new FormerStreams(options.channel);
    this.#patience = new QuietTimer(options.channel.clock, () => this.#hasNoAnswer());
  }

  get isEmpty(): boolean {
    return this.entries.size === 0;
  }

  /** Whether it is about to open a stream. */
  get isDue(): boolean {
    return this.#due !== undefined;
  }

  /** Whether its stream is the Hold by which its lease was acquired. */
  get isOnHold(): boolean {
    return this.#isOnHold;
  }

  add(entry: KeptEntry<Thing, Message>): void {
    this.entries.add(entry);
  }

  /** Takes everything over, with the streams that keep it: they end when the next stream of this batch is answered. */
  takeIn(other: Batch<Thing, Message>): readonly StreamCall<Message>[] {
    const calls = [...other.#formers.give(), ...(other.#call ? [other.#call] : [])];
    for (const entry of other.entries) this.entries.add(entry);
    this.#formers.take(calls);
    if (calls.length === 0) this.#channel.holders.lacks(this);
    other.entries.clear();
    other.#call = undefined;
    other.#retire();
    return calls;
  }

  /** The entry is over, or goes elsewhere. */
  remove(entry: KeptEntry<Thing, Message>): void {
    for (const entries of [this.entries, this.#unheard, this.#unkept, this.#atRisk]) entries.delete(entry);
    if (this.isEmpty) this.#retire();
    else {
      this.#listen();
      this.#settle();
    }
  }

  /** Makes the Hold by which the lease was acquired its stream, for `forMs`. */
  adopt(call: StreamCall<Message>, forMs: number): void {
    this.#call = call;
    this.#isOnHold = true;
    this.#listen();
    this.#age = this.#channel.clock.after(forMs, () => this.openSoon());
  }

  /** Opens a stream after `waitMs`, and once those that need one at the same moment have come together. */
  openSoon(waitMs = 0, why?: string): void {
    const { clock, holders, isClosed } = this.#channel;
    if (this.isEmpty || isClosed) return;
    if (!this.#call && this.#formers.isEmpty) holders.lacks(this);
    if (why !== undefined) this.#tell(why);
    if (this.isEmpty || this.#due) return; // an observer may have released what was left
    this.#cancelTimers();
    const gatherMs = Math.min(this.#options.gatherMs, this.#remainingMs() / 20);
    this.#due = clock.after(Math.max(gatherMs, waitMs), () => this.#open());
  }

  heard(from: StreamCall<Message>, entry: KeptEntry<Thing, Message>, event: KeptEvent): void {
    if (from !== this.#call || !this.entries.has(entry)) return;
    if (this.#unheard.delete(entry)) {
      this.#patience.heard();
      if (this.#unheard.size === 0) this.#listen();
    }
    if (event.$case === 'renewed') {
      this.#failures = 0;
      this.#unkept.delete(entry);
      this.#atRisk.delete(entry);
    } else if (event.$case === 'atRisk' && MOVES_ON.includes(event.value.reason)) {
      this.#isAtRisk(from, entry);
    }
    this.#settle();
  }

  draining(from: StreamCall<Message>): void {
    if (from !== this.#call) return;
    this.#channel.leave(from.seat);
    this.openSoon(0, 'the instance stops');
  }

  ended(from: StreamCall<Message>, error: CallError): void {
    const wasFormer = this.#formers.delete(from);
    if (wasFormer && !this.#call && this.#formers.isEmpty) this.#channel.holders.lacks(this);
    if (from !== this.#call) return;
    this.#call = undefined;
    if (this.isEmpty) this.#ended.abort();
    if (this.isEmpty || this.#channel.isClosed) return;
    // MOVED on the newest stream: an older request arrived late, and asking again is the answer to that.
    if (error.reason !== 'MOVED') this.#channel.leave(from.seat);
    this.#openLater(error.message, error.retryAfterMs ?? 0);
  }

  /** Whether the stream is the newest one. */
  isNewest(call: StreamCall<Message>): boolean {
    return call === this.#call;
  }

  /**
   * Waits a little for the server to end the stream, if nothing is left on it. A stream that the client cancels counts
   * as CANCELLED there, and a trace shows it as an error.
   */
  async finish(): Promise<void> {
    if (!this.isEmpty) return;
    if (this.#call) await pause(this.#channel.clock, END_WITHIN_MS, this.#ended.signal);
    this.stop();
  }

  /** Ends the stream at once, if nothing is left on it. */
  stop(): void {
    if (!this.isEmpty) return;
    this.#call?.cancel();
    this.#call = undefined;
    this.#ended.abort();
  }

  #open({ isOld = false } = {}): void {
    this.#cancelTimers();
    const { channel, gather, open } = this.#options;
    if (this.isEmpty || channel.isClosed) return;
    if (this.#call) this.#formers.add(this.#call);
    this.#call = undefined;
    gather(this, isOld);
    let call: StreamCall<Message>;
    try {
      call = open(this, this.#silenceMs());
    } catch (error) {
      if (error instanceof CallError) return; // the channel was closed
      // The user's `token` function threw. No one could catch that here, and it may work the next time.
      this.#openLater(error instanceof Error ? error.message : String(error), 0);
      return;
    }
    this.#call = call;
    this.#isOnHold = false;
    this.#atRisk.clear();
    for (const entry of this.entries) {
      this.#unheard.add(entry);
      this.#unkept.add(entry);
    }
    // Half of the time for which the server trusts the stream. The random part spreads out what was opened together.
    const ageMs = (channel.renewForMs / 2) * (1 - 0.2 * channel.random());
    this.#age = channel.clock.after(ageMs, () => {
      if (call.wasHeard) this.#open({ isOld: true });
      else this.#hasNoAnswer(); // its patience was longer than that
    });
    // When a stream is accepted but not answered, the next one follows long before the silence is over. Each that
    // follows has twice the time: the link may be slow. What it says of some leases gives it as long for the others.
    const answerMs = TRY_FOR_MS * 2 ** this.#unanswered;
    this.#patience.start(Math.max(SHORTEST_PATIENCE_MS, Math.min(answerMs, this.#remainingMs() / 2)));
  }

  #hasNoAnswer(): void {
    const call = this.#call;
    if (!call) return;
    this.#unanswered++;
    this.#channel.leave(call.seat);
    this.#tell(call.unanswered().message);
    this.#open();
  }

  #tell(why: string): void {
    for (const entry of [...this.entries]) entry.reopened(why);
  }

  // It waits as long as the server asks, and longer after each failure, unless that would surely lose something.
  #openLater(why: string, askedToWaitMs: number): void {
    const waitMs = Math.max(askedToWaitMs, fullJitterMs(this.#failures++, BACKOFF, this.#channel.random));
    this.openSoon(Math.min(waitMs, this.#remainingMs() / 2), why);
  }

  // The instance answers, and goes on trying. But it may be the only one that can't reach the store, so another one is
  // asked before the time runs out. Not at once, and not by all clients at the same moment: in a failover all instances
  // are at risk.
  #isAtRisk(from: StreamCall<Message>, entry: KeptEntry<Thing, Message>): void {
    const { clock, random, instances } = this.#channel;
    this.#atRisk.add(entry);
    if (this.#escape || instances === 1) return;
    const waitMs = Math.max((entry.remainingMs() / 4) * (0.5 + 0.5 * random()), SHORTEST_STAY_MS);
    this.#escape = clock.after(waitMs, () => {
      this.#channel.leave(from.seat);
      this.openSoon(0, 'the instance cannot renew it');
    });
  }

  // Something was heard, or is over: does the newest stream keep everything now?
  #settle(): void {
    if (!this.#call || this.#unheard.size > 0) return;
    this.#patience.stop();
    this.#unanswered = 0;
    this.#channel.holders.has(this);
    if (this.#atRisk.size === 0) {
      this.#escape?.cancel();
      this.#escape = undefined;
    }
    if (this.#unkept.size === 0) this.#formers.end();
  }

  // Renewals come every quarter of the TTL. When half of the TTL has passed without a word, there is still time to go
  // on elsewhere; after the time in which every stream says something there may be none left.
  #silenceMs(): number {
    let leastMs = 2 * SILENCE_MS;
    for (const { ttlMs } of this.entries) leastMs = Math.min(leastMs, ttlMs);
    return Math.max(leastMs / 2, SHORTEST_PATIENCE_MS);
  }

  #listen(): void {
    if (this.#call) this.#call.silenceMs = this.#silenceMs();
  }

  #remainingMs(): number {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const entry of this.entries) leastMs = Math.min(leastMs, entry.remainingMs());
    return leastMs;
  }

  #retire(): void {
    this.#cancelTimers();
    this.#formers.end();
    this.#channel.holders.has(this);
    this.#options.onEmpty(this);
  }

  #cancelTimers(): void {
    for (const timer of [this.#due, this.#age, this.#escape]) timer?.cancel();
    this.#patience.stop();
    this.#due = undefined;
    this.#escape = undefined;
  }
}
