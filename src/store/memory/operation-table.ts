// All operations in memory: their attempts, and what happens to them by itself. operation-starts.ts and
// memory-operation-store.ts have what commands decide. The code is plain for the reason given in lock-table.ts. Times
// are on the lease clock, in milliseconds, unless a name says otherwise.
// Over 300 lines because the attempts of operations and what happens to them by itself need each other's steps.

import { LIMITS } from '../../domain/limits.ts';
import type { CallStamp, LeaseSpec } from '../../domain/lock.ts';
import type { Attempt, Operation, OperationKey, Payload } from '../../domain/operation.ts';
import { isFinal, keyOfName, nameOf } from '../../domain/operation.ts';
import { recoveryRoomMs } from '../../domain/safety.ts';
import { ATTEMPTS_USED_UP, TIME_TO_LIVE_OVER } from '../../domain/status-bytes.ts';
import type { AttemptNotice, OperationNotice } from '../operation-store.ts';
import type { StoreObserver } from '../store.ts';
import type { LeaseClock } from './lease-clock.ts';
import { Listeners } from './listeners.ts';
import { isOfStream, type LeaseRecord, type LockRecord, sameStamp } from './lock-record.ts';
import type { LockTable } from './lock-table.ts';
import { deadlineOf, type OperationRecord, operationView } from './operation-record.ts';

export interface OperationTableOptions {
  readonly locks: LockTable;
  readonly maxTtlMs: number;
  /** Only notices to this instance are told. */
  readonly instanceId: string;
  readonly observer: StoreObserver;
}

/**
 * What is known of an attempt that a failover forgot, although it was told of: its operation is not started before it
 * is over. Nothing in a store in memory forgets one; tests put them there.
 */
export interface Bar {
  readonly token: bigint;
  readonly deadlineMs: number;
  readonly isExclusive: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;

export class OperationTable {
  readonly locks: LockTable;
  readonly clock: LeaseClock;
  /** How long a stale attempt's operation waits for somebody to go on with it, whatever its time to live. */
  readonly roomMs: number;
  readonly #instanceId: string;
  readonly #observer: StoreObserver;
  readonly #records = new Map<string, OperationRecord>();
  readonly #bars = new Map<string, Bar>();
  readonly #watchers = new Listeners<OperationNotice>();
  readonly #attemptListeners = new Listeners<AttemptNotice>();

  constructor(options: OperationTableOptions) {
    this.#instanceId = options.instanceId;
    this.#observer = options.observer;
    this.locks = options.locks;
    this.clock = options.locks.clock;
    this.roomMs = recoveryRoomMs(options.maxTtlMs);
    // What happens to a lease happens to its attempt: the claim id is the lease id.
    options.locks.onNotice((notice) => {
      if (notice.kind !== 'released' && notice.kind !== 'revoked') return;
      const { acquisition, callNumber } = notice;
      this.#attemptListeners.tellNow({ kind: 'look', claimId: acquisition.leaseId, callNumber });
    });
  }

  // ---- Records.

  /** The oldest first: claims take them in this order. */
  get all(): readonly OperationRecord[] {
    return [...this.#records.values()];
  }

  find(key: OperationKey): OperationRecord | undefined {
    return this.#records.get(nameOf(key));
  }

  add(record: OperationRecord): void {
    this.#records.set(nameOf(record.spec), record);
    this.change(record);
  }

  remove(record: OperationRecord): void {
    this.#records.delete(nameOf(record.spec));
    this.#tellOf(record);
  }

  /** Notes a change that people see. */
  change(record: OperationRecord): void {
    record.version++;
    record.updatedAtWallMs = this.clock.wallMs;
    this.#tellOf(record);
    this.#tellWhetherClaimable(record);
  }

  finish(
    record: OperationRecord,
    state: 'succeeded' | 'failed' | 'cancelled' | 'dead',
    outcome: Payload,
  ): void {
    if (state === 'dead') this.#observer.operationDied?.(record.spec.type);
    record.state = state;
    record.outcome = outcome;
    record.claimableAtMs = 0;
    record.finishedAtWallMs = this.clock.wallMs;
    record.expiresAtMs = this.clock.nowMs + record.spec.retention[`${state}Ms`];
    this.change(record);
  }

  /** Whether this very request changed the record before. */
  isRepeat({ requests }: OperationRecord, verb: string, requestId: string): boolean {
    return requestId !== '' && requests.includes(`${verb}:${requestId}`);
  }

  rememberRequest({ requests }: OperationRecord, verb: string, requestId: string): void {
    if (requestId === '') return;
    requests.push(`${verb}:${requestId}`);
    if (requests.length > LIMITS.rememberedRequests) requests.shift();
  }

  /** Whether an open operation of the resource keeps another from being opened. */
  isOpenElsewhere(key: OperationKey, exclusive: boolean): boolean {
    const isOpen = this.all.some(
      ({ spec, state }) => spec.resource === key.resource && !isFinal(state) && (exclusive || spec.exclusive),
    );
    return isOpen || this.#barredByOthersUntilMs(key, exclusive) > this.clock.nowMs;
  }

  // ---- Bars.

  /** Of two of one operation, the larger token and the later deadline count. */
  bar(key: OperationKey, { token, deadlineMs, isExclusive }: Bar): void {
    const known = this.#bars.get(nameOf(key));
    const newer = known && known.token > token ? known : { token, isExclusive };
    this.#bars.set(nameOf(key), { ...newer, deadlineMs: Math.max(deadlineMs, known?.deadlineMs ?? 0) });
  }

  /** Until when an attempt of it may run that was forgotten; in the past if there is none. */
  barredUntilMs(key: OperationKey): number {
    return this.#endOf(this.#bars.get(nameOf(key)));
  }

  /** Until when nothing forgotten keeps it from being started; in the past if nothing does. */
  startsAtMs({ spec }: OperationRecord): number {
    return Math.max(this.barredUntilMs(spec), this.#barredByOthersUntilMs(spec, spec.exclusive));
  }

  #barredByOthersUntilMs(key: OperationKey, exclusive: boolean): number {
    const others = [...this.#bars].filter(
      ([name, { isExclusive }]) =>
        keyOfName(name).resource === key.resource && name !== nameOf(key) && (exclusive || isExclusive),
    );
    return Math.max(0, ...others.map(([, bar]) => this.#endOf(bar)));
  }

  /** At the full end of a quarantine all is over that was told of before it. */
  #endOf(bar: Bar | undefined): number {
    return bar && this.clock.isFullQuarantine ? Math.min(bar.deadlineMs, this.clock.fullUntilMs) : 0;
  }

  viewOf(record: OperationRecord, withPayloads = true): Operation {
    const { attempt } = record;
    const leftMs = attempt && this.isLiving(record) ? this.clock.remainingMs(deadlineOf(attempt)) : 0;
    return operationView(record, this.clock, leftMs, withPayloads);
  }

  // ---- Attempts.

  /** Whether it runs, and its attempt is not stale. */
  isLiving(record: OperationRecord): boolean {
    const { spec, state, attempt } = record;
    if (state !== 'running' || !attempt || this.#isOvertaken(record)) return false;
    if (!spec.lock) return this.clock.isAttemptAlive(attempt);
    const lease = this.#leaseOf(record);
    return lease?.state === 'held' && this.clock.isRenewable(lease);
  }

  /** An isolated primary took heartbeats of it, another one started a later one, and the first was chosen again. */
  #isOvertaken({ spec, attempt }: OperationRecord): boolean {
    if (!attempt || !this.clock.isUnproved(attempt)) return false;
    const bar = this.#bars.get(nameOf(spec));
    return bar !== undefined && bar.token > attempt.fencingToken;
  }

  /** The lease that its attempt speaks of, unless that has ended. A roll call may have put it back. */
  #leaseOf({ spec, attempt }: OperationRecord): LeaseRecord | undefined {
    const lease = attempt && this.locks.find(spec.resource).leases.get(attempt.claimId);
    if (!lease || lease.fencingToken !== attempt.fencingToken) return undefined;
    attempt.lease = lease;
    return lease;
  }

  isStale(record: OperationRecord): boolean {
    return record.state === 'running' && !this.isLiving(record) && !this.isKept(record);
  }

  /**
   * Whether it keeps others from starting although it doesn't live: before the full end its worker may rely on it
   * until its deadline, by another clock.
   */
  isKept(record: OperationRecord): boolean {
    const { spec, state, attempt } = record;
    if (state !== 'running' || !attempt || !this.clock.isFullQuarantine || this.isLiving(record))
      return false;
    // The answer that is missing may bring it back, unless it was known to be stale earlier.
    if (!record.isAnnounced && this.mayLiveAgain(record)) return true;
    const ends = spec.lock ? this.#leaseOf(record) : attempt;
    return ends !== undefined && this.clock.blocks(ends);
  }

  /**
   * Whether a roll call may bring one back that doesn't live: its lease, or a later deadline. What an administrator
   * took away it does not.
   */
  mayLiveAgain(record: OperationRecord): boolean {
    return this.clock.mayBePutBack && this.#leaseOf(record)?.state !== 'revoked';
  }

  isClaimable(record: OperationRecord): boolean {
    const isPending = record.state === 'pending' && record.claimableAtMs <= this.clock.nowMs;
    return isPending || this.isStale(record);
  }

  /** Whether that is the current or latest attempt. */
  isIts(
    { attempt }: OperationRecord,
    { claimId, fencingToken }: { readonly claimId: string; readonly fencingToken: bigint },
  ): boolean {
    return attempt?.claimId === claimId && attempt.fencingToken === fencingToken;
  }

  /** Makes it run, or changes nothing and returns the lock that it can't have. The caller notes the change. */
  start(record: OperationRecord, claimId: string, stamp: CallStamp, owner: string): LockRecord | undefined {
    const { resource, heartbeatTimeoutMs, lock: terms } = record.spec;
    let lease: LeaseRecord | undefined;
    if (terms) {
      const lock = this.locks.open(resource);
      const spec = { ...terms, resource, leaseId: claimId, owner: terms.owner === '' ? owner : terms.owner };
      lease = this.#takeLock(lock, spec, stamp);
      if (!lease) return lock;
    }
    this.tellAttempt(record, 'look'); // the stream of a stale one
    record.attempt = {
      claimId,
      fencingToken: lease?.fencingToken ?? this.clock.nextToken(),
      deadlineMs: this.clock.deadlineAfter(heartbeatTimeoutMs),
      lease,
      stamp,
    };
    record.state = 'running';
    record.owner = owner;
    record.claimableAtMs = 0;
    record.attemptNumber++;
    record.attemptsCounted++;
    record.startedAtWallMs = this.clock.wallMs;
    return undefined;
  }

  #takeLock(lock: LockRecord, spec: LeaseSpec, stamp: CallStamp): LeaseRecord | undefined {
    this.locks.lapse(lock);
    const isFree = lock.queue.live.length === 0 && !this.locks.isTaken(lock) && lock.admits(spec.mode);
    // A lease that has this id already isn't the attempt's: its holder may have been told of it.
    if (!isFree || lock.leases.has(spec.leaseId)) return undefined;
    const lease = this.locks.grant(lock, spec, stamp);
    this.locks.hold(lock, lease, spec);
    return lease;
  }

  /** Notes a sign of life of a living attempt. */
  extend({ spec, attempt }: OperationRecord): void {
    if (!attempt) throw new Error('what lives has an attempt');
    const { lease, stamp } = attempt;
    const deadlineMs = this.clock.deadlineAfter(spec.heartbeatTimeoutMs);
    attempt.deadlineMs = Math.max(attempt.deadlineMs, deadlineMs);
    if (!lease) return;
    this.locks.extend(lease, lease.ttlMs);
    lease.stamp = stamp;
  }

  /** Makes `stamp` the call that speaks for it, and tells the former one. */
  takeOver(record: OperationRecord, stamp: CallStamp): void {
    const { attempt } = record;
    if (!attempt) return;
    if (!sameStamp(attempt.stamp, stamp)) this.tellAttempt(record, 'moved');
    attempt.stamp = stamp;
  }

  releaseLease(record: OperationRecord): void {
    const lease = record.spec.lock && this.#leaseOf(record);
    if (!lease) return;
    const lock = this.locks.open(lease.spec.resource);
    this.locks.end(lock, lease);
    this.locks.settle(lock);
  }

  attemptView({ spec, attempt, attemptNumber }: OperationRecord): Attempt {
    if (!attempt) throw new Error('it has no attempt');
    const { claimId, fencingToken } = attempt;
    const told = this.clock.asTold(deadlineOf(attempt));
    const lease = { resource: spec.resource, leaseId: claimId, fencingToken, ...told };
    const { deadlineMs } = told;
    return { number: attemptNumber, claimId, fencingToken, deadlineMs, lease: spec.lock && lease };
  }

  // ---- What happens by itself.

  /** Does what is due about every operation. The lease clock was advanced. */
  sweep(): void {
    for (const record of this.all) this.settle(record);
    if (!this.clock.isFullQuarantine) this.#bars.clear();
  }

  /** Does what is due about one. Returns whether it still exists. */
  settle(record: OperationRecord): boolean {
    const { state, attempt, spec, attemptsCounted, expiresAtMs } = record;
    const { nowMs } = this.clock;
    if (isFinal(state)) {
      if (expiresAtMs > nowMs) return true;
      this.remove(record);
      return false;
    }
    if (state === 'pending' && expiresAtMs <= nowMs) {
      this.finish(record, 'dead', TIME_TO_LIVE_OVER);
    } else if (attempt && this.isStale(record)) {
      const recoveredUntilMs = deadlineOf(attempt) + this.roomMs;
      if (attemptsCounted >= spec.maxAttempts) {
        this.tellAttempt(record, 'look');
        this.finish(record, 'dead', ATTEMPTS_USED_UP);
      } else if (Math.max(expiresAtMs, recoveredUntilMs) <= nowMs) {
        this.finish(record, 'dead', TIME_TO_LIVE_OVER);
      }
    }
    this.#tellWhetherClaimable(record);
    return true;
  }

  /** When it may become claimable by itself; Infinity: never. */
  claimableAtMs(record: OperationRecord): number {
    const { state, claimableAtMs, attempt, attemptsCounted, spec } = record;
    if (state === 'pending') return claimableAtMs;
    const goesOn = state === 'running' && attempt !== undefined && attemptsCounted < spec.maxAttempts;
    return goesOn ? deadlineOf(attempt) : NEVER;
  }

  // ---- Notices.

  watch(listener: (notice: OperationNotice) => void): () => void {
    const stop = this.#watchers.add(listener);
    const stopLocks = this.locks.watchChanges((notice) => {
      if (notice.kind === 'changed') listener({ kind: 'lock-changed', resource: notice.resource });
    });
    listener({ kind: 'resync' });
    return () => {
      stop();
      stopLocks();
    };
  }

  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void {
    return this.#attemptListeners.add(listener);
  }

  /** Tells the stream that speaks for the attempt, if it is one. */
  tellAttempt({ attempt }: OperationRecord, kind: AttemptNotice['kind']): void {
    if (!attempt || !isOfStream(attempt.stamp)) return;
    const { claimId, stamp } = attempt;
    if (stamp.instanceId !== this.#instanceId) return;
    this.#attemptListeners.tell({ kind, claimId, callNumber: stamp.callNumber });
  }

  #tellOf({ spec: { resource, operationId } }: OperationRecord): void {
    this.#watchers.tell({ kind: 'changed', resource, operationId });
  }

  #tellWhetherClaimable(record: OperationRecord): void {
    const isClaimable = this.isClaimable(record);
    if (isClaimable && !record.isAnnounced)
      this.#watchers.tell({ kind: 'claimable', type: record.spec.type });
    record.isAnnounced = isClaimable;
  }
}
