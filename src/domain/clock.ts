// Time and timers as the rest of the code sees them, so that tests can bring their own. Nothing else reads a
// clock.

export interface Timer {
  cancel(): void;
  /** It fires when it is due, but doesn't keep the process alive until then. Clocks of tests may not have it. */
  letGo?(): void;
}

export interface Clock {
  /** Milliseconds on this process's monotonic clock; only differences mean anything. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the system clock; for people only, never compared with a deadline. */
  wallMs(): number;
  /** Runs `fire` once after at least `delayMs`. */
  after(delayMs: number, fire: () => void): Timer;
}

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** Milliseconds on the machine's monotonic clock, which all its processes share. It begins when the machine does. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** Its timers never keep the process alive by themselves. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, fire) => startTimer(delayMs, fire, false),
};

/**
 * The same, but its timers keep the process alive: for clients, whose process may have nothing else that does. A
 * process would otherwise end while a lease is between two streams, or while a caller waits before the next try.
 */
export const wakefulClock: Clock = {
  ...systemClock,
  after: (delayMs, fire) => startTimer(delayMs, fire, true),
};

function startTimer(delayMs: number, fire: () => void, keepsAwake: boolean): Timer {
  let isWakeful = keepsAwake;
  // setTimeout takes more than 24.8 days for "at once".
  const wait = (leftMs: number): NodeJS.Timeout => {
    const next = (): void => {
      handle = wait(leftMs - LONGEST_TIMEOUT_MS);
    };
    const started =
      leftMs <= LONGEST_TIMEOUT_MS
        ? setTimeout(fire, Math.max(0, leftMs))
        : setTimeout(next, LONGEST_TIMEOUT_MS);
    return isWakeful ? started : started.unref();
  };
  let handle = wait(delayMs);
  return {
    cancel: () => clearTimeout(handle),
    letGo() {
      isWakeful = false;
      handle.unref();
    },
  };
}

/** Resolves after `delayMs`, or at once when `signal` aborts. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/**
 * Settles as `work` does, or rejects with `tooLate()` after `limitMs`; the work itself goes on. After this process was
 * paused, timers are due before the sockets are read: what arrived meanwhile gets a turn before the time is up.
 */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  work: Promise<T>,
  tooLate: () => Error,
): Promise<T> {
  let timer: Timer | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = clock.after(limitMs, () => {
      timer = clock.after(0, () => reject(tooLate()));
    });
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer?.cancel();
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
