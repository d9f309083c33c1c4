// Waits and lengths of time for the callers of the demo.
import { setTimeout as sleep } from 'node:timers/promises';

export function between(low: number, high: number): number {
  return low + Math.random() * (high - low);
}

/** Ends early, and without an error, when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}
