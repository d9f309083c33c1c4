// Looks for suspected deadlocks now and then while a call of this instance has waited long, so that metrics and the log
// tell of one that nobody asks for. An instance on which nobody waits long looks at nothing.

import type { Clock, Timer } from '../../domain/clock.ts';
import type { ContentionWindow } from './contention-window.ts';
import type { FoundDeadlocks } from './deadlock-search.ts';
import { type Deadlock, nameOf } from './wait-graph.ts';

export interface DeadlockWatchOptions {
  readonly window: ContentionWindow;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly search: () => Promise<FoundDeadlocks>;
  /** Called once for each, when it is first seen. */
  readonly onDeadlock: (deadlock: Deadlock) => void;
}

/** Longer than it takes the waits of other instances to be reported. */
export const LONG_WAIT_MS = 6_000;
const LOOK_EVERY_MS = 15_000;
/** Instances that were started together don't look together. */
const JITTER = 0.2;

export class DeadlockWatch {
  readonly #options: DeadlockWatchOptions;
  #known: ReadonlySet<string> = new Set();
  #isLooking = false;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: DeadlockWatchOptions) {
    this.#options = options;
  }

  /** How many the last look found; 0 while no call of this instance waits long. */
  get count(): number {
    return this.#options.window.oldestWaitMs < LONG_WAIT_MS ? 0 : this.#known.size;
  }

  /** A call begins to wait. */
  wake(): void {
    if (!this.#isLooking) this.#lookAfter(LONG_WAIT_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #lookAfter(ms: number): void {
    this.#isLooking = true;
    if (!this.#isClosed) this.#timer = this.#options.clock.after(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { window, random, search, onDeadlock } = this.#options;
    if (window.waitCount === 0) {
      this.#isLooking = false;
      this.#known = new Set();
      return;
    }
    const leftMs = LONG_WAIT_MS - window.oldestWaitMs;
    if (leftMs > 0) {
      this.#lookAfter(leftMs);
      return;
    }
    try {
      const { deadlocks } = await search();
      const before = this.#known;
      this.#known = new Set(deadlocks.map(nameOf));
      for (const deadlock of deadlocks) if (!before.has(nameOf(deadlock))) onDeadlock(deadlock);
    } catch {
      // The store is away. What it knew last is still the best that there is.
    }
    this.#lookAfter(LOOK_EVERY_MS * (1 - JITTER * random()));
  }
}
