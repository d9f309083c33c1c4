// All locks in memory and what moves them: runs the commands, ends what has lapsed, hands over what is free, and tells
// those who listen. memory-lock-store.ts has what each command decides. The code is plain on purpose: it works out
// everything from the recorded leases and waiters each time and keeps no summary, so that it doesn't share the errors
// of the scripts in ../redis/lua, which the tests compare with it.
// Over 300 lines because ending, handing over and telling are steps of one thing, and both stores' tests read it beside
// the scripts.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import type { CallStamp, LeaseSpec } from '../../domain/lock.ts';
import { FORGOTTEN_AFTER_MS, OFFER_WINDOW_MS, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type { ChangeNotice, Notice, StoreBound } from '../lock-store.ts';
import type { StoreObserver } from '../store.ts';
import type { LeaseClock } from './lease-clock.ts';
import { Listeners } from './listeners.ts';
import { type LeaseRecord, LockRecord } from './lock-record.ts';
import type { QueuedAcquire } from './wait-queue.ts';

export interface LockTableOptions {
  readonly clock: Clock;
  readonly leaseClock: LeaseClock;
  readonly observer: StoreObserver;
  /** Only notices to this instance are told. */
  readonly instanceId: string;
}

/** How long an instance stays absent if it gives no sign of life. */
const ABSENT_MS = 2 * FORGOTTEN_AFTER_MS;

export class LockTable {
  readonly clock: LeaseClock;
  /** Leases that lapsed instead of being released, so far. */
  expiredLeases = 0;
  readonly #options: LockTableOptions;
  readonly #locks = new Map<string, LockRecord>();
  /** The locks that the current command may change. */
  readonly #opened = new Set<LockRecord>();
  /** Instances that let an offer lapse, and when. */
  readonly #absent = new Map<string, number>();
  readonly #listeners = new Listeners<Notice>();
  readonly #watchers = new Listeners<ChangeNotice>();
  #place = 0;

  constructor(options: LockTableOptions) {
    this.#options = options;
    this.clock = options.leaseClock;
  }

  /** Runs a command of either store, if somebody still waits for it. Throws DEADLINE_EXCEEDED. */
  async run<T>(name: string, { deadlineMs }: StoreBound, decide: () => T): Promise<T> {
    const { clock, observer } = this.#options;
    const startedMs = clock.monotonicMs();
    if (startedMs >= deadlineMs) {
      throw new CoordinationError('DEADLINE_EXCEEDED', 'no time left to decide');
    }
    this.clock.advance();
    const outcome = decide();
    this.closeAll();
    const hasKind = typeof outcome === 'object' && outcome !== null && 'kind' in outcome;
    observer.commandEnded(name, hasKind ? String(outcome.kind) : 'ok', clock.monotonicMs() - startedMs);
    return outcome;
  }

  // ---- Which locks there are.

  get all(): readonly LockRecord[] {
    return [...this.#locks.values()];
  }

  /** For a look: a lock that isn't recorded stays unrecorded. */
  find(resource: string): LockRecord {
    return this.#locks.get(resource) ?? new LockRecord(resource);
  }

  /** For a change. */
  open(resource: string): LockRecord {
    const lock = this.find(resource);
    this.#locks.set(resource, lock);
    this.#opened.add(lock);
    return lock;
  }

  /** Ends a command: forgets the locks that are blank by now, and tells watchers of those that changed. */
  closeAll(): void {
    for (const lock of this.#opened) {
      if (lock.isBlank) this.#locks.delete(lock.resource);
      if (lock.isChanged) this.#watchers.tell({ kind: 'changed', resource: lock.resource });
      lock.isChanged = false;
    }
    this.#opened.clear();
  }

  // ---- What happens by itself.

  /** Ends and hands over what has lapsed, and forgets waiters that stayed away. The lease clock was advanced. */
  tick(): void {
    const { nowMs } = this.clock;
    // In the order in which they were due: an instance that one lock finds absent is passed over at the next.
    const all = this.all.map((lock) => ({ lock, atMs: this.#nextMoment(lock) }));
    const due = all.filter(({ atMs }) => atMs <= nowMs);
    due.sort((a, b) => a.atMs - b.atMs || (a.lock.resource < b.lock.resource ? -1 : 1));
    for (const { lock } of due) this.settle(this.open(lock.resource));
    for (const { resource, queue } of this.all) {
      const forgotten = queue.forgottenAt(nowMs);
      if (forgotten.length === 0) continue;
      const lock = this.open(resource);
      for (const leaseId of forgotten) this.removeWaiter(lock, leaseId);
      this.settle(lock);
    }
    for (const [instance, sinceMs] of this.#absent) {
      if (sinceMs + ABSENT_MS < nowMs) this.#absent.delete(instance);
    }
    this.closeAll();
  }

  /** When a lease lapses, a min_hold is over, or the next in line may be granted. */
  #nextMoment(lock: LockRecord): number {
    let atMs = Number.POSITIVE_INFINITY;
    for (const untilMs of lock.minHolds.values()) atMs = Math.min(atMs, untilMs);
    if (lock.leases.size > 0) atMs = Math.min(atMs, lock.firstDeadlineMs);
    const [next] = lock.queue.live;
    if (!next) return atMs;
    const own = lock.leases.get(next.spec.leaseId);
    const isNear = own ? this.clock.isRenewable(own) : next.place === 0 || lock.admits(next.spec.mode);
    const { isQuarantine, fullUntilMs, quarantineUntilMs } = this.clock;
    const opensMs = own && !isQuarantine ? fullUntilMs : quarantineUntilMs;
    return isNear ? Math.min(atMs, Math.max(opensMs, lock.takenUntilMs)) : atMs;
  }

  /** Brings a lock up to date after something about it may have changed. */
  settle(lock: LockRecord): void {
    this.lapse(lock);
    this.handOver(lock);
    this.tellNext(lock);
  }

  /** Ends what has lapsed. */
  lapse(lock: LockRecord): void {
    const { nowMs } = this.clock;
    for (const lease of lock.leases.values()) {
      if (this.clock.blocks(lease)) continue;
      this.end(lock, lease);
      if (lease.state === 'held') this.expiredLeases++;
      // An instance that left an offer unanswered for a second would cost the others a second for each of its waiters.
      // (It could give none to an inherited one.)
      const wasAsked = lease.state === 'offer' && !this.clock.isInherited(lease);
      if (wasAsked) this.#absent.set(lease.stamp.instanceId, nowMs);
    }
    for (const [token, untilMs] of lock.minHolds) {
      if (untilMs <= nowMs) this.endMinHold(lock, token);
    }
  }

  /** Grants what is free to the next in line, in this very step. Returns whether it granted anything. */
  handOver(lock: LockRecord): boolean {
    let hasGranted = false;
    while (!this.isTaken(lock)) {
      const [waiter] = lock.queue.live;
      if (!waiter) break;
      const { stamp, spec } = waiter;
      const own = lock.leases.get(spec.leaseId);
      if (this.#absent.has(stamp.instanceId)) {
        this.setAbsent(lock, waiter, FORGOTTEN_AFTER_MS);
      } else if (own) {
        // The waiting call gets its lease that outlived a quarantine, never a second: that would replace one in use.
        if (!this.clock.mayTell(own)) break;
        own.stamp = stamp;
        this.#offer(lock, spec.leaseId, stamp);
        hasGranted = true;
      } else if (waiter.place === 0) {
        // It stood before the others because of its lease. That has lapsed, so it goes to the tail.
        this.enqueue(lock, { ...waiter, place: this.nextPlace() });
      } else {
        if (!lock.admits(spec.mode)) break;
        this.grant(lock, spec, stamp);
        this.#offer(lock, spec.leaseId, stamp);
        hasGranted = true;
      }
    }
    return hasGranted;
  }

  #offer(lock: LockRecord, leaseId: string, stamp: CallStamp): void {
    this.removeWaiter(lock, leaseId);
    this.tell('offered', stamp, lock, leaseId);
  }

  // ---- Leases and waiters.

  /** Whether a quarantine or a min_hold keeps everybody from a grant. */
  isTaken(lock: LockRecord): boolean {
    return this.clock.isQuarantine || this.clock.nowMs < lock.takenUntilMs;
  }

  /** When the next in line may be granted it. */
  freeAtMs(lock: LockRecord): number {
    return Math.max(this.clock.quarantineUntilMs, lock.takenUntilMs, lock.firstDeadlineMs);
  }

  /** Records an offer, which `hold` makes a lease. */
  grant(lock: LockRecord, spec: LeaseSpec, stamp: CallStamp): LeaseRecord {
    const lease: LeaseRecord = {
      spec,
      fencingToken: this.clock.nextToken(),
      acquiredAtWallMs: this.clock.wallMs,
      state: 'offer',
      stamp,
      deadlineMs: this.clock.nowMs + OFFER_WINDOW_MS,
      ttlMs: spec.ttlMs,
      endsAtMs: Number.POSITIVE_INFINITY,
      epoch: this.clock.epoch,
    };
    lock.leases.set(spec.leaseId, lease);
    lock.isChanged = true;
    return lease;
  }

  /** Makes an offer a lease. Its TTL, min_hold and max_hold count from now. */
  hold(lock: LockRecord, lease: LeaseRecord, { ttlMs, minHoldMs, maxHoldMs }: LeaseSpec): void {
    const { nowMs } = this.clock;
    lease.state = 'held';
    lease.ttlMs = ttlMs;
    lease.deadlineMs = 0;
    if (maxHoldMs > 0) lease.endsAtMs = nowMs + maxHoldMs + SKEW_ALLOWANCE_MS;
    if (minHoldMs > 0) lock.minHolds.set(lease.fencingToken, nowMs + minHoldMs);
    this.extend(lease, ttlMs);
    lock.isChanged = true;
  }

  /** Never past max_hold and never back: a repeat with a smaller TTL doesn't shorten what the holder was told. */
  extend(lease: LeaseRecord, ttlMs: number): void {
    const deadlineMs = Math.min(this.clock.deadlineAfter(ttlMs), lease.endsAtMs);
    lease.deadlineMs = Math.max(lease.deadlineMs, deadlineMs);
    lease.epoch = this.clock.epoch;
  }

  /** Ends a lease, but not its min_hold. */
  end(lock: LockRecord, lease: LeaseRecord): void {
    lock.leases.delete(lease.spec.leaseId);
    lock.isChanged = true;
  }

  endMinHold(lock: LockRecord, token: bigint): void {
    if (lock.minHolds.delete(token)) lock.isChanged = true;
  }

  nextPlace(): number {
    return ++this.#place;
  }

  /** Puts it into the line at its place. It is forgotten unless it asks again in time. */
  enqueue(lock: LockRecord, waiter: Omit<QueuedAcquire, 'forgottenAtMs'>): void {
    const forgottenAtMs = this.clock.nowMs + FORGOTTEN_AFTER_MS;
    if (lock.queue.put({ ...waiter, forgottenAtMs })) lock.isChanged = true;
  }

  /** Takes it out of the line until it asks again, and keeps its place for so long. */
  setAbsent(lock: LockRecord, waiter: QueuedAcquire, keptForMs: number): void {
    if (lock.queue.setAbsent(waiter, this.clock.nowMs + keptForMs)) lock.isChanged = true;
  }

  removeWaiter(lock: LockRecord, leaseId: string): void {
    if (lock.queue.remove(leaseId)) lock.isChanged = true;
  }

  /** An instance that asks is not absent. The hand-overs passed over its waiters, so all of them must ask again. */
  hasAsked(instanceId: string): void {
    if (this.#absent.delete(instanceId)) this.#notify(instanceId, { kind: 'resync' });
  }

  // ---- Notices.

  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Calls back on each change of any lock. No change is ever missed. */
  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    const stop = this.#watchers.add(listener);
    listener({ kind: 'listening', missed: true });
    return stop;
  }

  tell(
    kind: 'offered' | 'moved' | 'released' | 'revoked',
    { instanceId, callNumber }: CallStamp,
    { resource }: LockRecord,
    leaseId: string,
  ): void {
    this.#notify(instanceId, { kind, acquisition: { resource, leaseId }, callNumber });
  }

  /** Tells the next in line when what blocks it may lapse. */
  tellNext(lock: LockRecord): void {
    const [next] = lock.queue.live;
    if (!next) return;
    const { instanceId, callNumber } = next.stamp;
    const acquisition = { resource: lock.resource, leaseId: next.spec.leaseId };
    const blockedForMs = this.clock.leftMs(this.freeAtMs(lock));
    this.#notify(instanceId, { kind: 'next', acquisition, callNumber, blockedForMs });
  }

  #notify(instanceId: string, notice: Notice): void {
    if (instanceId === this.#options.instanceId) this.#listeners.tell(notice);
  }
}
