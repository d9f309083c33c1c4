// What all parts of the client call through: the channel, the client's defaults, and errors that users can catch.

import { ADVICE } from './advice.ts';
import type { Channel } from './core/channel.ts';
import { ANSWER_WITHIN_MS } from './core/release.ts';
import { type Answered, callUnary, type Invoke } from './core/unary-call.ts';
import { translated } from './translate-error.ts';

export interface CallerOptions {
  readonly channel: Channel;
  readonly addresses: readonly string[];
  readonly owner: string;
}

/** Of every call that is answered at once. */
export interface CallOptions {
  /** Gives up; the call then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long it is tried, over all instances: 10 s unless given. */
  readonly timeoutMs?: number | undefined;
}

interface UnaryBounds extends CallOptions {
  /** How long one try may take; 3 s unless given. */
  readonly tryForMs?: number;
}

/**
 * How long an answer may take to arrive after the wait that its call asks for. A wait isn't cut into pieces, which
 * would cost its place in the queue: the connection notices an instance that hangs.
 */
export const ANSWER_MS = 3_000;

/** The bounds of a call that waits at the server: one try, which takes all of the wait. */
export function boundsOfWait(waitMs: number): Required<Pick<UnaryBounds, 'timeoutMs' | 'tryForMs'>> {
  return { timeoutMs: waitMs + ANSWER_MS, tryForMs: waitMs + ANSWER_MS };
}

/** Throws where an answer lacks what every answer has. `what` is a noun with its article. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`The server answered without ${what}. ${ADVICE.INTERNAL}`);
  return value;
}

export class Caller {
  readonly channel: Channel;
  readonly owner: string;
  readonly #addresses: readonly string[];

  constructor({ channel, addresses, owner }: CallerOptions) {
    this.channel = channel;
    this.owner = owner;
    this.#addresses = addresses;
  }

  /** Repeats what may pass, with the same ids, until it is answered or its time is over. */
  async unary<Response>(invoke: Invoke<Response>, bounds: UnaryBounds = {}): Promise<Answered<Response>> {
    const { signal, timeoutMs = ANSWER_WITHIN_MS, tryForMs } = bounds;
    const deadlineMs = this.channel.clock.monotonicMs() + timeoutMs;
    return this.caught(
      () =>
        callUnary(this.channel, invoke, {
          deadlineMs,
          ...(tryForMs === undefined ? {} : { tryForMs }),
          ...(signal ? { signal } : {}),
        }),
      signal,
    );
  }

  async answer<Response>(invoke: Invoke<Response>, bounds: UnaryBounds = {}): Promise<Response> {
    return (await this.unary(invoke, bounds)).response;
  }

  /** Runs it, and rejects with what users catch: the reason of `signal` if that is why, else a LeaseholdError. */
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
