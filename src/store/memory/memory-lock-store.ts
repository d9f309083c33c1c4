// Locks in this process's memory: what each command of the contract decides. lock-table.ts keeps the locks and does
// what happens by itself; lock-views.ts shows them to people. Times are on the lease clock, in milliseconds, unless a
// name says otherwise.
//
// Over 300 lines because each command of the interface is here.

import { LIMITS } from '../../domain/limits.ts';
import type {
  AcquireOutcome,
  CallStamp,
  ConfirmOutcome,
  ForceReleaseOutcome,
  Granted,
  Lease,
  LeaseSpec,
  LockView,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import type {
  AcquireCommand,
  AcquisitionRef,
  ChangeNotice,
  ConfirmCommand,
  ForceReleaseCommand,
  LeaveCommand,
  ListQuery,
  LockPage,
  LockStore,
  Notice,
  Offer,
  RenewCommand,
  StoreBound,
} from '../lock-store.ts';
import { isOfStream, type LeaseRecord, type LockRecord, sameMode, sameStamp } from './lock-record.ts';
import type { LockTable } from './lock-table.ts';
import { LockViews } from './lock-views.ts';

export interface MemoryLockStoreOptions {
  /** Whose offers `refresh` returns. */
  readonly instanceId: string;
  /** Shared with the operations. */
  readonly table: LockTable;
}

export class MemoryLockStore implements LockStore {
  readonly #instanceId: string;
  readonly #table: LockTable;
  readonly #views: LockViews;

  constructor({ instanceId, table }: MemoryLockStoreOptions) {
    this.#instanceId = instanceId;
    this.#table = table;
    this.#views = new LockViews(table);
  }

  /** Locks that are remembered, lapsed or not: what a leak would make grow. */
  get size(): number {
    return this.#table.all.length;
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#table.onNotice(listener);
  }

  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    return this.#table.watchChanges(listener);
  }

  acquire(command: AcquireCommand, bound: StoreBound): Promise<AcquireOutcome> {
    return this.#table.run('acquire-lock', bound, () => this.#acquire(command));
  }

  #acquire({ spec, stamp, mayWait, asksAgain = false }: AcquireCommand): AcquireOutcome {
    const { leaseId, mode } = spec;
    const table = this.#table;
    const lock = table.open(spec.resource);
    table.lapse(lock);
    const own = lock.leases.get(leaseId);
    const waiter = lock.queue.get(leaseId);
    // A quarantine returns not even a live lease: the grant may never have been confirmed.
    const isReturned = own !== undefined && table.clock.mayTell(own);
    const isOther = (known: LeaseRecord | typeof waiter): boolean =>
      !!known && !sameMode(known.spec.mode, mode);
    if (isOther(own) || isOther(waiter)) return { kind: 'reused' };
    if (own?.state === 'revoked') return { kind: 'revoked' };
    const former = [isReturned ? own.stamp : undefined, waiter?.stamp].filter((by) => by !== undefined);
    const newer = former.filter((by) => !sameStamp(by, stamp));
    if (asksAgain && newer.length > 0) return { kind: 'moved' };
    for (const by of newer) table.tell('moved', by, lock, leaseId);
    if (isReturned) {
      table.removeWaiter(lock, leaseId);
      return this.#return(lock, own, spec, stamp);
    }
    const isNext = lock.queue.live.length === 0 && !waiter && !own;
    if (isNext && !table.isTaken(lock) && lock.admits(mode)) {
      return this.#return(lock, table.grant(lock, spec, stamp), spec, stamp, false);
    }
    if (mayWait) {
      if (!waiter && lock.queue.size >= LIMITS.waitersPerResource) return { kind: 'full' };
      table.hasAsked(stamp.instanceId);
      const place = waiter?.place ?? (own ? 0 : table.nextPlace());
      const queuedAtWallMs = waiter?.queuedAtWallMs ?? table.clock.wallMs;
      table.enqueue(lock, { place, spec, stamp, queuedAtWallMs });
    } else {
      table.removeWaiter(lock, leaseId);
    }
    // What has lapsed may have made room for the queue, and so for this very call.
    if (table.handOver(lock)) table.tellNext(lock);
    const offer = lock.leases.get(leaseId);
    const isIts = offer?.state === 'offer' && sameStamp(offer.stamp, stamp) && table.clock.mayTell(offer);
    if (isIts) return this.#return(lock, offer, spec, stamp);
    return this.#refusal(lock, spec);
  }

  /** Makes an offer a lease, or extends the lease that it is, for the call that speaks for it from now on. */
  #return(
    lock: LockRecord,
    lease: LeaseRecord,
    spec: LeaseSpec,
    stamp: CallStamp,
    isHandedOver = true,
  ): Granted {
    const isRepeat = lease.state !== 'offer';
    if (isRepeat) this.#table.extend(lease, spec.ttlMs);
    else this.#table.hold(lock, lease, spec);
    lease.stamp = stamp;
    const { permitsLimit } = lock;
    const bare = this.#leaseOf(lease);
    const told = permitsLimit === 0 ? bare : { ...bare, permitsLimit };
    const granted = { kind: 'granted', lease: told, isRepeat } as const;
    return isRepeat || !isHandedOver ? granted : { ...granted, handoverMs: this.#heldMs(lease) };
  }

  #refusal(lock: LockRecord, { leaseId, mode }: LeaseSpec): AcquireOutcome {
    const contention = this.#views.contention(lock, mode);
    const position = lock.queue.position(leaseId);
    if (position !== undefined) return { kind: 'queued', position, blockedForMs: contention.timeLeftMs };
    // Without the quarantine it would be granted or returned, once a min_hold is over.
    const [{ clock }, own] = [this.#table, lock.leases.get(leaseId)];
    const isOnlyThat = contention.reason !== 'held' || own || lock.leases.size === 0;
    if (clock.isQuarantine && isOnlyThat) {
      const retryAfterMs = clock.leftMs(Math.max(clock.quarantineUntilMs, lock.takenUntilMs));
      return { kind: 'quarantined', retryAfterMs };
    }
    // Its own lease stands in its way, of which it may not be told yet.
    const untilMs = own && (clock.isRenewable(own) ? clock.fullUntilMs : own.deadlineMs);
    if (untilMs) return { kind: 'quarantined', retryAfterMs: clock.leftMs(untilMs) };
    return { kind: 'contended', contention };
  }

  confirm({ spec, stamp }: ConfirmCommand, bound: StoreBound): Promise<ConfirmOutcome> {
    return this.#table.run('confirm-offer', bound, () => {
      const lock = this.#table.open(spec.resource);
      const lease = lock.leases.get(spec.leaseId);
      // As with a repeat: the primary that recorded the offer may have given the resource to somebody else since.
      const isIts = lease && sameStamp(lease.stamp, stamp) && this.#table.clock.mayTell(lease);
      if (!isIts) return { kind: 'gone' };
      return this.#return(lock, lease, spec, stamp);
    });
  }

  leave(command: LeaveCommand, bound: StoreBound): Promise<boolean> {
    return this.#table.run('leave-queue', bound, () => {
      const { resource, leaseId, stamp, keepPlaceMs, giveBack } = command;
      const lock = this.#table.open(resource);
      this.#table.lapse(lock);
      const waiter = lock.queue.get(leaseId);
      const leaves = waiter && sameStamp(waiter.stamp, stamp);
      if (leaves && keepPlaceMs > 0) this.#table.setAbsent(lock, waiter, keepPlaceMs);
      else if (leaves) this.#table.removeWaiter(lock, leaseId);
      const lease = lock.leases.get(leaseId);
      const returns = lease && sameStamp(lease.stamp, stamp) && (lease.state === 'offer' || giveBack);
      if (returns) {
        this.#table.end(lock, lease);
        this.#table.endMinHold(lock, lease.fencingToken); // nobody was told of it
      }
      if (leaves || returns) this.#table.settle(lock);
      return leaves || (returns && !this.#table.clock.isOver(lease)) || false;
    });
  }

  renew(commands: readonly RenewCommand[], bound: StoreBound): Promise<readonly RenewOutcome[]> {
    return this.#table.run('renew-locks', bound, () => commands.map((command) => this.#renew(command)));
  }

  #renew(command: RenewCommand): RenewOutcome {
    const { resource, leaseId, fencingToken, ttlMs, stamp, takesOver, onlyLooks } = command;
    const [{ clock }, lock] = [this.#table, this.#table.find(resource)];
    const lease = lock.leases.get(leaseId);
    const isIts = lease?.fencingToken === fencingToken && lease.state !== 'offer';
    if (!isIts || !clock.isRenewable(lease)) return { kind: clock.mayBePutBack ? 'unknown' : 'lost' };
    if (lease.state === 'revoked') return { kind: 'revoked' };
    if (stamp && !sameStamp(stamp, lease.stamp)) {
      if (!takesOver || onlyLooks) return { kind: 'moved' };
      this.#table.tell('moved', lease.stamp, lock, leaseId);
      lease.stamp = stamp;
    }
    if (!onlyLooks) this.#table.extend(lease, ttlMs === 0 ? lease.ttlMs : ttlMs);
    return { kind: 'renewed', lease: this.#leaseOf(lease), isFinal: lease.deadlineMs >= lease.endsAtMs };
  }

  release({ resource, leaseId }: AcquisitionRef, bound: StoreBound): Promise<ReleaseOutcome> {
    return this.#table.run('release-lock', bound, () => {
      const lock = this.#table.open(resource);
      // A release of what isn't there looks at nobody: an absent instance's waiters stay until their turn comes.
      if (!lock.queue.get(leaseId) && !lock.leases.get(leaseId)) return { kind: 'absent' };
      const former = lock.leases.get(leaseId);
      this.#table.lapse(lock);
      const waiter = lock.queue.get(leaseId);
      const lease = lock.leases.get(leaseId);
      const isHeld = lease !== undefined && lease.state !== 'offer';
      if (waiter) this.#table.tell('released', waiter.stamp, lock, leaseId);
      if (isHeld && isOfStream(lease.stamp)) this.#table.tell('released', lease.stamp, lock, leaseId);
      this.#table.removeWaiter(lock, leaseId);
      if (lease) this.#table.end(lock, lease);
      this.#table.settle(lock);
      const wasOver = isHeld && this.#table.clock.isOver(lease);
      if (isHeld) return { kind: 'released', heldMs: this.#heldMs(lease), wasOver };
      if (waiter || lease) return { kind: 'dequeued' };
      if (former?.state !== 'held' || isOfStream(former.stamp)) return { kind: 'absent' };
      return { kind: 'lapsed', heldMs: this.#heldMs(former) };
    });
  }

  forceRelease(command: ForceReleaseCommand, bound: StoreBound): Promise<ForceReleaseOutcome> {
    return this.#table.run('force-release', bound, () => this.#forceRelease(command));
  }

  #forceRelease({ resource, fencingToken, immediate }: ForceReleaseCommand): ForceReleaseOutcome {
    const table = this.#table;
    const lock = table.open(resource);
    table.lapse(lock);
    const leases = [...lock.leases.values()];
    const named = leases.filter((lease) => fencingToken === undefined || lease.fencingToken === fencingToken);
    const revoked = named.filter(({ state }) => immediate || state !== 'revoked');
    const taken = named.filter((lease) => lease.state === 'held' && !table.clock.isOver(lease));
    const heldMs = taken.map(this.#heldMs);
    for (const lease of named) {
      // Its holder's repeat, which waits in a quarantine to get this very lease.
      const waiter = lock.queue.get(lease.spec.leaseId);
      if (waiter) table.tell('revoked', waiter.stamp, lock, lease.spec.leaseId);
      table.removeWaiter(lock, lease.spec.leaseId);
    }
    for (const lease of revoked) {
      const { spec, stamp, state } = lease;
      if (state === 'offer' || isOfStream(stamp)) table.tell('revoked', stamp, lock, spec.leaseId);
      if (immediate || state === 'offer') table.end(lock, lease);
      lease.state = 'revoked';
      lock.isChanged = true;
    }
    // A token that names nothing belongs to a repeated call, and the min_hold may be that of a later holder.
    const endsMinHold =
      immediate && lock.leases.size === 0 && (fencingToken === undefined || named.length > 0);
    if (endsMinHold) for (const token of [...lock.minHolds.keys()]) table.endMinHold(lock, token);
    const lastMs = Math.max(0, ...[...lock.leases.values()].map(({ deadlineMs }) => deadlineMs));
    const freeAtMs = Math.max(lastMs, lock.takenUntilMs, table.clock.quarantineUntilMs);
    table.settle(lock);
    return { count: revoked.length, freeInMs: table.clock.leftMs(freeAtMs), heldMs };
  }

  advance(resource: string, bound: StoreBound): Promise<void> {
    return this.#table.run('advance-queue', bound, () => this.#table.settle(this.#table.open(resource)));
  }

  refresh(bound: StoreBound): Promise<readonly Offer[]> {
    return this.#table.run('refresh-instance', bound, () => {
      this.#table.hasAsked(this.#instanceId);
      return this.#views.offersTo(this.#instanceId);
    });
  }

  checkFencingToken(resource: string, fencingToken: bigint, bound: StoreBound): Promise<boolean> {
    return this.#table.run('check-fencing-token', bound, () => {
      const leases = [...this.#table.find(resource).leases.values()];
      const lease = leases.find((one) => one.fencingToken === fencingToken);
      if (lease?.state !== 'held' || !this.#table.clock.isRenewable(lease)) return false;
      // Two exclusive ones stand here only where a roll call put one of them back: the later one is the last.
      const isLast = leases.every(
        (one) => one.fencingToken <= fencingToken || !this.#table.clock.blocks(one),
      );
      return lease.spec.mode.kind !== 'exclusive' || isLast;
    });
  }

  get(resource: string, bound: StoreBound): Promise<LockView> {
    return this.#table.run('get-lock', bound, () =>
      this.#views.view(this.#table.find(resource), LIMITS.listedPerLock),
    );
  }

  getMany(resources: readonly string[], bound: StoreBound): Promise<readonly LockView[]> {
    return this.#table.run('get-lock', bound, () =>
      resources.map((name) => this.#views.view(this.#table.find(name), LIMITS.listedPerPagedLock)),
    );
  }

  list(query: ListQuery, bound: StoreBound): Promise<LockPage> {
    return this.#table.run('list-locks', bound, () => this.#views.list(query));
  }

  #heldMs = (lease: LeaseRecord): number => this.#table.clock.ageMs(lease.acquiredAtWallMs);

  #leaseOf({ spec: { resource, leaseId }, fencingToken, deadlineMs }: LeaseRecord): Lease {
    return { resource, leaseId, fencingToken, ...this.#table.clock.asTold(deadlineMs) };
  }
}
