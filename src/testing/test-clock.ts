// A clock for tests of what takes long. It runs like any other and can be sent ahead: timers that fall due on the way
// fire in order, and what one sets off, also over connections of this process, is done before the next one fires.

import { type Clock, type Timer, wakefulClock } from '../domain/clock.ts';

interface Due {
  readonly atMs: number;
  readonly fire: () => void;
  readonly real: Timer;
}

/** How many turns of the event loop a message needs to get through both ends of a connection, and its answer back. */
const TURNS = 25;

export class TestClock implements Clock {
  readonly #due = new Set<Due>();
  #aheadMs = 0;

  monotonicMs(): number {
    return wakefulClock.monotonicMs() + this.#aheadMs;
  }

  /** `advance` doesn't change it: gRPC counts its deadlines by the system's wall clock. */
  wallMs(): number {
    return wakefulClock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    const due: Due = {
      atMs: this.monotonicMs() + Math.max(0, delayMs),
      fire,
      real: wakefulClock.after(delayMs, () => this.#fire(due)),
    };
    this.#due.add(due);
    return { cancel: () => this.#drop(due), letGo: () => due.real.letGo?.() };
  }

  /** Sends the clock ahead by `ms`. Resolves when everything that fell due on the way is done. */
  async advance(ms: number): Promise<void> {
    if (!(typeof ms === 'number' && ms >= 0 && ms < Infinity)) {
      throw new RangeError(`advance() takes a finite number of milliseconds from 0, but it got ${ms}`);
    }
    const untilMs = this.monotonicMs() + ms;
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#goTo(next.atMs);
      this.#fire(next);
      await settled();
    }
    this.#goTo(untilMs);
    await settled();
  }

  #next(untilMs: number): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) if (due.atMs <= untilMs && due.atMs < (first?.atMs ?? Infinity)) first = due;
    return first;
  }

  // Real time passes too, and may already be further on.
  #goTo(atMs: number): void {
    this.#aheadMs += Math.max(0, atMs - this.monotonicMs());
  }

  #fire(due: Due): void {
    if (!this.#drop(due)) return;
    due.fire();
  }

  #drop(due: Due): boolean {
    due.real.cancel();
    return this.#due.delete(due);
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
