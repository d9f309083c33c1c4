// The system's clock, which counts the timers that are set, so that a test sees a timer that was not cancelled.

import { type Clock, systemClock, type Timer } from '../../src/domain/clock.ts';

export class CountingClock implements Clock {
  readonly #set = new Set<Timer>();

  get timers(): number {
    return this.#set.size;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  wallMs(): number {
    return systemClock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    const inner = systemClock.after(delayMs, () => {
      this.#set.delete(timer);
      fire();
    });
    const timer: Timer = {
      cancel: () => {
        this.#set.delete(timer);
        inner.cancel();
      },
    };
    this.#set.add(timer);
    return timer;
  }
}
