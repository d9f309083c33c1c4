// Waits for a condition with a bound. Owns the polling and the error that says what never came true; a test that
// needs "soon" uses this and never a bare sleep.
import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Named in the error: "<what> did not happen within …". */
  readonly what: string;
  readonly withinMs: number;
  /** Pause between two tries; 25 ms when not given. */
  readonly everyMs?: number;
}

/**
 * Calls `attempt` until it neither throws nor returns `false`, and returns what it returned. When the time is up
 * it throws an error with `what` and, as its cause, the last error. An attempt that hangs cannot outlive the bound.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { what, withinMs, everyMs = 25 }: EventuallyOptions,
): Promise<Exclude<T, false>> {
  const deadline = performance.now() + withinMs;
  let lastError: unknown = new Error('no attempt was finished');
  for (;;) {
    try {
      const value = await within(attempt, deadline - performance.now());
      if (isMet(value)) return value;
      lastError = new Error('the condition was still false');
    } catch (error) {
      lastError = error;
    }
    if (performance.now() + everyMs > deadline) break;
    await sleep(everyMs);
  }
  const reason = lastError instanceof Error ? lastError.message : String(lastError);
  throw new Error(`${what} did not happen within ${withinMs} ms: ${reason}`, { cause: lastError });
}

function isMet<T>(value: T): value is Exclude<T, false> {
  return value !== false;
}

async function within<T>(attempt: () => T | Promise<T>, leftMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the last attempt did not return')), Math.max(leftMs, 1));
  });
  try {
    return await Promise.race([attempt(), timeUp]);
  } finally {
    clearTimeout(timer);
  }
}
