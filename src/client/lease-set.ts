// Several leases that were acquired together, and end together.

import type { Lease } from './lease.ts';

export class LeaseSet implements AsyncDisposable, Iterable<Lease> {
  /** In the order in which they were asked for. */
  readonly leases: readonly Lease[];
  /** Aborts when the first of them is over, with the reason of that one. */
  readonly signal: AbortSignal;

  constructor(leases: readonly Lease[]) {
    this.leases = leases;
    this.signal = AbortSignal.any(leases.map(({ signal }) => signal));
  }

  [Symbol.iterator](): Iterator<Lease> {
    return this.leases[Symbol.iterator]();
  }

  /** Of one of the resources that were asked for; throws RangeError for another. */
  of(resource: string): Lease {
    const lease = this.leases.find((one) => one.resource === resource);
    if (!lease) throw new RangeError(`${resource} is none of those that were acquired`);
    return lease;
  }

  /** Until the first deadline; 0 when one of them is over. */
  remainingMs(): number {
    return Math.min(...this.leases.map((lease) => lease.remainingMs()));
  }

  /** Throws what ended the first of them that isn't held. */
  assertHeld(): void {
    for (const lease of this.leases) lease.assertHeld();
  }

  /** Gives all of them back; how many live leases were ended. Throws UnavailableError if one couldn't be. */
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
