// What an error says about whether something was changed, by docs/errors.md. The outcome is certain only where no
// repeat by the server and no lost reply can have made it untrue; in doubt it is unknown.

import { status } from '@grpc/grpc-js';
import type { CallError } from '../../../src/client/core/call-error.ts';

/** Whatever came before in the call, the last answer of the server says that nothing of it is left. */
const REFUSED: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'LOCK_CONTENDED',
  'LEASE_ID_REUSED',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'STORE_FULL',
  'QUEUE_FULL',
  'OPERATION_NOT_FOUND',
  'OPERATION_EXISTS',
  'OPERATION_OPEN',
  'ATTEMPT_HELD',
  'STALE_ATTEMPT',
  'WRONG_STATE',
  'VERSION_MISMATCH',
  'LEASE_REQUIRED',
  'NOT_IMPLEMENTED',
]);

/**
 * This try changed nothing. A server that lets a call wait tries several times and reports the last try: an earlier one
 * may have been granted in a Redis that never answered.
 */
const NOT_DONE_THIS_TIME: ReadonlySet<string> = new Set([
  'QUARANTINE',
  'REDIS_UNAVAILABLE',
  'DEPLOYMENT_MISMATCH',
  'OVERLOADED',
  'DRAINING',
]);

/** These calls change nothing, whatever their outcome. */
const READS: ReadonlySet<string> = new Set([
  'CheckFencingToken',
  'GetLock',
  'GetOperation',
  'ListLocks',
  'ListOperations',
  'WaitOperation',
]);

/** The two calls that take several steps, and undo them as far as they can. */
const IN_STEPS: ReadonlySet<string> = new Set(['AcquireMany', 'ClaimOperations']);

/** `waits` means that the server was asked to wait. */
export function outcomeOf(rpc: string, { reason }: CallError, waits: boolean): 'failed' | 'unknown' {
  if (READS.has(rpc)) return 'failed';
  if (IN_STEPS.has(rpc)) return reason === 'INVALID_ARGUMENT' ? 'failed' : 'unknown';
  if (REFUSED.has(reason)) return 'failed';
  // An Acquire with this answer may have been granted, and have lapsed.
  if (reason === 'LEASE_LOST') return rpc === 'Renew' ? 'failed' : 'unknown';
  return NOT_DONE_THIS_TIME.has(reason) && !waits ? 'failed' : 'unknown';
}

/** The reason, or the name of the status where there is no reason. */
export function reasonOf({ reason, code }: CallError): string {
  return reason || (status[code] ?? String(code));
}
