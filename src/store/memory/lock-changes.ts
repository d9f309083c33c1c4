// Who watches the locks in memory, and when they are told: whenever a lock looks otherwise than it did, as
// tell_watchers in ../redis/lua/locking.lua. Changes nothing of the locks but what was told of them.

import type { ChangeNotice } from '../lock-store.ts';
import type { Lock } from './lock-table.ts';

/** How a free lock looks for which nobody waits. */
export const NOTHING = '';

export class LockChanges {
  readonly #listeners = new Set<(notice: ChangeNotice) => void>();

  /** Calls back on each change of any lock; nothing is ever missed. `locks` are all that aren't free now. */
  listen(listener: (notice: ChangeNotice) => void, locks: Iterable<Lock>, nowMs: number): () => void {
    // While nobody listened nobody was told, and what comes must be compared with what is.
    if (this.#listeners.size === 0) for (const lock of locks) lock.told = appearance(lock, nowMs);
    const own = (notice: ChangeNotice): void => listener(notice);
    this.#listeners.add(own);
    own({ kind: 'listening', missed: true });
    return () => this.#listeners.delete(own);
  }

  /** Tells who listens, if the lock looks otherwise than they were told. Later, never inside the command. */
  tell(lock: Lock, nowMs: number): void {
    if (this.#listeners.size === 0) return;
    const now = appearance(lock, nowMs);
    if (now === lock.told) return;
    lock.told = now;
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener({ kind: 'changed', resource: lock.resource });
    });
  }
}

/** Equal before and after: nothing has changed that is told. Renewals change nothing. */
function appearance(lock: Lock, nowMs: number): string {
  const holders = [...lock.leases].map(([leaseId, { token, state }]) => `${leaseId} ${token} ${state}`);
  const waiters = lock.queue.head(lock.queue.liveLength).map(([leaseId]) => leaseId);
  const takenUntilMs = lock.takenUntilMs > nowMs ? lock.takenUntilMs : 0;
  if (holders.length === 0 && waiters.length === 0 && takenUntilMs === 0) return NOTHING;
  return `${holders} ${waiters} ${takenUntilMs}`;
}
