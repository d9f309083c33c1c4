// When the calls of an open loop are due: evenly, at a rate that doesn't ask whether the ones before were answered.
// Owns that schedule; open-loop.ts keeps to it.

export class Arrivals {
  /** All of them. */
  readonly count: number;
  readonly #apartMs: number;

  constructor(perSecond: number, forMs: number) {
    this.#apartMs = 1_000 / perSecond;
    this.count = Math.floor(forMs / this.#apartMs);
  }

  /** The first is due at once. In milliseconds since the start. */
  dueMs(index: number): number {
    return index * this.#apartMs;
  }

  /** How many are due when this much time has passed. */
  dueBy(elapsedMs: number): number {
    if (elapsedMs < 0) return 0;
    return Math.min(Math.floor(elapsedMs / this.#apartMs) + 1, this.count);
  }
}
