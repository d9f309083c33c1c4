// The timers of one owner on a clock, so that its end reaches all of them: those that are set and those to come.

import type { Clock, Timer } from './clock.ts';

export class TimerGroup implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #state: 'in-use' | 'let-go' | 'cancelled' = 'in-use';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    if (this.#state === 'cancelled') return { cancel() {} };
    const inner = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      fire();
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        inner.cancel();
      },
      letGo: () => inner.letGo?.(),
    };
    this.#timers.add(timer);
    if (this.#state === 'let-go') timer.letGo?.();
    return timer;
  }

  /** They fire when they are due, but don't keep the process alive until then. */
  letGo(): void {
    this.#state = 'let-go';
    for (const timer of this.#timers) timer.letGo?.();
  }

  /** None of them fires. */
  cancel(): void {
    this.#state = 'cancelled';
    for (const timer of [...this.#timers]) timer.cancel();
  }
}
