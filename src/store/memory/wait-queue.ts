// The queue of one lock: live waiters in the order of their places, and absent ones, which keep theirs for a while.
// Grants nothing and tells nobody.

import type { CallStamp, LeaseSpec } from '../../domain/lock.ts';

export interface QueuedAcquire {
  /** 0 comes before all others: its own lease lives, and it waits for the end of a quarantine. */
  readonly place: number;
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  readonly queuedAtWallMs: number;
  /** When it is forgotten unless it asks again, on the lease clock. */
  readonly forgottenAtMs: number;
}

export class WaitQueue {
  /** By lease id, live and absent. */
  readonly #waiters = new Map<string, QueuedAcquire>();
  /** In order. An array, for the sake of the head and of positions in a queue of 20,000. */
  readonly #live: QueuedAcquire[] = [];

  /** Live and absent ones. */
  get size(): number {
    return this.#waiters.size;
  }

  /** The live ones in order: the list itself, which changes, and no copy. */
  get live(): readonly QueuedAcquire[] {
    return this.#live;
  }

  get(leaseId: string): QueuedAcquire | undefined {
    return this.#waiters.get(leaseId);
  }

  /** From 1; undefined for one that isn't live. */
  position(leaseId: string): number | undefined {
    const waiter = this.#waiters.get(leaseId);
    const index = waiter ? this.#indexOf(waiter) : -1;
    return waiter && this.#live[index] === waiter ? index + 1 : undefined;
  }

  /** Adds a live waiter, or replaces the one with its lease id. Returns whether the line has one more now. */
  put(waiter: QueuedAcquire): boolean {
    const wasLive = this.remove(waiter.spec.leaseId);
    this.#waiters.set(waiter.spec.leaseId, waiter);
    this.#live.splice(this.#indexOf(waiter), 0, waiter);
    return !wasLive;
  }

  /** Takes it out of the line and keeps its place. Returns whether it was live. */
  setAbsent(waiter: QueuedAcquire, forgottenAtMs: number): boolean {
    const wasLive = this.remove(waiter.spec.leaseId);
    this.#waiters.set(waiter.spec.leaseId, { ...waiter, forgottenAtMs });
    return wasLive;
  }

  /** Returns whether it was live. */
  remove(leaseId: string): boolean {
    const position = this.position(leaseId);
    this.#waiters.delete(leaseId);
    if (position === 1) this.#live.shift();
    else if (position !== undefined) this.#live.splice(position - 1, 1);
    return position !== undefined;
  }

  /** The lease ids of those whose time is over. */
  forgottenAt(nowMs: number): readonly string[] {
    const over = [...this.#waiters].filter(([, { forgottenAtMs }]) => forgottenAtMs <= nowMs);
    return over.map(([leaseId]) => leaseId);
  }

  /** Where it stands or would stand among the live ones, from 0. */
  #indexOf(waiter: QueuedAcquire): number {
    let [low, high] = [0, this.#live.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#live[middle];
      if (other && isBefore(other, waiter)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isBefore(a: QueuedAcquire, b: QueuedAcquire): boolean {
  return a.place < b.place || (a.place === b.place && a.spec.leaseId < b.spec.leaseId);
}
