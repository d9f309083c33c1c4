// Begin or join: the first caller of an operation does the work, and every other caller gets its result.
//
//   begin ─ attempt ────────▶ work ──▶ its value, or what it threw
//     │ ├─ finished ────────▶ the stored result, or OperationEndedError
//     │ ├─ another runs it ──▶ wait until it is done, or stale ──▶ begin again
//     │ └─ its lock is held, a quarantine ─▶ wait ──▶ begin again
//     └─ anything else ─────▶ thrown

import { randomUUID } from 'node:crypto';
import type {
  BeginOperationRequest,
  BeginOperationResponse,
  WaitOperationResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { fullJitterMs } from '../domain/backoff.ts';
import { type AttemptEvent, runAttempt, type Work } from './attempt.ts';
import { ANSWER_MS, type Caller, present } from './client-calls.ts';
import { ContendedError, LeaseholdError, OperationRefusedError, UnavailableError } from './client-errors.ts';
import { durationOf } from './core/time-spans.ts';
import { BACKOFF } from './core/unary-call.ts';
import { waitMsOf } from './number-options.ts';
import { type BeginOptions, beginRequestOf } from './operation-options.ts';
import { operationOf, type Payload, resultOf } from './operation-view.ts';

export interface RunOptions extends BeginOptions {
  /** How long to wait for another caller that runs it, and for its lock, in milliseconds; for ever by default. */
  readonly waitMs?: number | undefined;
  /**
   * Its abort gives up the wait; it tells work that has begun here to stop, and gives the operation back if that obeys.
   */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: AttemptEvent) => void) | undefined;
}

/** How long one call waits; between two, a dead connection is noticed. */
const LONGEST_WAIT_MS = 20_000;
const SHORTEST_WAIT_MS = 100;

export async function runOperation<Data, Value>(
  caller: Caller,
  resource: string,
  operationId: string,
  work: Work<Data, Value>,
  options: RunOptions = {},
): Promise<Value | Payload | undefined> {
  const { signal, onEvent } = options;
  const waitMs = waitMsOf('waitMs', options.waitMs, Number.POSITIVE_INFINITY);
  const { clock, random } = caller.channel;
  const claim = { owner: caller.owner, claimId: randomUUID() };
  const request = beginRequestOf(resource, operationId, options, claim);
  const giveUpMs = clock.monotonicMs() + waitMs;
  for (let tries = 0; ; tries++) {
    const begun = await begin(caller, request, signal);
    if (begun instanceof LeaseholdError) {
      const leftMs = giveUpMs - clock.monotonicMs();
      if (!isWorthWaiting(begun) || leftMs <= 0) throw begun;
      if (begun.reason === 'ATTEMPT_HELD') {
        // Wait until it is done, or until it could be stale, which the server has said.
        const forMs = Math.min(leftMs, LONGEST_WAIT_MS, Math.max(begun.retryAfterMs ?? 0, SHORTEST_WAIT_MS));
        await untilDone(caller, resource, operationId, forMs, signal);
      } else {
        const pauseMs = Math.max(begun.retryAfterMs ?? 0, fullJitterMs(tries, BACKOFF, random));
        await caller.channel.pause(Math.min(pauseMs, leftMs), signal);
      }
      continue;
    }
    const { operation, attempt, sent } = begun;
    if (!attempt) return resultOf(operationOf(operation));
    const outcome = await runAttempt(caller, { operation, attempt, sent }, work, { stop: signal, onEvent });
    if (outcome.kind === 'succeeded') return outcome.value;
    throw outcome.error;
  }
}

// It returns its errors as values, so that errors of the work, which may look the same, are never taken for them.
async function begin(caller: Caller, request: BeginOperationRequest, signal: AbortSignal | undefined) {
  try {
    const { response, ...sent } = await caller.unary<BeginOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.beginOperation(request, metadata, call, callback),
      { signal },
    );
    return { operation: present(response.operation, 'an operation'), attempt: response.attempt, sent };
  } catch (error) {
    if (error instanceof LeaseholdError) return error;
    throw error;
  }
}

function isWorthWaiting(error: LeaseholdError): boolean {
  if (error instanceof OperationRefusedError) return error.reason === 'ATTEMPT_HELD';
  if (error instanceof UnavailableError) return error.reason === 'QUARANTINE';
  return error instanceof ContendedError;
}

/** Waits once, for `forMs` milliseconds; look at `done`. */
export async function untilDone(
  caller: Caller,
  resource: string,
  operationId: string,
  forMs: number,
  signal: AbortSignal | undefined,
): Promise<WaitOperationResponse> {
  const request = { resource, operationId, waitTimeout: durationOf(Math.ceil(forMs)) };
  return caller.answer<WaitOperationResponse>(
    ({ operations }, metadata, call, callback) => operations.waitOperation(request, metadata, call, callback),
    { signal, timeoutMs: forMs + 2 * ANSWER_MS, tryForMs: forMs + ANSWER_MS, waits: true },
  );
}
