// One attempt at an operation: it runs the work, keeps the attempt alive meanwhile, and records how the work ended.
//
//   the work                               while          recorded
//   returns                                held           SUCCEEDED, with its value
//   throws GiveBack                        held           PENDING again, for another worker; the attempt isn't counted
//   throws its signal's reason, AbortError  cancelling     CANCELLED
//   throws its signal's reason, AbortError  stopping       PENDING again, as with GiveBack
//   throws anything else                   held           FAILED, with the message of the error
//   ends in any way                        lost           nothing: the operation belongs to another worker

import type {
  Attempt as AttemptMessage,
  Operation as OperationMessage,
} from '../../generated/leasehold/v1/operation.ts';
import { ADVICE } from './advice.ts';
import { AttemptContext } from './attempt-context.ts';
import { AttemptRecord } from './attempt-record.ts';
import type { Caller } from './client-calls.ts';
import {
  AttemptLostError,
  InvalidArgumentError,
  LeaseholdError,
  OperationEndedError,
  UnavailableError,
} from './client-errors.ts';
import { HeldAttempt, type HeldAttemptEvent } from './core/held-attempt.ts';
import { encodePayload } from './core/json-payload.ts';
import type { SentAt } from './core/lease-deadline.ts';
import { type AtRisk, riskOf } from './lease.ts';
import { attemptLossOf, WHY_ATTEMPT_LOST } from './loss-reasons.ts';
import { spanOf } from './number-options.ts';
import { operationOf } from './operation-view.ts';

/** Thrown by the work to give the operation back: another worker goes on with it after `delayMs` milliseconds. */
export class GiveBack extends Error {
  override readonly name = 'GiveBack';
  readonly delayMs: number;

  constructor({ delayMs = 0, cause }: { readonly delayMs?: number; readonly cause?: unknown } = {}) {
    super('the operation is given back', { cause });
    spanOf('delayMs', delayMs); // the work that throws it is the place to say so
    this.delayMs = delayMs;
  }
}

export type AttemptEvent =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'at-risk'; readonly reason: AtRisk }
  | { readonly kind: 'reopened'; readonly why: string }
  | { readonly kind: 'cancel-requested'; readonly reason: string }
  | { readonly kind: 'lost'; readonly error: AttemptLostError };

export type AttemptOutcome<Value> =
  | { readonly kind: 'succeeded'; readonly value: Value }
  /** `error` is what the work threw. */
  | { readonly kind: 'failed' | 'cancelled' | 'given-back'; readonly error: unknown }
  /** `error` is what the work threw, or the AttemptLostError. */
  | { readonly kind: 'lost'; readonly error: unknown }
  /** The work has ended but no server has heard how: the attempt goes stale, and another worker starts again. */
  | { readonly kind: 'unrecorded'; readonly error: unknown };

export interface AttemptGiven {
  readonly operation: OperationMessage;
  readonly attempt: AttemptMessage;
  readonly sent: SentAt;
}

export interface AttemptOptions {
  /** Its abort tells the work to come to an end. */
  readonly stop?: AbortSignal | undefined;
  /**
   * How many milliseconds the work has after `stop` aborts, before its operation is given back without it; asked at the
   * abort. Unset: for ever.
   */
  readonly graceMs?: (() => number) | undefined;
  readonly onEvent?: ((event: AttemptEvent) => void) | undefined;
}

export type Work<Data, Value> = (context: AttemptContext<Data>) => Value | PromiseLike<Value>;

/** Runs the work of an attempt that this caller has just got. When it resolves, the attempt has ended or is lost. */
export async function runAttempt<Data, Value>(
  caller: Caller,
  { operation, attempt, sent }: AttemptGiven,
  work: Work<Data, Value>,
  { stop, graceMs, onEvent }: AttemptOptions = {},
): Promise<AttemptOutcome<Value>> {
  const { resource, operationId } = operation;
  const over = new AbortController();
  let wanted: 'cancelled' | 'given-back' | undefined;
  let lost: AttemptLostError | undefined;
  const tell = (event: AttemptEvent): void => {
    try {
      onEvent?.(event);
    } catch {
      // Sockets and timers call this, where no one could catch the error; and it must not cost the attempt.
    }
  };
  const heard = (event: HeldAttemptEvent): void => {
    if (event.kind === 'cancel-requested' && wanted !== 'cancelled') {
      wanted = 'cancelled';
      over.abort(cancelled(resource, operationId, event.reason));
      tell(event);
    } else if (event.kind === 'lost') {
      lost = lostBy(resource, operationId, event.reason);
      over.abort(lost);
      tell({ kind: 'lost', error: lost });
    } else if (event.kind === 'at-risk') tell({ kind: 'at-risk', reason: riskOf(event.reason) });
    else if (event.kind !== 'cancel-requested') tell(event);
  };
  const name = { resource, operationId, claimId: attempt.claimId, fencingToken: attempt.fencingToken };
  const held = new HeldAttempt(caller.channel, name, attempt, sent, heard);
  const record = new AttemptRecord(caller, held, attempt.lease !== undefined);
  const onStop = (): void => {
    wanted ??= 'given-back';
    over.abort(stop?.reason);
  };
  stop?.addEventListener('abort', onStop, { once: true });
  if (stop?.aborted) onStop();
  try {
    const context = new AttemptContext<Data>(operationOf(operation), held, record, over.signal);
    const ended = await withGrace(settled(work, context), caller, stop, graceMs);
    // Asked by the clocks: the timer of a busy process may not have had its turn.
    if (held.state === 'lost') return { kind: 'lost', error: ended?.kind === 'threw' ? ended.error : lost };
    if (ended === undefined) return await givenBack(record, 0, stop?.reason);
    if (ended.kind === 'returned') return await succeeded(record, ended.value);
    return await failed(record, ended.error, over.signal, wanted);
  } finally {
    stop?.removeEventListener('abort', onStop);
    await held.end();
  }
}

type Ended<Value> =
  | { readonly kind: 'returned'; readonly value: Value }
  | { readonly kind: 'threw'; readonly error: unknown };

async function settled<Data, Value>(
  work: Work<Data, Value>,
  context: AttemptContext<Data>,
): Promise<Ended<Value>> {
  try {
    return { kind: 'returned', value: await work(context) };
  } catch (error) {
    return { kind: 'threw', error };
  }
}

/** Resolves to `undefined` when the work didn't end in the time that it has after `stop`. */
function withGrace<Value>(
  ended: Promise<Ended<Value>>,
  { channel }: Caller,
  stop: AbortSignal | undefined,
  graceMs: (() => number) | undefined,
): Promise<Ended<Value> | undefined> {
  if (!stop || graceMs === undefined) return ended;
  return new Promise((resolve) => {
    let cancel = (): void => {};
    const count = (): void => {
      const timer = channel.clock.after(graceMs(), () => resolve(undefined));
      cancel = () => timer.cancel();
    };
    stop.addEventListener('abort', count, { once: true });
    if (stop.aborted) count();
    void ended.then((value) => {
      stop.removeEventListener('abort', count);
      cancel();
      resolve(value);
    });
  });
}

async function succeeded<Value>(record: AttemptRecord, value: Value): Promise<AttemptOutcome<Value>> {
  try {
    // Encode it first: a result that can't be recorded is a failure of the work, and not of the store.
    const result = encodePayload(value ?? null);
    return await recorded(() => record.complete({ $case: 'result', value: result }), {
      kind: 'succeeded',
      value,
    });
  } catch (error) {
    return failed(record, error instanceof InvalidArgumentError ? refusedResult(error) : error);
  }
}

// The work is done, and no repeat would help it: the record says FAILED, with this message.
function refusedResult(cause: InvalidArgumentError): InvalidArgumentError {
  const { reason, violations, message } = cause;
  const why = violations.map(({ option, description }) => `${option}: ${description}`).join('; ') || message;
  const text = `The work is done, but its result is refused (${why}). Return less, such as where the rest of it is.`;
  return new InvalidArgumentError(text, { reason, violations, cause });
}

async function failed(
  record: AttemptRecord,
  error: unknown,
  signal?: AbortSignal,
  wanted?: 'cancelled' | 'given-back',
): Promise<AttemptOutcome<never>> {
  if (error instanceof GiveBack) return givenBack(record, error.delayMs, error);
  const hasObeyed = signal?.aborted && (error === signal.reason || isAbortError(error));
  if (hasObeyed && wanted === 'given-back') return givenBack(record, 0, error);
  if (hasObeyed && wanted === 'cancelled') {
    return recorded(() => record.complete({ $case: 'cancelled', value: { message: '' } }), {
      kind: 'cancelled',
      error,
    });
  }
  return recorded(() => record.fail(error), { kind: 'failed', error });
}

function givenBack(record: AttemptRecord, delayMs: number, error: unknown): Promise<AttemptOutcome<never>> {
  return recorded(() => record.giveBack(delayMs), { kind: 'given-back', error });
}

// Throws InvalidArgumentError for a result that the server doesn't accept.
async function recorded<Outcome extends AttemptOutcome<unknown>>(
  write: () => Promise<void>,
  outcome: Outcome,
): Promise<Outcome | { readonly kind: 'lost' | 'unrecorded'; readonly error: unknown }> {
  try {
    await write();
    return outcome;
  } catch (error) {
    if (error instanceof InvalidArgumentError && outcome.kind === 'succeeded') throw error;
    const isLost = error instanceof AttemptLostError;
    // What the work threw matters more than that no server heard of it.
    const told = 'error' in outcome ? outcome.error : isLost ? error : unrecorded(error);
    return { kind: isLost ? 'lost' : 'unrecorded', error: told };
  }
}

function unrecorded(cause: unknown): unknown {
  if (!(cause instanceof LeaseholdError)) return cause;
  const { reason, retryAfterMs, message } = cause;
  const text = `The work has ended, but its result is not recorded, and it may be done again: ${message}`;
  return new UnavailableError(text, { reason, retryAfterMs, cause });
}

function isAbortError(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function cancelled(resource: string, operationId: string, detail: string): OperationEndedError {
  const said = detail === '' ? '' : `: ${detail.replace(/\.$/, '')}`;
  const message = `Someone asked to cancel the operation ${operationId} on ${resource}${said}. Come to an end, and throw this.`;
  return new OperationEndedError(message, { reason: 'OPERATION_CANCELLED', resource, operationId, detail });
}

function lostBy(resource: string, operationId: string, reason: number | undefined): AttemptLostError {
  const loss = attemptLossOf(reason);
  const message = `The attempt at the operation ${operationId} on ${resource} is lost: ${WHY_ATTEMPT_LOST[loss]}. ${ADVICE.STALE_ATTEMPT}`;
  return new AttemptLostError(message, { reason: 'STALE_ATTEMPT', loss });
}
