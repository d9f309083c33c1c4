// The errors that users of the TypeScript client catch: one class for each thing that they may want to handle by
// itself, and a `reason` that tells apart what shares a class. A message is one or two sentences: what happened, and
// what to do. translate-error.ts makes these errors from the answers of servers.

import type { ErrorCode } from '../domain/errors.ts';
import type { LockHolder } from './lock-view.ts';
import type { AttemptLossReason, LossReason } from './loss-reasons.ts';

/** The reasons that no server gives: this client finds them out. */
export const LOCAL_REASONS = [
  /** The client could not reach any instance. */
  'SERVER_UNREACHABLE',
  /** The client reached an instance, but the TLS handshake failed. */
  'TLS_FAILED',
  /** An instance was reached and didn't answer in time. The outcome is unknown. */
  'NO_ANSWER',
  /** What answered doesn't speak this protocol. */
  'NOT_LEASEHOLD',
  /** The user called `close`. */
  'CLIENT_CLOSED',
  'OPERATION_FAILED',
  'OPERATION_CANCELLED',
  'OPERATION_DEAD',
  /** The worker was told to stop. */
  'WORKER_STOPPING',
  /** The server is newer than this client, and gave a reason that this client doesn't know. */
  'UNKNOWN',
] as const;

export type ErrorReason = ErrorCode | (typeof LOCAL_REASONS)[number];

export interface ErrorFacts {
  readonly reason: ErrorReason;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The base of all these errors. */
export class LeaseholdError extends Error {
  override readonly name: string = 'LeaseholdError';
  readonly reason: ErrorReason;
  /** How long the server asks to wait before the next try; undefined where it doesn't say. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { reason, retryAfterMs, cause }: ErrorFacts) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Others hold the resource, or wait for it in front of this caller. */
export class ContendedError extends LeaseholdError {
  override readonly name = 'ContendedError';
  readonly resource: string;
  /** At most 4 of them, without metadata. */
  readonly holders: readonly LockHolder[];
  readonly queueLength: number;
  /** How long the resource stays taken if no holder releases or renews; undefined where that isn't known. */
  readonly timeLeftMs: number | undefined;

  constructor(
    message: string,
    facts: ErrorFacts & Pick<ContendedError, 'resource' | 'holders' | 'queueLength' | 'timeLeftMs'>,
  ) {
    super(message, facts);
    this.resource = facts.resource;
    this.holders = facts.holders;
    this.queueLength = facts.queueLength;
    this.timeLeftMs = facts.timeLeftMs;
  }
}

/** This client held the lease, and the lease is over. */
export class LeaseLostError extends LeaseholdError {
  override readonly name = 'LeaseLostError';
  readonly resource: string;
  readonly loss: LossReason;

  constructor(message: string, facts: ErrorFacts & Pick<LeaseLostError, 'resource' | 'loss'>) {
    super(message, facts);
    this.resource = facts.resource;
    this.loss = facts.loss;
  }
}

/** The attempt at an operation is over: the server refuses what its worker writes. */
export class AttemptLostError extends LeaseholdError {
  override readonly name = 'AttemptLostError';
  readonly loss: AttemptLossReason;

  constructor(message: string, facts: ErrorFacts & Pick<AttemptLostError, 'loss'>) {
    super(message, facts);
    this.loss = facts.loss;
  }
}

/** The call needs a lease that isn't held: it was released here, or the server doesn't know it. */
export class NotHeldError extends LeaseholdError {
  override readonly name = 'NotHeldError';
}

/** No instance gave an answer that counts in time; the same call may succeed later. */
export class UnavailableError extends LeaseholdError {
  override readonly name = 'UnavailableError';
}

/** One thing that is wrong with what the caller gave. */
export interface Violation {
  /** The option or argument, as this client calls it, such as `ttlMs`. */
  readonly option: string;
  /** The field of the contract, such as `spec.ttl`, where a server refused it; else the option. */
  readonly field: string;
  readonly description: string;
}

export class InvalidArgumentError extends LeaseholdError {
  override readonly name = 'InvalidArgumentError';
  readonly violations: readonly Violation[];

  constructor(message: string, facts: ErrorFacts & Pick<InvalidArgumentError, 'violations'>) {
    super(message, facts);
    this.violations = facts.violations;
  }
}

/** The error for an option that this client refuses itself, before it asks any server. */
export function invalidOption(
  option: string,
  description: string,
  advice: string,
  cause?: unknown,
): InvalidArgumentError {
  return new InvalidArgumentError(`${option}: ${description}. ${advice}`, {
    reason: 'INVALID_ARGUMENT',
    cause,
    violations: [{ option, field: option, description }],
  });
}

export class UnauthenticatedError extends LeaseholdError {
  override readonly name = 'UnauthenticatedError';
}

export class PermissionDeniedError extends LeaseholdError {
  override readonly name = 'PermissionDeniedError';
}

/** The state of an operation doesn't allow this call: `reason` says why. */
export class OperationRefusedError extends LeaseholdError {
  override readonly name = 'OperationRefusedError';
}

/** The operation ended without a result: FAILED, CANCELLED or DEAD, as `reason` says. */
export class OperationEndedError extends LeaseholdError {
  override readonly name = 'OperationEndedError';
  readonly resource: string;
  readonly operationId: string;
  /** What its worker said, or the server did. */
  readonly detail: string;

  constructor(
    message: string,
    facts: ErrorFacts & Pick<OperationEndedError, 'resource' | 'operationId' | 'detail'>,
  ) {
    super(message, facts);
    this.resource = facts.resource;
    this.operationId = facts.operationId;
    this.detail = facts.detail;
  }
}
