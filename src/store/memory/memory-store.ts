// The store in this process's memory: the embedded default, the test double of client code, and the model
// that random command sequences compare the Redis store with. It keeps the rules of the scripts in the same
// order (see ../redis/lua); nothing of it is shared with other processes or survives this one.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import type {
  AcquireOutcome,
  CallStamp,
  Contention,
  Holder,
  Lease,
  LeaseSpec,
  LockView,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import { leaseIdHash } from '../../domain/lock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS, TICK_MS } from '../../domain/safety.ts';
import type { LockStore, ReleaseCommand, RenewCommand, StoreCall } from '../lock-store.ts';
import type { Store, StoreObserver, StoreStatus } from '../store.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  readonly observer: StoreObserver;
  /**
   * The system time that tokens and the lease clock are made from, in milliseconds. By default it advances
   * with the monotonic clock, so that no step of the system clock is ever seen.
   */
  readonly systemMs?: () => number;
}

/** One lease as it is recorded. Times are on the lease clock unless a name says otherwise. */
interface Record {
  readonly spec: LeaseSpec;
  readonly token: number;
  readonly ceilingMs: number;
  readonly acquiredAtWallMs: number;
  deadlineMs: number;
  stamp: CallStamp;
}

interface Lock {
  readonly leases: Map<string, Record>;
  takenUntilMs: number;
}

export class MemoryStore implements Store, LockStore {
  readonly locks: LockStore = this;
  readonly #clock: Clock;
  readonly #maxTtlMs: number;
  readonly #observer: StoreObserver;
  readonly #systemMs: () => number;
  readonly #startedMs: number;
  readonly #locks = new Map<string, Lock>();
  readonly #listeners = new Set<(status: StoreStatus) => void>();
  #leaseClockMs: number;
  #lastMs: number;
  #token = 0;
  #epoch = 1;
  #quarantineUntilMs = 0;
  #lapsedBeforeMs = 0;
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.#maxTtlMs = options.maxTtlMs;
    this.#observer = options.observer;
    this.#startedMs = clock.monotonicMs();
    const offsetMs = clock.wallMs() - this.#startedMs;
    this.#systemMs = options.systemMs ?? (() => clock.monotonicMs() + offsetMs);
    this.#lastMs = this.#systemMs();
    this.#leaseClockMs = this.#lastMs;
    this.#tickAgain();
  }

  acquire(spec: LeaseSpec, stamp: CallStamp, call: StoreCall): Promise<AcquireOutcome> {
    return this.#command('acquire-lock', call, () => this.#acquire(spec, stamp));
  }

  renew(command: RenewCommand, call: StoreCall): Promise<RenewOutcome> {
    return this.#command('renew-lock', call, () => this.#renew(command));
  }

  release(command: ReleaseCommand, call: StoreCall): Promise<ReleaseOutcome> {
    return this.#command('release-lock', call, () => this.#release(command));
  }

  get(resource: string, call: StoreCall): Promise<LockView> {
    return this.#command('get-lock', call, () => this.#get(resource));
  }

  /** Advances the lease clock and forgets what lapsed. */
  tick(): void {
    this.#advance();
    for (const [resource, lock] of this.#locks) this.#forgetLapsed(resource, lock);
  }

  /**
   * What happens at a failover: a new reign with its quarantine. For tests of code that must live through
   * one.
   */
  beginReign(): void {
    const nowMs = this.#systemMs();
    this.#leaseClockMs += Math.max(0, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#epoch++;
    this.#quarantineUntilMs = Math.max(
      this.#quarantineUntilMs,
      this.#leaseClockMs + quarantineMs(this.#maxTtlMs),
    );
    this.#lapsedBeforeMs = this.#leaseClockMs + LAPSED_AFTER_ADOPTION_MS;
    for (const listener of this.#listeners) listener(this.status());
  }

  /** Locks that are remembered, lapsed or not: what a leak would make grow. */
  get size(): number {
    return this.#locks.size;
  }

  status(): StoreStatus {
    return {
      kind: 'memory',
      usable: !this.#closed,
      mismatch: false,
      reason: this.#closed ? 'closed' : '',
      sinceMs: this.#startedMs,
      reign: `memory:${this.#epoch}`,
      epoch: this.#epoch,
      quarantineRemainingMs: Math.max(0, this.#quarantineUntilMs - this.#leaseClockMs),
    };
  }

  onStatus(listener: (status: StoreStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #tickAgain(): void {
    this.#clock.after(TICK_MS, () => {
      if (this.#closed) return;
      this.tick();
      this.#tickAgain();
    });
  }

  async #command<T extends object>(name: string, call: StoreCall, decide: () => T): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    if (this.#closed) throw new CoordinationError('REDIS_UNAVAILABLE', 'the store is closed');
    if (startedMs >= call.deadlineMs)
      throw new CoordinationError('DEADLINE_EXCEEDED', 'no time left to decide');
    this.#advance();
    const outcome = decide();
    const word = 'kind' in outcome ? String(outcome.kind) : 'ok';
    this.#observer.commandEnded(name, word, this.#clock.monotonicMs() - startedMs);
    return outcome;
  }

  #advance(): void {
    const nowMs = this.#systemMs();
    this.#leaseClockMs += Math.min(Math.max(nowMs - this.#lastMs, 0), SKEW_ALLOWANCE_MS);
    this.#lastMs = nowMs;
  }

  #acquire(spec: LeaseSpec, stamp: CallStamp): AcquireOutcome {
    const nowMs = this.#leaseClockMs;
    const lock = this.#locks.get(spec.resource) ?? { leases: new Map(), takenUntilMs: 0 };
    for (const [leaseId, record] of lock.leases) {
      if (!this.#alive(record)) continue;
      if (leaseId !== spec.leaseId) {
        const timeLeftMs = Math.max(record.deadlineMs, lock.takenUntilMs, this.#quarantineUntilMs) - nowMs;
        return contended({
          resource: spec.resource,
          reason: 'held',
          holders: [this.#view(record)],
          timeLeftMs,
        });
      }
      if (nowMs < this.#quarantineUntilMs) {
        return { kind: 'quarantined', retryAfterMs: this.#quarantineUntilMs - nowMs };
      }
      this.#extend(record, spec.ttlMs);
      record.stamp = stamp;
      return { kind: 'granted', lease: this.#lease(record) };
    }
    if (nowMs < this.#quarantineUntilMs) {
      return {
        kind: 'quarantined',
        retryAfterMs: Math.max(this.#quarantineUntilMs, lock.takenUntilMs) - nowMs,
      };
    }
    if (nowMs < lock.takenUntilMs) {
      const timeLeftMs = lock.takenUntilMs - nowMs;
      return contended({ resource: spec.resource, reason: 'min-hold', holders: [], timeLeftMs });
    }

    this.#token = Math.max(this.#token + 1, Math.floor(this.#lastMs * 1_000));
    const ceilingMs = spec.maxHoldMs > 0 ? nowMs + spec.maxHoldMs + SKEW_ALLOWANCE_MS : 0;
    const record: Record = {
      spec,
      token: this.#token,
      ceilingMs,
      acquiredAtWallMs: this.#lastMs,
      deadlineMs: 0,
      stamp,
    };
    this.#extend(record, spec.ttlMs);
    lock.leases.clear();
    lock.leases.set(spec.leaseId, record);
    lock.takenUntilMs = spec.minHoldMs > 0 ? nowMs + spec.minHoldMs : 0;
    this.#locks.set(spec.resource, lock);
    return { kind: 'granted', lease: this.#lease(record) };
  }

  #renew({ resource, leaseId, fencingToken, ttlMs, stamp }: RenewCommand): RenewOutcome {
    const record = this.#locks.get(resource)?.leases.get(leaseId);
    if (!record || BigInt(record.token) !== fencingToken || !this.#alive(record)) return { kind: 'lost' };
    if (stamp && (stamp.instanceId !== record.stamp.instanceId || stamp.call !== record.stamp.call)) {
      return { kind: 'moved' };
    }
    this.#extend(record, ttlMs === 0 ? record.spec.ttlMs : ttlMs);
    return { kind: 'renewed', lease: this.#lease(record) };
  }

  #release({ resource, leaseId }: ReleaseCommand): ReleaseOutcome {
    const lock = this.#locks.get(resource);
    const record = lock?.leases.get(leaseId);
    if (!lock || !record) return { kind: 'absent' };
    lock.leases.delete(leaseId);
    this.#forgetLapsed(resource, lock);
    return { kind: this.#alive(record) ? 'released' : 'absent' };
  }

  #get(resource: string): LockView {
    const lock = this.#locks.get(resource);
    const live = lock ? [...lock.leases.values()].filter((record) => this.#alive(record)) : [];
    return {
      resource,
      holders: live.map((record) => this.#view(record)),
      minHoldRemainingMs: Math.max(0, (lock?.takenUntilMs ?? 0) - this.#leaseClockMs),
    };
  }

  #alive(record: Record): boolean {
    return record.deadlineMs > this.#leaseClockMs && record.deadlineMs >= this.#lapsedBeforeMs;
  }

  #extend(record: Record, ttlMs: number): void {
    let deadlineMs = this.#leaseClockMs + ttlMs + SKEW_ALLOWANCE_MS;
    if (record.ceilingMs > 0) deadlineMs = Math.min(deadlineMs, record.ceilingMs);
    record.deadlineMs = Math.max(record.deadlineMs, deadlineMs);
  }

  #forgetLapsed(resource: string, lock: Lock): void {
    for (const [leaseId, record] of lock.leases) if (!this.#alive(record)) lock.leases.delete(leaseId);
    if (lock.leases.size === 0 && lock.takenUntilMs <= this.#leaseClockMs) this.#locks.delete(resource);
  }

  #lease(record: Record): Lease {
    const remainingMs = record.deadlineMs - SKEW_ALLOWANCE_MS - this.#leaseClockMs;
    return {
      resource: record.spec.resource,
      leaseId: record.spec.leaseId,
      fencingToken: BigInt(record.token),
      deadlineMs: this.#clock.monotonicMs() + remainingMs,
      expiresAtWallMs: this.#lastMs + remainingMs,
    };
  }

  #view(record: Record): Holder {
    return {
      leaseIdHash: leaseIdHash(record.spec.leaseId),
      owner: record.spec.owner,
      mode: record.spec.mode,
      fencingToken: BigInt(record.token),
      acquiredAtWallMs: record.acquiredAtWallMs,
      remainingMs: record.deadlineMs - this.#leaseClockMs,
      metadata: record.spec.metadata,
    };
  }
}

function contended(contention: Contention): AcquireOutcome {
  return { kind: 'contended', contention };
}
