// The queue of one lock: live waiters in the order of their places, and absent ones that keep theirs for a while.

import type { CallStamp, LeaseSpec } from '../../domain/lock.ts';

export interface QueuedAcquire {
  readonly place: number;
  readonly stamp: CallStamp;
  readonly spec: LeaseSpec;
  readonly queuedAtWallMs: number;
}

export class WaitQueue {
  readonly #waiters = new Map<string, QueuedAcquire>();
  /** Lease ids of live waiters, sorted by place and then by id. */
  readonly #live: string[] = [];
  /** When they are forgotten. */
  readonly #forgottenAt = new Map<string, number>();

  /** Live and absent. */
  get size(): number {
    return this.#waiters.size;
  }

  get liveLength(): number {
    return this.#live.length;
  }

  get(leaseId: string): QueuedAcquire | undefined {
    return this.#waiters.get(leaseId);
  }

  head(most: number): [leaseId: string, QueuedAcquire][] {
    return this.#live.slice(0, most).map((leaseId) => [leaseId, this.#known(leaseId)]);
  }

  /** From 1; undefined for who is not live. */
  position(leaseId: string): number | undefined {
    const index = this.#indexOf(leaseId);
    return this.#live[index] === leaseId ? index + 1 : undefined;
  }

  /** Adds a live waiter at its place, or makes an absent one live again; forgotten then unless it asks again. */
  put(leaseId: string, waiter: QueuedAcquire, untilMs: number): void {
    this.#unlist(leaseId);
    this.#forgottenAt.set(leaseId, untilMs);
    this.#waiters.set(leaseId, waiter);
    this.#live.splice(this.#indexOf(leaseId), 0, leaseId);
  }

  setAbsent(leaseId: string, untilMs: number): void {
    this.#unlist(leaseId);
    this.#forgottenAt.set(leaseId, untilMs);
  }

  remove(leaseId: string): void {
    this.#unlist(leaseId);
    this.#forgottenAt.delete(leaseId);
    this.#waiters.delete(leaseId);
  }

  /** Drops those whose time is over. Says whether there were any. */
  forget(nowMs: number): boolean {
    const over = [...this.#forgottenAt].filter(([, untilMs]) => untilMs <= nowMs);
    for (const [leaseId] of over) this.remove(leaseId);
    return over.length > 0;
  }

  #unlist(leaseId: string): void {
    if (this.#live[0] === leaseId) {
      this.#live.shift();
      return;
    }
    const index = this.#indexOf(leaseId);
    if (this.#live[index] === leaseId) this.#live.splice(index, 1);
  }

  /** Where it stands among the live, from 0, or would stand. */
  #indexOf(leaseId: string): number {
    let [low, high] = [0, this.#waiters.has(leaseId) ? this.#live.length : 0];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#isBefore(this.#live[middle] ?? '', leaseId)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isBefore(a: string, b: string): boolean {
    const difference = this.#known(a).place - this.#known(b).place;
    return difference < 0 || (difference === 0 && a < b);
  }

  #known(leaseId: string): QueuedAcquire {
    const waiter = this.#waiters.get(leaseId);
    if (!waiter) throw new Error('a listed waiter is unknown');
    return waiter;
  }
}
