// Requests that only a worker sends, as domain values: the claim that begins its attempts, and what it writes as one of
// them.

import type {
  ClaimOperationsRequest,
  CompleteOperationRequest,
  KeepAliveOperationRequest,
  UpdateOperationRequest,
  YieldOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { LIMITS } from '../domain/limits.ts';
import type { AttemptRef, Payload } from '../domain/operation.ts';
import type { KeepAttemptCommand } from '../service/attempt-streams.ts';
import type { ClaimCommand, CompleteCommand, UpdateCommand, YieldCommand } from '../store/operation-store.ts';
import { checkedKey, checkedPayload, type PayloadBounds } from './decode-operation.ts';
import { decodeDuration } from './durations.ts';
import { encodedStatus } from './payloads.ts';
import { Violations } from './violations.ts';

const NO_PAYLOAD = new Uint8Array();
/** google.rpc.Code.CANCELLED */
const CANCELLED = 1;
const STOPPED_WITHOUT_REASON = 'its worker stopped it, and gave no reason';

export interface ClaimInput {
  readonly command: Omit<ClaimCommand, 'stamp'>;
  /** 0: answer at once. */
  readonly waitMs: number;
}

export function decodeClaim(request: ClaimOperationsRequest, bounds: PayloadBounds): ClaimInput {
  const violations = new Violations();
  const most = { min: 1, max: LIMITS.claimedOperations, unset: 1 };
  const wait = decodeDuration(request.waitTimeout);
  const input = {
    command: {
      types: violations.types('types', request.types, 1),
      resourcePrefix: violations.resourcePrefix('resource_prefix', request.resourcePrefix),
      claimId: violations.uuid('claim_id', request.claimId),
      owner: violations.owner('owner', request.owner),
      most: Math.min(violations.count('max_operations', request.maxOperations, most), mostThatFit(bounds)),
    },
    waitMs: violations.duration('wait_timeout', wait, 0, LIMITS.unaryWaitMs, 0),
  };
  violations.refuse();
  return input;
}

/**
 * Operations whose data and progress fit into an answer. A client that can't take the answer would never learn what it
 * claimed, and the operations would go stale again and again.
 */
function mostThatFit({ maxPayloadBytes }: PayloadBounds): number {
  return Math.max(1, Math.floor(LIMITS.claimedBytes / (2 * maxPayloadBytes)));
}

export function decodeKeepAliveOperation(request: KeepAliveOperationRequest): KeepAttemptCommand {
  const violations = new Violations();
  const command = {
    attempt: checkedAttempt(violations, request),
    renewForMs: violations.renewFor('renew_for', decodeDuration(request.renewFor)),
  };
  violations.refuse();
  return command;
}

export function decodeUpdate(request: UpdateOperationRequest, bounds: PayloadBounds): UpdateCommand {
  const violations = new Violations();
  const change = (field: 'data' | 'progress'): Payload | 'remove' | undefined =>
    request[field] && (checkedPayload(violations, field, request[field], bounds) ?? 'remove');
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
    if (setLabels.has(key)) violations.note(`remove_labels[${index}]`, 'is also in set_labels');
  }
  violations.refuse();
  return command;
}

export function decodeComplete(request: CompleteOperationRequest, bounds: PayloadBounds): CompleteCommand {
  const violations = new Violations();
  const command = {
    ...checkedAttempt(violations, request),
    ...decodeOutcome(violations, request.outcome, bounds),
    releaseLease: request.releaseLease,
    requestId: violations.optionalUuid('request_id', request.requestId),
  };
  violations.refuse();
  return command;
}

function decodeOutcome(
  violations: Violations,
  outcome: CompleteOperationRequest['outcome'],
  bounds: PayloadBounds,
): Pick<CompleteCommand, 'transition' | 'outcome'> {
  switch (outcome?.$case) {
    case undefined:
      violations.note('outcome', 'is required: result, error or cancelled');
      return { transition: 'succeed', outcome: NO_PAYLOAD };
    case 'result':
      return {
        transition: 'succeed',
        outcome: checkedPayload(violations, 'result', outcome.value, bounds) ?? NO_PAYLOAD,
      };
    case 'error':
      if (outcome.value.code === 0) violations.note('error.code', 'must not be 0 (OK)');
      return {
        transition: 'fail',
        outcome: violations.payload('error', encodedStatus(outcome.value), bounds.maxPayloadBytes),
      };
    case 'cancelled': {
      const message = violations.text(
        'cancelled.message',
        outcome.value.message,
        LIMITS.cancelledMessageBytes,
      );
      const status = { code: CANCELLED, message: message || STOPPED_WITHOUT_REASON, details: [] };
      return { transition: 'stop', outcome: encodedStatus(status) };
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

function checkedAttempt(violations: Violations, request: AttemptRef): AttemptRef {
  return {
    ...checkedKey(violations, request),
    claimId: violations.uuid('claim_id', request.claimId),
    fencingToken: violations.fencingToken('fencing_token', request.fencingToken),
  };
}
