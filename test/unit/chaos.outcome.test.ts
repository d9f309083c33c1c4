// What the clients of the chaos suite record about a call that failed: every documented reason has the outcome that
// docs/errors.md gives it, and the outcome is unknown where the repeats of a server or client leave doubts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { ErrorInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { outcomeOf, reasonOf } from '../chaos/client/outcome.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const DOCUMENTED = [...PAGE.matchAll(/^\| `([A-Z_]+)` \| `[A-Z_]+` \| ([^|]+) \|/gm)].map(
  ([, reason = '', outcome = '']): readonly [string, string] => [reason, outcome.trim()],
);

function failure(reason: string): CallError {
  const metadata = new Metadata();
  const info = ErrorInfo.encode(ErrorInfo.fromPartial({ reason, domain: 'leasehold' })).finish();
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(info) }];
  const bytes = Status.encode(Status.fromPartial({ code: status.ABORTED, details })).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return new CallError({ code: status.ABORTED, details: reason, metadata });
}

test('docs/errors.md names the outcomes of more than 25 reasons', () =>
  expect(DOCUMENTED.length).toBeGreaterThan(25));

test.each(DOCUMENTED)(
  'the outcome of a call that fails with %s and does not wait is the documented one: %s',
  (reason, documented) => {
    const isCertain = /^(nothing changed|not granted|the lease is not held)/.test(documented);
    // The reasons of watches leave nothing unchanged that anybody asked to change.
    const isOfWatches = reason.startsWith('WATCH');
    const expected = isCertain && !isOfWatches ? 'failed' : 'unknown';
    expect(outcomeOf('Renew', failure(reason), false)).toBe(expected);
  },
);

test.each([
  // A server that lets a call wait tries again, and reports how the last try ended.
  ['Acquire', 'REDIS_UNAVAILABLE', true, 'unknown'],
  ['Acquire', 'REDIS_UNAVAILABLE', false, 'failed'],
  ['Hold', 'DRAINING', true, 'unknown'],
  ['Acquire', 'LOCK_CONTENDED', true, 'failed'],
  // Granted, and lapsed before it was answered.
  ['Acquire', 'LEASE_LOST', false, 'unknown'],
  // Some were granted, and given back as far as that was possible.
  ['AcquireMany', 'LOCK_CONTENDED', false, 'unknown'],
  ['AcquireMany', 'INVALID_ARGUMENT', false, 'failed'],
  ['ClaimOperations', 'DRAINING', false, 'unknown'],
  // A call that only reads has changed nothing, whatever else is unknown.
  ['GetOperation', 'OUTCOME_UNKNOWN', false, 'failed'],
] as const)(
  'the outcome of a %s that fails with %s (waiting: %s) is "%s"',
  (rpc, reason, waits, expected) => {
    expect(outcomeOf(rpc, failure(reason), waits)).toBe(expected);
  },
);

test('an error without a reason leaves the outcome unknown, and is named by its status', () => {
  const error = new CallError({ code: status.UNAVAILABLE, details: 'No connection established' });
  expect([outcomeOf('Renew', error, false), reasonOf(error)]).toEqual(['unknown', 'UNAVAILABLE']);
});
