// Quantiles of what a server has counted in the buckets of a histogram between two scrapes, as Prometheus estimates
// them: evenly spread within a bucket. Owns that estimate.
import type { Sample } from '../test/support/exposition.ts';

export interface Bucket {
  /** Its upper bound. */
  readonly atMost: number;
  /** What is at most that, so what the buckets below have is in it too. */
  readonly count: number;
}

/** The buckets of one series of the histogram, in order. */
export function bucketsOf(samples: readonly Sample[], name: string): readonly Bucket[] {
  return samples
    .filter((sample) => sample.name === `${name}_bucket`)
    .map(({ labels, value }) => ({ atMost: boundOf(labels.le), count: value }))
    .toSorted((a, b) => a.atMost - b.atMost);
}

/** What was counted after `before`, which may be empty. */
export function counted(before: readonly Bucket[], after: readonly Bucket[]): readonly Bucket[] {
  return after.map(({ atMost, count }) => ({
    atMost,
    count: count - (before.find((bucket) => bucket.atMost === atMost)?.count ?? 0),
  }));
}

/** NaN if nothing was counted; the highest bound if it lies past all of them. */
export function quantileOf(buckets: readonly Bucket[], part: number): number {
  const all = buckets.at(-1)?.count ?? 0;
  if (all === 0) return Number.NaN;
  const rank = part * all;
  let below: Bucket = { atMost: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= rank) {
      if (!Number.isFinite(bucket.atMost)) return below.atMost;
      const share = (rank - below.count) / (bucket.count - below.count);
      return below.atMost + (bucket.atMost - below.atMost) * share;
    }
    below = bucket;
  }
  return below.atMost;
}

function boundOf(le: string | undefined): number {
  return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
}
