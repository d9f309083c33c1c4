// google.protobuf.Duration and Timestamp at their edges: what is refused, and that nothing is ever rounded up.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeDuration, encodeDuration, encodeTimestamp } from '../../src/transport/durations.ts';

const MAX_SECONDS = 315_576_000_000n;

test.each([
  ['unset', undefined, undefined],
  ['zero', { seconds: 0n, nanos: 0 }, 0],
  ['one and a half seconds', { seconds: 1n, nanos: 500_000_000 }, 1_500],
  ['one nanosecond', { seconds: 0n, nanos: 1 }, 0.000_001],
  ['negative', { seconds: -1n, nanos: -500_000_000 }, -1_500],
  ['negative below a second', { seconds: 0n, nanos: -1_000_000 }, -1],
  ['the largest', { seconds: MAX_SECONDS, nanos: 999_999_999 }, Number(MAX_SECONDS) * 1_000 + 999.999_999],
])('the Duration is read: %s', (_name, duration, ms) => {
  expect(decodeDuration(duration)).toBe(ms);
});

test.each([
  ['a second of nanos', { seconds: 1n, nanos: 1_000_000_000 }],
  ['minus a second of nanos', { seconds: -1n, nanos: -1_000_000_000 }],
  ['the largest int32 of nanos', { seconds: 0n, nanos: 2_147_483_647 }],
  ['the smallest int32 of nanos', { seconds: 0n, nanos: -2_147_483_648 }],
  ['a positive second with negative nanos', { seconds: 1n, nanos: -1 }],
  ['a negative second with positive nanos', { seconds: -1n, nanos: 1 }],
  ['more than ten thousand years', { seconds: MAX_SECONDS + 1n, nanos: 0 }],
  ['less than minus ten thousand years', { seconds: -MAX_SECONDS - 1n, nanos: 0 }],
  ['the largest int64', { seconds: 2n ** 63n - 1n, nanos: 0 }],
  ['the smallest int64', { seconds: -(2n ** 63n), nanos: 0 }],
])('no valid Duration: %s', (_name, duration) => {
  expect(decodeDuration(duration)).toBeNaN();
});

test('an encoded span is valid, never longer than it was, and shorter by less than a microsecond', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 30 * 24 * 3_600_000, noNaN: true }), (ms) => {
      const told = encodeDuration(ms);
      const back = decodeDuration(told) ?? Number.NaN;
      // Double arithmetic over 30 days of milliseconds is exact to some 5e-7.
      expect(back).toBeLessThanOrEqual(ms + 1e-6);
      expect(back).toBeGreaterThan(ms - 0.001_001);
      expect(told.nanos % 1_000).toBe(0);
    }),
  );
});

test('a wall time is encoded to the nanosecond below it', () => {
  expect(encodeTimestamp(1_700_000_000_123)).toEqual({ seconds: 1_700_000_000n, nanos: 123_000_000 });
  expect(encodeTimestamp(0)).toEqual({ seconds: 0n, nanos: 0 });
  expect(encodeTimestamp(999.5)).toEqual({ seconds: 0n, nanos: 999_500_000 });
});
