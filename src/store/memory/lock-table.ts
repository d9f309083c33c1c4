// The locks in memory and what moves them: the lease clock, admission, the queue and the direct hand-over, as in
// ../redis/lua/prelude.lua and locking.lua. What callers ask for and are answered is in memory-lock-store.ts.

import type { Clock } from '../../domain/clock.ts';
import type { CallStamp, LeaseSpec, Mode } from '../../domain/lock.ts';
import {
  FORGOTTEN_AFTER_MS,
  LAPSED_AFTER_ADOPTION_MS,
  OFFER_WINDOW_MS,
  quarantineMs,
  SKEW_ALLOWANCE_MS,
} from '../../domain/safety.ts';
import type { ChangeNotice, Notice, Offer } from '../lock-store.ts';
import { LockChanges, NOTHING } from './lock-changes.ts';
import { NameIndex } from './name-index.ts';
import { WaitQueue } from './wait-queue.ts';

export interface LockTableOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  /** Whose waiters notices are for. */
  readonly instanceId: string;
  /** What tokens and the lease clock are made from, in milliseconds since 1970. */
  readonly systemMs: () => number;
}

export interface LeaseRecord {
  readonly spec: LeaseSpec;
  readonly token: number;
  readonly acquiredAtWallMs: number;
  ttlMs: number;
  ceilingMs: number;
  deadlineMs: number;
  stamp: CallStamp;
  state: 'held' | 'offer' | 'revoked';
}

export interface Lock {
  readonly resource: string;
  readonly leases: Map<string, LeaseRecord>;
  readonly queue: WaitQueue;
  takenUntilMs: number;
  /** A lower bound of the leases' deadlines. */
  nextMs: number;
  /** When to look again, at the earliest. */
  lookMs: number;
  /** What those who watch were told last. */
  told: string;
}

export class LockTable {
  readonly #options: LockTableOptions;
  readonly #locks = new Map<string, Lock>();
  /** Instances that let an offer lapse, and when. */
  readonly #absent = new Map<string, number>();
  /** By instance, and by "lease_id call resource": what it was granted and has not confirmed. */
  readonly #offers = new Map<string, Map<string, Offer>>();
  readonly #listeners = new Set<(notice: Notice) => void>();
  readonly changes = new LockChanges();
  /** The resources of which anything is remembered. */
  readonly names = new NameIndex(() => this.#locks.keys());
  #clockMs: number;
  #lastMs: number;
  #token = 0;
  #place = 0;
  #quarantineUntilMs = 0;
  #lapsedBeforeMs = 0;

  constructor(options: LockTableOptions) {
    this.#options = options;
    this.#lastMs = options.systemMs();
    this.#clockMs = this.#lastMs;
  }

  /** The lease clock. */
  get clockMs(): number {
    return this.#clockMs;
  }

  /** The system time of the last command. */
  get systemMs(): number {
    return this.#lastMs;
  }

  get quarantineUntilMs(): number {
    return this.#quarantineUntilMs;
  }

  /** The number of the next place in any queue. */
  nextPlace(): number {
    return ++this.#place;
  }

  /** An instance that asks is not absent. Says whether it was. */
  isBack(instanceId: string): boolean {
    return this.#absent.delete(instanceId);
  }

  /** Advances the lease clock, frees what lapsed and hands it over, forgets waiters that stayed away. */
  tick(): void {
    this.advance();
    // The longest due first, as the index of the Redis store has them: an instance found absent at one lock is passed
    // over at the next.
    const due = [...this.#locks.values()].filter((lock) => lock.lookMs <= this.#clockMs);
    due.sort((a, b) => a.lookMs - b.lookMs || (a.resource < b.resource ? -1 : 1));
    for (const lock of due) this.settle(lock);
    for (const lock of [...this.#locks.values()]) {
      if (lock.queue.forget(this.#clockMs)) this.settle(lock);
    }
    for (const [instance, since] of this.#absent) {
      if (since + 2 * FORGOTTEN_AFTER_MS < this.#clockMs) this.#absent.delete(instance);
    }
  }

  /** What an adoption does: the clock takes the whole time that passed, and the quarantine begins. */
  beginReign(): void {
    const nowMs = this.#options.systemMs();
    this.#clockMs += Math.max(0, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    const endsMs = this.#clockMs + quarantineMs(this.#options.maxTtlMs);
    this.#quarantineUntilMs = Math.max(this.#quarantineUntilMs, endsMs);
    this.#lapsedBeforeMs = this.#clockMs + LAPSED_AFTER_ADOPTION_MS;
  }

  get quarantineRemainingMs(): number {
    return Math.max(0, this.#quarantineUntilMs - this.#clockMs);
  }

  /** Locks that are remembered, lapsed or not: what a leak would make grow. */
  get size(): number {
    return this.#locks.size;
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    return this.changes.listen(listener, this.#locks.values(), this.#clockMs);
  }

  advance(): void {
    const nowMs = this.#options.systemMs();
    this.#clockMs += Math.min(Math.max(nowMs - this.#lastMs, 0), SKEW_ALLOWANCE_MS);
    this.#lastMs = nowMs;
  }

  get quarantined(): boolean {
    return this.#clockMs < this.#quarantineUntilMs;
  }

  open(resource: string): Lock {
    const known = this.#locks.get(resource);
    if (known) return known;
    const [nextMs, lookMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const [leases, queue] = [new Map<string, LeaseRecord>(), new WaitQueue()];
    return { resource, leases, queue, takenUntilMs: 0, nextMs, lookMs, told: NOTHING };
  }

  save(lock: Lock): void {
    const nowMs = this.#clockMs;
    if (lock.leases.size === 0) lock.nextMs = Number.POSITIVE_INFINITY;
    lock.lookMs = lock.nextMs;
    if (lock.takenUntilMs > nowMs) lock.lookMs = Math.min(lock.lookMs, lock.takenUntilMs);
    if ((this.quarantined || lock.leases.size === 0) && lock.queue.liveLength > 0) {
      lock.lookMs = Math.min(lock.lookMs, Math.max(this.#quarantineUntilMs, lock.takenUntilMs, nowMs));
    }
    const taken = lock.takenUntilMs > nowMs;
    const isKept = lock.leases.size > 0 || lock.queue.size > 0 || taken;
    if (isKept !== this.#locks.has(lock.resource)) this.names.forget();
    if (isKept) this.#locks.set(lock.resource, lock);
    else this.#locks.delete(lock.resource);
    this.changes.tell(lock, this.#clockMs);
  }

  settle(lock: Lock): void {
    this.dropLapsed(lock);
    this.handOver(lock);
    this.save(lock);
  }

  // Only when the lower bound is reached, or lies where an adoption made leases lapse: with ten thousand holders a look
  // at each of them at every call would cost too much.
  dropLapsed(lock: Lock): void {
    if (this.#clockMs < lock.nextMs && lock.nextMs >= this.#lapsedBeforeMs) return;
    lock.nextMs = Number.POSITIVE_INFINITY;
    for (const [leaseId, record] of lock.leases) {
      if (this.alive(record)) {
        lock.nextMs = Math.min(lock.nextMs, record.deadlineMs);
        continue;
      }
      this.erase(lock, leaseId, record);
      // Not if an adoption ended it: then its instance had no chance.
      const unanswered = record.state === 'offer' && record.deadlineMs <= this.#clockMs;
      if (unanswered) this.#absent.set(record.stamp.instanceId, this.#clockMs);
    }
  }

  /** Where `ifGranted`, the next in line is told only if somebody was granted. */
  handOver(lock: Lock, ifGranted = false): void {
    let grants = 0;
    while (!this.quarantined && this.#clockMs >= lock.takenUntilMs) {
      const [head] = lock.queue.head(1);
      if (!head) return;
      const [leaseId, waiter] = head;
      const own = lock.leases.get(leaseId);
      if (this.#absent.has(waiter.stamp.instanceId)) {
        lock.queue.setAbsent(leaseId, this.#clockMs + FORGOTTEN_AFTER_MS);
      } else if (own && this.alive(own)) {
        own.stamp = waiter.stamp;
        lock.queue.remove(leaseId);
        this.tell(waiter.stamp, 'offered', lock.resource, leaseId);
        grants++;
      } else if (waiter.place === 0) {
        // It stood before the others for the sake of its lease, and that has lapsed: now it is one of them.
        lock.queue.put(leaseId, { ...waiter, place: this.nextPlace() }, this.#clockMs + FORGOTTEN_AFTER_MS);
      } else {
        if (!this.admits(lock, waiter.spec.mode)) break;
        const { deadlineMs } = this.grant(lock, waiter.spec, waiter.stamp);
        lock.nextMs = Math.min(lock.nextMs, deadlineMs);
        lock.queue.remove(leaseId);
        const { instanceId, callNumber } = waiter.stamp;
        const offer = { acquisition: { resource: lock.resource, leaseId }, callNumber };
        this.offersOf(instanceId).set(`${leaseId} ${callNumber} ${lock.resource}`, offer);
        this.tell(waiter.stamp, 'offered', lock.resource, leaseId);
        grants++;
      }
    }
    if (ifGranted && grants === 0) return;
    const [next] = lock.queue.head(1);
    if (next) {
      const [leaseId, { stamp }] = next;
      const nextMs = lock.leases.size > 0 ? lock.nextMs : 0;
      const blockedUntilMs = Math.max(this.#quarantineUntilMs, lock.takenUntilMs, nextMs);
      const blockedForMs = Math.min(Math.max(blockedUntilMs - this.#clockMs, 0), FORGOTTEN_AFTER_MS);
      this.tellNext(stamp, lock.resource, leaseId, blockedForMs);
    }
  }

  erase(lock: Lock, leaseId: string, record: LeaseRecord): void {
    lock.leases.delete(leaseId);
    if (record.state === 'offer') this.forgetOffer(lock, leaseId, record.stamp);
  }

  offersOf(instanceId: string): Map<string, Offer> {
    const offers = this.#offers.get(instanceId) ?? new Map<string, Offer>();
    this.#offers.set(instanceId, offers);
    return offers;
  }

  forgetOffer(lock: Lock, leaseId: string, stamp: CallStamp): void {
    this.offersOf(stamp.instanceId).delete(`${leaseId} ${stamp.callNumber} ${lock.resource}`);
  }

  admits(lock: Lock, mode: Mode): boolean {
    const held = [...lock.leases.values()].map((record) => record.spec.mode);
    if (held.length === 0) return mode.kind !== 'permits' || mode.permits <= mode.limit;
    if (mode.kind === 'shared') return held.every((other) => other.kind === 'shared');
    if (mode.kind !== 'permits') return false;
    let [sum, smallest] = [mode.permits, mode.limit];
    for (const other of held) {
      if (other.kind !== 'permits') return false;
      sum += other.permits;
      smallest = Math.min(smallest, other.limit);
    }
    return sum <= smallest;
  }

  /** Larger than every earlier one, of leases and of attempts. */
  nextToken(): number {
    this.#token = Math.max(this.#token + 1, Math.floor(this.#lastMs * 1_000));
    return this.#token;
  }

  /** A grant is an offer until `#hold` makes it a lease. */
  grant(lock: Lock, spec: LeaseSpec, stamp: CallStamp): LeaseRecord {
    const record: LeaseRecord = {
      spec,
      token: this.nextToken(),
      acquiredAtWallMs: this.#lastMs,
      ttlMs: 0,
      ceilingMs: 0,
      deadlineMs: this.#clockMs + OFFER_WINDOW_MS,
      stamp,
      state: 'offer',
    };
    lock.leases.set(spec.leaseId, record);
    return record;
  }

  hold(record: LeaseRecord, { ttlMs, maxHoldMs }: LeaseSpec): void {
    record.state = 'held';
    record.ttlMs = ttlMs;
    record.deadlineMs = 0;
    if (maxHoldMs > 0) record.ceilingMs = this.#clockMs + maxHoldMs + SKEW_ALLOWANCE_MS;
    this.extend(record, ttlMs);
  }

  extend(record: LeaseRecord, ttlMs: number): void {
    let deadlineMs = this.#clockMs + ttlMs + SKEW_ALLOWANCE_MS;
    if (record.ceilingMs > 0) deadlineMs = Math.min(deadlineMs, record.ceilingMs);
    record.deadlineMs = Math.max(record.deadlineMs, deadlineMs);
  }

  alive(record: { readonly deadlineMs: number }): boolean {
    return record.deadlineMs > this.#clockMs && record.deadlineMs >= this.#lapsedBeforeMs;
  }

  tell(
    stamp: CallStamp,
    kind: 'offered' | 'moved' | 'released' | 'revoked',
    resource: string,
    leaseId: string,
  ): void {
    if (stamp.instanceId !== this.#options.instanceId) return;
    this.notify({ kind, acquisition: { resource, leaseId }, callNumber: stamp.callNumber });
  }

  tellNext(stamp: CallStamp, resource: string, leaseId: string, blockedForMs: number): void {
    if (stamp.instanceId !== this.#options.instanceId) return;
    this.notify({
      kind: 'next',
      acquisition: { resource, leaseId },
      callNumber: stamp.callNumber,
      blockedForMs,
    });
  }

  // Later, as a message from Redis would come: never inside the command that caused it.
  notify(notice: Notice): void {
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener(notice);
    });
  }
}

export function sameStamp(a: CallStamp, b: CallStamp): boolean {
  return a.instanceId === b.instanceId && a.callNumber === b.callNumber;
}

export function sameMode(a: Mode, b: Mode): boolean {
  if (a.kind !== 'permits' || b.kind !== 'permits') return a.kind === b.kind;
  return a.permits === b.permits && a.limit === b.limit;
}
