// One call of a client, and what every service does with it: gives it a stamp, bounds what it asks the store, ends its
// wait in time, and logs what it changed. What a call asks for is not known here.

import type { Caller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { type CallStamp, leaseIdHash } from '../domain/lock.ts';
import type { Trace } from '../domain/trace.ts';
import type { StoreBound } from '../store/lock-store.ts';

/** One call of a client, as the transport received it. */
export interface CallContext {
  /** When its request arrived, on the monotonic clock: `valid_for` counts from here. */
  readonly arrivedAtMs: number;
  /** When its client stops waiting, on the monotonic clock; Infinity when it set no deadline. */
  readonly deadlineMs: number;
  /** Aborts when the call ends before it is answered: it was cancelled, or its connection is gone. */
  readonly ended: AbortSignal;
  readonly caller: Caller;
  /** The address that the call came from, for the log. */
  readonly peer: string;
  /** Undefined unless the call is traced. */
  readonly trace?: Trace | undefined;
}

/** Numbers this instance's calls. By its number a store knows which call speaks for a lease or a place in the queue. */
export class CallStamps {
  readonly #instanceId: string;
  #calls: number;

  /** `from`: an even number, which no call of this instance has had. */
  constructor(instanceId: string, from = 0) {
    this.#instanceId = instanceId;
    this.#calls = from;
  }

  forUnary(): CallStamp {
    this.#calls += 2;
    return { instanceId: this.#instanceId, callNumber: this.#calls };
  }

  /** Odd: the stores tell a stream when its lease was released. */
  forStream(): CallStamp {
    this.#calls += 2;
    return { instanceId: this.#instanceId, callNumber: this.#calls + 1 };
  }
}

// ---- Time.

export interface CommandTime {
  readonly clock: Clock;
  /** How long one command of the store may take, its wait and its confirmation included. */
  readonly commandTimeoutMs: number;
}

/**
 * The bound of a store call that begins now: the command timeout, but for a client's call never later than its own
 * deadline. After that nobody waits for the answer: a grant would block the resource for nobody, and an operation
 * would stand still.
 */
export function bounded(
  { clock, commandTimeoutMs }: CommandTime,
  call?: Pick<CallContext, 'deadlineMs' | 'trace'>,
): StoreBound {
  return {
    trace: call?.trace,
    deadlineMs: Math.min(
      clock.monotonicMs() + commandTimeoutMs,
      call?.deadlineMs ?? Number.POSITIVE_INFINITY,
    ),
  };
}

/** A wait ends this long before the client's own deadline, so that its answer arrives in time. */
const ANSWER_BEFORE_MS = 100;

/** When a call that waits up to `waitMs` stops waiting, on the monotonic clock; Infinity for never. */
export function waitEndsMs({ arrivedAtMs, deadlineMs }: CallContext, waitMs: number): number {
  return Math.min(arrivedAtMs + waitMs, deadlineMs - ANSWER_BEFORE_MS);
}

/**
 * Whether it can help to try again here. Not after a defect, which would be the same the next time. Nor where this
 * instance is no part of the deployment, as after an upgrade of the key layout: a call that went on waiting here, maybe
 * for ever, would keep its client from the instances that can answer.
 */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof CoordinationError)) return false;
  return error.code !== 'INTERNAL' && error.code !== 'DEPLOYMENT_MISMATCH';
}

// ---- The log.

/** One finished mutation, for the log: never a whole lease id or claim id. What is undefined is left out. */
export interface MutationRecord {
  readonly rpc: string;
  readonly resource: string | undefined;
  /** The hash of the lease id. */
  readonly lease: string | undefined;
  readonly operationId: string | undefined;
  /** The hash of the claim id. */
  readonly claim: string | undefined;
  readonly owner: string | undefined;
  readonly outcome: string;
  readonly fencingToken: string | undefined;
  readonly tookMs: number;
}

export interface MutationLog {
  readonly clock: Clock;
  /** Called after each mutation; undefined where nobody reads it. */
  readonly onMutation: ((record: MutationRecord) => void) | undefined;
}

/** What a call changes, as far as it is known when the call arrives. */
export interface MutationSubject {
  readonly resource?: string;
  readonly leaseId?: string;
  readonly operationId?: string;
  readonly claimId?: string | undefined;
  readonly owner?: string;
}

/** What became of it: goes before what was known at first. */
export interface MutationResult extends MutationSubject {
  readonly outcome: string;
  readonly fencingToken?: bigint;
}

/** Does the work and logs what `resultsOf` makes of it, one line each, or the code of the error that it threw. */
export async function logged<T>(
  { clock, onMutation }: MutationLog,
  rpc: string,
  subject: MutationSubject,
  work: () => Promise<T>,
  resultsOf: (done: T) => readonly MutationResult[],
): Promise<T> {
  if (!onMutation) return work();
  const startedMs = clock.monotonicMs();
  const record = ({ outcome, fencingToken, ...known }: MutationResult): void => {
    const { resource, leaseId, operationId, claimId, owner } = { ...subject, ...known };
    onMutation({
      rpc,
      resource,
      lease: leaseId && leaseIdHash(leaseId),
      operationId,
      claim: claimId && leaseIdHash(claimId),
      owner: owner || undefined,
      outcome,
      fencingToken: fencingToken?.toString(),
      tookMs: Math.round((clock.monotonicMs() - startedMs) * 1_000) / 1_000,
    });
  };
  try {
    const done = await work();
    for (const result of resultsOf(done)) record(result);
    return done;
  } catch (error) {
    record({ outcome: error instanceof CoordinationError ? error.code : 'INTERNAL' });
    throw error;
  }
}
