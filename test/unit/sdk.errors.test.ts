// The errors of the TypeScript client: one for each reason of a server, and for what the gRPC library says when it has
// no connection.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { Any } from '../../generated/google/protobuf/any.ts';
import { ErrorInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { ADVICE } from '../../src/client/advice.ts';
import * as errors from '../../src/client/client-errors.ts';
import { LeaseholdError } from '../../src/client/client-errors.ts';
import { CallError, localError } from '../../src/client/core/call-error.ts';
import { translated } from '../../src/client/translate-error.ts';
import { ERROR_CODES, type ErrorCode } from '../../src/domain/errors.ts';
import { STATUS_OF } from '../../src/transport/status-table.ts';

const WHERE = ['10.0.0.1:50051'];

function answered(reason: string, code: number, details = 'something is so'): CallError {
  const value = ErrorInfo.encode({ reason, domain: 'leasehold', metadata: new Map() }).finish();
  const any = { typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(value) };
  const status = Status.encode({ code, message: details, details: [Any.fromPartial(any)] }).finish();
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(status));
  return new CallError({ code, details, metadata });
}

function error(given: unknown): LeaseholdError {
  const told = translated(given, WHERE);
  if (!(told instanceof LeaseholdError)) throw new Error(`not translated: ${String(told)}`);
  return told;
}

const CLASSES: Readonly<Partial<Record<ErrorCode, string>>> = {
  INVALID_ARGUMENT: 'InvalidArgumentError',
  LOCK_CONTENDED: 'ContendedError',
  LEASE_LOST: 'NotHeldError',
  LEASE_REQUIRED: 'NotHeldError',
  UNAUTHENTICATED: 'UnauthenticatedError',
  PERMISSION_DENIED: 'PermissionDeniedError',
  STALE_ATTEMPT: 'AttemptLostError',
  OPERATION_NOT_FOUND: 'OperationRefusedError',
  OPERATION_EXISTS: 'OperationRefusedError',
  OPERATION_OPEN: 'OperationRefusedError',
  ATTEMPT_HELD: 'OperationRefusedError',
  WRONG_STATE: 'OperationRefusedError',
  VERSION_MISMATCH: 'OperationRefusedError',
};

test.each(ERROR_CODES)('An error with the reason %s has its class, its message and its advice', (code) => {
  const told = error(answered(code, STATUS_OF[code]));
  const isPassing = STATUS_OF[code] === 14 || code === 'DEADLINE_EXCEEDED';
  expect(told.reason).toBe(code);
  expect(told.name).toBe(CLASSES[code] ?? (isPassing ? 'UnavailableError' : 'LeaseholdError'));
  expect(told.message).toBe(`Something is so. ${ADVICE[code]}`);
  expect(told.cause).toBeInstanceOf(CallError);
});

test('A reason that this client does not know becomes UNKNOWN', () => {
  expect(error(answered('NEW_REASON', 9))).toMatchObject({ name: 'LeaseholdError', reason: 'UNKNOWN' });
});

// The texts of @grpc/grpc-js 1.14 on Node.js 24; test/integration/sdk.adversity checks that it still says them.
const CONNECTIONS: readonly (readonly [says: string, reason: string])[] = [
  [
    'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    'SERVER_UNREACHABLE',
  ],
  ['Name resolution failed for target dns:nosuchhost.invalid:1', 'SERVER_UNREACHABLE'],
  [
    'No connection established. Last error: Failed to connect (2026-11-24T22:37:06.177Z). Resolution note: ',
    'SERVER_UNREACHABLE',
  ],
  [
    'No connection established. Last error: Protocol error (2026-11-24T22:37:18.768Z). Resolution note: ',
    'SERVER_UNREACHABLE',
  ],
  [
    'No connection established. Last error: Error: 408:error:0A00010B:SSL routines:tls_validate:wrong version number:x.c:77:\n. Resolution note: ',
    'TLS_FAILED',
  ],
  [
    'No connection established. Last error: Error: unable to verify the first certificate. Resolution note: ',
    'TLS_FAILED',
  ],
  [
    "No connection established. Last error: Error [ERR_TLS_CERT_ALTNAME_INVALID]: Host: a is not in the cert's altnames. Resolution note: ",
    'TLS_FAILED',
  ],
  ['Connection dropped', 'NO_ANSWER'],
  ['the server does not answer', 'NO_ANSWER'],
];

test.each(CONNECTIONS)('An UNAVAILABLE error without details that says %j becomes %s', (says, reason) => {
  const told = error(localError(14, says));
  expect([told.name, told.reason]).toEqual(['UnavailableError', reason]);
  expect(told.message).toContain(WHERE[0]);
  expect(told.message).not.toMatch(/Resolution note|No connection established|\n|\d{4}-\d\d-\d\dT/);
  expect(told.message.endsWith(ADVICE[told.reason])).toBe(true);
});

test.each([
  [1, 'Cancelled on server', 'NO_ANSWER'],
  [1, 'the channel is closed', 'CLIENT_CLOSED'],
  [4, 'Deadline exceeded', 'NO_ANSWER'],
  [12, 'The server does not implement the method', 'NOT_LEASEHOLD'],
  [2, 'Received HTTP status code 404', 'NOT_LEASEHOLD'],
  [8, 'Received message larger than max', 'INVALID_ARGUMENT'],
  [16, 'no', 'UNAUTHENTICATED'],
] as const)('An error without details with the code %i that says %j becomes %s', (code, says, reason) => {
  expect(error(localError(code, says)).reason).toBe(reason);
});

test("An error of the user's own is passed on unchanged", () => {
  const own = new Error('mine');
  expect(translated(own, WHERE)).toBe(own);
});

test('docs/sdk.md describes every error class and every reason of the client’s own', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/sdk.md'), 'utf8');
  const classes = Object.keys(errors).filter((name) => name.endsWith('Error'));
  expect(classes.length).toBeGreaterThan(10);
  const missing = [...classes, ...errors.LOCAL_REASONS].filter((name) => !page.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});
