// One kind of call in one place: a server stream from an async function. Owns its backpressure, its end (exactly once,
// with details), its deadline and its cancellation. A client that doesn't read costs a bounded amount of memory: while
// the stream is blocked, a newer message takes the place of the one that it makes obsolete.

import { status } from '@grpc/grpc-js';
import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { CallContext } from '../service/call.ts';
import type { Flow } from '../service/watch-call.ts';
import { errorStatus } from './error-status.ts';
import type { StreamCall, StreamHandler } from './grpc/rpc.ts';
import { type Encoded, Undecodable } from './service-definition.ts';
import { asDeadline, type CallEnvironment, reasonOf, TIMER_EARLY_MS } from './unary-handler.ts';

/**
 * Sends a message, which may be encoded already, now or when the client has read what came before. Never blocks. With a
 * `slot`, it takes the place of an unsent message of the same slot. Without one, it is never left out, and the caller
 * sends few of these.
 */
export type Send<Response> = (message: Response | Encoded, slot?: string) => void;

/** The part of a gRPC stream that is written to. */
export interface Sink<Response> {
  /** Calls back when the message was passed on to the client's connection; never if that is gone. */
  write(message: Response, passedOn: () => void): unknown;
}

/** The messages on their way to one client. */
export class Outbox<Response> implements Flow {
  readonly #sink: Sink<Response>;
  readonly #unsent = new Map<string | symbol, Response>();
  readonly #untilEmptied = new Set<() => void>();
  #isBlocked = false;
  #passedOn = 0;

  constructor(sink: Sink<Response>) {
    this.#sink = sink;
  }

  get unsent(): number {
    return this.#unsent.size;
  }

  get passedOn(): number {
    return this.#passedOn;
  }

  async emptied(): Promise<void> {
    if (this.#isBlocked) await new Promise<void>((resolve) => this.#untilEmptied.add(resolve));
  }

  discard(): void {
    this.#unsent.clear();
  }

  send(message: Response, slot?: string): void {
    if (!this.#isBlocked) {
      this.#write(message);
      return;
    }
    const key = slot ?? Symbol();
    this.#unsent.delete(key); // not replaced in its place: the newest goes last
    this.#unsent.set(key, message);
  }

  /** Hands over what is left, whether the client reads or not. Nothing follows. */
  flushAll(): void {
    for (const message of this.#unsent.values()) this.#sink.write(message, () => {});
    this.#unsent.clear();
  }

  #write(message: Response): void {
    this.#isBlocked = true;
    this.#sink.write(message, this.#onPassedOn);
  }

  readonly #onPassedOn = (): void => {
    this.#isBlocked = false;
    this.#passedOn++;
    for (const [key, message] of this.#unsent) {
      this.#unsent.delete(key);
      this.#write(message);
      return;
    }
    for (const resume of this.#untilEmptied) resume();
    this.#untilEmptied.clear();
  };
}

/** `serve` runs for as long as the stream lives, and ends it by what it throws, or with OK. */
export function serverStream<Request, Response>(
  method: string,
  { clock, observer, authorization, tracing }: CallEnvironment,
  serve: (request: Request, context: CallContext, send: Send<Response>, flow: Flow) => Promise<void>,
): StreamHandler<Request, Response | Encoded> {
  observer.serves(method);
  return (call) => {
    const arrivedAtMs = clock.monotonicMs();
    observer.callBegan();
    observer.streamBegan(method);
    void answer(call, arrivedAtMs);
  };

  async function answer(call: StreamCall<Request, Response | Encoded>, arrivedAtMs: number): Promise<void> {
    const trace = tracing.begin(call);
    const deadlineMs = arrivedAtMs + call.timeLeftMs;
    const { ended, forget } = endOf(call, deadlineMs, clock);
    const outbox = new Outbox<Response | Encoded>(call);
    let isOver = false;
    const send: Send<Response> = (message, slot) => {
      if (!isOver && !ended.aborted) outbox.send(message, slot);
    };
    let code: status = status.OK;
    let outcome = 'ok';
    try {
      const caller = authorization.admit(method, call);
      if (call.request instanceof Undecodable) throw call.request.error;
      const { peer } = call;
      await serve(call.request, { arrivedAtMs, deadlineMs, ended, caller, peer, trace }, send, outbox);
      outbox.flushAll();
      call.end();
    } catch (caught) {
      const isLate = clock.monotonicMs() + TIMER_EARLY_MS >= deadlineMs;
      const thrown = isLate ? (ended.aborted ? deadlinePassed() : asDeadline(caught)) : caught;
      if (!(thrown instanceof CoordinationError) || thrown.code === 'INTERNAL')
        observer.defect(method, thrown);
      const error = errorStatus(thrown);
      code = error.code;
      outcome = reasonOf(thrown);
      outbox.flushAll();
      call.refuse(error);
    } finally {
      isOver = true;
      forget();
      observer.streamEnded(method);
      observer.callEnded(method, status[code], clock.monotonicMs() - arrivedAtMs);
      trace?.ended(status[code], code, outcome);
    }
  }
}

function deadlinePassed(): CoordinationError {
  return new CoordinationError('DEADLINE_EXCEEDED', 'the deadline of the call passed');
}

/** A signal that aborts when the call is cancelled, its connection is gone, or its deadline passes. */
function endOf(
  call: StreamCall<unknown, never>,
  deadlineMs: number,
  clock: Clock,
): { readonly ended: AbortSignal; readonly forget: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  if (call.isCut) abort();
  call.onCut = abort;
  const timer = Number.isFinite(deadlineMs)
    ? clock.after(deadlineMs - clock.monotonicMs(), abort)
    : undefined;
  return { ended: controller.signal, forget: () => timer?.cancel() };
}
