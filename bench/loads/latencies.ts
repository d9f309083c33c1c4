// A histogram of latencies in milliseconds, with a resolution of one microsecond.
import { createHistogram } from 'node:perf_hooks';

/** Fewer samples than this say nothing about one in a thousand. */
const MANY_SAMPLES = 10_000;

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Left out if there are fewer than 10,000 samples. */
  readonly p999Ms?: number;
}

export class Latencies {
  readonly #histogram = createHistogram();

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1_000)));
  }

  /** NaN if there are no samples. */
  percentile(of: number): number {
    return this.#histogram.count === 0 ? Number.NaN : this.#histogram.percentile(of) / 1_000;
  }

  /** NaN if there are no samples. */
  most(): number {
    return this.#histogram.count === 0 ? Number.NaN : this.#histogram.max / 1_000;
  }

  percentiles(): Percentiles {
    const few = { p50Ms: this.percentile(50), p99Ms: this.percentile(99) };
    return this.#histogram.count < MANY_SAMPLES ? few : { ...few, p999Ms: this.percentile(99.9) };
  }

  /** Settles as `work` does, and records how long that took. */
  async of<T>(work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await work();
    } finally {
      this.add(performance.now() - startedMs);
    }
  }
}
