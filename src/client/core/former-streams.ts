// The streams before the newest one of a batch: they go on until that has renewed everything.

import type { Clock } from '../../domain/clock.ts';
import type { StreamCall } from './stream-call.ts';

/** How long a client waits for the server to end the stream of what is over, or is kept by another. */
export const END_WITHIN_MS = 500;

export class FormerStreams<Message> {
  readonly #clock: Clock;
  readonly #renewForMs: number;
  /** Since when each is one. */
  readonly #calls = new Map<StreamCall<Message>, number>();

  constructor({ clock, renewForMs }: { readonly clock: Clock; readonly renewForMs: number }) {
    this.#clock = clock;
    this.#renewForMs = renewForMs;
  }

  get isEmpty(): boolean {
    return this.#calls.size === 0;
  }

  /** Says whether it was one of them. */
  delete(call: StreamCall<Message>): boolean {
    return this.#calls.delete(call);
  }

  /** Of those before it, none is worth keeping that was never answered, or that servers trust no more. */
  add(call: StreamCall<Message>): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [former, sinceMs] of this.#calls) {
      if (former.wasHeard && nowMs - sinceMs < this.#renewForMs) continue;
      this.#calls.delete(former);
      former.cancel();
    }
    this.#calls.set(call, nowMs);
  }

  /** Takes all of another batch over. */
  take(calls: Iterable<StreamCall<Message>>): void {
    for (const call of calls) this.#calls.set(call, this.#clock.monotonicMs());
  }

  /** Gives all away. */
  give(): StreamCall<Message>[] {
    const calls = [...this.#calls.keys()];
    this.#calls.clear();
    return calls;
  }

  /** The server ends them, too, when it has moved the last lease. It may not know of all, or not be there. */
  end(): void {
    for (const former of this.give()) this.#clock.after(END_WITHIN_MS, () => former.cancel()).letGo?.();
  }
}
