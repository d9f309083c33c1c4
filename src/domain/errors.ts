// What can go wrong, in the words of the domain. The transport maps each code to one gRPC status
// (status-table.ts); docs/errors.md explains each to callers. Expected outcomes of the stores are unions, not
// errors; these are thrown.

import type { Contention } from './lock.ts';

/** Every code is also the `reason` of the google.rpc.ErrorInfo that a caller receives. */
export const ERROR_CODES = [
  'INVALID_ARGUMENT',
  'LOCK_CONTENDED',
  'LEASE_LOST',
  'MOVED',
  'LEASE_ID_REUSED',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'QUARANTINE',
  'REDIS_UNAVAILABLE',
  'PRIMARY_UNCONFIRMED',
  'OUTCOME_UNKNOWN',
  'DURABILITY_UNMET',
  'DEPLOYMENT_MISMATCH',
  'OVERLOADED',
  'DRAINING',
  'STORE_FULL',
  'QUEUE_FULL',
  'WATCH_INTERRUPTED',
  'WATCHER_TOO_SLOW',
  'OPERATION_NOT_FOUND',
  'OPERATION_EXISTS',
  'OPERATION_OPEN',
  'ATTEMPT_HELD',
  'STALE_ATTEMPT',
  'WRONG_STATE',
  'VERSION_MISMATCH',
  'LEASE_REQUIRED',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
  'NOT_IMPLEMENTED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One thing that is wrong with a request: the field's path in the proto message, and what was expected. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorDetails {
  readonly violations?: readonly FieldViolation[];
  /** How long the caller should wait before it tries again. */
  readonly retryAfterMs?: number;
  readonly contention?: Contention;
  /** Small facts for machines, sent as ErrorInfo.metadata. Never a secret, never a whole lease id. */
  readonly facts?: Readonly<Record<string, string>>;
}

export class CoordinationError extends Error {
  override readonly name = 'CoordinationError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** `message` is shown to callers: no internals, no addresses, no ids. The `cause` goes to the log alone. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}
