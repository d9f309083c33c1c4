// How long to wait before trying again: exponential, with full jitter (a delay drawn from the whole span below the
// bound), so that callers who failed together do not come back together. After "Exponential Backoff And Jitter",
// AWS Architecture Blog, 2015.

export interface BackoffBounds {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** The delay in milliseconds after `attempt` + 1 tries that failed; `random` returns numbers from 0 to below 1. */
export function fullJitterMs(
  attempt: number,
  { firstMs, mostMs }: BackoffBounds,
  random: () => number,
): number {
  return random() * Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
}
