// Which errors may pass, so that the client repeats the call: a wrong "yes" repeats what can't succeed, a wrong "no"
// ends a hold because one server died.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { ErrorInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { CallError, localError, PASSING_WITHOUT_REASON } from '../../src/client/core/call-error.ts';

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
  ['UNAVAILABLE, with or without a reason', status.UNAVAILABLE, undefined, true],
  ['UNAVAILABLE with a reason', status.UNAVAILABLE, withReason('QUARANTINE'), true],
  ['CANCELLED without a reason, as after a reset', status.CANCELLED, undefined, true],
  ['INTERNAL without a reason, as after a reset', status.INTERNAL, undefined, true],
  ['UNKNOWN without a reason, as after a reset', status.UNKNOWN, undefined, true],
  ['DEADLINE_EXCEEDED without a reason, as by a proxy', status.DEADLINE_EXCEEDED, undefined, true],
  ['DEADLINE_EXCEEDED with a reason', status.DEADLINE_EXCEEDED, withReason('DEADLINE_EXCEEDED'), false],
  ['INTERNAL with a reason, a bug that the server reports', status.INTERNAL, withReason('INTERNAL'), false],
  ['LOCK_CONTENDED', status.ABORTED, withReason('LOCK_CONTENDED'), false],
  ['INVALID_ARGUMENT without a reason', status.INVALID_ARGUMENT, undefined, false],
  ['UNIMPLEMENTED, no such rpc', status.UNIMPLEMENTED, undefined, false],
])('Whether the same call may succeed later after an error: %s', (_what, code, metadata, passes) => {
  const error = new CallError({ code, details: '', ...(metadata && { metadata }) });
  expect(error.isPassing).toBe(passes);
});

test('A call that was ended here is not repeated', () => {
  expect(localError(status.CANCELLED, 'the caller gave up').isPassing).toBe(false);
});

test('docs/clients.md lists exactly the statuses that pass without a reason', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/clients.md'), 'utf8');
  const [, table = ''] = /\| status without a reason \|[^\n]*\n([\s\S]*?)\n\n/.exec(page) ?? [];
  const listed = [...table.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(PASSING_WITHOUT_REASON.map((code) => status[code]).sort());
});
