// The client's conversions between milliseconds or dates and their messages, and the spans that it refuses.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/client/client-errors.ts';
import { dateOf, durationOf, msOf, timestampOf } from '../../src/client/core/time-spans.ts';
import { spanOf } from '../../src/client/number-options.ts';

test('A whole number of milliseconds comes back from its Duration as it was', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
      const { seconds, nanos } = durationOf(ms);
      expect(Math.abs(nanos)).toBeLessThan(1e9);
      expect(msOf({ seconds, nanos })).toBe(ms);
    }),
  );
});

test('A Duration keeps the part of a millisecond down to a nanosecond', () => {
  expect(durationOf(1_500.25)).toEqual({ seconds: 1n, nanos: 500_250_000 });
});

test('A date comes back from its Timestamp as it was, also from before 1970', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (date) => {
      const timestamp = timestampOf(date);
      expect(timestamp?.nanos).toBeGreaterThanOrEqual(0);
      expect(dateOf(timestamp)).toEqual(date);
    }),
  );
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])(
  'A time span of %s is refused by the name of its option',
  (ms) => {
    const refused = () => spanOf('ttlMs', ms);
    expect(refused).toThrow(InvalidArgumentError);
    expect(refused).toThrow(`ttlMs: must be a finite number of milliseconds from 0, but it is ${ms}.`);
    expect(spanOf('ttlMs', undefined)).toBe(undefined);
  },
);
