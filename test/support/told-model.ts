// What an instance remembers of the leases that it told of, and what a roll call makes of that, written down anew for
// the memory store: rules R2 and R5 of the roll call as plainly as they can be said, so that random sequences can
// compare the told memory and the scripts of the Redis store with them. Times without another name are on the
// instance's own monotonic clock.

import type { CallStamp, LeaseSpec } from '../../src/domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import { OVERTAKEN } from '../../src/store/memory/lease-clock.ts';
import { isOfStream, type LeaseRecord, sameStamp } from '../../src/store/memory/lock-record.ts';
import type { LockTable } from '../../src/store/memory/lock-table.ts';
import { MAX_TTL_MS } from './store-harness.ts';

const OVER_MS = Number.NEGATIVE_INFINITY;

interface ToldLease {
  /** As it was recorded when it was told of last. */
  lease: LeaseRecord;
  endsMs: number;
  /** Of its max_hold; Infinity for none. */
  ceilingMs: number;
  /** Of its min_hold. */
  holdMs: number;
  /** Whose data have it, since which lease clock: a roll call moves both on. */
  reign: number;
  clockMs: number;
  /** The lease clock of the script that told of it last. */
  toldClockMs: number;
}

/** Where data come from: what was told under that reign at an earlier lease clock, they know. */
export interface Origin {
  readonly reign: number;
  readonly clockMs: number;
}

export interface Answer extends Origin {
  readonly askedMs: number;
  readonly holdMs: number;
  readonly about: Pick<LeaseSpec, 'owner' | 'metadata'> | undefined;
}

/** One lease as a roll call puts it back: what is left of its times. */
export interface PutBack {
  readonly lease: LeaseRecord;
  readonly leftMs: number;
  readonly ceilingLeftMs: number;
  readonly holdLeftMs: number;
  readonly toldClockMs: number;
  /** Of the data as they were chosen. */
  readonly fromClockMs: number;
}

/** A release that was told: of the lease with this token. */
interface ToldRelease extends Named {
  readonly token: bigint;
  readonly toldMs: number;
  reign: number;
  clockMs: number;
}

/** How long a release is remembered. */
const RELEASE_KEPT_MS = MAX_TTL_MS + 2 * SKEW_ALLOWANCE_MS;

export class ToldModel {
  readonly #leases = new Map<string, ToldLease>();
  readonly #releases: ToldRelease[] = [];
  /** The largest token that was told of. */
  largestToken = 0n;

  /**
   * Notes an answer that names the lease as it is recorded. `holdMs`: the end of a min_hold that it tells of, or 0.
   * `about`: what people are told of it, if the answer brings that along.
   */
  note(recorded: LeaseRecord, told: Answer): void {
    const { reign, clockMs, askedMs, about } = told;
    const key = keyOf(recorded.spec);
    const known = this.#leases.get(key);
    const isKnown = known?.lease.fencingToken === recorded.fencingToken;
    const { owner, metadata } = about ?? (isKnown ? known : { lease: recorded }).lease.spec;
    const lease = { ...recorded, spec: { ...recorded.spec, owner, metadata } };
    const endsMs = askedMs + lease.deadlineMs - SKEW_ALLOWANCE_MS - clockMs;
    const ceilingMs = askedMs + lease.endsAtMs - SKEW_ALLOWANCE_MS - clockMs;
    if (lease.fencingToken > this.largestToken) this.largestToken = lease.fencingToken;
    const holdMs = Math.max(told.holdMs, known?.holdMs ?? 0);
    if (isKnown) {
      known.holdMs = holdMs;
      known.endsMs = Math.max(known.endsMs, endsMs);
      known.ceilingMs = Math.max(known.ceilingMs, ceilingMs);
      Object.assign(known, { lease, reign, clockMs, toldClockMs: clockMs });
    } else {
      this.#leases.set(key, { lease, endsMs, ceilingMs, holdMs, reign, clockMs, toldClockMs: clockMs });
    }
  }

  /** A notice says of the lease that this call speaks for that it was released or revoked. */
  heard(kind: 'released' | 'revoked', of: Named, stamp: CallStamp): void {
    const known = this.#leases.get(keyOf(of));
    if (!known || !sameStamp(known.lease.stamp, stamp)) return;
    if (kind === 'released') known.endsMs = OVER_MS;
    else known.lease = { ...known.lease, state: 'revoked' };
  }

  /** The lease ended by a script that ran at `wallMs`: its holder has no use for it any more. Its min_hold goes on. */
  ended(of: Named, wallMs: number): void {
    const known = this.#leases.get(keyOf(of));
    if (!known || known.lease.fencingToken > BigInt(Math.floor(wallMs * 1_000))) return;
    known.endsMs = OVER_MS;
  }

  /** The answer said that the lease with this token was released. */
  released({ resource, leaseId }: Named, token: bigint, toldMs: number, { reign, clockMs }: Origin): void {
    const known = this.#leases.get(keyOf({ resource, leaseId }));
    if (known && known.lease.fencingToken <= token) known.endsMs = OVER_MS;
    this.#releases.push({ resource, leaseId, token, toldMs, reign, clockMs });
  }

  revoked(of: Named, token: bigint): void {
    const known = this.#find(of, token);
    if (known) known.lease = { ...known.lease, state: 'revoked' };
  }

  #find(of: Named, token: bigint): ToldLease | undefined {
    const known = this.#leases.get(keyOf(of));
    return known?.lease.fencingToken === token ? known : undefined;
  }

  /** What data of that origin may lack, as of now; from here on the data of `reign` have it, since that lease clock. */
  putBack(origin: Origin, nowMs: number, { reign, clockMs }: Origin): readonly PutBack[] {
    const found: PutBack[] = [];
    for (const told of this.#leases.values()) {
      if (told.endsMs <= nowMs && told.holdMs <= nowMs) continue;
      if (told.reign === origin.reign && told.clockMs < origin.clockMs) continue;
      found.push({
        lease: told.lease,
        leftMs: told.endsMs - nowMs,
        ceilingLeftMs: told.ceilingMs - nowMs,
        holdLeftMs: told.holdMs - nowMs,
        toldClockMs: told.toldClockMs,
        fromClockMs: origin.clockMs,
      });
      Object.assign(told, { reign, clockMs });
    }
    return found;
  }

  /** The same of releases. */
  repeated(origin: Origin, nowMs: number, { reign, clockMs }: Origin): readonly ToldRelease[] {
    const found = this.#releases.filter(
      (one) =>
        one.toldMs + RELEASE_KEPT_MS > nowMs && (one.reign !== origin.reign || one.clockMs >= origin.clockMs),
    );
    for (const one of found) Object.assign(one, { reign, clockMs });
    return found;
  }
}

export type Named = { readonly resource: string; readonly leaseId: string };

function keyOf({ resource, leaseId }: Named): string {
  return `${leaseId} ${resource}`;
}

/** Does to the data of a memory store what the script of a roll call does for one lease. */
export function putBack(table: LockTable, one: PutBack): void {
  const { lease, leftMs, ceilingLeftMs, holdLeftMs } = one;
  const { resource, leaseId } = lease.spec;
  const { clock } = table;
  const lock = table.open(resource);
  table.lapse(lock);
  const own = lock.leases.get(leaseId);
  if (holdLeftMs > 0) {
    const knownMs = lock.minHolds.get(lease.fencingToken) ?? 0;
    lock.minHolds.set(lease.fencingToken, Math.max(knownMs, clock.nowMs + holdLeftMs));
  }
  if (leftMs > 0) {
    const endsAtMs = clock.nowMs + ceilingLeftMs + SKEW_ALLOWANCE_MS;
    const untilMs = clock.nowMs + leftMs + SKEW_ALLOWANCE_MS + clock.untakenMs;
    const deadlineMs = Math.min(untilMs, endsAtMs);
    const restored = { ...lease, deadlineMs, endsAtMs, epoch: `r${one.toldClockMs}` };
    if (own && own.fencingToken === lease.fencingToken) {
      const { stamp, epoch, ttlMs } = restored;
      const isNewest = isNewer(one, own, clock.isInherited(own));
      if (own.state === 'offer') Object.assign(own, { state: 'held', ttlMs, endsAtMs });
      if (isNewest) Object.assign(own, { stamp, epoch });
      if (isNewest && lease.state === 'revoked') own.state = 'revoked';
      own.deadlineMs = Math.max(own.deadlineMs, deadlineMs);
    } else if (!own || replaces(lease, own, clock.isInherited(own))) {
      // A grant of this id that nobody was told of makes room.
      if (own) table.end(lock, own);
      restored.deadlineMs = Math.max(deadlineMs, own?.deadlineMs ?? 0);
      for (const other of lock.leases.values()) {
        const goesWith = other.spec.mode.kind !== 'exclusive' && lease.spec.mode.kind !== 'exclusive';
        const isEarlier = other.fencingToken < lease.fencingToken && clock.isInherited(other);
        if (isEarlier && !goesWith) other.epoch = OVERTAKEN;
      }
      lock.leases.set(leaseId, restored);
      const inOrder = [...lock.leases].sort(([, a], [, b]) => (a.fencingToken < b.fencingToken ? -1 : 1));
      lock.leases.clear();
      for (const [id, each] of inOrder) lock.leases.set(id, each);
    }
  }
  lock.isChanged = true;
  table.closeAll();
}

/** Does to the data of a memory store what the script of a roll call does for one release. */
export function release(table: LockTable, { resource, leaseId, token }: Named & { token: bigint }): void {
  const lock = table.open(resource);
  table.lapse(lock);
  const own = lock.leases.get(leaseId);
  if (own?.fencingToken === token) {
    const isTold = own.state !== 'offer' && isOfStream(own.stamp);
    if (isTold) table.tell('released', own.stamp, lock, leaseId);
    table.end(lock, own);
    table.settle(lock);
  }
  table.closeAll();
}

/**
 * Whether it was told of later than what is recorded: then the call that it names speaks for the lease. (No Sentinel
 * counts reigns here: the lease clock alone says which is later.)
 */
function isNewer({ toldClockMs, fromClockMs }: PutBack, own: LeaseRecord, isInherited: boolean): boolean {
  if (!isInherited || own.epoch === OVERTAKEN) return false;
  return isPutBack(own) ? toldClockMs > Number(own.epoch.slice(1)) : toldClockMs >= fromClockMs;
}

/** Whether it takes the place of another grant of its id: not of a later one that somebody was told of. */
function replaces(lease: LeaseRecord, own: LeaseRecord, isInherited: boolean): boolean {
  const isTold = !isInherited || isPutBack(own);
  return own.fencingToken < lease.fencingToken || !isTold;
}

function isPutBack({ epoch }: LeaseRecord): boolean {
  return epoch.startsWith('r');
}
