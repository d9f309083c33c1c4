// What an error tells a caller about the time of its next try.
import { expect, test } from 'vitest';
import { RetryInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { CoordinationError, type ErrorCode } from '../../src/domain/errors.ts';
import { errorStatus } from '../../src/transport/error-status.ts';

function retryDelay(code: ErrorCode, retryAfterMs?: number): number | undefined {
  const details = retryAfterMs === undefined ? {} : { retryAfterMs };
  const { details: bytes } = errorStatus(new CoordinationError(code, 'no', details));
  if (!bytes) throw new Error('no details');
  const found = Status.decode(bytes).details.find(({ typeUrl }) => typeUrl.endsWith('google.rpc.RetryInfo'));
  const { seconds, nanos } = (found && RetryInfo.decode(found.value).retryDelay) ?? {};
  return seconds === undefined ? undefined : Number(seconds) * 1_000 + Number(nanos) / 1e6;
}

test('a caller of a newcomer tries again within a second: another instance may answer at once', () => {
  expect(retryDelay('REDIS_UNAVAILABLE', 17_500)).toBe(1_000);
  expect(retryDelay('REDIS_UNAVAILABLE', 200)).toBe(200);
  expect(retryDelay('REDIS_UNAVAILABLE')).toBe(500);
});

test('where another instance would answer the same, the whole time is told', () => {
  expect(retryDelay('QUARANTINE', 30_000)).toBe(30_000);
  expect(retryDelay('LEASE_LOST')).toBeUndefined();
});
