// Attempts as a renewal wheel keeps them: how they are heartbeaten, and what the store tells of them unasked.

import type { AttemptLoss } from '../domain/losses.ts';
import type { Attempt, AttemptRef } from '../domain/operation.ts';
import type { OperationStore } from '../store/operation-store.ts';
import type { Kept, Renewal, Renewals, RenewalWheel } from './renewal-wheel.ts';

export interface KeptAttempt extends AttemptRef, Kept {}

export interface LivingAttempt {
  readonly attempt: Attempt;
  readonly deadlineMs: number;
  /** Undefined: nobody asked to cancel the operation. */
  readonly cancelReason: string | undefined;
}

export type AttemptWheel = RenewalWheel<KeptAttempt, LivingAttempt, AttemptLoss>;

export function attemptRenewals(store: OperationStore): Renewals<KeptAttempt, LivingAttempt, AttemptLoss> {
  return {
    keyOf: ({ claimId, stamp }) => keyOf(claimId, stamp.callNumber),
    async renew(attempts, bound) {
      const outcomes = await store.heartbeat(attempts, bound);
      return outcomes.map((outcome): Renewal<LivingAttempt, AttemptLoss> => {
        if (outcome.kind !== 'renewed') return outcome;
        const { attempt, isFinal, cancelReason } = outcome;
        const { deadlineMs } = attempt;
        return { kind: 'renewed', granted: { attempt, deadlineMs, cancelReason }, isFinal };
      });
    },
    // At the end of its lease's max_hold, the lease is what ends.
    lapsed: (isFinal) => (isFinal ? 'lease-lost' : 'expired'),
    listen: (heard) =>
      store.onAttemptNotice(({ kind, claimId, callNumber }) => heard(keyOf(claimId, callNumber), { kind })),
  };
}

// A stream keeps one attempt.
function keyOf(claimId: string, callNumber: number): string {
  return `${callNumber} ${claimId}`;
}
