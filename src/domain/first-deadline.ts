// One timer for the deadlines of many, where nearly all are over long before: a timer each would cost more than the
// work that it bounds.

import type { Clock, Timer } from './clock.ts';

export class FirstDeadline {
  readonly #clock: Clock;
  readonly #look: (nowMs: number) => number;
  #timer: Timer | undefined;
  #atMs = Number.POSITIVE_INFINITY;

  /**
   * `look` ends what has a deadline of `nowMs` or before, and says the first deadline of the others; Infinity for none.
   */
  constructor(clock: Clock, look: (nowMs: number) => number) {
    this.#clock = clock;
    this.#look = look;
  }

  /** One more, on the monotonic clock. */
  add(deadlineMs: number): void {
    if (deadlineMs >= this.#atMs) return;
    this.#timer?.cancel();
    this.#atMs = deadlineMs;
    this.#timer = this.#clock.after(deadlineMs - this.#clock.monotonicMs(), () => {
      const nowMs = this.#clock.monotonicMs();
      // After this process stood still, timers are due before the sockets are read: what arrived has its turn first.
      this.#timer = this.#clock.after(0, () => this.#fire(nowMs));
    });
  }

  #fire(nowMs: number): void {
    this.#atMs = Number.POSITIVE_INFINITY;
    // A timer can fire a little before its time: what it was set for is looked at again then.
    this.add(this.#look(nowMs));
  }
}
