// Pages of locks in Redis. The script decides which locks fit; here a page is put together of pieces, so that no script
// keeps other commands waiting for long.

import { LIMITS } from '../../domain/limits.ts';
import type { LockView } from '../../domain/lock.ts';
import type { ListQuery, LockPage } from '../lock-store.ts';
import { aboutOwner } from './lock-arguments.ts';
import { readViews } from './lock-replies.ts';

/** Of more holders than this, only GetLock lists the oldest: to find them takes a look at each. */
export const MOST_SORTED = 1_000;
/** Names, holders and waiters that one script looks at: a millisecond of Redis or less. */
const PIECE_LOOKS = 50;

/** `list` runs list-locks. A page ends where it would if one script read it. */
export async function listLocks(
  list: (args: readonly string[]) => Promise<readonly string[]>,
  { prefix, owner, states, after, most }: ListQuery,
): Promise<LockPage> {
  const locks: LockView[] = [];
  let [last, looks, bytes] = [after, 0, 0];
  for (;;) {
    const reply = await list([
      last,
      prefix,
      owner === '' ? '' : aboutOwner(owner),
      `,${states.join(',')},`,
      String(most - locks.length),
      String(Math.min(PIECE_LOOKS, LIMITS.looksPerPage - looks)),
      String(LIMITS.listedPerPagedLock),
      String(MOST_SORTED),
      String(LIMITS.pageBytes - bytes),
    ]);
    const [word, , lastOfPiece = '', more, looksOfPiece, bytesOfPiece, ...views] = reply;
    if (word !== 'listed') throw new Error(`list-locks: unexpected reply ${word}`);
    locks.push(...readViews(views));
    if (more !== '1') return { locks, next: undefined };
    last = lastOfPiece;
    looks += Number(looksOfPiece);
    bytes += Number(bytesOfPiece);
    const isFull = locks.length >= most || looks >= LIMITS.looksPerPage || bytes >= LIMITS.pageBytes;
    if (isFull) return { locks, next: last };
  }
}
