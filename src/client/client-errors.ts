// What can go wrong, as users of the SDK catch it: one class for each thing that one may want to treat by itself, and a
// `reason` for telling apart what shares a class. A message is one or two sentences: what happened, and what to do.
// How an answer of a server becomes one of these is translate-error.ts.

import type { ErrorCode } from '../domain/errors.ts';
import type { CallError } from './core/call-error.ts';
import type { LockHolder } from './lock-view.ts';
import type { AttemptLossReason, LossReason } from './losses.ts';

/** Said by no server, but found out here. */
export const LOCAL_REASONS = [
  /** No instance could be reached. */
  'SERVER_UNREACHABLE',
  /** An instance was reached, and no TLS connection came about. */
  'TLS_FAILED',
  /** An instance was reached and didn't answer in time. Outcome unknown. */
  'NO_ANSWER',
  /** What answered doesn't speak this protocol. */
  'NOT_LEASEHOLD',
  /** `close` was called. */
  'CLIENT_CLOSED',
  'OPERATION_FAILED',
  'OPERATION_CANCELLED',
  'OPERATION_DEAD',
  /** The worker was told to stop. */
  'WORKER_STOPPING',
  /** An error of a server that is newer than this client. */
  'UNKNOWN',
] as const;

export type ErrorReason = ErrorCode | (typeof LOCAL_REASONS)[number];

export interface ErrorFacts {
  readonly reason: ErrorReason;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The base of all of them. */
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

/** Others hold the resource, or were first. */
export class ContendedError extends LeaseholdError {
  override readonly name = 'ContendedError';
  readonly resource: string;
  /** At most 4, without metadata. */
  readonly holders: readonly LockHolder[];
  readonly queueLength: number;
  /** For how long it stays taken if nobody releases or renews; undefined: not known. */
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

/** A lease that was held is over. */
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

/** The attempt at an operation is over: what its worker writes is refused. */
export class AttemptLostError extends LeaseholdError {
  override readonly name = 'AttemptLostError';
  readonly loss: AttemptLossReason;

  constructor(message: string, facts: ErrorFacts & Pick<AttemptLostError, 'loss'>) {
    super(message, facts);
    this.loss = facts.loss;
  }
}

/** The lease that this needs isn't held (any more): released here, or named and unknown there. */
export class NotHeldError extends LeaseholdError {
  override readonly name = 'NotHeldError';
}

/** No answer that counts was to be had in time; the same again may succeed later. */
export class UnavailableError extends LeaseholdError {
  override readonly name = 'UnavailableError';
}

export class InvalidArgumentError extends LeaseholdError {
  override readonly name = 'InvalidArgumentError';
  readonly violations: CallError['violations'];

  constructor(message: string, facts: ErrorFacts & Pick<InvalidArgumentError, 'violations'>) {
    super(message, facts);
    this.violations = facts.violations;
  }
}

export class UnauthenticatedError extends LeaseholdError {
  override readonly name = 'UnauthenticatedError';
}

export class PermissionDeniedError extends LeaseholdError {
  override readonly name = 'PermissionDeniedError';
}

/** The state of an operation doesn't allow this: `reason` says which. */
export class OperationRefusedError extends LeaseholdError {
  override readonly name = 'OperationRefusedError';
}

/** The operation ended without a result: FAILED, CANCELLED or DEAD, as `reason` says. */
export class OperationEndedError extends LeaseholdError {
  override readonly name = 'OperationEndedError';
  readonly resource: string;
  readonly operationId: string;
  /** What its worker said, or the server. */
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
