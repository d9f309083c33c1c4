// The errors that docs/errors.md prints, against what a server really answers: every field, in the JSON form that
// protobuf defines. Values that differ from call to call are replaced on both sides.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Duration } from '../../generated/google/protobuf/duration.ts';
import { ContentionReason } from '../../generated/leasehold/v1/error_details.ts';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type { LockHolder } from '../../generated/leasehold/v1/lock.ts';
import { AcquireRequest, LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { type RawError, rawError } from '../support/raw-call.ts';
import { type Rig, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const [contended = '', refused = '', ...others] = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(
  ([, text]) => text ?? '',
);

let rig: Rig;

beforeAll(async () => {
  rig = await startRig('embedded');
});

afterAll(() => rig.stop());

/** What protobuf's JSON form leaves out: fields with their default. */
function withoutDefaults(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isSet = (value: unknown): boolean =>
    value !== undefined &&
    value !== '' &&
    value !== 0 &&
    value !== false &&
    !(value instanceof Map && value.size === 0);
  return Object.fromEntries(Object.entries(message).filter(([, value]) => isSet(value)));
}

function span(value: Duration | undefined): string | undefined {
  return value && `${Number(value.seconds) + value.nanos / 1e9}s`;
}

function holder({
  mode,
  fencingToken,
  acquireTime,
  remaining,
  ...rest
}: LockHolder): Record<string, unknown> {
  const { seconds = 0n, nanos = 0 } = acquireTime ?? {};
  const second = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return withoutDefaults({
    ...rest,
    ...(mode && { [mode.$case]: mode.value }),
    fencingToken: fencingToken.toString(),
    acquireTime: `${second}.${String(Math.floor(nanos / 1_000)).padStart(6, '0')}Z`,
    remaining: span(remaining),
  });
}

function asJson({ code, message, details }: RawError): unknown {
  const info = details['google.rpc.ErrorInfo'];
  const bad = details['google.rpc.BadRequest'];
  const retry = details['google.rpc.RetryInfo'];
  const contention = details['leasehold.v1.Contention'];
  return {
    code: status[code as keyof typeof status], // the name came from there
    message,
    details: [
      info && { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', ...withoutDefaults({ ...info }) },
      bad && {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: bad.fieldViolations.map((violation) => withoutDefaults({ ...violation })),
      },
      retry && { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: span(retry.retryDelay) },
      contention && {
        '@type': 'type.googleapis.com/leasehold.v1.Contention',
        ...withoutDefaults({
          ...contention,
          holders: contention.holders.map(holder),
          timeLeft: span(contention.timeLeft),
          reason: Object.entries(ContentionReason).find(([, value]) => value === contention.reason)?.[0],
        }),
      },
    ].filter((detail) => detail !== undefined),
  };
}

/** Replaces what differs between two calls, so that they can be compared; it checks the form on the way. */
function steady(text: string): unknown {
  return JSON.parse(
    text
      .replace(/"leaseIdHash": ?"[0-9a-f]{12}"/, '"leaseIdHash":"HASH"')
      .replace(/"fencingToken": ?"\d{16}"/, '"fencingToken":"TOKEN"')
      .replace(/"acquireTime": ?"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"/, '"acquireTime":"TIME"')
      .replaceAll(/"(remaining|timeLeft)": ?"21\.\d+s"/g, '"$1":"SPAN"'),
  );
}

async function acquire(spec: Parameters<typeof LeaseSpec.fromPartial>[0]): Promise<RawError> {
  const leaseId = '3f2b8c1e-9d47-4a60-8b11-0c5e7a9d2f34';
  const bytes = AcquireRequest.encode({
    spec: LeaseSpec.fromPartial({ leaseId, ...spec }),
    wait: undefined,
  }).finish();
  return rawError(rig.client.stub, LockServiceService.acquire.path, bytes);
}

test('the documented error of a contended lock is the one that a caller gets', async () => {
  await rig.client.acquire({ resource: 'invoice:42', owner: 'billing-7f9c@host-3', ttl: duration(19_999) });
  const actual = JSON.stringify(asJson(await acquire({ resource: 'invoice:42' })));
  expect(steady(actual)).toEqual(steady(contended));
  // The values were replaced, so the comparison was one of equals.
  expect(JSON.stringify(steady(actual)).match(/HASH|TOKEN|TIME|SPAN/g)).toHaveLength(5);
});

test('the documented error of a request with two mistakes is the one that a caller gets', async () => {
  expect(asJson(await acquire({ resource: '', ttl: duration(500) }))).toEqual(JSON.parse(refused));
});

test('docs/errors.md has no other examples of errors', () => {
  expect(others).toEqual([]);
});
