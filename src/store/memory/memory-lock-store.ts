// Locks in this process's memory, by the rules of the scripts in ../redis/lua and in their order: the model that random
// command sequences compare the Redis store with. Times are on the lease clock, in milliseconds, unless a name says
// otherwise.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import { LIMITS } from '../../domain/limits.ts';
import type {
  AcquireOutcome,
  CallStamp,
  ConfirmOutcome,
  Contention,
  Holder,
  Lease,
  LeaseSpec,
  LockView,
  Mode,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import { leaseIdHash } from '../../domain/lock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type {
  AcquisitionRef,
  Claim,
  LeaveCommand,
  LockStore,
  Notice,
  RenewCommand,
  StoreCall,
} from '../lock-store.ts';
import type { StoreObserver } from '../store.ts';
import { WaitQueue } from './wait-queue.ts';

export interface MemoryLockStoreOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  readonly observer: StoreObserver;
  /** Whose claims `refresh` returns and whose waiters notices are for. */
  readonly instanceId: string;
  /** What tokens and the lease clock are made from, in milliseconds since 1970. */
  readonly systemMs: () => number;
}

const CLAIM_MS = 1_000;
const FORGET_MS = 30_000;
const HOLDERS_IN_CONTENTION = 4;

interface LeaseRecord {
  readonly spec: LeaseSpec;
  readonly token: number;
  readonly acquiredAtWallMs: number;
  ttlMs: number;
  ceilingMs: number;
  deadlineMs: number;
  stamp: CallStamp;
  state: 'held' | 'claim';
}

interface Lock {
  readonly resource: string;
  readonly leases: Map<string, LeaseRecord>;
  readonly queue: WaitQueue;
  takenUntilMs: number;
  /** A lower bound of the leases' deadlines. */
  nextMs: number;
  /** When to look again, at the earliest. */
  lookMs: number;
}

export class MemoryLockStore implements LockStore {
  readonly #options: MemoryLockStoreOptions;
  readonly #locks = new Map<string, Lock>();
  /** Instances that let a claim lapse, and when. */
  readonly #absent = new Map<string, number>();
  /** By instance, and by "lease_id call resource": what it was granted and has not confirmed. */
  readonly #claims = new Map<string, Map<string, Claim>>();
  readonly #listeners = new Set<(notice: Notice) => void>();
  #leaseClockMs: number;
  #lastMs: number;
  #token = 0;
  #place = 0;
  #quarantineUntilMs = 0;
  #lapsedBeforeMs = 0;

  constructor(options: MemoryLockStoreOptions) {
    this.#options = options;
    this.#lastMs = options.systemMs();
    this.#leaseClockMs = this.#lastMs;
  }

  acquire(spec: LeaseSpec, stamp: CallStamp, mayWait: boolean, call: StoreCall): Promise<AcquireOutcome> {
    return this.#command('acquire-lock', call, () => this.#acquire(spec, stamp, mayWait));
  }

  confirm(spec: LeaseSpec, stamp: CallStamp, call: StoreCall): Promise<ConfirmOutcome> {
    return this.#command('confirm-claim', call, () => this.#confirm(spec, stamp));
  }

  leave(command: LeaveCommand, call: StoreCall): Promise<boolean> {
    return this.#command('leave-queue', call, () => this.#leave(command));
  }

  renew(commands: readonly RenewCommand[], call: StoreCall): Promise<readonly RenewOutcome[]> {
    return this.#command('renew-locks', call, () => commands.map((command) => this.#renew(command)));
  }

  release(ref: AcquisitionRef, call: StoreCall): Promise<ReleaseOutcome> {
    return this.#command('release-lock', call, () => this.#release(ref));
  }

  advance(resource: string, call: StoreCall): Promise<void> {
    return this.#command('advance-queue', call, () => this.#settle(this.#open(resource)));
  }

  get(resource: string, call: StoreCall): Promise<LockView> {
    return this.#command('get-lock', call, () => this.#get(resource));
  }

  refresh(call: StoreCall): Promise<readonly Claim[]> {
    return this.#command('refresh-instance', call, () => {
      const { instanceId } = this.#options;
      if (this.#absent.delete(instanceId)) this.#notify({ kind: 'resync' });
      return [...this.#claimsOf(instanceId).values()];
    });
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Advances the lease clock, frees what lapsed and hands it over, forgets waiters that stayed away. */
  tick(): void {
    this.#advance();
    for (const lock of [...this.#locks.values()]) {
      if (lock.lookMs <= this.#leaseClockMs) this.#settle(lock);
    }
    for (const lock of [...this.#locks.values()]) {
      if (!lock.queue.forget(this.#leaseClockMs)) continue;
      if (lock.queue.size === 0 && lock.leases.size === 0) this.#save(lock);
    }
    for (const [instance, since] of this.#absent) {
      if (since + 2 * FORGET_MS < this.#leaseClockMs) this.#absent.delete(instance);
    }
  }

  /** What an adoption does: the clock takes the whole time that passed, and the quarantine begins. */
  beginReign(): void {
    const nowMs = this.#options.systemMs();
    this.#leaseClockMs += Math.max(0, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    const endsMs = this.#leaseClockMs + quarantineMs(this.#options.maxTtlMs);
    this.#quarantineUntilMs = Math.max(this.#quarantineUntilMs, endsMs);
    this.#lapsedBeforeMs = this.#leaseClockMs + LAPSED_AFTER_ADOPTION_MS;
  }

  get quarantineRemainingMs(): number {
    return Math.max(0, this.#quarantineUntilMs - this.#leaseClockMs);
  }

  /** Locks that are remembered, lapsed or not: what a leak would make grow. */
  get size(): number {
    return this.#locks.size;
  }

  async #command<T>(name: string, call: StoreCall, decide: () => T): Promise<T> {
    const { clock, observer } = this.#options;
    const startedMs = clock.monotonicMs();
    if (startedMs >= call.deadlineMs) {
      throw new CoordinationError('DEADLINE_EXCEEDED', 'no time left to decide');
    }
    this.#advance();
    const outcome = decide();
    const word =
      typeof outcome === 'object' && outcome !== null && 'kind' in outcome ? String(outcome.kind) : 'ok';
    observer.commandEnded(name, word, clock.monotonicMs() - startedMs);
    return outcome;
  }

  #advance(): void {
    const nowMs = this.#options.systemMs();
    this.#leaseClockMs += Math.min(Math.max(nowMs - this.#lastMs, 0), SKEW_ALLOWANCE_MS);
    this.#lastMs = nowMs;
  }

  get #quarantined(): boolean {
    return this.#leaseClockMs < this.#quarantineUntilMs;
  }

  #open(resource: string): Lock {
    const known = this.#locks.get(resource);
    if (known) return known;
    const [nextMs, lookMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    return { resource, leases: new Map(), queue: new WaitQueue(), takenUntilMs: 0, nextMs, lookMs };
  }

  #save(lock: Lock): void {
    const nowMs = this.#leaseClockMs;
    if (lock.leases.size === 0) lock.nextMs = Number.POSITIVE_INFINITY;
    lock.lookMs = lock.nextMs;
    if (lock.takenUntilMs > nowMs) lock.lookMs = Math.min(lock.lookMs, lock.takenUntilMs);
    if ((this.#quarantined || lock.leases.size === 0) && lock.queue.liveLength > 0) {
      lock.lookMs = Math.min(lock.lookMs, Math.max(this.#quarantineUntilMs, lock.takenUntilMs, nowMs));
    }
    const taken = lock.takenUntilMs > nowMs;
    if (lock.leases.size > 0 || lock.queue.size > 0 || taken) this.#locks.set(lock.resource, lock);
    else this.#locks.delete(lock.resource);
  }

  #acquire(spec: LeaseSpec, stamp: CallStamp, mayWait: boolean): AcquireOutcome {
    const { leaseId, mode } = spec;
    const lock = this.#open(spec.resource);
    this.#dropLapsed(lock);
    const own = lock.leases.get(leaseId);
    if (own && this.#alive(own)) {
      if (!sameMode(own.spec.mode, mode)) return { kind: 'reused' };
      if (!this.#quarantined) {
        if (!sameStamp(own.stamp, stamp)) this.#tell(own.stamp, 'moved', lock.resource, leaseId);
        return this.#granted(lock, own, spec, stamp);
      }
    }
    const waiter = lock.queue.get(leaseId);
    if (waiter && !sameMode(waiter.spec.mode, mode)) return { kind: 'reused' };
    if (waiter && !sameStamp(waiter.stamp, stamp)) this.#tell(waiter.stamp, 'moved', lock.resource, leaseId);

    const free = !this.#quarantined && this.#leaseClockMs >= lock.takenUntilMs;
    if (lock.queue.liveLength === 0 && !waiter && free && this.#admits(lock, mode)) {
      const record = this.#grant(lock, spec, stamp);
      this.#hold(record, spec);
      lock.nextMs = Math.min(lock.nextMs, record.deadlineMs);
      lock.takenUntilMs = spec.minHoldMs > 0 ? this.#leaseClockMs + spec.minHoldMs : 0;
      this.#save(lock);
      return { kind: 'granted', lease: this.#lease(record) };
    }
    if (mayWait) {
      if (!waiter && lock.queue.size >= LIMITS.waitersPerResource) return { kind: 'full' };
      const place = waiter?.place ?? (own && this.#alive(own) ? 0 : ++this.#place);
      lock.queue.put(leaseId, { place, stamp, spec, queuedAtWallMs: waiter?.queuedAtWallMs ?? this.#lastMs });
      if (this.#absent.delete(stamp.instanceId)) this.#notify({ kind: 'resync' });
    } else {
      lock.queue.remove(leaseId);
    }
    this.#handOver(lock);
    const claim = lock.leases.get(leaseId);
    if (claim?.state === 'claim' && sameStamp(claim.stamp, stamp)) {
      return this.#granted(lock, claim, spec, stamp);
    }
    this.#save(lock);
    return this.#refusal(lock, leaseId, mode);
  }

  #refusal(lock: Lock, leaseId: string, mode: Mode): AcquireOutcome {
    const nowMs = this.#leaseClockMs;
    const records = [...lock.leases.values()];
    const earliestMs = Math.min(...records.map((record) => record.deadlineMs));
    const freeAtMs = Math.max(
      this.#quarantineUntilMs,
      lock.takenUntilMs,
      records.length > 0 ? earliestMs : 0,
    );
    const timeLeftMs = Math.max(freeAtMs - nowMs, 0);
    const position = lock.queue.position(leaseId);
    if (position !== undefined) return { kind: 'queued', position, blockedForMs: timeLeftMs };
    const own = lock.leases.get(leaseId);
    if (this.#quarantined && (records.length === 0 || own)) {
      return { kind: 'quarantined', retryAfterMs: timeLeftMs };
    }
    const about = { resource: lock.resource, timeLeftMs, queueLength: lock.queue.liveLength };
    if (records.length === 0 && nowMs < lock.takenUntilMs) {
      return contended({ ...about, reason: 'min-hold', holders: [] });
    }
    const holders = records.slice(0, HOLDERS_IN_CONTENTION).map((record) => this.#view(record));
    return contended({ ...about, reason: this.#admits(lock, mode) ? 'ahead' : 'held', holders });
  }

  #granted(lock: Lock, record: LeaseRecord, spec: LeaseSpec, stamp: CallStamp): AcquireOutcome {
    if (record.state === 'claim') {
      this.#forgetClaim(lock, spec.leaseId, record.stamp);
      if (spec.minHoldMs > 0) lock.takenUntilMs = this.#leaseClockMs + spec.minHoldMs;
      this.#hold(record, spec);
    } else {
      this.#extend(record, spec.ttlMs);
    }
    record.stamp = stamp;
    this.#save(lock);
    return { kind: 'granted', lease: this.#lease(record) };
  }

  #confirm(spec: LeaseSpec, stamp: CallStamp): ConfirmOutcome {
    const lock = this.#open(spec.resource);
    const record = lock.leases.get(spec.leaseId);
    if (record && !sameStamp(record.stamp, stamp)) return { kind: 'gone' };
    this.#forgetClaim(lock, spec.leaseId, stamp);
    if (!record || !this.#alive(record) || this.#quarantined) return { kind: 'gone' };
    if (record.state === 'claim') {
      if (spec.minHoldMs > 0) lock.takenUntilMs = this.#leaseClockMs + spec.minHoldMs;
      this.#hold(record, spec);
      if (spec.minHoldMs > 0) this.#save(lock);
    } else {
      this.#extend(record, spec.ttlMs);
    }
    return { kind: 'granted', lease: this.#lease(record) };
  }

  #leave({ resource, leaseId, stamp, keepPlaceMs }: LeaveCommand): boolean {
    const lock = this.#open(resource);
    let left = false;
    const waiter = lock.queue.get(leaseId);
    if (waiter && sameStamp(waiter.stamp, stamp)) {
      if (keepPlaceMs > 0) lock.queue.setAbsent(leaseId, this.#leaseClockMs + keepPlaceMs);
      else lock.queue.remove(leaseId);
      left = true;
    }
    const record = lock.leases.get(leaseId);
    if (record?.state === 'claim' && sameStamp(record.stamp, stamp)) {
      this.#erase(lock, leaseId, record);
      left = true;
    }
    if (left) this.#settle(lock);
    return left;
  }

  #renew({ resource, leaseId, fencingToken, ttlMs, stamp }: RenewCommand): RenewOutcome {
    const record = this.#locks.get(resource)?.leases.get(leaseId);
    const known = record && BigInt(record.token) === fencingToken && record.state === 'held';
    if (!known || !this.#alive(record)) return { kind: 'lost' };
    if (stamp && !sameStamp(stamp, record.stamp)) return { kind: 'moved' };
    this.#extend(record, ttlMs === 0 ? Math.min(record.ttlMs, this.#options.maxTtlMs) : ttlMs);
    return { kind: 'renewed', lease: this.#lease(record) };
  }

  #release({ resource, leaseId }: AcquisitionRef): ReleaseOutcome {
    const lock = this.#open(resource);
    let kind: ReleaseOutcome['kind'] = 'absent';
    const waiter = lock.queue.get(leaseId);
    if (waiter) {
      this.#tell(waiter.stamp, 'released', resource, leaseId);
      lock.queue.remove(leaseId);
      kind = 'dequeued';
    }
    const record = lock.leases.get(leaseId);
    if (record) {
      if (this.#alive(record)) kind = record.state === 'claim' ? 'dequeued' : 'released';
      this.#erase(lock, leaseId, record);
    }
    if (waiter || record) this.#settle(lock);
    return { kind };
  }

  #get(resource: string): LockView {
    const lock = this.#open(resource);
    const live = [...lock.leases.values()].filter((record) => this.#alive(record));
    return {
      resource,
      holders: live
        .map((record) => this.#view(record))
        .toSorted((a, b) => Number(a.fencingToken - b.fencingToken)),
      waiters: lock.queue.head(LIMITS.listedPerLock).map(([leaseId, { spec, queuedAtWallMs }]) => ({
        leaseIdHash: leaseIdHash(leaseId),
        owner: spec.owner,
        mode: spec.mode,
        queuedAtWallMs,
      })),
      queueLength: lock.queue.liveLength,
      minHoldRemainingMs: Math.max(0, lock.takenUntilMs - this.#leaseClockMs),
    };
  }

  #settle(lock: Lock): void {
    this.#dropLapsed(lock);
    this.#handOver(lock);
    this.#save(lock);
  }

  // Only when the lower bound is reached, or lies where an adoption made leases lapse: with ten thousand holders a look
  // at each of them at every call would cost too much.
  #dropLapsed(lock: Lock): void {
    if (this.#leaseClockMs < lock.nextMs && lock.nextMs >= this.#lapsedBeforeMs) return;
    lock.nextMs = Number.POSITIVE_INFINITY;
    for (const [leaseId, record] of lock.leases) {
      if (this.#alive(record)) {
        lock.nextMs = Math.min(lock.nextMs, record.deadlineMs);
        continue;
      }
      this.#erase(lock, leaseId, record);
      if (record.state === 'claim') this.#absent.set(record.stamp.instanceId, this.#leaseClockMs);
    }
  }

  #handOver(lock: Lock): void {
    if (this.#quarantined || this.#leaseClockMs < lock.takenUntilMs) return;
    for (;;) {
      const [head] = lock.queue.head(1);
      if (!head) return;
      const [leaseId, waiter] = head;
      if (this.#absent.has(waiter.stamp.instanceId)) {
        lock.queue.setAbsent(leaseId, this.#leaseClockMs + FORGET_MS);
        continue;
      }
      const own = lock.leases.get(leaseId);
      if (own && this.#alive(own)) {
        own.stamp = waiter.stamp;
      } else {
        if (!this.#admits(lock, waiter.spec.mode)) break;
        const { deadlineMs } = this.#grant(lock, waiter.spec, waiter.stamp);
        lock.nextMs = Math.min(lock.nextMs, deadlineMs);
      }
      lock.queue.remove(leaseId);
      const { instanceId, call } = waiter.stamp;
      const claim = { waiter: { resource: lock.resource, leaseId }, call };
      this.#claimsOf(instanceId).set(`${leaseId} ${call} ${lock.resource}`, claim);
      this.#tell(waiter.stamp, 'claimed', lock.resource, leaseId);
    }
    const [next] = lock.queue.head(1);
    if (next) {
      const [leaseId, { stamp }] = next;
      const blockedForMs = Math.min(Math.max(lock.nextMs - this.#leaseClockMs, 0), FORGET_MS);
      this.#tellNext(stamp, lock.resource, leaseId, blockedForMs);
    }
  }

  #erase(lock: Lock, leaseId: string, record: LeaseRecord): void {
    lock.leases.delete(leaseId);
    if (record.state === 'claim') this.#forgetClaim(lock, leaseId, record.stamp);
  }

  #claimsOf(instanceId: string): Map<string, Claim> {
    const claims = this.#claims.get(instanceId) ?? new Map<string, Claim>();
    this.#claims.set(instanceId, claims);
    return claims;
  }

  #forgetClaim(lock: Lock, leaseId: string, stamp: CallStamp): void {
    this.#claimsOf(stamp.instanceId).delete(`${leaseId} ${stamp.call} ${lock.resource}`);
  }

  #admits(lock: Lock, mode: Mode): boolean {
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

  /** A grant is a claim until `#hold` makes it a lease. */
  #grant(lock: Lock, spec: LeaseSpec, stamp: CallStamp): LeaseRecord {
    this.#token = Math.max(this.#token + 1, Math.floor(this.#lastMs * 1_000));
    const record: LeaseRecord = {
      spec,
      token: this.#token,
      acquiredAtWallMs: this.#lastMs,
      ttlMs: 0,
      ceilingMs: 0,
      deadlineMs: this.#leaseClockMs + CLAIM_MS,
      stamp,
      state: 'claim',
    };
    lock.leases.set(spec.leaseId, record);
    return record;
  }

  #hold(record: LeaseRecord, { ttlMs, maxHoldMs }: LeaseSpec): void {
    record.state = 'held';
    record.ttlMs = ttlMs;
    record.deadlineMs = 0;
    if (maxHoldMs > 0) record.ceilingMs = this.#leaseClockMs + maxHoldMs + SKEW_ALLOWANCE_MS;
    this.#extend(record, ttlMs);
  }

  #extend(record: LeaseRecord, ttlMs: number): void {
    let deadlineMs = this.#leaseClockMs + ttlMs + SKEW_ALLOWANCE_MS;
    if (record.ceilingMs > 0) deadlineMs = Math.min(deadlineMs, record.ceilingMs);
    record.deadlineMs = Math.max(record.deadlineMs, deadlineMs);
  }

  #alive(record: LeaseRecord): boolean {
    return record.deadlineMs > this.#leaseClockMs && record.deadlineMs >= this.#lapsedBeforeMs;
  }

  #lease(record: LeaseRecord): Lease {
    const remainingMs = record.deadlineMs - SKEW_ALLOWANCE_MS - this.#leaseClockMs;
    return {
      resource: record.spec.resource,
      leaseId: record.spec.leaseId,
      fencingToken: BigInt(record.token),
      deadlineMs: this.#options.clock.monotonicMs() + remainingMs,
      expiresAtWallMs: this.#lastMs + remainingMs,
    };
  }

  #view(record: LeaseRecord): Holder {
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

  #tell(stamp: CallStamp, kind: 'claimed' | 'moved' | 'released', resource: string, leaseId: string): void {
    if (stamp.instanceId !== this.#options.instanceId) return;
    this.#notify({ kind, waiter: { resource, leaseId }, call: stamp.call });
  }

  #tellNext(stamp: CallStamp, resource: string, leaseId: string, blockedForMs: number): void {
    if (stamp.instanceId !== this.#options.instanceId) return;
    this.#notify({ kind: 'next', waiter: { resource, leaseId }, call: stamp.call, blockedForMs });
  }

  // Later, as a message from Redis would come: never inside the command that caused it.
  #notify(notice: Notice): void {
    queueMicrotask(() => {
      for (const listener of this.#listeners) listener(notice);
    });
  }
}

function contended(contention: Contention): AcquireOutcome {
  return { kind: 'contended', contention };
}

function sameStamp(a: CallStamp, b: CallStamp): boolean {
  return a.instanceId === b.instanceId && a.call === b.call;
}

function sameMode(a: Mode, b: Mode): boolean {
  if (a.kind !== 'permits' || b.kind !== 'permits') return a.kind === b.kind;
  return a.permits === b.permits && a.limit === b.limit;
}
