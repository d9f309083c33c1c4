// By which marks a process knows its entry in the registry, alone; roll-call.identity.test.ts shows two processes.
import { expect, test } from 'vitest';
import { EntryMarks } from '../../src/store/redis/entry-marks.ts';

function marksOf(run: string, seed: number): EntryMarks {
  let turn = 0;
  return new EntryMarks(run, () => (seed + turn++ / 1_000) % 1);
}

test('a process knows every mark that it has written as its own, the first of thousands too', () => {
  const marks = marksOf('a', 0.1);
  const sent = Array.from({ length: 3_000 }, () => marks.next());
  expect(sent.filter((mark) => !marks.isOwn(mark))).toEqual([]);
  expect(new Set(sent).size).toBe(3_000);
});

test('the mark of another run is foreign', () => {
  expect(marksOf('b', 0.1).isOwn(marksOf('a', 0.1).next())).toBe(false);
});

test('what a copy of this process wrote since it was copied is foreign, whichever of the two is ahead', () => {
  const [one, copy] = [marksOf('a', 0.1), marksOf('a', 0.1)];
  expect(copy.next()).toBe(one.next());
  expect(copy.isOwn(one.next())).toBe(false); // one has gone on, and the copy has not
  const [same, differs] = [marksOf('a', 0.1), marksOf('a', 0.2)];
  expect(same.isOwn(differs.next())).toBe(false);
  same.next();
  expect(same.isOwn(differs.next())).toBe(false); // as many each, but not the same
});
