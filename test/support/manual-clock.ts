// A clock that stands still until a test moves it, and fires the timers that are due on the way, in order.

import type { Clock, Timer } from '../../src/domain/clock.ts';

interface Due {
  readonly atMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1_000;
  #wallAheadMs = 1_700_000_000_000;
  readonly #due = new Set<Due>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallAheadMs + this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const due = { atMs: this.#nowMs + Math.max(0, delayMs), fire };
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  get timers(): number {
    return this.#due.size;
  }

  /** The system clock steps; no timer notices. */
  stepWall(ms: number): void {
    this.#wallAheadMs += ms;
  }

  /** Moves on, timer by timer, without a pause: for code without promises. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#nextDue(untilMs); next; next = this.#nextDue(untilMs)) this.#fire(next);
    this.#nowMs = untilMs;
  }

  /** Moves on, timer by timer; between two timers all pending promises settle. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#nextDue(untilMs); next; next = this.#nextDue(untilMs)) {
      this.#fire(next);
      await settled();
    }
    this.#nowMs = untilMs;
    await settled();
  }

  #nextDue(untilMs: number): Due | undefined {
    const [next] = [...this.#due].sort((a, b) => a.atMs - b.atMs);
    return next && next.atMs <= untilMs ? next : undefined;
  }

  #fire(due: Due): void {
    this.#nowMs = Math.max(this.#nowMs, due.atMs);
    this.#due.delete(due);
    due.fire();
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
