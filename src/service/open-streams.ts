// The open streams of one kind on this instance, and how they end when it drains: it tells them one after the other, so
// that they don't all come to the next instance at once, and ends them when the time is over.

import type { Clock } from '../domain/clock.ts';
import type { CoordinationError } from '../domain/errors.ts';
import { draining } from './refusals.ts';

export interface OpenStream {
  tellDraining(moveWithinMs: number): void;
  /** Ends it; the first end counts. */
  finish(end: CoordinationError): void;
}

/** All streams are told within this part of the time that they have. */
const TELL_WITHIN = 0.5;

export class OpenStreams {
  readonly #clock: Clock;
  readonly #open = new Set<OpenStream>();
  #endsAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Throws DRAINING when no stream may begin here any more. */
  admit(): void {
    if (this.#endsAtMs !== undefined) throw draining();
  }

  add(stream: OpenStream): void {
    this.#open.add(stream);
    // This stream was on its way when the others were told.
    if (this.#endsAtMs === undefined) return;
    const leftMs = Math.max(this.#endsAtMs - this.#clock.monotonicMs(), 0);
    stream.tellDraining(leftMs);
    if (leftMs === 0) stream.finish(draining());
  }

  delete(stream: OpenStream): void {
    this.#open.delete(stream);
  }

  drain(withinMs: number): void {
    this.#endsAtMs = this.#clock.monotonicMs() + withinMs;
    const streams = [...this.#open];
    for (const [index, stream] of streams.entries()) {
      const afterMs = (index / streams.length) * TELL_WITHIN * withinMs;
      this.#clock.after(afterMs, () => {
        if (this.#open.has(stream)) stream.tellDraining(withinMs - afterMs);
      });
    }
    this.#clock.after(withinMs, () => {
      for (const stream of this.#open) stream.finish(draining());
    });
  }
}
