// One kind of call in one place: a unary handler from an async function. Owns the deadline, the status for what is
// thrown, and that every call gets exactly one answer.

import { status } from '@grpc/grpc-js';
import type { Caller } from '../domain/caller.ts';
import type { Clock } from '../domain/clock.ts';
import { CoordinationError, type ErrorCode } from '../domain/errors.ts';
import type { Trace } from '../domain/trace.ts';
import type { CallContext } from '../service/call.ts';
import type { CallTracing } from '../tracing/call-tracing.ts';
import type { Authorization } from './authorization.ts';
import { errorStatus } from './error-status.ts';
import type { UnaryCall, UnaryHandler } from './grpc/rpc.ts';
import { Undecodable } from './service-definition.ts';

/** Hears of a server's calls: for metrics, for the log, and for the server's orderly end. */
export interface CallObserver {
  /** Before the first call: the rpc of this name can be called. */
  serves(method: string): void;
  callBegan(): void;
  /** Follows each `callBegan`. `method` is the name of the rpc, `code` the name of the gRPC status. */
  callEnded(method: string, code: string, tookMs: number): void;
  /** The call is a stream, which is open until `streamEnded`. */
  streamBegan(method: string): void;
  streamEnded(method: string): void;
  /** A defect: something was thrown that nobody expects. */
  defect(method: string, thrown: unknown): void;
}

export interface CallEnvironment {
  readonly clock: Clock;
  readonly observer: CallObserver;
  readonly authorization: Authorization;
  readonly tracing: CallTracing;
}

/** Makes the signal of the call's end only when it is asked for: most calls end before that. */
class UnaryContext implements CallContext {
  readonly arrivedAtMs: number;
  readonly deadlineMs: number;
  readonly caller: Caller;
  readonly trace: Trace | undefined;
  readonly #call: UnaryCall<unknown, never>;
  #ended: AbortController | undefined;

  constructor(
    call: UnaryCall<unknown, never>,
    caller: Caller,
    arrivedAtMs: number,
    deadlineMs: number,
    trace: Trace | undefined,
  ) {
    this.#call = call;
    this.trace = trace;
    this.caller = caller;
    this.arrivedAtMs = arrivedAtMs;
    this.deadlineMs = deadlineMs;
  }

  get peer(): string {
    return this.#call.peer;
  }

  get ended(): AbortSignal {
    if (!this.#ended) {
      const ended = new AbortController();
      this.#ended = ended;
      if (this.#call.isCut) ended.abort();
      else this.#call.onCut = () => ended.abort();
    }
    return this.#ended.signal;
  }
}

/** A timer may fire this much before its time. */
export const TIMER_EARLY_MS = 1;
const AFTER_DEADLINE: readonly ErrorCode[] = ['OUTCOME_UNKNOWN', 'DURABILITY_UNMET', 'PRIMARY_UNCONFIRMED'];

export function unary<Request, Response>(
  method: string,
  { clock, observer, authorization, tracing }: CallEnvironment,
  serve: (request: Request, context: CallContext) => Promise<Response> | Response,
): UnaryHandler<Request, Response> {
  observer.serves(method);
  return (call) => {
    const arrivedAtMs = clock.monotonicMs();
    observer.callBegan();
    void answer(call, arrivedAtMs);
  };

  async function answer(call: UnaryCall<Request, Response>, arrivedAtMs: number): Promise<void> {
    let code: status = status.OK;
    let outcome = 'ok';
    const trace = tracing.begin(call);
    const deadlineMs = arrivedAtMs + call.timeLeftMs;
    try {
      const caller = authorization.admit(method, call);
      if (call.request instanceof Undecodable) throw call.request.error;
      const context = new UnaryContext(call, caller, arrivedAtMs, deadlineMs, trace);
      call.answer(await serve(call.request, context));
    } catch (caught) {
      const thrown = clock.monotonicMs() + TIMER_EARLY_MS < deadlineMs ? caught : asDeadline(caught);
      if (!(thrown instanceof CoordinationError) || thrown.code === 'INTERNAL')
        observer.defect(method, thrown);
      const error = errorStatus(thrown);
      code = error.code;
      outcome = reasonOf(thrown);
      call.refuse(error);
    } finally {
      observer.callEnded(method, status[code], clock.monotonicMs() - arrivedAtMs);
      trace?.ended(status[code], code, outcome);
    }
  }
}

/** Why a call was refused, as its error says it. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof CoordinationError ? thrown.code : 'INTERNAL';
}

// The store only knows that its time is over. If that time was the client's own deadline, the client hears so (and the
// metrics count so), and not that the store seems to be away.
export function asDeadline(thrown: unknown): unknown {
  if (!(thrown instanceof CoordinationError) || !AFTER_DEADLINE.includes(thrown.code)) return thrown;
  const message = 'the deadline of the call passed; the outcome is unknown';
  return new CoordinationError('DEADLINE_EXCEEDED', message, {}, thrown);
}
