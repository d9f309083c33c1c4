// The order of listings in memory, and that a page of a large listing doesn't sort all of it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes, inByteOrder } from '../../src/store/memory/byte-order.ts';

const name = fc.string({
  unit: fc.constantFrom('a', 'b', '\t', 'é', '\ud7ff', '\uff5e', '😀', '𐀀'),
  minLength: 1,
});

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

test('names are compared by their bytes in UTF-8', () => {
  fc.assert(
    fc.property(name, name, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(byBytes(a, b));
    }),
  );
});

test('a listing has each name once, in the order of the bytes, from any place on', () => {
  const names = fc.sample(name, { numRuns: 4_000, seed: 1 }).map((one, index) => `${one}${index}`);
  const expected = names.toSorted(byBytes);
  expect([...inByteOrder(names, (one) => one, '')]).toEqual(expected);
  const place = expected[1_500] ?? '';
  expect([...inByteOrder(names, (one) => one, place)]).toEqual(expected.slice(1_501));
  expect([...inByteOrder(expected.toReversed(), (one) => one, '')]).toEqual(expected);
});

test('a page of a large listing costs far less than to sort all of it', () => {
  const names = Array.from({ length: 100_000 }, (_, index) => `lock:${(index * 7_919) % 100_000}`);
  const asBytes = (): unknown => names.map((one) => Buffer.from(one)).sort(Buffer.compare);
  const firstPage = (): unknown => inByteOrder(names, (one) => one, 'lock:5').next();
  expect(quickest(firstPage) * 3).toBeLessThan(quickest(asBytes));
});

function quickest(run: () => unknown): number {
  const times = Array.from({ length: 5 }, () => {
    const startMs = performance.now();
    run();
    return performance.now() - startMs;
  });
  return Math.min(...times);
}
