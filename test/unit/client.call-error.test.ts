// Which errors pass, so that the same call is asked again: a wrong "yes" repeats what can't succeed, a wrong "no" ends
// a hold because one server died.

import { Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { ErrorInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { CallError, localError } from '../../src/client/core/call-error.ts';

function withReason(reason: string): Metadata {
  const info = ErrorInfo.encode({ reason, domain: 'leasehold', metadata: new Map() }).finish();
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(info) }];
  const metadata = new Metadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(Status.encode({ code: 13, message: '', details }).finish()),
  );
  return metadata;
}

test.each([
  ['UNAVAILABLE, whoever says it', status.UNAVAILABLE, undefined, true],
  ['UNAVAILABLE with a reason', status.UNAVAILABLE, withReason('QUARANTINE'), true],
  ['a reset without a reason: CANCELLED', status.CANCELLED, undefined, true],
  ['a reset without a reason: INTERNAL', status.INTERNAL, undefined, true],
  ['a reset without a reason: UNKNOWN', status.UNKNOWN, undefined, true],
  ['a defect that the server reports', status.INTERNAL, withReason('INTERNAL'), false],
  ['contended', status.ABORTED, withReason('LOCK_CONTENDED'), false],
  ['bad input without a reason', status.INVALID_ARGUMENT, undefined, false],
  ['no such rpc', status.UNIMPLEMENTED, undefined, false],
])('%s', (_what, code, metadata, passes) => {
  const error = new CallError({ code, details: '', ...(metadata && { metadata }) });
  expect(error.isPassing).toBe(passes);
});

test('what was ended here does not pass', () => {
  expect(localError(status.CANCELLED, 'the caller gave up').isPassing).toBe(false);
});
