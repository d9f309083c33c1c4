// What the store of operations refuses, as errors: what they say, and when to try again.

import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type { BeginOutcome, DeleteOutcome, Refused } from '../store/operation-store.ts';
import { quarantined, refusal } from './refusals.ts';

export function beginRefusal(outcome: Exclude<BeginOutcome, { kind: 'begun' }>): CoordinationError {
  switch (outcome.kind) {
    case 'exists':
      return new CoordinationError(
        'OPERATION_EXISTS',
        'the operation_id names an operation with a different type, different data or different labels',
      );
    case 'attempt-held':
      return new CoordinationError('ATTEMPT_HELD', 'another attempt runs the operation', {
        retryAfterMs: outcome.retryAfterMs,
      });
    case 'open':
      return operationOpen();
    case 'lease-required':
      return new CoordinationError('LEASE_REQUIRED', 'the lease that the operation requires is not held');
    case 'contended':
      return refusal(outcome);
    case 'quarantined':
      return quarantined(outcome.retryAfterMs);
  }
}

export function changeRefusal(outcome: Refused | Exclude<DeleteOutcome, { kind: 'deleted' | 'absent' }>) {
  switch (outcome.kind) {
    case 'not-found':
      return operationNotFound();
    case 'stale-attempt':
      return staleAttempt();
    case 'wrong-state':
      return new CoordinationError('WRONG_STATE', "the operation's state does not allow this");
    case 'version-mismatch':
      return new CoordinationError('VERSION_MISMATCH', 'the record has changed since the version named');
    case 'open':
      return operationOpen();
    case 'labels-full':
      return labelsFull();
    case 'quarantined':
      return quarantined(outcome.retryAfterMs);
  }
}

export function operationNotFound(): CoordinationError {
  return new CoordinationError('OPERATION_NOT_FOUND', 'there is no such operation');
}

export function staleAttempt(): CoordinationError {
  return new CoordinationError('STALE_ATTEMPT', 'the attempt named is not the one that runs the operation');
}

function operationOpen(): CoordinationError {
  const message = 'another operation of the resource is open, and one of them is exclusive';
  return new CoordinationError('OPERATION_OPEN', message);
}

function labelsFull(): CoordinationError {
  const { metadataEntries, metadataTotalBytes } = LIMITS;
  const bounds = `at most ${metadataEntries} entries and ${metadataTotalBytes} bytes in all`;
  const description = `must be ${bounds}, with the labels that the operation already has`;
  return new CoordinationError('INVALID_ARGUMENT', `set_labels: ${description}`, {
    violations: [{ field: 'set_labels', description }],
  });
}
