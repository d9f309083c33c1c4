// What people see of locks in memory: one lock, pages of locks, and why a lock can't be had. Changes nothing, and
// leaves out what has lapsed.

import { LIMITS } from '../../domain/limits.ts';
import {
  type Contention,
  type Holder,
  type LockView,
  leaseIdHash,
  type Mode,
  stateOf,
} from '../../domain/lock.ts';
import type { ListQuery, LockPage, Offer } from '../lock-store.ts';
import { inByteOrder } from './byte-order.ts';
import { type LeaseRecord, type LockRecord, limitOf } from './lock-record.ts';
import type { LockTable } from './lock-table.ts';

/** Takes each holder or waiter, besides what its caller chose. */
const BYTES_EACH = 80;
const HOLDERS_IN_CONTENTION = 4;

export class LockViews {
  readonly #table: LockTable;

  constructor(table: LockTable) {
    this.#table = table;
  }

  /** With up to `most` holders and waiters. */
  view(lock: LockRecord, most: number): LockView {
    const live = this.#liveLeases(lock);
    const permits = live.map(({ spec }) => spec.mode).filter((mode) => mode.kind === 'permits');
    return {
      resource: lock.resource,
      holders: live.slice(0, most).map((lease) => this.#holder(lease)),
      holderCount: live.length,
      permitsHeld: permits.reduce((sum, mode) => sum + mode.permits, 0),
      permitsLimit: limitOf(live.map(({ spec }) => spec.mode)),
      waiters: lock.queue.live.slice(0, most).map(({ spec: { leaseId, owner, mode }, queuedAtWallMs }) => ({
        leaseIdHash: leaseIdHash(leaseId),
        owner,
        mode,
        queuedAtWallMs,
      })),
      queueLength: lock.queue.live.length,
      minHoldRemainingMs: this.#table.clock.leftMs(lock.takenUntilMs),
    };
  }

  /** The offers that the instance has not confirmed. */
  offersTo(instanceId: string): readonly Offer[] {
    const leases = this.#table.all.flatMap((lock) => this.#liveLeases(lock));
    return leases
      .filter(({ state, stamp }) => state === 'offer' && stamp.instanceId === instanceId)
      .map(({ spec: { resource, leaseId }, stamp: { callNumber } }) => {
        return { acquisition: { resource, leaseId }, callNumber };
      });
  }

  /** Why a lease in this mode can't be had. The caller has ended what lapsed. */
  contention(lock: LockRecord, mode: Mode): Contention {
    const isMinHold = this.#table.clock.nowMs < lock.takenUntilMs;
    const holders = [...lock.leases.values()].slice(0, HOLDERS_IN_CONTENTION);
    return {
      resource: lock.resource,
      reason: !lock.admits(mode) ? 'held' : isMinHold ? 'min-hold' : 'ahead',
      holders: holders.map((lease) => this.#holder(lease)),
      timeLeftMs: this.#table.clock.leftMs(this.#table.freeAtMs(lock)),
      queueLength: lock.queue.live.length,
    };
  }

  list({ prefix, owner, states, after, most }: ListQuery): LockPage {
    const named = this.#table.all.filter(({ resource }) => resource.startsWith(prefix));
    const locks: LockView[] = [];
    let [looks, bytes, last] = [0, 0, after];
    for (const lock of inByteOrder(named, ({ resource }) => resource, after)) {
      const isFull = locks.length >= most || looks >= LIMITS.looksPerPage || bytes >= LIMITS.pageBytes;
      if (isFull) return { locks, next: last };
      last = lock.resource;
      looks++;
      const view = this.view(lock, LIMITS.listedPerPagedLock);
      const state = stateOf(view);
      if (state === 'free' || !states.includes(state)) continue;
      if (owner !== '' && !this.#hasOwner(lock, owner)) continue;
      locks.push(view);
      bytes += bytesOf(view);
    }
    return { locks, next: undefined };
  }

  #liveLeases({ leases }: LockRecord): readonly LeaseRecord[] {
    return [...leases.values()].filter((lease) => this.#table.clock.blocks(lease));
  }

  #hasOwner(lock: LockRecord, owner: string): boolean {
    return [...this.#liveLeases(lock), ...lock.queue.live].some(({ spec }) => spec.owner === owner);
  }

  #holder({ spec, fencingToken, acquiredAtWallMs, deadlineMs, state }: LeaseRecord): Holder {
    return {
      leaseIdHash: leaseIdHash(spec.leaseId),
      owner: spec.owner,
      mode: spec.mode,
      fencingToken,
      acquiredAtWallMs,
      remainingMs: deadlineMs - this.#table.clock.nowMs,
      metadata: spec.metadata,
      revoked: state === 'revoked',
    };
  }
}

/** About how many it takes in a message. */
function bytesOf({ resource, holders, waiters }: LockView): number {
  const texts = holders.flatMap(({ owner, metadata }) => [owner, ...[...metadata].flat()]);
  const length = [resource, ...texts, ...waiters.map(({ owner }) => owner)].join('').length;
  return length + BYTES_EACH * (holders.length + waiters.length);
}
