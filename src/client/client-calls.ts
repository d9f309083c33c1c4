// How all parts of the client make calls: over one channel, with the client's defaults and with errors that users can
// catch.

import { ADVICE } from './advice.ts';
import type { Channel } from './core/channel.ts';
import { ANSWER_WITHIN_MS } from './core/release.ts';
import { type Answered, answerShareMs, callUnary, type Invoke } from './core/unary-call.ts';
import { waitMsOf } from './number-options.ts';
import { translated } from './translate-error.ts';

export interface CallerOptions {
  readonly channel: Channel;
  readonly addresses: readonly string[];
  readonly owner: string;
  /** Whether spans show names, and not only their hashes. */
  readonly traceNames: boolean;
}

/** Options of every call that a server answers at once. */
export interface CallOptions {
  /** Its abort gives up the call, which then rejects with the reason of the abort. */
  readonly signal?: AbortSignal | undefined;
  /** How long the client tries, over all instances, in milliseconds; 10 s by default, Infinity for ever. */
  readonly timeoutMs?: number | undefined;
}

export interface UnaryBounds extends CallOptions {
  /** How long the first try may take, in milliseconds; 3 s by default. */
  readonly tryForMs?: number;
  /** Whether the server may take long on purpose. */
  readonly waits?: boolean;
  /** Gives up when each instance was asked once. */
  readonly asksOnce?: boolean;
}

/**
 * How long an answer may take to arrive after the wait that its call asks for. A wait isn't cut into pieces, which
 * would cost its place in the queue: the connection notices an instance that hangs.
 */
export const ANSWER_MS = 3_000;

/**
 * How long a call may wait at the server, and its bounds: one try, which takes all of the wait; without a wait one try
 * at each instance. `timeoutMs` bounds all of it, and leaves time for more tries.
 */
export function boundsOfWait(
  waitMs: number,
  timeoutMs: number | undefined,
): { readonly waitMs: number; readonly bounds: UnaryBounds } {
  if (timeoutMs === undefined) {
    const wholeMs = waitMs + ANSWER_MS;
    return {
      waitMs,
      bounds: waitMs >= 1 ? { timeoutMs: wholeMs, tryForMs: wholeMs, waits: true } : { asksOnce: true },
    };
  }
  const fittingMs = Math.max(0, Math.min(waitMs, timeoutMs - answerShareMs(timeoutMs)));
  const bounds = { timeoutMs, ...(fittingMs >= 1 ? { tryForMs: fittingMs + ANSWER_MS, waits: true } : {}) };
  return { waitMs: fittingMs, bounds };
}

/** Throws where an answer lacks what every answer has. `what` is a noun with its article. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`The server answered without ${what}. ${ADVICE.INTERNAL}`);
  return value;
}

export class Caller {
  readonly channel: Channel;
  readonly owner: string;
  readonly traceNames: boolean;
  readonly #addresses: readonly string[];

  constructor({ channel, addresses, owner, traceNames }: CallerOptions) {
    this.traceNames = traceNames;
    this.channel = channel;
    this.owner = owner;
    this.#addresses = addresses;
  }

  /** Repeats a call whose failure may pass, with the same ids, until it is answered or its time is over. */
  async unary<Response>(invoke: Invoke<Response>, bounds: UnaryBounds = {}): Promise<Answered<Response>> {
    const { signal, tryForMs, waits = false, asksOnce = false } = bounds;
    const timeoutMs = waitMsOf('timeoutMs', bounds.timeoutMs, ANSWER_WITHIN_MS);
    const deadlineMs = this.channel.clock.monotonicMs() + timeoutMs;
    return this.caught(
      () =>
        callUnary(this.channel, invoke, {
          deadlineMs,
          waits,
          asksOnce,
          ...(tryForMs === undefined ? {} : { tryForMs }),
          ...(signal ? { signal } : {}),
        }),
      signal,
    );
  }

  async answer<Response>(invoke: Invoke<Response>, bounds: UnaryBounds = {}): Promise<Response> {
    return (await this.unary(invoke, bounds)).response;
  }

  /**
   * Runs `work`, and rejects with what users catch: the reason of `signal` where that aborted, else a LeaseholdError.
   */
  async caught<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw this.translated(error);
    }
  }

  translated(error: unknown): unknown {
    return translated(error, this.#addresses);
  }
}
