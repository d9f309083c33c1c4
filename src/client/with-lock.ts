// Work under a lease, with every way in which it can end:
//
//   the work              the lease            what the caller gets
//   returns               held                 its value, also when the release then fails (it ends with its TTL)
//   returns               lost meanwhile       LeaseLostError: what it did last may not have been protected
//   throws                held or lost         the error that it threw, unchanged, also when the release then fails
//   throws the signal's   lost                 that is the LeaseLostError
//   reason
//
// Only `onEvent` hears of a release that fails: it must mask neither the value nor the error of the work.

import type { Lease } from './lease.ts';
import { LeaseSet } from './lease-set.ts';

/** Throws what `acquired` rejects with before `work` has begun. */
export async function underLock<Held extends Lease | LeaseSet, Value>(
  acquired: Promise<Held>,
  work: (held: Held) => Value | PromiseLike<Value>,
): Promise<Value> {
  const held = await acquired;
  try {
    const value = await work(held);
    const leases: readonly Lease[] = held instanceof LeaseSet ? held.leases : [held];
    // Asked by the clocks, before the release: the timer of a busy process may not have had its turn.
    const lost = leases.map(({ loss }) => loss).find((loss) => loss !== undefined);
    if (lost) throw lost;
    return value;
  } finally {
    await held[Symbol.asyncDispose]();
  }
}
