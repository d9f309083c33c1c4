// Outcomes that a caller did not hope for, as errors: what they say, and when to try again.

import { CoordinationError } from '../domain/errors.ts';
import type { AcquireOutcome, Contention } from '../domain/lock.ts';
import type { WaitEnd } from './waiting-call.ts';

const RETRY_AT_LEAST_MS = 50;
/** A holder may release long before its deadline, so no caller is told to wait until then. */
const RETRY_AT_MOST_MS = 1_000;
/** A roll call may end a quarantine at any moment. */
const RETRY_QUARANTINED_MS = 2_000;
/** A roll call takes a second or so, and the holder has a deadline. */
const RETRY_UNKNOWN_MS = 500;
const RETRY_ELSEWHERE_MS = 100;
const RETRY_OVERLOADED_MS = 1_000;

/** Why an acquisition that does not wait was not granted. */
export function refusal(outcome: Exclude<AcquireOutcome, { kind: 'granted' }>): CoordinationError {
  switch (outcome.kind) {
    case 'contended':
      return contended(outcome.contention);
    case 'quarantined':
      return new CoordinationError('QUARANTINE', 'nothing is granted for a while after a failover', {
        retryAfterMs: Math.min(outcome.retryAfterMs, RETRY_QUARANTINED_MS),
      });
    case 'reused':
      return new CoordinationError('LEASE_ID_REUSED', 'the lease_id names an acquisition in another mode');
    case 'full':
      return new CoordinationError('QUEUE_FULL', 'too many callers wait for the resource', {
        retryAfterMs: RETRY_AT_MOST_MS,
      });
    case 'moved':
      return new CoordinationError('MOVED', 'a newer call speaks for the acquisition');
    case 'revoked':
      return leaseRevoked();
    case 'queued':
      throw new Error('queued without waiting');
  }
}

/** Why a wait ended without a grant. */
export function waitFailure(end: Exclude<WaitEnd, { kind: 'granted' }>): CoordinationError {
  switch (end.kind) {
    case 'refused':
      return refusal(end.outcome);
    case 'moved':
      return new CoordinationError('MOVED', 'a newer call with the same lease_id waits in its place');
    case 'released':
      return new CoordinationError('LEASE_LOST', 'the lease_id was released while the call waited');
    case 'revoked':
      return leaseRevoked();
    case 'cancelled':
      return new CoordinationError('CANCELLED', 'the call was cancelled while it waited');
    case 'draining':
      return draining();
  }
}

const REASONS: Readonly<Record<Contention['reason'], string>> = {
  held: 'someone else holds the resource',
  ahead: 'others wait for the resource, and nobody overtakes them',
  'min-hold': 'the resource stays taken until its min_hold is over',
};

function contended(contention: Contention): CoordinationError {
  const { reason, timeLeftMs } = contention;
  const retryAfterMs =
    reason === 'min-hold' ? timeLeftMs : clamp(timeLeftMs, RETRY_AT_LEAST_MS, RETRY_AT_MOST_MS);
  return new CoordinationError('LOCK_CONTENDED', REASONS[reason], { contention, retryAfterMs });
}

export function draining(): CoordinationError {
  const message = 'this instance is stopping; use another';
  return new CoordinationError('DRAINING', message, { retryAfterMs: RETRY_ELSEWHERE_MS });
}

/** `what`: what this instance has too much of. */
export function overloaded(what: string): CoordinationError {
  return new CoordinationError('OVERLOADED', what, { retryAfterMs: RETRY_OVERLOADED_MS });
}

export function leaseLost(): CoordinationError {
  return new CoordinationError('LEASE_LOST', 'no live lease of the resource has this lease_id and token');
}

/** Not lost: an instance that has not answered the roll call may put it back. */
export function leaseUnknown(): CoordinationError {
  const message = 'after a failover it is not known yet whether the lease lives; nothing was changed';
  return new CoordinationError('QUARANTINE', message, { retryAfterMs: RETRY_UNKNOWN_MS });
}

export function leaseRevoked(): CoordinationError {
  return new CoordinationError('LEASE_LOST', 'an administrator force-released the lease');
}

export function moved(what: 'lease' | 'attempt'): CoordinationError {
  return new CoordinationError('MOVED', `a newer call speaks for the ${what}`);
}

export function cancelled(): CoordinationError {
  return new CoordinationError('CANCELLED', 'the call was cancelled');
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
