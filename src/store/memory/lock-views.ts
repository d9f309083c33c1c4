// What people see of locks in memory: one, many, and page by page. Changes nothing; what has lapsed and was not swept
// yet is left out, as in ../redis/lua/lock-views.lua and list-locks.lua.

import { LIMITS } from '../../domain/limits.ts';
import type { Contention, Holder, LockView, Mode } from '../../domain/lock.ts';
import { leaseIdHash, stateOf } from '../../domain/lock.ts';
import type { ListQuery, LockPage } from '../lock-store.ts';
import type { LeaseRecord, Lock, LockTable } from './lock-table.ts';

/** Of a holder or waiter, besides what its caller chose. */
const BYTES_EACH = 80;
const HOLDERS_IN_CONTENTION = 4;

export class LockViews {
  readonly #table: LockTable;

  constructor(table: LockTable) {
    this.#table = table;
  }

  /** With up to `most` holders and waiters. */
  view(resource: string, most: number): LockView {
    const lock = this.#table.open(resource);
    const live = [...lock.leases.values()].filter((record) => this.#table.alive(record));
    return {
      resource,
      holders: live
        .toSorted((a, b) => a.token - b.token)
        .slice(0, most)
        .map((record) => this.holder(record)),
      holderCount: live.length,
      ...permitsOf(live),
      waiters: lock.queue.head(most).map(([leaseId, { spec, queuedAtWallMs }]) => ({
        leaseIdHash: leaseIdHash(leaseId),
        owner: spec.owner,
        mode: spec.mode,
        queuedAtWallMs,
      })),
      queueLength: lock.queue.liveLength,
      minHoldRemainingMs: Math.max(0, lock.takenUntilMs - this.#table.clockMs),
    };
  }

  /** Why a lease in this mode can't be had; nothing that lapsed is left in the lock. */
  contention(lock: Lock, mode: Mode): Contention {
    const nowMs = this.#table.clockMs;
    const records = [...lock.leases.values()];
    const earliestMs = Math.min(...records.map((record) => record.deadlineMs));
    const freeAtMs = Math.max(
      this.#table.quarantineUntilMs,
      lock.takenUntilMs,
      records.length > 0 ? earliestMs : 0,
    );
    const whenFree = nowMs < lock.takenUntilMs ? 'min-hold' : 'ahead';
    return {
      resource: lock.resource,
      reason: this.#table.admits(lock, mode) ? whenFree : 'held',
      holders: records.slice(0, HOLDERS_IN_CONTENTION).map((record) => this.holder(record)),
      timeLeftMs: Math.max(freeAtMs - nowMs, 0),
      queueLength: lock.queue.liveLength,
    };
  }

  holder(record: LeaseRecord): Holder {
    return {
      leaseIdHash: leaseIdHash(record.spec.leaseId),
      owner: record.spec.owner,
      mode: record.spec.mode,
      fencingToken: BigInt(record.token),
      acquiredAtWallMs: record.acquiredAtWallMs,
      remainingMs: record.deadlineMs - this.#table.clockMs,
      metadata: record.spec.metadata,
      revoked: record.state === 'revoked',
    };
  }

  list({ prefix, owner, states, after, most }: ListQuery): LockPage {
    const locks: LockView[] = [];
    let [looks, bytes, last] = [0, 0, after];
    for (const name of this.#table.names.from(after === '' ? prefix : after, after === '')) {
      if (!name.startsWith(prefix)) break;
      const isFull = locks.length >= most || looks >= LIMITS.looksPerPage || bytes >= LIMITS.pageBytes;
      if (isFull) return { locks, next: last };
      last = name;
      looks++;
      const view = this.view(name, LIMITS.listedPerPagedLock);
      const state = stateOf(view);
      if (state === 'free' || !states.includes(state)) continue;
      if (owner !== '' && !this.#hasOwner(name, owner)) continue;
      locks.push(view);
      bytes += bytesOf(view);
    }
    return { locks, next: undefined };
  }

  #hasOwner(resource: string, owner: string): boolean {
    const { leases, queue } = this.#table.open(resource);
    const holders = [...leases.values()].filter((record) => this.#table.alive(record));
    const waiters = queue.head(queue.liveLength).map(([, waiter]) => waiter);
    return [...holders, ...waiters].some(({ spec }) => spec.owner === owner);
  }
}

/** About as many as it takes in a message. */
function bytesOf({ resource, holders, waiters }: LockView): number {
  const texts = holders.flatMap(({ owner, metadata }) => [owner, ...[...metadata].flat()]);
  const length = [resource, ...texts, ...waiters.map(({ owner }) => owner)].join('').length;
  return length + BYTES_EACH * (holders.length + waiters.length);
}

function permitsOf(live: readonly LeaseRecord[]): { permitsHeld: number; permitsLimit: number } {
  const modes = live.map(({ spec }) => spec.mode).filter((mode) => mode.kind === 'permits');
  return {
    permitsHeld: modes.reduce((sum, { permits }) => sum + permits, 0),
    permitsLimit: modes.length === 0 ? 0 : Math.min(...modes.map(({ limit }) => limit)),
  };
}
