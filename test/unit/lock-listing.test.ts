// How much the pieces of a page of locks ask Redis for, and where the page ends.
import { expect, test } from 'vitest';
import { listLocks } from '../../src/store/redis/lock-listing.ts';

interface Piece {
  readonly after: string | undefined;
  readonly most: number;
  readonly mostLooks: number;
  readonly mostBytes: number;
}

/** Lists a page where each piece tells of no lock, and of that many looks and bytes. */
async function pieces(most: number, replies: readonly { readonly looks: number; readonly bytes: number }[]) {
  const asked: Piece[] = [];
  const list = async (args: readonly string[]): Promise<readonly string[]> => {
    const [after] = args;
    asked.push({
      after,
      most: Number(args[4]),
      mostLooks: Number(args[5]),
      mostBytes: Number(args[8]),
    });
    const { looks, bytes } = replies[asked.length - 1] ?? { looks: 0, bytes: 0 };
    const more = asked.length < replies.length ? '1' : '0';
    return ['listed', '0', `name ${asked.length}`, more, String(looks), String(bytes)];
  };
  const page = await listLocks(list, { prefix: '', owner: '', states: ['held'], after: 'first', most });
  return { asked, page };
}

test('a page goes on behind each piece, with the looks and bytes that are left', async () => {
  const { asked, page } = await pieces(500, [
    { looks: 50, bytes: 1_000 },
    { looks: 930, bytes: 10 },
    { looks: 7, bytes: 0 },
  ]);
  expect(asked).toEqual([
    { after: 'first', most: 500, mostLooks: 50, mostBytes: 1_048_576 },
    { after: 'name 1', most: 500, mostLooks: 50, mostBytes: 1_047_576 },
    { after: 'name 2', most: 500, mostLooks: 20, mostBytes: 1_047_566 },
  ]);
  expect(page).toEqual({ locks: [], next: undefined });
});

test('a page ends when it has looked at enough, and the next one goes on behind it', async () => {
  const many = Array.from({ length: 40 }, () => ({ looks: 50, bytes: 0 }));
  const { asked, page } = await pieces(500, many);
  expect(asked).toHaveLength(20);
  expect(page).toEqual({ locks: [], next: 'name 20' });
});

test('a page ends when it is long enough', async () => {
  const { asked, page } = await pieces(500, [
    { looks: 1, bytes: 1_048_576 },
    { looks: 1, bytes: 0 },
  ]);
  expect(asked).toHaveLength(1);
  expect(page).toEqual({ locks: [], next: 'name 1' });
});
