// Turns the error that a call ended with into the one that users catch: by google.rpc.ErrorInfo.reason where a server
// gave one, else by what the gRPC library says of the connection.

import { ERROR_CODES, type ErrorCode } from '../domain/errors.ts';
import { ADVICE } from './advice.ts';
import {
  AttemptLostError,
  ContendedError,
  type ErrorFacts,
  type ErrorReason,
  InvalidArgumentError,
  LeaseholdError,
  NotHeldError,
  OperationRefusedError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
} from './client-errors.ts';
import { CallError } from './core/call-error.ts';
import { msOf } from './core/time-spans.ts';
import { holderOf } from './lock-view.ts';
import { optionOfField } from './option-names.ts';

// The gRPC codes that decide where the error has no reason.
const CANCELLED = 1;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

const BY_CODE: ReadonlyMap<number, ErrorReason> = new Map<number, ErrorReason>([
  [CANCELLED, 'NO_ANSWER'], // from a server or proxy that ended; what the caller cancels isn't translated
  [INVALID_ARGUMENT, 'INVALID_ARGUMENT'],
  [DEADLINE_EXCEEDED, 'NO_ANSWER'],
  [PERMISSION_DENIED, 'PERMISSION_DENIED'],
  [RESOURCE_EXHAUSTED, 'INVALID_ARGUMENT'], // the message is larger than the server accepts
  [UNIMPLEMENTED, 'NOT_LEASEHOLD'],
  [UNAUTHENTICATED, 'UNAUTHENTICATED'],
]);

const OF_TLS = /SSL routines|certificate|ERR_TLS|self.signed|wrong version number/i;
const UNREACHED =
  /No connection established|Name resolution failed|Failed to parse|ECONN|ENOTFOUND|EHOSTUNREACH/i;

/** Returns anything but a CallError unchanged: it is a bug, or the user's own error. */
export function translated(error: unknown, addresses: readonly string[]): unknown {
  if (!(error instanceof CallError)) return error;
  const reason = reasonOf(error);
  const facts = { reason, retryAfterMs: error.retryAfterMs, cause: error };
  const message = messageOf(error, reason, addresses);
  switch (reason) {
    case 'LOCK_CONTENDED':
      return contended(error, message);
    case 'INVALID_ARGUMENT':
      return invalid(error, message, facts);
    case 'LEASE_LOST':
    case 'LEASE_REQUIRED':
      return new NotHeldError(message, facts);
    case 'UNAUTHENTICATED':
      return new UnauthenticatedError(message, facts);
    case 'PERMISSION_DENIED':
      return new PermissionDeniedError(message, facts);
    case 'STALE_ATTEMPT':
      return new AttemptLostError(message, { ...facts, loss: 'superseded' });
    case 'OPERATION_NOT_FOUND':
    case 'OPERATION_EXISTS':
    case 'OPERATION_OPEN':
    case 'ATTEMPT_HELD':
    case 'WRONG_STATE':
    case 'VERSION_MISMATCH':
      return new OperationRefusedError(message, facts);
    case 'SERVER_UNREACHABLE':
    case 'TLS_FAILED':
    case 'NO_ANSWER':
      return new UnavailableError(message, facts);
    default:
      return error.code === UNAVAILABLE || reason === 'DEADLINE_EXCEEDED'
        ? new UnavailableError(message, facts)
        : new LeaseholdError(message, facts);
  }
}

function invalid(error: CallError, message: string, facts: ErrorFacts): InvalidArgumentError {
  const violations = error.violations.map((violation) => ({
    ...violation,
    option: optionOfField(violation.field),
  }));
  const told = violations.map(({ option, description }) => `${option}: ${description}`).join('; ');
  const text = told === '' ? message : `${told}. ${ADVICE.INVALID_ARGUMENT}`;
  return new InvalidArgumentError(text, { ...facts, violations });
}

function reasonOf(error: CallError): ErrorReason {
  const { reason, code, message } = error;
  if (isErrorCode(reason)) return reason;
  if (reason !== '') return 'UNKNOWN';
  if (error.isChannelClosed) return 'CLIENT_CLOSED';
  if (code !== UNAVAILABLE) return BY_CODE.get(code) ?? (resets(error) ? 'NO_ANSWER' : 'NOT_LEASEHOLD');
  if (OF_TLS.test(message)) return 'TLS_FAILED';
  return UNREACHED.test(message) ? 'SERVER_UNREACHABLE' : 'NO_ANSWER';
}

// A web server says UNKNOWN, too. The library's text tells it from a stream or connection that broke.
function resets({ isPassing, message }: CallError): boolean {
  return isPassing && !message.startsWith('Received HTTP status code');
}

function isErrorCode(reason: string): reason is ErrorCode {
  return ERROR_CODES.some((code) => code === reason);
}

function messageOf(
  { message, reason, code }: CallError,
  known: ErrorReason,
  addresses: readonly string[],
): string {
  const said = plain(message);
  const where = addresses.join(', ');
  const advice = ADVICE[known];
  if (reason !== '') return `${sentence(said)} ${advice}`;
  if (known === 'CLIENT_CLOSED') return `The client is closed. ${advice}`;
  if (code === UNAVAILABLE && known !== 'NO_ANSWER') {
    const hint = /Failed to connect|Protocol error/.test(said)
      ? ' Something listens there and ends the connection: it may want TLS or a client certificate, or speak something else.'
      : '';
    return `No connection to ${where} (${said}).${hint} ${advice}`;
  }
  return `No answer that counts from ${where} (${said}). ${advice}`;
}

// Strips what the library wraps around the one thing that matters.
function plain(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (Error( \[\w+\])?: )?/, '')
    .replace(/ ?Resolution note: ?/, '')
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, '')
    .replace(/\s+/g, ' ')
    .replace(/[\s.:]+$/, '');
}

function sentence(said: string): string {
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}

function contended(error: CallError, message: string): ContendedError {
  const { contention } = error;
  const holders = (contention?.holders ?? []).map(holderOf);
  const owners = holders.map(({ owner }) => owner).filter((owner) => owner !== '');
  const resource = contention?.resource ?? '';
  const held =
    owners.length > 0 ? `${resource} is held by ${owners.join(', ')}: ` : resource && `${resource}: `;
  const text = held === '' ? message : `${held}${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  return new ContendedError(text, {
    reason: 'LOCK_CONTENDED',
    retryAfterMs: error.retryAfterMs,
    cause: error,
    resource,
    holders,
    queueLength: contention?.queueLength ?? 0,
    timeLeftMs: msOf(contention?.timeLeft),
  });
}
