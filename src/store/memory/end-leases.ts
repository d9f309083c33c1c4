// How leases in memory end before their deadlines: released by who knows the lease id, or revoked by an
// administrator, as in ../redis/lua/release-lock.lua and force-release.lua.

import type { ForceReleaseOutcome, ReleaseOutcome } from '../../domain/lock.ts';
import type { AcquisitionRef, ForceReleaseCommand } from '../lock-store.ts';
import type { LockTable } from './lock-table.ts';

export function release(table: LockTable, { resource, leaseId }: AcquisitionRef): ReleaseOutcome {
  const lock = table.open(resource);
  let kind: ReleaseOutcome['kind'] = 'absent';
  const waiter = lock.queue.get(leaseId);
  if (waiter) {
    table.tell(waiter.stamp, 'released', resource, leaseId);
    lock.queue.remove(leaseId);
    kind = 'dequeued';
  }
  const record = lock.leases.get(leaseId);
  if (record) {
    if (table.alive(record)) kind = record.state === 'offer' ? 'dequeued' : 'released';
    // Streams have odd numbers, and hear of it; of a unary call nobody listens.
    if (kind === 'released' && record.stamp.callNumber % 2 === 1) {
      table.tell(record.stamp, 'released', resource, leaseId);
    }
    table.erase(lock, leaseId, record);
  }
  if (waiter || record) table.settle(lock);
  return { kind };
}

export function forceRelease(
  table: LockTable,
  { resource, fencingToken, immediate }: ForceReleaseCommand,
): ForceReleaseOutcome {
  const lock = table.open(resource);
  table.dropLapsed(lock);
  let [named, count, freeAtMs] = [fencingToken === undefined, 0, 0];
  for (const [leaseId, record] of [...lock.leases]) {
    if (fencingToken === undefined || BigInt(record.token) === fencingToken) {
      named = true;
      // Its holder's repeat, which waits for the end of a quarantine to get this very lease.
      const waiter = lock.queue.get(leaseId);
      if (waiter) table.tell(waiter.stamp, 'revoked', resource, leaseId);
      lock.queue.remove(leaseId);
      if (immediate || record.state !== 'revoked') {
        count++;
        // Of a unary call that holds nobody listens; one that has an offer waits.
        const isHeard = record.state === 'offer' || record.stamp.callNumber % 2 === 1;
        if (isHeard) table.tell(record.stamp, 'revoked', resource, leaseId);
      }
      if (immediate || record.state === 'offer') {
        table.erase(lock, leaseId, record);
        continue;
      }
      record.state = 'revoked';
    }
    freeAtMs = Math.max(freeAtMs, record.deadlineMs);
  }
  // With a token that names nothing this is the repeat of a call, and the min_hold may be that of a later holder.
  if (immediate && named && lock.leases.size === 0) lock.takenUntilMs = 0;
  const freeInMs = Math.max(freeAtMs, lock.takenUntilMs, table.quarantineUntilMs) - table.clockMs;
  table.settle(lock);
  return { count, freeInMs: Math.max(freeInMs, 0) };
}
