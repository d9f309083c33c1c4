// When connections break, holders come first: a caller that only waits lets the leases have their streams again before
// it opens its own. *Stops:* a server comes back, thousands of waiting calls arrive, and the renewals behind them are
// late.

export class HoldersFirst {
  readonly #without = new Set<object>();
  readonly #waiting = new Set<() => void>();

  /** The holder has no stream that keeps what it holds. */
  lacks(holder: object): void {
    this.#without.add(holder);
  }

  /** The holder has one again, or needs none any more. */
  has(holder: object): void {
    if (!this.#without.delete(holder) || this.#without.size > 0) return;
    for (const go of [...this.#waiting]) go();
  }

  /** How many lack one. */
  get lacking(): number {
    return this.#without.size;
  }

  /** Calls `go` when the last holder gets a stream; the returned function takes that back. */
  when(go: () => void): () => void {
    this.#waiting.add(go);
    return () => this.#waiting.delete(go);
  }
}
