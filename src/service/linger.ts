// A subscription that several short interests share. It begins with the first and ends some time after the last, so
// that it doesn't come and go with each call.

import type { Clock, Timer } from '../domain/clock.ts';

const LINGER_MS = 10_000;

export class Linger {
  readonly #clock: Clock;
  readonly #begin: () => () => void;
  #end: (() => void) | undefined;
  #interests = 0;
  #timer: Timer | undefined;

  /** `begin` starts the subscription, and returns a function that ends it. */
  constructor(clock: Clock, begin: () => () => void) {
    this.#clock = clock;
    this.#begin = begin;
  }

  /** Returns a function that ends this interest, to be called once. */
  join(): () => void {
    this.#interests++;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#end ??= this.#begin();
    return () => {
      if (--this.#interests > 0) return;
      this.#timer = this.#clock.after(LINGER_MS, () => this.close());
    };
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#end?.();
    this.#end = undefined;
  }
}
