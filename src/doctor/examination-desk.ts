// Where several ask for an examination of one deployment: there is one at a time, its result is good for a few seconds,
// and all who ask meanwhile get the same. So nobody who reaches the admin port can keep Redis busy by it.

import type { Clock } from '../domain/clock.ts';
import type { Examination } from './examination.ts';

const GOOD_FOR_MS = 5_000;

export class ExaminationDesk {
  readonly #examine: () => Promise<Examination>;
  readonly #clock: Clock;
  #current: Promise<Examination> | undefined;

  constructor(examine: () => Promise<Examination>, clock: Clock) {
    this.#examine = examine;
    this.#clock = clock;
  }

  /** Rejects as the examination does; the next who asks then begins another. */
  latest(): Promise<Examination> {
    if (this.#current) return this.#current;
    const current = this.#examine();
    this.#current = current;
    const forget = (): void => {
      if (this.#current === current) this.#current = undefined;
    };
    current.then(() => this.#clock.after(GOOD_FOR_MS, forget), forget);
    return current;
  }
}
