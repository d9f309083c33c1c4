// How much memory Redis needs for what is recorded: used_memory, as INFO says it. What a machine needs on top of that
// (fragmentation, buffers, copies while a snapshot is taken) is in redis-need.ts.

import type { Load } from './load.ts';
import { type MemoryCosts, NAME_BYTES, OWNER_BYTES, PACKED_BYTES, tableBytes } from './unit-costs.ts';

/** Up to so many waiters, Redis packs what it keeps of a queue; two of its fields are one waiter's. */
const PACKED_WAITERS = 60;
const KIB = 1_024;

export interface MemoryNeed {
  readonly empty: number;
  readonly locks: number;
  readonly waiters: number;
  readonly operations: number;
  readonly total: number;
}

export function memoryNeed(load: Load, costs: MemoryCosts): MemoryNeed {
  const need = {
    empty: costs.empty,
    locks: locksNeed(load, costs),
    waiters: waitersNeed(load, costs),
    operations: load.operations * operationBytes(load, costs),
  };
  const tables = dictionaries(load).reduce((sum, entries) => sum + tableBytes(entries), 0);
  const recorded = load.locks + load.waiters + load.operations;
  // The tables belong to all together; each kind of record gets its part by its number.
  const part = (count: number): number => (recorded === 0 ? 0 : (tables * count) / recorded);
  const locks = need.locks + part(load.locks);
  const waiters = need.waiters + part(load.waiters);
  const operations = need.operations + part(load.operations);
  return { empty: need.empty, locks, waiters, operations, total: need.empty + locks + waiters + operations };
}

/** How many entries each dictionary of Redis has: that of the keys, and one for each index. */
export function dictionaries(load: Pick<Load, 'locks' | 'waiters' | 'queueLength' | 'operations'>): number[] {
  const { locks, waiters, operations } = load;
  const keys = locks + 2 * queuesOf(load) + operations;
  // Of locks: deadlines, names. Of waiters: patience. Of operations: operations, claimable, open.
  return [keys, locks, locks, waiters, operations, operations, operations];
}

export function queuesOf({ waiters, queueLength }: Pick<Load, 'waiters' | 'queueLength'>): number {
  return Math.ceil(waiters / queueLength);
}

function locksNeed({ locks, mode, nameBytes, ownerBytes, metadataBytes }: Load, costs: MemoryCosts): number {
  const { exclusiveLock, sharedLock, permitsLock } = costs;
  const lock = { exclusive: exclusiveLock, shared: sharedLock, permits: permitsLock }[mode];
  const longer =
    (nameBytes - NAME_BYTES) * costs.lockPerNameByte +
    (ownerBytes + metadataBytes - OWNER_BYTES) * costs.lockPerOwnerByte +
    (ownerBytes + metadataBytes > PACKED_BYTES ? costs.unpackedLock : 0);
  return locks * Math.max(lock + longer, 0);
}

function waitersNeed(load: Load, costs: MemoryCosts): number {
  const { waiters, queueLength, ownerBytes, metadataBytes, nameBytes } = load;
  const waiter = queueLength <= PACKED_WAITERS ? costs.waiter : costs.longQueueWaiter;
  // The text about each, and its name in the list of when to forget it.
  const longer = ownerBytes + metadataBytes - OWNER_BYTES + (nameBytes - NAME_BYTES);
  const queueNames = 2 * queuesOf(load) * (nameBytes - NAME_BYTES);
  return Math.max(waiters * (waiter + longer) + queuesOf(load) * costs.queue + queueNames, 0);
}

/** Between what was measured, and beyond it, as much for each further byte. */
function operationBytes({ payloadBytes, nameBytes }: Load, costs: MemoryCosts): number {
  const { operation, operationWith1Kib, operationWith16Kib } = costs;
  const payload =
    payloadBytes <= KIB
      ? ((operationWith1Kib - operation) * payloadBytes) / KIB
      : operationWith1Kib -
        operation +
        ((operationWith16Kib - operationWith1Kib) * (payloadBytes - KIB)) / (15 * KIB);
  return Math.max(operation + payload + (nameBytes - NAME_BYTES) * costs.operationPerNameByte, 0);
}
