// Keeps leases, or attempts, alive for as long as their holders hold them: it gathers what needs a stream at the same
// moment into batches that share one (batch.ts), and passes on what servers say to the holders.
//
//   join ──┐             ┌─ the stream is old ──▶ takes in small batches ─┐
//          ├─▶ a batch ──┼─ it breaks, moves, is silent ──────────────────┼─▶ another stream, all on it
//   adopt ─┘             └─ leave, of the last one ─▶ the stream ends     └── moved: a batch of its own

import type { Duration } from '../../../generated/google/protobuf/duration.ts';
import { fullJitterMs } from '../../domain/backoff.ts';
import { Batch, type BatchOptions } from './batch.ts';
import type { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type Kept, KeptEntry, type KeptMessage } from './kept.ts';
import { type OpenStream, StreamCall } from './stream-call.ts';
import { durationOf } from './time-spans.ts';
import { BACKOFF } from './unary-call.ts';

export interface KeeperOptions<Thing extends Kept<Message>, Message extends KeptMessage> {
  readonly channel: Channel;
  /** How many share a stream at most. */
  readonly most: number;
  /** How long one that needs a stream waits for others, in milliseconds. */
  readonly gatherMs: number;
  readonly open: (things: readonly Thing[], renewFor: Duration) => OpenStream<Message>;
  /** Which one a message is about; undefined where each stream has only one. */
  readonly keyOf?: (message: Message) => string;
}

export class Keeper<Thing extends Kept<Message>, Message extends KeptMessage> {
  readonly #options: KeeperOptions<Thing, Message>;
  readonly #batchOptions: BatchOptions<Thing, Message>;
  readonly #batches = new Set<Batch<Thing, Message>>();
  readonly #entries = new Map<string, KeptEntry<Thing, Message>>();
  readonly #batchOf = new WeakMap<KeptEntry<Thing, Message> | StreamCall<Message>, Batch<Thing, Message>>();

  constructor(options: KeeperOptions<Thing, Message>) {
    const { channel, gatherMs } = options;
    this.#options = options;
    this.#batchOptions = {
      channel,
      gatherMs,
      gather: (batch, isOld) => this.#gather(batch, isOld),
      open: (batch, silenceMs) => this.#open(batch, silenceMs),
      onEmpty: (batch) => this.#batches.delete(batch),
    };
  }

  /** Keeps it from now on, by a stream that is opened soon. */
  join(thing: Thing): void {
    this.#enter(thing)?.openSoon();
  }

  /** Keeps it by the Hold that acquired it for a quarter of the time for which servers trust a stream, and then so. */
  adopt(thing: Thing, call: StreamCall<Message>): void {
    const batch = this.#enter(thing);
    if (!batch) {
      call.cancel(); // another holder of this client has it already
      return;
    }
    this.#batchOf.set(call, batch);
    for (const entry of batch.entries) entry.streams.add(call);
    batch.adopt(call, this.#options.channel.renewForMs / 4);
  }

  /**
   * It is over: nothing keeps it any more, and no message about it is heard. Let the returned batch `finish` when a
   * server knows of the end or said so, and `stop` otherwise.
   */
  leave(thing: Thing): Batch<Thing, Message> | undefined {
    const entry = this.#entries.get(thing.key);
    if (!entry?.holders.delete(thing) || entry.holders.size > 0) return undefined;
    this.#entries.delete(thing.key);
    const batch = this.#batchOf.get(entry);
    this.#batchOf.delete(entry);
    batch?.remove(entry);
    return batch;
  }

  /** Hears the former streams, too: what they say of the deadline is as true, counted from when they were sent. */
  heard(from: StreamCall<Message>, message: Message): void {
    const { event } = message;
    if (!event) return;
    if (event.$case === 'draining') {
      this.#batchOf.get(from)?.draining(from);
      return;
    }
    const entry = this.#entryOf(from, message);
    if (!entry?.streams.has(from)) return;
    entry.heard(from, message);
    const batch = this.#batchOf.get(entry);
    if (event.$case !== 'moved') batch?.heard(from, entry, event);
    else if (batch?.isNewest(from)) this.#moves(entry, batch);
  }

  ended(from: StreamCall<Message>, error: CallError): void {
    this.#batchOf.get(from)?.ended(from, error);
  }

  /** Returns a batch for it, unless it is in one. */
  #enter(thing: Thing): Batch<Thing, Message> | undefined {
    const known = this.#entries.get(thing.key);
    if (known) {
      known.holders.add(thing);
      return undefined;
    }
    const entry = new KeptEntry<Thing, Message>(thing);
    this.#entries.set(thing.key, entry);
    return this.#batchFor(entry);
  }

  #batchFor(entry: KeptEntry<Thing, Message>): Batch<Thing, Message> {
    const batch = new Batch<Thing, Message>(this.#batchOptions);
    batch.add(entry);
    this.#batches.add(batch);
    this.#batchOf.set(entry, batch);
    return batch;
  }

  #entryOf(from: StreamCall<Message>, message: Message): KeptEntry<Thing, Message> | undefined {
    const { keyOf } = this.#options;
    if (keyOf) return this.#entries.get(keyOf(message));
    const [entry] = this.#batchOf.get(from)?.entries ?? [];
    return entry;
  }

  // A newer call speaks for it, which is none of this client's: an older request arrived late, and asking again is the
  // answer to that. What else is in its batch stays.
  #moves(entry: KeptEntry<Thing, Message>, from: Batch<Thing, Message>): void {
    from.remove(entry);
    void from.finish();
    const waitMs = fullJitterMs(0, BACKOFF, this.#options.channel.random);
    this.#batchFor(entry).openSoon(waitMs, 'a newer call has taken it over');
  }

  #open(batch: Batch<Thing, Message>, silenceMs: number): StreamCall<Message> {
    const { channel, open } = this.#options;
    const things = [...batch.entries].map(({ thing }) => thing);
    const call = new StreamCall<Message>(
      {
        channel,
        isCallers: false,
        kind: 'keeping',
        silenceMs,
        onMessage: (from, message) => this.heard(from, message),
        onEnd: (from, error) => this.ended(from, error),
      },
      open(things, durationOf(channel.renewForMs)),
    );
    this.#batchOf.set(call, batch);
    for (const entry of batch.entries) entry.streams.add(call);
    return call;
  }

  // What needs a stream now shares that of the batch. What has one that is well stays there, unless its batch is small
  // and this one is opened anew anyway.
  #gather(batch: Batch<Thing, Message>, isOld: boolean): void {
    const { most } = this.#options;
    for (const other of this.#batches) {
      if (batch.entries.size === most) return;
      const isSmall = other !== batch && 2 * other.entries.size < most;
      const isReady = other.isDue || (isOld && !other.isOnHold);
      if (!isSmall || !isReady || batch.entries.size + other.entries.size > most) continue;
      const entries = [...other.entries];
      for (const of of [...entries, ...batch.takeIn(other)]) this.#batchOf.set(of, batch);
    }
  }
}
