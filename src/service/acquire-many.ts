// AcquireMany: several leases, all or none. It takes them one after the other in one global order, so that two callers
// can't wait for each other, and keeps those it has alive while it waits for the next one.

import { type Clock, pause } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { type CallStamp, type Granted, grantedAtMs, type Lease, type LeaseSpec } from '../domain/lock.ts';
import type { LockStore, RenewCommand, StoreBound } from '../store/lock-store.ts';
import { leaseRevoked, leaseUnknown } from './refusals.ts';

export interface AcquireManyOptions {
  readonly specs: readonly LeaseSpec[];
  /** The stamp of this call; all of the leases get it. */
  readonly stamp: CallStamp;
  readonly store: LockStore;
  readonly clock: Clock;
  readonly bounded: () => StoreBound;
  /** Acquires one of them, and waits if the call may wait; throws when it can't be had. */
  readonly acquire: (spec: LeaseSpec) => Promise<Granted>;
  /** One that this call was granted ended with the others. */
  readonly onGivenBack?: (spec: LeaseSpec, heldMs: number) => void;
}

/** Leases are renewed after a quarter of the smallest TTL, but not more often than this. */
const RENEW_AT_LEAST_MS = 250;

type Taken = ReadonlyMap<LeaseSpec, Granted>;

/**
 * Resolves with the leases in the order of `specs`. When one can't be had, it gives back what this call was granted
 * before it rejects; what it only repeated stays.
 */
export async function acquireMany(options: AcquireManyOptions): Promise<readonly Lease[]> {
  const { specs, acquire } = options;
  const taken = new Map<LeaseSpec, Granted>();
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
    // The first leases may be old by now, or lost: the caller is told only of what lives at the end.
    return await renewed(options, taken);
  } catch (error) {
    done.abort();
    await keeping;
    await giveBack(options, taken, trying);
    throw error;
  }
}

/** By the bytes of the name: the same for every caller, in every language. */
function inGlobalOrder(specs: readonly LeaseSpec[]): readonly LeaseSpec[] {
  return specs.toSorted((a, b) => Buffer.compare(Buffer.from(a.resource), Buffer.from(b.resource)));
}

async function keepAlive(
  { specs, stamp, store, clock, bounded }: AcquireManyOptions,
  taken: Taken,
  done: AbortSignal,
): Promise<void> {
  const smallestTtlMs = Math.min(...specs.map(({ ttlMs }) => ttlMs));
  const everyMs = Math.max(smallestTtlMs / 4, RENEW_AT_LEAST_MS);
  for (;;) {
    await pause(clock, everyMs, done);
    if (done.aborted) return;
    if (taken.size === 0) continue;
    // What fails here is tried again in time, or is found at the end.
    await store.renew(renewals(taken, stamp), bounded()).catch(() => {});
  }
}

async function renewed(
  { specs, stamp, store, bounded }: AcquireManyOptions,
  taken: Taken,
): Promise<readonly Lease[]> {
  const minAcks = Math.max(...specs.map((spec) => spec.minAcks ?? 0));
  const outcomes = await store.renew(renewals(taken, stamp), { ...bounded(), minAcks });
  const leases = new Map<LeaseSpec, Lease>();
  for (const [index, [spec, { lease }]] of [...taken].entries()) {
    const outcome = outcomes[index];
    if (outcome?.kind === 'moved') {
      throw new CoordinationError('MOVED', 'a newer call with the same lease_id took over one of the leases');
    }
    if (outcome?.kind === 'revoked') throw leaseRevoked();
    if (outcome?.kind === 'unknown') throw leaseUnknown();
    if (outcome?.kind !== 'renewed') {
      throw new CoordinationError('LEASE_LOST', 'one of the leases was lost while the others were acquired');
    }
    // A grant says which limit of permits is in force; a renewal doesn't.
    const { permitsLimit } = lease;
    leases.set(spec, permitsLimit === undefined ? outcome.lease : { ...outcome.lease, permitsLimit });
  }
  return specs.map((spec) => {
    const lease = leases.get(spec);
    if (!lease) throw new Error('a lease that was taken is missing');
    return lease;
  });
}

function renewals(taken: Taken, stamp: CallStamp): readonly RenewCommand[] {
  return [...taken].map(([{ resource, leaseId }, { lease }]) => {
    return { resource, leaseId, fencingToken: lease.fencingToken, ttlMs: 0, stamp };
  });
}

// By stamp, not by lease id alone: a newer call with the same ids may hold them by now. And never what was a lease
// before: this may be a first try that a frozen server runs late. The second try was answered elsewhere, its caller
// released one of the leases, and somebody else has that one. The others bear the stamp of the late repeat now; giving
// them back would take them from that caller while it works. When the answer about the last one was lost, nobody knows
// whether it was a lease before. So only its place in the queue or its offer is given up; a lease ends with its TTL, as
// does what can't be given back.
async function giveBack(
  { stamp, store, clock, bounded, onGivenBack = () => {} }: AcquireManyOptions,
  taken: Taken,
  trying: LeaseSpec | undefined,
): Promise<void> {
  const leave = ({ resource, leaseId }: LeaseSpec, giveBack: boolean): Promise<boolean> =>
    store.leave({ resource, leaseId, stamp, keepPlaceMs: 0, giveBack }, bounded());
  const granted = [...taken].filter(([, { isRepeat }]) => !isRepeat);
  const leaving = granted.map(async ([spec, { lease }]) => {
    if (!(await leave(spec, true))) return;
    const nowMs = clock.monotonicMs();
    onGivenBack(spec, nowMs - grantedAtMs(lease, nowMs));
  });
  await Promise.allSettled([...leaving, trying && leave(trying, false)]);
}
