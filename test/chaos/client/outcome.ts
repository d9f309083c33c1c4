// What an error says about whether something was changed, by docs/errors.md. Certain is only what no server-side repeat
// and no lost reply can have made untrue; in doubt it is unknown.

import { status } from '@grpc/grpc-js';
import type { CallError } from '../../../src/client/core/call-error.ts';

/** Whatever came before in the call, the last word of the server is that nothing of it is there. */
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
 * Nothing was changed by this try. A server that lets a call wait tries several times, and tells of the last: one
 * before may have been granted in a Redis that never answered.
 */
const NOT_DONE_THIS_TIME: ReadonlySet<string> = new Set([
  'QUARANTINE',
  'REDIS_UNAVAILABLE',
  'DEPLOYMENT_MISMATCH',
  'OVERLOADED',
  'DRAINING',
]);

/** Whatever becomes of them, they change nothing. */
const READS: ReadonlySet<string> = new Set([
  'CheckFencingToken',
  'GetLock',
  'GetOperation',
  'ListLocks',
  'ListOperations',
  'WaitOperation',
]);

/** The two that take several steps, and take them back as far as they can. */
const IN_STEPS: ReadonlySet<string> = new Set(['AcquireMany', 'ClaimOperations']);

/** `waits`: the server was asked to wait. */
export function outcomeOf(rpc: string, { reason }: CallError, waits: boolean): 'failed' | 'unknown' {
  if (READS.has(rpc)) return 'failed';
  if (IN_STEPS.has(rpc)) return reason === 'INVALID_ARGUMENT' ? 'failed' : 'unknown';
  if (REFUSED.has(reason)) return 'failed';
  // An Acquire that is answered so may have been granted, and have lapsed.
  if (reason === 'LEASE_LOST') return rpc === 'Renew' ? 'failed' : 'unknown';
  return NOT_DONE_THIS_TIME.has(reason) && !waits ? 'failed' : 'unknown';
}

/** The reason, or the name of the status where there is none. */
export function reasonOf({ reason, code }: CallError): string {
  return reason || (status[code] ?? String(code));
}
