// Operations as users see them: plain values with units in their names. operation.proto says what they mean.

import {
  type Operation as OperationMessage,
  OperationState as StateNumber,
} from '../../generated/leasehold/v1/operation.ts';
import { ADVICE } from './advice.ts';
import { OperationEndedError } from './client-errors.ts';
import { decodePayload, type Json, type RawPayload } from './core/json-payload.ts';
import { dateOf, msOf } from './core/time-spans.ts';

export type OperationState =
  | 'pending'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'dead'
  | 'unknown';

/** JSON, or the bytes of a payload of another type. */
export type Payload = Json | RawPayload;

export interface Operation {
  readonly resource: string;
  readonly operationId: string;
  /** The name under which google.longrunning.Operations serves it. */
  readonly name: string;
  readonly type: string;
  readonly state: OperationState;
  /** Succeeded, failed, cancelled or dead. */
  readonly isDone: boolean;
  readonly data: Payload | undefined;
  readonly progress: Payload | undefined;
  readonly result: Payload | undefined;
  /** Why it did not succeed; undefined unless it is failed, cancelled or dead. */
  readonly error: { readonly code: number; readonly message: string } | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Who runs it, or ran it last. */
  readonly owner: string;
  /** The number of the running or last attempt; 0 before the first. */
  readonly attempt: number;
  readonly attemptsCounted: number;
  readonly maxAttempts: number;
  readonly fencingToken: bigint;
  readonly version: bigint;
  /** The reason given with the request to cancel it; undefined if there was no such request. */
  readonly cancelReason: string | undefined;
  readonly exclusive: boolean;
  readonly heartbeatTimeoutMs: number | undefined;
  /** How long until the running attempt is stale; undefined unless the operation runs. */
  readonly heartbeatRemainingMs: number | undefined;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  readonly claimableAt: Date | undefined;
  readonly expiresAt: Date | undefined;
}

export const OPERATION_STATES: Readonly<Record<Exclude<OperationState, 'unknown'>, StateNumber>> = {
  pending: StateNumber.OPERATION_STATE_PENDING,
  running: StateNumber.OPERATION_STATE_RUNNING,
  succeeded: StateNumber.OPERATION_STATE_SUCCEEDED,
  failed: StateNumber.OPERATION_STATE_FAILED,
  cancelled: StateNumber.OPERATION_STATE_CANCELLED,
  dead: StateNumber.OPERATION_STATE_DEAD,
};

export function operationOf(operation: OperationMessage): Operation {
  const { outcome } = operation;
  const state = stateOf(operation.state);
  const error = outcome?.$case === 'error' ? outcome.value : undefined;
  return {
    resource: operation.resource,
    operationId: operation.operationId,
    name: operation.name,
    type: operation.type,
    state,
    isDone: state !== 'pending' && state !== 'running' && state !== 'unknown',
    data: decodePayload(operation.data),
    progress: decodePayload(operation.progress),
    result: outcome?.$case === 'result' ? decodePayload(outcome.value) : undefined,
    error: error && { code: error.code, message: error.message },
    labels: Object.fromEntries(operation.labels),
    owner: operation.owner,
    attempt: operation.attemptNumber,
    attemptsCounted: operation.attemptsCounted,
    maxAttempts: operation.maxAttempts,
    fencingToken: operation.fencingToken,
    version: operation.version,
    cancelReason: operation.cancelRequested ? operation.cancelReason : undefined,
    exclusive: operation.exclusive,
    heartbeatTimeoutMs: msOf(operation.heartbeatTimeout),
    heartbeatRemainingMs: msOf(operation.heartbeatRemaining),
    createdAt: dateOf(operation.createTime),
    startedAt: dateOf(operation.startTime),
    updatedAt: dateOf(operation.updateTime),
    finishedAt: dateOf(operation.finishTime),
    claimableAt: dateOf(operation.claimableTime),
    expiresAt: dateOf(operation.expireTime),
  };
}

/** Returns the result of an operation that is done. Throws OperationEndedError unless it succeeded. */
export function resultOf(operation: Operation): Payload | undefined {
  const { state, resource, operationId } = operation;
  if (state === 'succeeded') return operation.result;
  const detail = operation.error?.message ?? '';
  const reason =
    state === 'failed'
      ? 'OPERATION_FAILED'
      : state === 'cancelled'
        ? 'OPERATION_CANCELLED'
        : 'OPERATION_DEAD';
  const said = detail === '' ? '' : `: ${detail.replace(/\.$/, '')}`;
  throw new OperationEndedError(
    `The operation ${operationId} on ${resource} is ${state}${said}. ${ADVICE[reason]}`,
    {
      reason,
      resource,
      operationId,
      detail,
    },
  );
}

function stateOf(state: StateNumber): OperationState {
  const entry = Object.entries(OPERATION_STATES).find(([, number]) => number === state);
  return (entry?.[0] as OperationState | undefined) ?? 'unknown'; // a key of OPERATION_STATES
}
