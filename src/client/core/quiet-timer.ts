// Notices that nothing was heard for some time. There is one timer for many messages: when it is due, it goes on for
// what is left since the last of them.

import type { Clock, Timer } from '../../domain/clock.ts';

export class QuietTimer {
  readonly #clock: Clock;
  readonly #fire: () => void;
  #quietMs = 0;
  #sinceMs = 0;
  #timer: Timer | undefined;

  /** `fire` is called once for each start, unless it is stopped before. */
  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** How long it may be quiet, in milliseconds. Counts from now. */
  start(quietMs: number): void {
    this.stop();
    this.#quietMs = quietMs;
    this.heard();
    this.#wait();
  }

  heard(): void {
    this.#sinceMs = this.#clock.monotonicMs();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #leftMs(): number {
    return Math.max(0, this.#sinceMs + this.#quietMs - this.#clock.monotonicMs());
  }

  // After this process was paused, timers are due before the sockets are read: what has arrived gets a turn first.
  #wait(): void {
    this.#timer = this.#clock.after(this.#leftMs(), () => {
      this.#timer = this.#clock.after(this.#leftMs(), () => {
        if (this.#leftMs() > 0) this.#wait();
        else this.#fire();
      });
    });
  }
}
