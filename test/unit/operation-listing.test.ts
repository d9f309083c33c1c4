// How many records the pieces of a page of operations ask Redis for.
import { expect, test } from 'vitest';
import { listOperations } from '../../src/store/redis/operation-listing.ts';

/** How many records each piece of a page asks for, where the first piece finds none and is the last. */
async function asked(most: number): Promise<readonly number[]> {
  const pieces: number[] = [];
  const list = async ([, , piece]: readonly string[]): Promise<readonly string[]> => {
    pieces.push(Number(piece));
    return ['operations', '0', '0'];
  };
  const filter = { types: [], states: [], labels: new Map<string, string>() };
  const query = { filter, after: undefined, most, withPayloads: false };
  await listOperations({ list, getMany: async () => [] }, query);
  return pieces;
}

test('a small page asks for one more than its size, which says whether there is another page', async () => {
  expect(await asked(1)).toEqual([2]);
  expect(await asked(99)).toEqual([100]);
});

test('a large page is read in pieces', async () => {
  expect(await asked(500)).toEqual([100]);
});
