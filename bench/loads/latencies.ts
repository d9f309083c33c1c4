// A histogram of latencies in milliseconds, with the resolution of a microsecond.
import { createHistogram } from 'node:perf_hooks';

export class Latencies {
  readonly #histogram = createHistogram();

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1_000)));
  }

  /** NaN when there are none. */
  percentile(of: number): number {
    return this.#histogram.count === 0 ? Number.NaN : this.#histogram.percentile(of) / 1_000;
  }

  /** Settles as `work` does, and counts how long that took. */
  async of<T>(work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await work();
    } finally {
      this.add(performance.now() - startedMs);
    }
  }
}
