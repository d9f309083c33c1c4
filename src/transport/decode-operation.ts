// Requests about one operation, as domain values. Checks every field, by the domain's rules, before anything else sees
// it. Payloads become bytes that nobody looks into. The requests that only a worker sends are in decode-attempt.ts.

import type { Any } from '../../generated/google/protobuf/any.ts';
import type { LeaseSpec as LeaseSpecMessage } from '../../generated/leasehold/v1/lease.ts';
import type { Retention as RetentionMessage } from '../../generated/leasehold/v1/operation.ts';
import type {
  BeginOperationRequest,
  CancelOperationRequest,
  DeleteOperationRequest,
  RetryOperationRequest,
  WaitOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { LIMITS } from '../domain/limits.ts';
import type { AttemptLock, OperationKey, Payload, Retention } from '../domain/operation.ts';
import type { BeginCommand, CancelCommand, DeleteCommand, RetryCommand } from '../store/operation-store.ts';
import { contentHash } from './content-hash.ts';
import { decodeTerms, type LeaseBounds } from './decode-lock.ts';
import { decodeDuration } from './durations.ts';
import { encodedAny } from './payloads.ts';
import { Violations } from './violations.ts';

/** What the operator has set for payloads. */
export interface PayloadBounds {
  readonly maxPayloadBytes: number;
}

export function decodeBegin(
  request: BeginOperationRequest,
  bounds: LeaseBounds & PayloadBounds,
): Omit<BeginCommand, 'stamp'> {
  const violations = new Violations();
  const { minTtlMs, minTimeToLiveMs, timeToLiveMs, maxAttempts, defaultMaxAttempts } = LIMITS;
  const claimId = violations.optionalUuid('claim_id', request.claimId);
  const heartbeat = decodeDuration(request.heartbeatTimeout);
  const heartbeatTimeoutMs = violations.duration(
    'heartbeat_timeout',
    heartbeat,
    minTtlMs,
    bounds.maxTtlMs,
    bounds.defaultTtlMs,
  );
  const lock = request.lock && decodeAttemptLock(violations, request.lock, request, bounds);
  const timeToLive = decodeDuration(request.timeToLive);
  const content = {
    type: violations.operationType('type', request.type),
    data: checkedPayload(violations, 'data', request.data, bounds),
    labels: violations.metadata('labels', request.labels),
  };
  const command = {
    spec: {
      ...checkedKey(violations, request),
      ...content,
      contentHash: contentHash(content),
      owner: violations.owner('owner', request.owner),
      heartbeatTimeoutMs: lock?.ttlMs ?? heartbeatTimeoutMs,
      timeToLiveMs: violations.duration('time_to_live', timeToLive, minTimeToLiveMs, timeToLiveMs, 0),
      exclusive: request.exclusive,
      lock,
      maxAttempts: violations.count('max_attempts', request.maxAttempts, {
        min: 1,
        max: maxAttempts,
        unset: defaultMaxAttempts,
      }),
      retention: decodeRetention(violations, request.retention),
    },
    claimId: claimId === '' ? undefined : claimId,
    requestId: violations.optionalUuid('request_id', request.requestId),
    requireLease: decodeRequiredLease(violations, request),
  };
  violations.refuse();
  return command;
}

/** The lease that each attempt takes. Its resource is the operation's, and its lease id is the attempt's claim id. */
function decodeAttemptLock(
  violations: Violations,
  lock: LeaseSpecMessage,
  { resource, claimId }: BeginOperationRequest,
  bounds: LeaseBounds,
): AttemptLock {
  if (lock.resource !== '' && lock.resource !== resource) {
    violations.note('lock.resource', "must be empty or the operation's resource");
  }
  if (lock.leaseId !== '' && lock.leaseId.toLowerCase() !== claimId.toLowerCase()) {
    violations.note('lock.lease_id', 'must be empty or the claim_id');
  }
  return decodeTerms(violations, 'lock', lock, bounds);
}

function decodeRetention(violations: Violations, retention: RetentionMessage | undefined): Retention {
  const span = (name: keyof RetentionMessage): number => {
    const sent = decodeDuration(retention?.[name]);
    return violations.duration(`retention.${name}`, sent, 0, LIMITS.retentionMs, LIMITS.defaultRetentionMs);
  };
  return {
    succeededMs: span('succeeded'),
    failedMs: span('failed'),
    cancelledMs: span('cancelled'),
    deadMs: span('dead'),
  };
}

function decodeRequiredLease(
  violations: Violations,
  { requireLease, lock }: BeginOperationRequest,
): BeginCommand['requireLease'] {
  if (!requireLease) return undefined;
  if (lock) violations.note('require_lease', 'must be left out when lock is given');
  return {
    resource: violations.resource('require_lease.resource', requireLease.resource),
    leaseId: violations.uuid('require_lease.lease_id', requireLease.leaseId),
    fencingToken: violations.fencingToken('require_lease.fencing_token', requireLease.fencingToken),
  };
}

export function decodeKey(request: OperationKey): OperationKey {
  const violations = new Violations();
  const key = checkedKey(violations, request);
  violations.refuse();
  return key;
}

export function decodeCancel(request: CancelOperationRequest): CancelCommand {
  const violations = new Violations();
  const command = {
    ...checkedKey(violations, request),
    reason: violations.text('reason', request.reason, LIMITS.cancelReasonBytes),
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  violations.refuse();
  return command;
}

/** RetryOperation and DeleteOperation. */
export function decodeVersioned(
  request: RetryOperationRequest | DeleteOperationRequest,
): RetryCommand & DeleteCommand {
  const violations = new Violations();
  const command = {
    ...checkedKey(violations, request),
    version: violations.version('version', request.version),
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  violations.refuse();
  return command;
}

export interface WaitInput {
  readonly key: OperationKey;
  readonly waitMs: number;
}

export function decodeWaitOperation(request: WaitOperationRequest): WaitInput {
  const violations = new Violations();
  const { unaryWaitMs } = LIMITS;
  const wait = decodeDuration(request.waitTimeout);
  const input = {
    key: checkedKey(violations, request),
    waitMs: violations.duration('wait_timeout', wait, 0, unaryWaitMs, unaryWaitMs),
  };
  violations.refuse();
  return input;
}

export function checkedKey(violations: Violations, { resource, operationId }: OperationKey): OperationKey {
  return {
    resource: violations.resource('resource', resource),
    operationId: violations.operationId('operation_id', operationId),
  };
}

export function checkedPayload(
  violations: Violations,
  field: string,
  any: Any | undefined,
  { maxPayloadBytes }: PayloadBounds,
): Payload | undefined {
  const bytes = encodedAny(any);
  return bytes && violations.payload(field, bytes, maxPayloadBytes);
}
