// How leases and attempts are renewed in the store, and what the store tells of them unasked. When they are renewed,
// and what becomes of them, is in renewal-wheel.ts.

import type { CallStamp, Lease } from '../domain/lock.ts';
import type { AttemptLoss, LeaseLoss } from '../domain/losses.ts';
import type { Attempt, AttemptRef } from '../domain/operation.ts';
import type { AcquisitionRef, LockStore, StoreBound } from '../store/lock-store.ts';
import type { OperationStore } from '../store/operation-store.ts';
import type { RiskReason } from './renewal-risks.ts';

/** What a wheel can keep. */
export interface Kept {
  /** The call that keeps it. */
  readonly stamp: CallStamp;
  /** On the monotonic clock; later than the true deadline while that isn't known. */
  readonly deadlineMs: number;
  /** How many replicas must have a renewal before it counts; 0: the server's minimum. */
  readonly minAcks: number;
  /** Another call keeps it until now: renew it at once, under the new stamp. */
  readonly takesOver: boolean;
  /** Nothing renews it from then on, on the monotonic clock: its renew_for is over. Infinity: while it is kept. */
  readonly renewUntilMs: number;
  /** What is in one group is renewed together if the time allows. */
  readonly group: number;
}

/** A stream with a renew_for ends in order when a newer one takes over: that is how its client shows that it lives. */
export function endsByMoving({ renewUntilMs }: Kept): boolean {
  return renewUntilMs !== Number.POSITIVE_INFINITY;
}

export type KeepingEnd<Loss> =
  | { readonly kind: 'lost'; readonly reason: Loss }
  /** A newer call speaks for it. */
  | { readonly kind: 'moved' };

export type Renewal<Granted, Loss> =
  /** `isFinal`: no renewal passes this deadline. */
  | { readonly kind: 'renewed'; readonly granted: Granted; readonly isFinal: boolean }
  /** Whether it lives is not known yet: as good as no answer. */
  | { readonly kind: 'unknown' }
  | KeepingEnd<Loss>;

/** Hears what becomes of one thing that is kept. */
export interface Keeper<Granted, Loss> {
  renewed(granted: Granted): void;
  /** It lives, but its renew_for is over: nothing moved its deadline. */
  looked(granted: Granted): void;
  /** The deadline that was told last stands. Called at the first failure, and now and then while the failures last. */
  atRisk(reason: RiskReason): void;
  /** Nothing follows. */
  ended(end: KeepingEnd<Loss>): void;
}

/** What a store tells a wheel, unasked, about something that it keeps. */
export type KeptNews<Loss> =
  | KeepingEnd<Loss>
  /** Something about it changed: renew it now. */
  | { readonly kind: 'look' };

/** How one kind of thing is renewed. */
export interface Renewals<K extends Kept, Granted extends { readonly deadlineMs: number }, Loss> {
  /** The name of what is kept, with the call that keeps it. */
  keyOf(kept: K): string;
  /** Its name whichever call keeps it. */
  nameOf(kept: K): string;
  /** Outcomes in the order of `batch`. */
  renew(
    batch: readonly (K & { readonly onlyLooks?: boolean })[],
    bound: StoreBound,
  ): Promise<readonly Renewal<Granted, Loss>[]>;
  /** Why it is lost when its deadline has passed. */
  lapsed(isFinal: boolean): Loss;
  /** Returns the unsubscriber. */
  listen(heard: (key: string, news: KeptNews<Loss>) => void): () => void;
}

/** The group of what a connection's streams keep, from the address that it came from. */
export function groupOf(peer: string): number {
  let group = 0;
  for (let i = 0; i < peer.length; i++) group = (group * 31 + peer.charCodeAt(i)) & 0xffff;
  return group;
}

// ---- Leases.

export interface KeptLease extends AcquisitionRef, Kept {
  readonly fencingToken: bigint;
  /** The TTL that renewals give; 0: the TTL of the grant. */
  readonly ttlMs: number;
}

export function leaseRenewals(store: LockStore): Renewals<KeptLease, Lease, LeaseLoss> {
  return {
    keyOf: (lease) => leaseKey(lease, lease.stamp.callNumber),
    nameOf: ({ resource, leaseId }) => `${leaseId} ${resource}`,
    async renew(leases, bound) {
      const outcomes = await store.renew(leases, { ...bound, isUrgent: true });
      return outcomes.map((outcome): Renewal<Lease, LeaseLoss> => {
        if (outcome.kind === 'renewed')
          return { kind: 'renewed', granted: outcome.lease, isFinal: outcome.isFinal };
        if (outcome.kind === 'moved' || outcome.kind === 'unknown') return outcome;
        return { kind: 'lost', reason: outcome.kind === 'revoked' ? 'revoked' : 'unknown-lease' };
      });
    },
    lapsed: (isFinal) => (isFinal ? 'max-hold' : 'expired'),
    listen: (heard) =>
      store.onNotice((notice) => {
        if (notice.kind !== 'moved' && notice.kind !== 'released' && notice.kind !== 'revoked') return;
        const { kind, acquisition, callNumber } = notice;
        heard(
          leaseKey(acquisition, callNumber),
          kind === 'moved' ? { kind } : { kind: 'lost', reason: kind },
        );
      }),
  };
}

function leaseKey({ resource, leaseId }: AcquisitionRef, callNumber: number): string {
  return `${callNumber} ${leaseId} ${resource}`;
}

// ---- Attempts.

export interface KeptAttempt extends AttemptRef, Kept {}

export interface LivingAttempt extends Attempt {
  /** Undefined: nobody asked to cancel the operation. */
  readonly cancelReason: string | undefined;
}

export function attemptRenewals(store: OperationStore): Renewals<KeptAttempt, LivingAttempt, AttemptLoss> {
  return {
    keyOf: ({ claimId, stamp }) => attemptKey(claimId, stamp.callNumber),
    nameOf: ({ claimId, operationId, resource }) => `${claimId} ${operationId} ${resource}`,
    async renew(attempts, bound) {
      const outcomes = await store.heartbeat(attempts, bound);
      return outcomes.map((outcome): Renewal<LivingAttempt, AttemptLoss> => {
        if (outcome.kind !== 'renewed') return outcome;
        const { attempt, isFinal, cancelReason } = outcome;
        return { kind: 'renewed', granted: { ...attempt, cancelReason }, isFinal };
      });
    },
    // At the end of its lease's max_hold, the lease is what ends.
    lapsed: (isFinal) => (isFinal ? 'lease-lost' : 'expired'),
    listen: (heard) =>
      store.onAttemptNotice(({ kind, claimId, callNumber }) =>
        heard(attemptKey(claimId, callNumber), { kind }),
      ),
  };
}

// A stream keeps one attempt.
function attemptKey(claimId: string, callNumber: number): string {
  return `${callNumber} ${claimId}`;
}
