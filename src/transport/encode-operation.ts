// Operations and attempts as the messages that callers read. Only the caller who sent a claim id gets it back: it is in
// an attempt, and nowhere else.

import {
  type Attempt as AttemptMessage,
  type Operation as OperationMessage,
  OperationState,
} from '../../generated/leasehold/v1/operation.ts';
import type { Operation, OperationState as State } from '../domain/operation.ts';
import type { RunningAttempt } from '../service/operation-service.ts';
import { encodeDuration, encodeTimestamp } from './durations.ts';
import { encodeDurability, encodeLease, encodeMode } from './encode-lock.ts';
import { operationName } from './operation-names.ts';
import { decodedAny, decodedStatus, emptyAny } from './payloads.ts';

const STATES: Readonly<Record<State, OperationState>> = {
  pending: OperationState.OPERATION_STATE_PENDING,
  running: OperationState.OPERATION_STATE_RUNNING,
  succeeded: OperationState.OPERATION_STATE_SUCCEEDED,
  failed: OperationState.OPERATION_STATE_FAILED,
  cancelled: OperationState.OPERATION_STATE_CANCELLED,
  dead: OperationState.OPERATION_STATE_DEAD,
};

export function encodeOperation(operation: Operation): OperationMessage {
  const time = (wallMs: number | undefined) => (wallMs === undefined ? undefined : encodeTimestamp(wallMs));
  const { heartbeatRemainingMs, retention } = operation;
  return {
    resource: operation.resource,
    operationId: operation.operationId,
    name: operationName(operation),
    type: operation.type,
    state: STATES[operation.state],
    data: decodedAny(operation.data),
    progress: decodedAny(operation.progress),
    outcome: encodeOutcome(operation),
    labels: new Map(operation.labels),
    owner: operation.owner,
    attemptNumber: operation.attemptNumber,
    attemptsCounted: operation.attemptsCounted,
    maxAttempts: operation.maxAttempts,
    fencingToken: operation.fencingToken,
    version: BigInt(operation.version),
    cancelRequested: operation.cancelRequested,
    cancelReason: operation.cancelReason,
    exclusive: operation.exclusive,
    lock: encodeAttemptLock(operation),
    heartbeatTimeout: encodeDuration(operation.heartbeatTimeoutMs),
    heartbeatRemaining: heartbeatRemainingMs === undefined ? undefined : encodeDuration(heartbeatRemainingMs),
    createTime: encodeTimestamp(operation.createdAtWallMs),
    startTime: time(operation.startedAtWallMs),
    updateTime: encodeTimestamp(operation.updatedAtWallMs),
    finishTime: time(operation.finishedAtWallMs),
    claimableTime: time(operation.claimableAtWallMs),
    expireTime: time(operation.expiresAtWallMs),
    retention: {
      succeeded: encodeDuration(retention.succeededMs),
      failed: encodeDuration(retention.failedMs),
      cancelled: encodeDuration(retention.cancelledMs),
      dead: encodeDuration(retention.deadMs),
    },
  };
}

/** An error stays: it is no payload, but the reason why the operation ended. */
export function withoutPayloads(operation: Operation): Operation {
  const { outcome } = operation;
  return {
    ...operation,
    data: undefined,
    progress: undefined,
    outcome: outcome?.kind === 'result' ? { kind: 'result', value: undefined } : outcome,
  };
}

function encodeOutcome({ outcome }: Operation): OperationMessage['outcome'] {
  switch (outcome?.kind) {
    case undefined:
      return undefined;
    case 'result':
      return { $case: 'result', value: decodedAny(outcome.value) ?? emptyAny() };
    case 'error':
      return { $case: 'error', value: decodedStatus(outcome.value) };
  }
}

function encodeAttemptLock({ resource, lock }: Operation): OperationMessage['lock'] {
  if (!lock) return undefined;
  const { owner, mode, metadata, ttlMs, minHoldMs, maxHoldMs } = lock;
  return {
    resource,
    leaseId: '',
    owner,
    ttl: encodeDuration(ttlMs),
    mode: encodeMode(mode),
    metadata: new Map(metadata),
    minHold: minHoldMs === 0 ? undefined : encodeDuration(minHoldMs),
    maxHold: maxHoldMs === 0 ? undefined : encodeDuration(maxHoldMs),
    durability: lock.minAcks ? encodeDurability(lock.minAcks) : undefined,
  };
}

/** For the caller who sent its claim id. */
export function encodeAttempt({ attempt, validForMs }: RunningAttempt): AttemptMessage {
  const { number, claimId, fencingToken, lease } = attempt;
  return {
    number,
    claimId,
    fencingToken,
    validFor: encodeDuration(validForMs),
    lease: lease && encodeLease({ lease, validForMs }),
  };
}
