// Leases as a renewal wheel keeps them: how they are renewed, and what the store tells of them unasked.

import type { Lease } from '../domain/lock.ts';
import type { LeaseLoss } from '../domain/losses.ts';
import type { AcquisitionRef, LockStore } from '../store/lock-store.ts';
import type { Kept, Renewal, Renewals, RenewalWheel } from './renewal-wheel.ts';

export interface KeptLease extends AcquisitionRef, Kept {
  readonly fencingToken: bigint;
  /** What renewals give; 0: that of the grant. */
  readonly ttlMs: number;
}

export type LeaseWheel = RenewalWheel<KeptLease, Lease, LeaseLoss>;

export function leaseRenewals(store: LockStore): Renewals<KeptLease, Lease, LeaseLoss> {
  return {
    keyOf: (lease) => keyOf(lease, lease.stamp.callNumber),
    async renew(leases, bound) {
      const outcomes = await store.renew(leases, bound);
      return outcomes.map((outcome): Renewal<Lease, LeaseLoss> => {
        if (outcome.kind === 'lost') return { kind: 'lost', reason: 'unknown-lease' };
        if (outcome.kind === 'revoked') return { kind: 'lost', reason: 'revoked' };
        if (outcome.kind === 'moved') return outcome;
        return { kind: 'renewed', granted: outcome.lease, isFinal: outcome.isFinal };
      });
    },
    lapsed: (isFinal) => (isFinal ? 'max-hold' : 'expired'),
    listen: (heard) =>
      store.onNotice((notice) => {
        if (notice.kind === 'moved') heard(keyOf(notice.acquisition, notice.callNumber), { kind: 'moved' });
        if (notice.kind !== 'released' && notice.kind !== 'revoked') return;
        const reason = notice.kind === 'released' ? 'released' : 'revoked';
        heard(keyOf(notice.acquisition, notice.callNumber), { kind: 'lost', reason });
      }),
  };
}

function keyOf({ resource, leaseId }: AcquisitionRef, callNumber: number): string {
  return `${callNumber} ${leaseId} ${resource}`;
}
