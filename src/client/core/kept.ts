// What a keeper keeps alive: a lease or an attempt at an operation, as its holder has it. More than one holder of a
// client may have the same one, by the same id; servers know only one.

import type { KeepAliveOperationResponse } from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { LeaseMessage } from './lease-call.ts';
import type { SentAt } from './lease-deadline.ts';

/** What the streams of both kinds say. */
export type KeptMessage = LeaseMessage | KeepAliveOperationResponse;
export type KeptEvent = NonNullable<KeptMessage['event']>;

export interface Kept<Message extends KeptMessage> {
  /** The same for all that servers take for the same thing, and for no other. */
  readonly key: string;
  /** How many milliseconds are left at most when a renewal arrives. */
  readonly ttlMs: number;
  /** Milliseconds until its deadline; 0 when it is over. */
  remainingMs(): number;
  /** It decides what a message means for it; `from` is when the request of the stream was sent. */
  heard(from: SentAt, message: Message): void;
  /** Its stream ended or moves. */
  reopened(why: string): void;
}

export class KeptEntry<Thing extends Kept<Message>, Message extends KeptMessage> {
  readonly holders = new Set<Thing>();
  /** Its streams. What others say is of an earlier lease, which had the same id. */
  readonly streams = new WeakSet<object>();
  readonly #first: Thing;

  constructor(first: Thing) {
    this.#first = first;
    this.holders.add(first);
  }

  /** One of the holders, by which servers are asked. */
  get thing(): Thing {
    const [thing = this.#first] = this.holders;
    return thing;
  }

  get ttlMs(): number {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const { ttlMs } of this.holders) leastMs = Math.min(leastMs, ttlMs);
    return leastMs;
  }

  remainingMs(): number {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const holder of this.holders) leastMs = Math.min(leastMs, holder.remainingMs());
    return leastMs;
  }

  heard(from: SentAt, message: Message): void {
    for (const holder of [...this.holders]) holder.heard(from, message);
  }

  reopened(why: string): void {
    for (const holder of this.holders) holder.reopened(why);
  }
}
