// What a server does that is asked for more than it can do. It reads what lies in its sockets between two turns of the
// event loop. If that is more than it can answer, each turn takes longer than the one before, and everything comes too
// late: answers after their callers have given up, and renewals after the end of their leases. So when a turn has gone
// on for too long, calls that begin something, or only look, are refused before anything of them is read. Those that
// keep or end what is held always get through.

import type { OutgoingHttpHeaders } from 'node:http2';
import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { errorStatus } from './error-status.ts';
import { trailersOf } from './grpc/call-status.ts';
import { RESPONSE_HEADERS } from './grpc/grpc-call.ts';

/**
 * The rpcs that can be refused: they begin something, or only look. Not Hold: a client whose connection is gone goes on
 * with its lease by it.
 */
export const CAN_BE_SHED: readonly string[] = [
  'Acquire',
  'AcquireMany',
  'GetLock',
  'ListLocks',
  'WatchLocks',
  'ListContendedLocks',
  'ListSuspectedDeadlocks',
  'BeginOperation',
  'ClaimOperations',
  'RetryOperation',
  'GetOperation',
  'ListOperations',
  'WaitOperation',
  'WatchOperations',
];

export interface SheddingObserver {
  /** Before the first call: this rpc can be refused. */
  canRefuse(rpc: string): void;
  /** An rpc was refused. */
  readonly onRefused: (rpc: string) => void;
  readonly onBegin: () => void;
  readonly onEnd: (facts: { readonly refused: number; readonly forMs: number }) => void;
}

/** A turn so long begins it: some thousand calls that came at once don't. */
const LONG_TURN_MS = 200;
/**
 * From then on a turn takes such calls for so long. What it takes is answered in the next ones, and to refuse costs a
 * third of an answer: with more, turns stay long, and less is answered in all.
 */
const TAKES_CALLS_MS = 10;
/** It ends when nothing was refused for so long. */
const CALM_MS = 1_000;
/** When to ask again. */
const RETRY_MS = 1_000;

export class LoadShedding {
  readonly #clock: Clock;
  readonly #observer: SheddingObserver;
  readonly #canBeShed = new Map<string, string>();
  readonly #refusal: OutgoingHttpHeaders;
  /** When this turn took its first call. */
  #turnAtMs: number | undefined;
  #beganAtMs: number | undefined;
  #refusedAtMs = 0;
  #refused = 0;

  /** `paths`: of all rpcs, as requests name them. */
  constructor(paths: readonly string[], clock: Clock, observer: SheddingObserver) {
    this.#clock = clock;
    this.#observer = observer;
    for (const path of paths) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (!CAN_BE_SHED.includes(name)) continue;
      this.#canBeShed.set(path, name);
      observer.canRefuse(name);
    }
    const message = 'this server is asked for more than it can do; nothing was changed';
    const status = errorStatus(new CoordinationError('OVERLOADED', message, { retryAfterMs: RETRY_MS }));
    this.#refusal = { ...RESPONSE_HEADERS, ...trailersOf(status) };
  }

  /** Asked when a call arrives: the headers of its answer, after which nothing follows, if it is refused. */
  refusalOf(path: string): OutgoingHttpHeaders | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (this.#turnAtMs === undefined) {
      this.#turnAtMs = nowMs;
      setImmediate(this.#turnIsOver);
      return undefined;
    }
    const turnMs = nowMs - this.#turnAtMs;
    if (turnMs < TAKES_CALLS_MS) return undefined;
    if (this.#beganAtMs === undefined) {
      if (turnMs < LONG_TURN_MS) return undefined;
      this.#beganAtMs = nowMs;
      this.#observer.onBegin();
    }
    const rpc = this.#canBeShed.get(path);
    if (rpc === undefined) return undefined;
    this.#refusedAtMs = nowMs;
    this.#refused++;
    this.#observer.onRefused(rpc);
    return this.#refusal;
  }

  // The sockets are read: timers and replies of Redis come next.
  readonly #turnIsOver = (): void => {
    this.#turnAtMs = undefined;
    if (this.#beganAtMs === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - Math.max(this.#refusedAtMs, this.#beganAtMs) < CALM_MS) return;
    this.#observer.onEnd({ refused: this.#refused, forMs: nowMs - this.#beganAtMs });
    this.#beganAtMs = undefined;
    this.#refused = 0;
  };
}
