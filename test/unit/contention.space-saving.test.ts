// The sketch of the heaviest keys, against exact counts.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SpaceSaving } from '../../src/service/contention/space-saving.ts';

const additions = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 30 }).map(String), fc.integer({ min: 0, max: 100 })),
  { maxLength: 400 },
);

test('The sketch never says less than the exact weight, and too much by at most the stated error', () => {
  fc.assert(
    fc.property(additions, fc.integer({ min: 1, max: 12 }), (stream, capacity) => {
      const sketch = new SpaceSaving<object>(capacity, () => ({}));
      const exact = new Map<string, number>();
      let total = 0;
      for (const [key, weight] of stream) {
        sketch.add(key, weight);
        exact.set(key, (exact.get(key) ?? 0) + weight);
        total += weight;
        expect(sketch.size).toBeLessThanOrEqual(capacity);
      }
      expect(sketch.floor).toBeLessThanOrEqual(total / capacity);
      expect([...sketch.entries].reduce((sum, { weight }) => sum + weight, 0)).toBe(total);
      for (const [key, weight] of exact) {
        const counted = sketch.get(key);
        if (!counted) expect(weight).toBeLessThanOrEqual(sketch.floor);
        else {
          expect(weight).toBeLessThanOrEqual(counted.weight);
          expect(weight).toBeGreaterThanOrEqual(counted.weight - counted.error);
        }
      }
    }),
  );
});

test('The sketch is exact as long as there are no more keys than it has room for', () => {
  fc.assert(
    fc.property(additions, (stream) => {
      const sketch = new SpaceSaving<object>(31, () => ({}));
      const exact = new Map<string, number>();
      for (const [key, weight] of stream) {
        sketch.add(key, weight);
        exact.set(key, (exact.get(key) ?? 0) + weight);
      }
      expect(new Map([...sketch.entries].map(({ key, weight }) => [key, weight]))).toEqual(exact);
      expect([...sketch.entries].every(({ error }) => error === 0)).toBe(true);
    }),
  );
});

test('A key that weighs more than its share of the whole stays in the sketch, whatever comes after it', () => {
  const sketch = new SpaceSaving<{ seen: number }>(10, () => ({ seen: 0 }));
  for (let i = 0; i < 1_000; i++) {
    sketch.add(`once-${i}`, 1);
    if (i % 5 === 0) sketch.add('often', 1).seen++;
  }
  const often = sketch.get('often');
  expect(often?.facts.seen).toBeGreaterThan(100);
  expect(often?.weight).toBeGreaterThanOrEqual(200);
  expect(sketch.size).toBe(10);
});
