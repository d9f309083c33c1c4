// Several leases that were acquired together and end together.

import type { Lease } from './lease.ts';

export class LeaseSet implements AsyncDisposable, Iterable<Lease> {
  /** In the order in which the caller named them. */
  readonly leases: readonly Lease[];
  /** Aborts when the first of the leases is over, with the reason of that one. */
  readonly signal: AbortSignal;

  constructor(leases: readonly Lease[]) {
    this.leases = leases;
    this.signal = AbortSignal.any(leases.map(({ signal }) => signal));
  }

  [Symbol.iterator](): Iterator<Lease> {
    return this.leases[Symbol.iterator]();
  }

  /** The lease on a resource. Throws RangeError for a resource that the caller didn't name. */
  of(resource: string): Lease {
    const lease = this.leases.find((one) => one.resource === resource);
    if (!lease) throw new RangeError(`${resource} is not one of the resources that were acquired`);
    return lease;
  }

  /** Milliseconds until the first deadline; 0 when one of the leases is over. */
  remainingMs(): number {
    return Math.min(...this.leases.map((lease) => lease.remainingMs()));
  }

  /** Throws the reason why the first lease that isn't held is over. */
  assertHeld(): void {
    for (const lease of this.leases) lease.assertHeld();
  }

  /** Releases all of them. Resolves to how many live leases that ended; rejects with UnavailableError if one failed. */
  async release(): Promise<number> {
    const released = await Promise.allSettled(this.leases.map((lease) => lease.release()));
    const failed = released.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    return released.filter((one) => one.status === 'fulfilled' && one.value).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.leases.map((lease) => lease[Symbol.asyncDispose]()));
  }
}
