// The bounds of histograms that several parts share, in seconds.

/** Calls, and commands of the store: a fraction of a millisecond when all is well, seconds when a bound is reached. */
export const CALL_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** How much later than it was due something was done. */
export const LAG_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
