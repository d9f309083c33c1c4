// AcquireMany: several leases, all or none. They are taken one after the other in one global order, so that two callers
// can't wait for each other, and those that are held already are kept alive while the next one is waited for.

import { type Clock, pause } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { CallStamp, Lease, LeaseSpec } from '../domain/lock.ts';
import type { LockStore, RenewCommand, StoreCall } from '../store/lock-store.ts';
import { takenAway } from './refusals.ts';

export interface AcquireManyOptions {
  readonly specs: readonly LeaseSpec[];
  /** The stamp of this call, on all of them. */
  readonly stamp: CallStamp;
  readonly store: LockStore;
  readonly clock: Clock;
  readonly bounded: () => StoreCall;
  /** Takes one of them, waiting if the call may; throws when it can't be had. */
  readonly acquire: (spec: LeaseSpec) => Promise<Lease>;
}

/** Renewed at a quarter of the smallest TTL, but not more often than this. */
const RENEW_AT_LEAST_MS = 250;

/** Resolves with the leases in the order of `specs`; when one can't be had, all are given back before it rejects. */
export async function acquireMany(options: AcquireManyOptions): Promise<readonly Lease[]> {
  const { specs, acquire } = options;
  const taken = new Map<LeaseSpec, Lease>();
  const done = new AbortController();
  const keeping = keepAlive(options, taken, done.signal);
  let trying: LeaseSpec | undefined;
  try {
    for (const spec of inGlobalOrder(specs)) {
      trying = spec;
      taken.set(spec, await acquire(spec));
    }
    trying = undefined;
    done.abort();
    await keeping;
    // What was taken first may be old by now, or lost: only what lives at the end is told of.
    return await renewed(options, taken);
  } catch (error) {
    done.abort();
    await keeping;
    await giveBack(options, trying ? [...taken.keys(), trying] : [...taken.keys()]);
    throw error;
  }
}

/** By the bytes of the name: the same for every caller, in every language. */
function inGlobalOrder(specs: readonly LeaseSpec[]): readonly LeaseSpec[] {
  return specs.toSorted((a, b) => Buffer.compare(Buffer.from(a.resource), Buffer.from(b.resource)));
}

async function keepAlive(
  { specs, stamp, store, clock, bounded }: AcquireManyOptions,
  taken: ReadonlyMap<LeaseSpec, Lease>,
  done: AbortSignal,
): Promise<void> {
  const smallestTtlMs = Math.min(...specs.map(({ ttlMs }) => ttlMs));
  const everyMs = Math.max(smallestTtlMs / 4, RENEW_AT_LEAST_MS);
  for (;;) {
    await pause(clock, everyMs, done);
    if (done.aborted) return;
    if (taken.size === 0) continue;
    // What fails here is tried again in time, or found out at the end.
    await store.renew(renewals(taken, stamp), bounded()).catch(() => {});
  }
}

async function renewed(
  { specs, stamp, store, bounded }: AcquireManyOptions,
  taken: ReadonlyMap<LeaseSpec, Lease>,
): Promise<readonly Lease[]> {
  const minAcks = Math.max(...specs.map((spec) => spec.minAcks ?? 0));
  const outcomes = await store.renew(renewals(taken, stamp), { ...bounded(), minAcks });
  const leases = new Map<LeaseSpec, Lease>();
  for (const [index, spec] of [...taken.keys()].entries()) {
    const outcome = outcomes[index];
    if (outcome?.kind === 'moved') {
      throw new CoordinationError('MOVED', 'a newer call with the same lease_id took one of the leases over');
    }
    if (outcome?.kind === 'revoked') throw takenAway();
    if (outcome?.kind !== 'renewed') {
      throw new CoordinationError('LEASE_LOST', 'one of the leases was lost while the others were taken');
    }
    leases.set(spec, outcome.lease);
  }
  return specs.map((spec) => {
    const lease = leases.get(spec);
    if (!lease) throw new Error('a lease that was taken is missing');
    return lease;
  });
}

function renewals(taken: ReadonlyMap<LeaseSpec, Lease>, stamp: CallStamp): readonly RenewCommand[] {
  return [...taken].map(([{ resource, leaseId }, { fencingToken }]) => {
    return { resource, leaseId, fencingToken, ttlMs: 0, stamp };
  });
}

// By stamp, not by lease id alone: a newer call with the same ids may hold them by now. What fails ends with its TTL.
async function giveBack(
  { stamp, store, bounded }: AcquireManyOptions,
  specs: readonly LeaseSpec[],
): Promise<void> {
  await Promise.allSettled(
    specs.map(({ resource, leaseId }) =>
      store.leave({ resource, leaseId, stamp, keepPlaceMs: 0, giveBack: true }, bounded()),
    ),
  );
}
