// A clock that stands still until a test moves it, and runs what is due on the way in order.

import type { Clock, Timer } from '../../src/domain/clock.ts';

interface Due {
  readonly atMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #due = new Set<Due>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const due = { atMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  get timers(): number {
    return this.#due.size;
  }

  /** Moves on, timer by timer; between two of them everything that was promised settles. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#due].sort((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#due.delete(next);
      next.fire();
      await settled();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
