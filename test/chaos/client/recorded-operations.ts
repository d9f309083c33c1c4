// The unary calls of operations, each with its lines in the history.

import { type Operation, OperationState } from '../../../generated/leasehold/v1/operation.ts';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
  type CancelOperationResponse,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
  CompleteOperationRequest,
  type CompleteOperationResponse,
  type DeleteOperationResponse,
  type GetOperationResponse,
  ListOperationsRequest,
  type ListOperationsResponse,
  type RetryOperationResponse,
  UpdateOperationRequest,
  type UpdateOperationResponse,
  type WaitOperationResponse,
  type YieldOperationResponse,
} from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { CallError } from '../../../src/client/core/call-error.ts';
import type { Invoke } from '../../../src/client/core/unary-call.ts';
import { nowMs, type OperationRequest, type OperationState as Shown } from '../history.ts';
import type { ChaosClient } from './chaos-client.ts';
import { isLocked, type OperationName, payload, textOf, typeOf } from './chaos-operation-names.ts';
import { durationOf } from './lease-request.ts';
import { type Result, recordedUnary } from './recorded-unary.ts';
import type { Told } from './recorder.ts';

const TRY_FOR_MS = 2_000;
/** Finished records stay longer than any run lasts, so a record that can't be read any more was lost. */
const RETENTION = durationOf(6 * 3_600_000);

/** What names an attempt in all its writes. */
export interface AttemptName extends OperationName {
  readonly claimId: string;
  readonly fencingToken: bigint;
}

export interface BeginFields extends OperationName {
  readonly claimId: string | undefined;
  readonly requestId: string | undefined;
  /** Doesn't count where the operation exists. */
  readonly heartbeatTimeoutMs: number;
  /** Begins it with other data than all other clients. */
  readonly isOther: boolean;
}

export function recordedBegin(
  client: ChaosClient,
  fields: BeginFields,
  withinMs: number,
): Promise<Result<BeginOperationResponse>> {
  const { resource, operationId, claimId, requestId, heartbeatTimeoutMs, isOther } = fields;
  const beat = durationOf(heartbeatTimeoutMs);
  const request = BeginOperationRequest.fromPartial({
    resource,
    operationId,
    type: typeOf(fields),
    data: payload(isOther ? `not ${operationId}` : operationId),
    owner: client.name,
    ...(claimId !== undefined && { claimId }),
    ...(requestId !== undefined && { requestId }),
    ...(isLocked(fields) ? { lock: { ttl: beat } } : { heartbeatTimeout: beat }),
    maxAttempts: 20,
    retention: { succeeded: RETENTION, failed: RETENTION, cancelled: RETENTION, dead: RETENTION },
  });
  return recorded<BeginOperationResponse>(client, 'BeginOperation', withinMs, {
    operation: { resource, operationId, ...known({ claimId, requestId }) },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.beginOperation(request, metadata, options, callback),
    told: ({ operation, created }) => ({ ...shown(operation), said: { created } }),
  });
}

export function recordedClaim(
  client: ChaosClient,
  fields: { readonly types: readonly string[]; readonly claimId: string; readonly waitMs: number },
): Promise<Result<ClaimOperationsResponse>> {
  const { types, claimId, waitMs } = fields;
  const beganMs = nowMs();
  return recorded<ClaimOperationsResponse>(client, 'ClaimOperations', waitMs + 4_000, {
    operation: { resource: '', operationId: '', claimId },
    waits: waitMs > 0,
    tryForMs: waitMs + TRY_FOR_MS,
    invoke: ({ operations }, metadata, options, callback) => {
      const waitTimeout = durationOf(Math.max(0, Math.floor(waitMs - (nowMs() - beganMs))));
      const request = { types: [...types], claimId, owner: client.name, waitTimeout };
      return operations.claimOperations(
        ClaimOperationsRequest.fromPartial(request),
        metadata,
        options,
        callback,
      );
    },
    told: ({ claimed }) => {
      const [found] = claimed;
      const said = { said: { found: claimed.length } };
      return found
        ? { operation: stateOf(theRecord(found.operation), { withResource: true }), ...said }
        : said;
    },
  });
}

export interface UpdateFields {
  readonly value: string;
  readonly requestId: string | undefined;
  readonly ifVersion: bigint | undefined;
}

export function recordedUpdate(
  client: ChaosClient,
  attempt: AttemptName,
  { value, requestId, ifVersion }: UpdateFields,
  withinMs: number,
): Promise<Result<UpdateOperationResponse>> {
  const request = UpdateOperationRequest.fromPartial({
    ...attempt,
    progress: payload(value),
    ...known({ requestId, version: ifVersion }),
  });
  return recorded<UpdateOperationResponse>(client, 'UpdateOperation', withinMs, {
    operation: { ...writeOf(attempt), value, ...known({ requestId, ifVersion: ifVersion?.toString() }) },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.updateOperation(request, metadata, options, callback),
    told: ({ operation }) => shown(operation),
  });
}

export type Ending = 'succeeded' | 'failed' | 'cancelled';

export function recordedComplete(
  client: ChaosClient,
  attempt: AttemptName,
  fields: {
    readonly ending: Ending;
    readonly value: string;
    readonly requestId: string;
    readonly releaseLease: boolean;
  },
  withinMs: number,
): Promise<Result<CompleteOperationResponse>> {
  const { ending, value, requestId, releaseLease } = fields;
  const outcomes = {
    succeeded: { $case: 'result', value: payload(value) },
    failed: { $case: 'error', value: { code: 13, message: value } },
    cancelled: { $case: 'cancelled', value: { message: value } },
  } as const;
  const outcome = outcomes[ending];
  const request = CompleteOperationRequest.fromPartial({ ...attempt, outcome, releaseLease, requestId });
  return recorded<CompleteOperationResponse>(client, 'CompleteOperation', withinMs, {
    isEnding: true,
    operation: { ...writeOf(attempt), value, requestId },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.completeOperation(request, metadata, options, callback),
    told: ({ operation }) => ({ ...shown(operation), said: { ending } }),
  });
}

export function recordedYield(
  client: ChaosClient,
  attempt: AttemptName,
  requestId: string,
  withinMs: number,
): Promise<Result<YieldOperationResponse>> {
  return recorded<YieldOperationResponse>(client, 'YieldOperation', withinMs, {
    isEnding: true,
    operation: { ...writeOf(attempt), requestId },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.yieldOperation({ ...attempt, requestId, delay: undefined }, metadata, options, callback),
    told: ({ operation }) => shown(operation),
  });
}

/** Cancel and Retry: by any client, for any operation. */
export function recordedCancel(
  client: ChaosClient,
  name: OperationName,
  requestId: string,
  withinMs: number,
): Promise<Result<CancelOperationResponse>> {
  return recorded<CancelOperationResponse>(client, 'CancelOperation', withinMs, {
    operation: { ...name, requestId },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.cancelOperation({ ...name, requestId, reason: 'chaos' }, metadata, options, callback),
    told: ({ operation }) => shown(operation),
  });
}

export function recordedRetry(
  client: ChaosClient,
  name: OperationName,
  requestId: string,
  withinMs: number,
): Promise<Result<RetryOperationResponse>> {
  return recorded<RetryOperationResponse>(client, 'RetryOperation', withinMs, {
    operation: { ...name, requestId },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.retryOperation({ ...name, requestId, version: undefined }, metadata, options, callback),
    told: ({ operation }) => shown(operation),
  });
}

export function recordedDelete(
  client: ChaosClient,
  name: OperationName,
  withinMs: number,
): Promise<Result<DeleteOperationResponse>> {
  return recorded<DeleteOperationResponse>(client, 'DeleteOperation', withinMs, {
    operation: name,
    invoke: ({ operations }, metadata, options, callback) =>
      operations.deleteOperation({ ...name, requestId: '', version: undefined }, metadata, options, callback),
    told: ({ deleted }) => ({ said: { deleted } }),
  });
}

export function recordedGet(
  client: ChaosClient,
  { resource, operationId }: OperationName,
  withinMs: number,
): Promise<Result<GetOperationResponse>> {
  // The name of an attempt has more fields, which are no part of the question.
  const name = { resource, operationId };
  return recorded<GetOperationResponse>(client, 'GetOperation', withinMs, {
    operation: name,
    invoke: ({ operations }, metadata, options, callback) =>
      operations.getOperation(name, metadata, options, callback),
    told: ({ operation }) => shown(operation),
  });
}

export function recordedWait(
  client: ChaosClient,
  name: OperationName,
  waitMs: number,
): Promise<Result<WaitOperationResponse>> {
  return recorded<WaitOperationResponse>(client, 'WaitOperation', waitMs + 4_000, {
    operation: name,
    tryForMs: waitMs + TRY_FOR_MS,
    invoke: ({ operations }, metadata, options, callback) =>
      operations.waitOperation({ ...name, waitTimeout: durationOf(waitMs) }, metadata, options, callback),
    told: ({ operation, done }) => ({ ...shown(operation), said: { done } }),
  });
}

/** Reads one page. */
export function recordedList(
  client: ChaosClient,
  fields: { readonly resource: string; readonly withPayloads: boolean; readonly pageToken: string },
  withinMs: number,
): Promise<Result<ListOperationsResponse>> {
  const { resource, withPayloads, pageToken } = fields;
  const request = { filter: { resource }, pageSize: 20, pageToken, withPayloads };
  return recorded<ListOperationsResponse>(client, 'ListOperations', withinMs, {
    operation: { resource: '', operationId: '' },
    invoke: ({ operations }, metadata, options, callback) =>
      operations.listOperations(ListOperationsRequest.fromPartial(request), metadata, options, callback),
    told: ({ operations }) => ({
      operations: operations.map((one) => stateOf(one, { withResource: true, withPayloads })),
    }),
  });
}

interface RecordedOperationCall<Response> {
  readonly operation: OperationRequest;
  readonly invoke: Invoke<Response>;
  readonly told: (response: Response) => Told;
  readonly tryForMs?: number;
  readonly waits?: boolean;
  /** It is not broken off when the client is told to stop, since it ends what the client has. */
  readonly isEnding?: boolean;
}

function recorded<Response>(
  client: ChaosClient,
  rpc: string,
  withinMs: number,
  { isEnding = false, ...call }: RecordedOperationCall<Response>,
): Promise<Result<Response>> {
  const { operationId } = call.operation;
  const toldByError = ({ reason }: CallError): Told =>
    reason === 'OPERATION_NOT_FOUND'
      ? { operation: { operationId, state: 'ABSENT', version: '0', attempt: 0 } }
      : {};
  return recordedUnary<Response>(client.recorder, {
    rpc,
    deadlineMs: nowMs() + withinMs,
    channel: client.channel,
    tryForMs: TRY_FOR_MS,
    toldByError,
    ...(!isEnding && { signal: client.stop }),
    ...call,
  });
}

function writeOf({ resource, operationId, claimId, fencingToken }: AttemptName): OperationRequest {
  return { resource, operationId, claimId, token: String(fencingToken) };
}

function shown(operation: Operation | undefined): { readonly operation: Shown } {
  return { operation: stateOf(theRecord(operation)) };
}

/** The record's value is its result once it has succeeded, its error once it has failed, and its progress otherwise. */
function stateOf(operation: Operation, { withResource = false, withPayloads = true } = {}): Shown {
  const { resource, operationId, version, attemptNumber, fencingToken, outcome, progress } = operation;
  const state = stateName(operation.state);
  const text = (): string => {
    if (state === 'SUCCEEDED' && outcome?.$case === 'result') return textOf(outcome.value);
    if (state === 'FAILED' && outcome?.$case === 'error') return outcome.value.message;
    return textOf(progress);
  };
  return {
    ...(withResource && { resource }),
    operationId,
    state,
    version: String(version),
    attempt: attemptNumber,
    ...(fencingToken > 0n && { token: String(fencingToken) }),
    ...(withPayloads && { value: text() }),
  };
}

function stateName(state: Operation['state']): string {
  const name = Object.entries(OperationState).find(([, value]) => value === state)?.[0];
  return name?.replace('OPERATION_STATE_', '') ?? String(state);
}

export function theRecord(operation: Operation | undefined): Operation {
  if (!operation) throw new Error('an answer about an operation has no record');
  return operation;
}

/** Without undefined fields. */
function known<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  // The same fields, fewer.
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}
