// A worker claims operations of its types in a loop, and runs up to `concurrency` of them at a time. When it is told to
// stop, it claims no more, tells running handlers to come to an end, and gives back what doesn't finish.
//
// The close() of its client stops it, too; what it held then goes stale, since no server can be told. Servers that are
// away for a while don't end it: it goes on trying, and tells `onError`. An error that doesn't pass (a
// wrong token, an invalid type) ends it, and `finished` rejects.

import { randomUUID } from 'node:crypto';
import {
  type ClaimedOperation,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { fullJitterMs } from '../domain/backoff.ts';
import { aborted } from '../domain/clock.ts';
import { LIMITS } from '../domain/limits.ts';
import { ADVICE } from './advice.ts';
import { type AttemptOutcome, runAttempt, type Work } from './attempt.ts';
import { yielding } from './attempt-record.ts';
import { ANSWER_MS, type Caller, type UnaryBounds } from './client-calls.ts';
import { LeaseholdError, UnavailableError } from './client-errors.ts';
import { channelClosed } from './core/call-error.ts';
import { durationOf } from './core/time-spans.ts';
import { type Answered, BACKOFF } from './core/unary-call.ts';
import { countOf, waitMsOf } from './number-options.ts';
import { type Operation, operationOf, type Payload } from './operation-view.ts';

/** How one attempt of a worker ended. */
export type Handled = Pick<AttemptOutcome<unknown>, 'kind'> & {
  readonly operation: Operation;
  /** What the handler threw, or why its end could not be recorded. */
  readonly error?: unknown;
};

export interface WorkerOptions<Data> {
  readonly types: string | readonly string[];
  /** How many operations it runs at a time, from 1; 1 by default. */
  readonly concurrency?: number | undefined;
  /** Runs one operation and returns its result. attempt.ts lists all the ways in which it can end. */
  readonly handler: Work<Data, unknown>;
  /** Claims only operations of resources that begin with this. */
  readonly prefix?: string | undefined;
  readonly owner?: string | undefined;
  /** Its abort stops the worker, as `stop` does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many milliseconds running handlers have after a stop, before their operations are given back without them;
   * 10 s by default, Infinity for ever.
   */
  readonly graceMs?: number | undefined;
  /** Hears why it can't claim at the moment. */
  readonly onError?: ((error: unknown) => void) | undefined;
  readonly onHandled?: ((handled: Handled) => void) | undefined;
}

const GRACE_MS = 10_000;
/** How long one claim waits for something to do; between two, a dead connection is noticed. */
const CLAIM_WAIT_MS = 20_000;

export class Worker<Data = Payload | undefined> implements AsyncDisposable {
  /**
   * Resolves when it has stopped, by `stop` or by the close of its client, and all it held is finished or given back;
   * rejects with the error that ended it.
   */
  readonly finished: Promise<void>;
  readonly #caller: Caller;
  readonly #options: WorkerOptions<Data>;
  readonly #types: readonly string[];
  readonly #concurrency: number;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #graceMs: number;

  constructor(caller: Caller, options: WorkerOptions<Data>) {
    const { types, signal, onError } = options;
    this.#caller = caller;
    this.#options = options;
    this.#types = typeof types === 'string' ? [types] : types;
    this.#concurrency = countOf('concurrency', options.concurrency, 1) ?? 1;
    this.#graceMs = waitMsOf('graceMs', options.graceMs, GRACE_MS);
    if (caller.channel.isClosed) throw caller.translated(channelClosed());
    const onAbort = (): void => this.#end();
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const ended = caller.channel.began(onAbort);
    this.finished = this.#work().finally(() => {
      ended();
      signal?.removeEventListener('abort', onAbort);
    });
    // A caller with `onError` hears of errors there and need not look at `finished`. For any other, an error must
    // surface as an unhandled rejection.
    if (onError) this.finished.catch(() => {});
  }

  /** How many operations it is running. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Claims no more, tells the handlers to end, and resolves when all it held is finished or given back. `graceMs` is
   * that of the options by default; the first stop decides.
   */
  async stop(options: { readonly graceMs?: number | undefined } = {}): Promise<void> {
    const graceMs = waitMsOf('graceMs', options.graceMs, this.#graceMs);
    if (!this.#stop.signal.aborted) this.#graceMs = graceMs;
    this.#end();
    await this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #end(): void {
    const message = `The worker was told to stop. ${ADVICE.WORKER_STOPPING}`;
    this.#stop.abort(new LeaseholdError(message, { reason: 'WORKER_STOPPING' }));
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for (let failures = 0; !signal.aborted; ) {
        if (this.#running.size >= this.#concurrency) {
          await Promise.race([...this.#running, aborted(signal)]);
          continue;
        }
        try {
          await this.#claim();
          failures = 0;
        } catch (error) {
          if (signal.aborted) break;
          this.#tell(() => this.#options.onError?.(error));
          if (!(error instanceof UnavailableError)) throw error;
          const { channel } = this.#caller;
          const backoffMs = fullJitterMs(failures++, BACKOFF, channel.random);
          await channel.pause(Math.max(error.retryAfterMs ?? 0, backoffMs), signal);
        }
      }
    } finally {
      this.#end(); // also ends the handlers that run while a claim fails
      await Promise.all(this.#running);
    }
  }

  async #claim(): Promise<void> {
    const { signal } = this.#stop;
    const request = ClaimOperationsRequest.fromPartial({
      types: [...this.#types],
      resourcePrefix: this.#options.prefix ?? '',
      claimId: randomUUID(),
      owner: this.#options.owner ?? this.#caller.owner,
      maxOperations: Math.min(this.#concurrency - this.#running.size, LIMITS.claimedOperations),
      waitTimeout: durationOf(CLAIM_WAIT_MS),
    });
    const { response, ...sent } = await this.#ask(request, {
      signal,
      timeoutMs: CLAIM_WAIT_MS + 2 * ANSWER_MS,
      tryForMs: CLAIM_WAIT_MS + ANSWER_MS,
      waits: true,
    }).catch(async (error: unknown) => {
      if (signal.aborted) await this.#giveBack(request);
      throw error;
    });
    for (const claimed of response.claimed) {
      const handled: Promise<void> = this.#handle(claimed, sent).finally(() => this.#running.delete(handled));
      this.#running.add(handled);
    }
  }

  #ask(request: ClaimOperationsRequest, bounds: UnaryBounds): Promise<Answered<ClaimOperationsResponse>> {
    return this.#caller.unary<ClaimOperationsResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.claimOperations(request, metadata, call, callback),
      bounds,
    );
  }

  /**
   * Gives back what a claim got that a stop gave up. *Stops:* the server claims an operation for a waiting call, the
   * worker is stopped and cancels the call, and the answer that was on its way is thrown away. Nobody would run the
   * operation until its heartbeat is missed. The same claim_id finds it again.
   */
  async #giveBack(request: ClaimOperationsRequest): Promise<void> {
    const bounds = { timeoutMs: ANSWER_MS };
    try {
      const { response } = await this.#ask({ ...request, waitTimeout: undefined }, bounds);
      for (const { operation, attempt } of response.claimed) {
        if (!operation || !attempt) continue;
        const { resource, operationId } = operation;
        const { claimId, fencingToken } = attempt;
        const name = { resource, operationId, claimId, fencingToken };
        await this.#caller.unary(yielding(name, undefined), bounds);
      }
    } catch {
      // No server can be told, so the attempts go stale, as when a process dies.
    }
  }

  async #handle({ operation, attempt }: ClaimedOperation, sent: { sentAtMs: number; sentAtWallMs: number }) {
    if (!operation || !attempt) return;
    const { handler, onHandled } = this.#options;
    const given = { operation, attempt, sent };
    try {
      const outcome = await runAttempt(this.#caller, given, handler, {
        stop: this.#stop.signal,
        graceMs: () => this.#graceMs,
      });
      const error = 'error' in outcome ? { error: outcome.error } : {};
      this.#tell(() => onHandled?.({ kind: outcome.kind, operation: operationOf(operation), ...error }));
    } catch (error) {
      this.#tell(() => this.#options.onError?.(error));
    }
  }

  #tell(tell: () => void): void {
    try {
      tell();
    } catch {
      // An observer that throws must not end the work of others.
    }
  }
}
