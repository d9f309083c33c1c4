// Requests of the operation store as domain values: every field is checked here, by the domain's rules, before anything
// else sees it. Payloads become bytes that nobody looks into.

import type { Any } from '../../generated/google/protobuf/any.ts';
import type { LeaseSpec as LeaseSpecMessage } from '../../generated/leasehold/v1/lease.ts';
import type { Retention as RetentionMessage } from '../../generated/leasehold/v1/operation.ts';
import type {
  BeginOperationRequest,
  CancelOperationRequest,
  ClaimOperationsRequest,
  CompleteOperationRequest,
  DeleteOperationRequest,
  RetryOperationRequest,
  UpdateOperationRequest,
  WaitOperationRequest,
  YieldOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { LIMITS } from '../domain/limits.ts';
import type { AttemptLock, AttemptRef, OperationKey, Payload, Retention } from '../domain/operation.ts';
import type {
  BeginCommand,
  CancelCommand,
  ClaimCommand,
  CompleteCommand,
  DeleteCommand,
  RetryCommand,
  UpdateCommand,
  YieldCommand,
} from '../store/operation-store.ts';
import { contentHash } from './content-hash.ts';
import { decodeTerms, type LeaseBounds } from './decode-lock.ts';
import { decodeDuration } from './durations.ts';
import { encodedAny, encodedStatus } from './payloads.ts';
import { Violations } from './violations.ts';

const NO_PAYLOAD = new Uint8Array();
/** google.rpc.Code.CANCELLED */
const CANCELLED = 1;

export function decodeBegin(
  request: BeginOperationRequest,
  bounds: LeaseBounds,
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
    data: checkedPayload(violations, 'data', request.data),
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

/** The lease that each attempt takes: which resource and which lease id follow from the operation and its attempts. */
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
  if (lock) violations.note('require_lease', 'must be left out where `lock` is given');
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

export interface ClaimInput {
  readonly command: Omit<ClaimCommand, 'stamp'>;
  /** 0: answer at once. */
  readonly waitMs: number;
}

export function decodeClaim(request: ClaimOperationsRequest): ClaimInput {
  const violations = new Violations();
  const most = { min: 1, max: LIMITS.claimedOperations, unset: 1 };
  const wait = decodeDuration(request.waitTimeout);
  const input = {
    command: {
      types: violations.types('types', request.types, 1),
      resourcePrefix: violations.resourcePrefix('resource_prefix', request.resourcePrefix),
      claimId: violations.uuid('claim_id', request.claimId),
      owner: violations.owner('owner', request.owner),
      most: violations.count('max_operations', request.maxOperations, most),
    },
    waitMs: violations.duration('wait_timeout', wait, 0, LIMITS.unaryWaitMs, 0),
  };
  violations.refuse();
  return input;
}

export function decodeUpdate(request: UpdateOperationRequest): UpdateCommand {
  const violations = new Violations();
  const change = (field: 'data' | 'progress'): Payload | 'remove' | undefined =>
    request[field] && (checkedPayload(violations, field, request[field]) ?? 'remove');
  const { setLabels } = request;
  const command = {
    ...checkedAttempt(violations, request),
    version: violations.version('version', request.version),
    data: change('data'),
    progress: change('progress'),
    setLabels: violations.metadata('set_labels', setLabels),
    removeLabels: violations.keys('remove_labels', request.removeLabels, LIMITS.removedLabels),
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  for (const [index, key] of request.removeLabels.entries()) {
    if (setLabels.has(key)) violations.note(`remove_labels[${index}]`, 'is in set_labels too');
  }
  violations.refuse();
  return command;
}

export function decodeAttempt(request: AttemptRef): AttemptRef {
  const violations = new Violations();
  const attempt = checkedAttempt(violations, request);
  violations.refuse();
  return attempt;
}

export function decodeComplete(request: CompleteOperationRequest): CompleteCommand {
  const violations = new Violations();
  const command = {
    ...checkedAttempt(violations, request),
    ...decodeOutcome(violations, request.outcome),
    releaseLease: request.releaseLease,
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  violations.refuse();
  return command;
}

function decodeOutcome(
  violations: Violations,
  outcome: CompleteOperationRequest['outcome'],
): Pick<CompleteCommand, 'transition' | 'outcome'> {
  switch (outcome?.$case) {
    case undefined:
      violations.note('outcome', 'is required: result, error or cancelled');
      return { transition: 'succeed', outcome: NO_PAYLOAD };
    case 'result':
      return {
        transition: 'succeed',
        outcome: checkedPayload(violations, 'result', outcome.value) ?? NO_PAYLOAD,
      };
    case 'error':
      if (outcome.value.code === 0) violations.note('error.code', 'must not be 0 (OK)');
      return {
        transition: 'fail',
        outcome: violations.payload('error', encodedStatus(outcome.value)),
      };
    case 'cancelled': {
      const message = violations.text(
        'cancelled.message',
        outcome.value.message,
        LIMITS.cancelledMessageBytes,
      );
      return { transition: 'stop', outcome: encodedStatus({ code: CANCELLED, message, details: [] }) };
    }
  }
}

export function decodeYield(request: YieldOperationRequest): YieldCommand {
  const violations = new Violations();
  const command = {
    ...checkedAttempt(violations, request),
    delayMs: violations.duration('delay', decodeDuration(request.delay), 0, LIMITS.timeToLiveMs, 0),
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  violations.refuse();
  return command;
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

function checkedKey(violations: Violations, { resource, operationId }: OperationKey): OperationKey {
  return {
    resource: violations.resource('resource', resource),
    operationId: violations.operationId('operation_id', operationId),
  };
}

function checkedAttempt(violations: Violations, request: AttemptRef): AttemptRef {
  return {
    ...checkedKey(violations, request),
    claimId: violations.uuid('claim_id', request.claimId),
    fencingToken: violations.fencingToken('fencing_token', request.fencingToken),
  };
}

function checkedPayload(violations: Violations, field: string, any: Any | undefined): Payload | undefined {
  const bytes = encodedAny(any);
  return bytes && violations.payload(field, bytes);
}
