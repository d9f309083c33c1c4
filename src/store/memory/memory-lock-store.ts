// Locks in this process's memory, by the rules of the scripts in ../redis/lua and in their order: the model that random
// command sequences compare the Redis store with. Times are on the lease clock, in milliseconds, unless a name says
// otherwise.

import type { Clock } from '../../domain/clock.ts';
import { LIMITS } from '../../domain/limits.ts';
import type {
  AcquireOutcome,
  CallStamp,
  ConfirmOutcome,
  ForceReleaseOutcome,
  Lease,
  LeaseSpec,
  LockView,
  Mode,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import { FORGOTTEN_AFTER_MS, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
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
import type { StoreObserver } from '../store.ts';
import { forceRelease, release } from './end-leases.ts';
import { type LeaseRecord, type Lock, type LockTable, sameMode, sameStamp } from './lock-table.ts';
import { LockViews } from './lock-views.ts';
import { runCommand } from './memory-command.ts';

export interface MemoryLockStoreOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  readonly observer: StoreObserver;
  /** Whose offers `refresh` returns and whose waiters notices are for. */
  readonly instanceId: string;
  /** The locks, which the operations share. */
  readonly table: LockTable;
}

export class MemoryLockStore implements LockStore {
  readonly #options: MemoryLockStoreOptions;
  readonly #table: LockTable;
  readonly #views: LockViews;

  constructor(options: MemoryLockStoreOptions) {
    this.#options = options;
    this.#table = options.table;
    this.#views = new LockViews(this.#table);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#table.onNotice(listener);
  }

  /** Locks that are remembered, lapsed or not: what a leak would make grow. */
  get size(): number {
    return this.#table.size;
  }

  acquire(command: AcquireCommand, bound: StoreBound): Promise<AcquireOutcome> {
    return this.#command('acquire-lock', bound, () => this.#acquire(command));
  }

  confirm(command: ConfirmCommand, bound: StoreBound): Promise<ConfirmOutcome> {
    return this.#command('confirm-offer', bound, () => this.#confirm(command));
  }

  leave(command: LeaveCommand, bound: StoreBound): Promise<boolean> {
    return this.#command('leave-queue', bound, () => this.#leave(command));
  }

  renew(commands: readonly RenewCommand[], bound: StoreBound): Promise<readonly RenewOutcome[]> {
    return this.#command('renew-locks', bound, () => commands.map((command) => this.#renew(command)));
  }

  release(ref: AcquisitionRef, bound: StoreBound): Promise<ReleaseOutcome> {
    return this.#command('release-lock', bound, () => release(this.#table, ref));
  }

  forceRelease(command: ForceReleaseCommand, bound: StoreBound): Promise<ForceReleaseOutcome> {
    return this.#command('force-release', bound, () => forceRelease(this.#table, command));
  }

  advance(resource: string, bound: StoreBound): Promise<void> {
    return this.#command('advance-queue', bound, () => this.#table.settle(this.#table.open(resource)));
  }

  checkFencingToken(resource: string, fencingToken: bigint, bound: StoreBound): Promise<boolean> {
    return this.#command('check-fencing-token', bound, () => {
      const records = [...this.#table.open(resource).leases.values()];
      return records.some(
        (record) =>
          BigInt(record.token) === fencingToken && record.state === 'held' && this.#table.alive(record),
      );
    });
  }

  get(resource: string, bound: StoreBound): Promise<LockView> {
    return this.#command('get-lock', bound, () => this.#views.view(resource, LIMITS.listedPerLock));
  }

  getMany(resources: readonly string[], bound: StoreBound): Promise<readonly LockView[]> {
    const most = LIMITS.listedPerPagedLock;
    return this.#command('get-lock', bound, () =>
      resources.map((resource) => this.#views.view(resource, most)),
    );
  }

  list(query: ListQuery, bound: StoreBound): Promise<LockPage> {
    return this.#command('list-locks', bound, () => this.#views.list(query));
  }

  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    return this.#table.watchChanges(listener);
  }

  refresh(bound: StoreBound): Promise<readonly Offer[]> {
    return this.#command('refresh-instance', bound, () => {
      const { instanceId } = this.#options;
      if (this.#table.isBack(instanceId)) this.#table.notify({ kind: 'resync' });
      return [...this.#table.offersOf(instanceId).values()];
    });
  }

  #command<T>(name: string, bound: StoreBound, decide: () => T): Promise<T> {
    return runCommand(this.#options, this.#table, name, bound, decide);
  }

  #acquire({ spec, stamp, mayWait, asksAgain = false }: AcquireCommand): AcquireOutcome {
    const { leaseId, mode } = spec;
    const lock = this.#table.open(spec.resource);
    this.#table.dropLapsed(lock);
    const own = lock.leases.get(leaseId); // alive: what lapsed was dropped
    const newer = (by: CallStamp): boolean => asksAgain && !sameStamp(by, stamp);
    if (own && !sameMode(own.spec.mode, mode)) return { kind: 'reused' };
    if (own?.state === 'revoked') return { kind: 'revoked' };
    if (own && !this.#table.quarantined && newer(own.stamp)) return { kind: 'moved' };
    const waiter = lock.queue.get(leaseId);
    if (waiter && !sameMode(waiter.spec.mode, mode)) return { kind: 'reused' };
    if (waiter && newer(waiter.stamp)) return { kind: 'moved' };
    if (waiter && !sameStamp(waiter.stamp, stamp)) {
      this.#table.tell(waiter.stamp, 'moved', lock.resource, leaseId);
    }
    if (own && !this.#table.quarantined) {
      if (!sameStamp(own.stamp, stamp)) this.#table.tell(own.stamp, 'moved', lock.resource, leaseId);
      lock.queue.remove(leaseId);
      return this.#granted(lock, own, spec, stamp);
    }

    const free = !this.#table.quarantined && this.#table.clockMs >= lock.takenUntilMs;
    if (lock.queue.liveLength === 0 && !waiter && free && this.#table.admits(lock, mode)) {
      const record = this.#table.grant(lock, spec, stamp);
      this.#table.hold(record, spec);
      lock.nextMs = Math.min(lock.nextMs, record.deadlineMs);
      lock.takenUntilMs = spec.minHoldMs > 0 ? this.#table.clockMs + spec.minHoldMs : 0;
      this.#table.save(lock);
      return { kind: 'granted', lease: this.#lease(record), isRepeat: false };
    }
    if (mayWait) {
      if (!waiter && lock.queue.size >= LIMITS.waitersPerResource) return { kind: 'full' };
      const place = waiter?.place ?? (own ? 0 : this.#table.nextPlace());
      const queuedAtWallMs = waiter?.queuedAtWallMs ?? this.#table.systemMs;
      const forgetAtMs = this.#table.clockMs + FORGOTTEN_AFTER_MS;
      lock.queue.put(leaseId, { place, stamp, spec, queuedAtWallMs }, forgetAtMs);
      if (this.#table.isBack(stamp.instanceId)) this.#table.notify({ kind: 'resync' });
    } else {
      lock.queue.remove(leaseId);
    }
    this.#table.handOver(lock, true);
    const offer = lock.leases.get(leaseId);
    if (offer?.state === 'offer' && sameStamp(offer.stamp, stamp)) {
      return this.#granted(lock, offer, spec, stamp);
    }
    this.#table.save(lock);
    return this.#refusal(lock, leaseId, mode);
  }

  #refusal(lock: Lock, leaseId: string, mode: Mode): AcquireOutcome {
    const contention = this.#views.contention(lock, mode);
    const { timeLeftMs } = contention;
    const position = lock.queue.position(leaseId);
    if (position !== undefined) return { kind: 'queued', position, blockedForMs: timeLeftMs };
    const isOwn = lock.leases.has(leaseId);
    const isUnheld = contention.reason !== 'held';
    if (this.#table.quarantined && (isUnheld || lock.leases.size === 0 || isOwn)) {
      return { kind: 'quarantined', retryAfterMs: timeLeftMs };
    }
    return { kind: 'contended', contention };
  }

  #granted(lock: Lock, record: LeaseRecord, spec: LeaseSpec, stamp: CallStamp): AcquireOutcome {
    const isRepeat = record.state !== 'offer';
    if (record.state === 'offer') {
      this.#table.forgetOffer(lock, spec.leaseId, record.stamp);
      this.#keepTaken(lock, spec);
      this.#table.hold(record, spec);
    } else {
      this.#table.extend(record, spec.ttlMs);
    }
    record.stamp = stamp;
    this.#table.save(lock);
    return { kind: 'granted', lease: this.#lease(record), isRepeat };
  }

  // Never shorter than another holder's min_hold.
  #keepTaken(lock: Lock, { minHoldMs }: LeaseSpec): void {
    if (minHoldMs > 0) lock.takenUntilMs = Math.max(lock.takenUntilMs, this.#table.clockMs + minHoldMs);
  }

  #confirm({ spec, stamp }: ConfirmCommand): ConfirmOutcome {
    const lock = this.#table.open(spec.resource);
    const record = lock.leases.get(spec.leaseId);
    if (record && !sameStamp(record.stamp, stamp)) return { kind: 'gone' };
    this.#table.forgetOffer(lock, spec.leaseId, stamp);
    if (!record || !this.#table.alive(record) || this.#table.quarantined) return { kind: 'gone' };
    if (record.state === 'revoked') return { kind: 'gone' };
    const isRepeat = record.state !== 'offer';
    if (record.state === 'offer') {
      this.#keepTaken(lock, spec);
      this.#table.hold(record, spec);
      if (spec.minHoldMs > 0) this.#table.save(lock);
      else this.#table.changes.tell(lock, this.#table.clockMs);
    } else {
      this.#table.extend(record, spec.ttlMs);
    }
    return { kind: 'granted', lease: this.#lease(record), isRepeat };
  }

  #leave({ resource, leaseId, stamp, keepPlaceMs, giveBack }: LeaveCommand): boolean {
    const lock = this.#table.open(resource);
    let left = false;
    const waiter = lock.queue.get(leaseId);
    if (waiter && sameStamp(waiter.stamp, stamp)) {
      if (keepPlaceMs > 0) lock.queue.setAbsent(leaseId, this.#table.clockMs + keepPlaceMs);
      else lock.queue.remove(leaseId);
      left = true;
    }
    const record = lock.leases.get(leaseId);
    if (record && sameStamp(record.stamp, stamp) && (record.state === 'offer' || giveBack)) {
      this.#table.erase(lock, leaseId, record);
      if (record.state !== 'offer' && lock.leases.size === 0) lock.takenUntilMs = 0;
      left = true;
    }
    if (left) this.#table.settle(lock);
    return left;
  }

  #renew({ resource, leaseId, fencingToken, ttlMs, stamp, takesOver }: RenewCommand): RenewOutcome {
    const record = this.#table.open(resource).leases.get(leaseId);
    const known = record && BigInt(record.token) === fencingToken && record.state !== 'offer';
    if (!known || !this.#table.alive(record)) return { kind: 'lost' };
    if (record.state === 'revoked') return { kind: 'revoked' };
    if (stamp && !sameStamp(stamp, record.stamp)) {
      if (!takesOver) return { kind: 'moved' };
      this.#table.tell(record.stamp, 'moved', resource, leaseId);
      record.stamp = stamp;
    }
    this.#table.extend(record, ttlMs === 0 ? Math.min(record.ttlMs, this.#options.maxTtlMs) : ttlMs);
    const isFinal = record.ceilingMs > 0 && record.deadlineMs >= record.ceilingMs;
    return { kind: 'renewed', lease: this.#lease(record), isFinal };
  }

  #lease(record: LeaseRecord): Lease {
    const remainingMs = record.deadlineMs - SKEW_ALLOWANCE_MS - this.#table.clockMs;
    return {
      resource: record.spec.resource,
      leaseId: record.spec.leaseId,
      fencingToken: BigInt(record.token),
      deadlineMs: this.#options.clock.monotonicMs() + remainingMs,
      expiresAtWallMs: this.#table.systemMs + remainingMs,
    };
  }
}
