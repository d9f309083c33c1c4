// Looks for suspected deadlocks now and then while a call of this instance has waited long, so that metrics and the log
// tell of one that nobody asks for. An instance on which nobody waits long looks at nothing.
//
// Of what it finds, only circles count in which every wait is long. Where busy processes have many tasks each and one
// name, circles of short waits come and go all the time, and none of them is a deadlock.

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

/** About as long as it takes other instances to report their waits. */
export const LONG_WAIT_MS = 5_000;
/** The first look, after the beginning of the oldest wait: those that answer it can have begun a little later. */
export const LOOK_FROM_MS = 7_000;
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

  /** How many the last look found in which all waits are long; 0 while no call of this instance waits long. */
  get count(): number {
    return this.#options.window.oldestWaitMs < LOOK_FROM_MS ? 0 : this.#known.size;
  }

  /** A call begins to wait. */
  wake(): void {
    if (!this.#isLooking) this.#lookAfter(LOOK_FROM_MS);
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
    const leftMs = LOOK_FROM_MS - window.oldestWaitMs;
    if (leftMs > 0) {
      this.#lookAfter(leftMs);
      return;
    }
    try {
      const { deadlocks: found, nowWallMs } = await search();
      const deadlocks = found.filter((members) =>
        members.every(({ sinceWallMs }) => nowWallMs - sinceWallMs >= LONG_WAIT_MS),
      );
      const before = this.#known;
      this.#known = new Set(deadlocks.map(nameOf));
      for (const deadlock of deadlocks) if (!before.has(nameOf(deadlock))) onDeadlock(deadlock);
    } catch {
      // The store is away. What it knew last is still the best that there is.
    }
    this.#lookAfter(LOOK_EVERY_MS * (1 - JITTER * random()));
  }
}
