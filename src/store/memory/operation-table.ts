// The operations in memory and what happens to them by itself: the same rules as in ../redis/lua/operating.lua,
// function by function. What callers ask for is in memory-operation-store.ts. Times are on the lease clock, in
// milliseconds, unless a name says otherwise.

import { LIMITS } from '../../domain/limits.ts';
import type { CallStamp, LeaseSpec } from '../../domain/lock.ts';
import { type AttemptLock, isFinal, type Payload } from '../../domain/operation.ts';
import { recoveryRoomMs, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import { ATTEMPTS_USED_UP, TIME_TO_LIVE_OVER } from '../../domain/status-bytes.ts';
import type { AttemptNotice, OperationNotice } from '../operation-store.ts';
import { type LeaseRecord, type Lock, type LockTable, sameStamp } from './lock-table.ts';
import type { OperationRecord } from './operation-record.ts';

const NEVER = Number.POSITIVE_INFINITY;

export interface OperationTableOptions {
  readonly locks: LockTable;
  readonly maxTtlMs: number;
  /** Whose attempts notices are for. */
  readonly instanceId: string;
}

export class OperationTable {
  readonly locks: LockTable;
  readonly records = new Map<string, OperationRecord>();
  readonly #claims = new Map<string, Set<string>>();
  readonly #options: OperationTableOptions;
  readonly #roomMs: number;
  readonly #watchers = new Set<(notice: OperationNotice) => void>();
  readonly #attemptListeners = new Set<(notice: AttemptNotice) => void>();
  #seq = 0;

  constructor(options: OperationTableOptions) {
    this.#options = options;
    this.locks = options.locks;
    this.#roomMs = recoveryRoomMs(options.maxTtlMs);
    // What is said of a lease is said of its attempt, too: the claim id is the lease id.
    options.locks.onNotice((notice) => {
      if (notice.kind !== 'released' && notice.kind !== 'revoked') return;
      this.#notify({ kind: 'look', claimId: notice.acquisition.leaseId, callNumber: notice.callNumber });
    });
  }

  nextSeq(): number {
    return ++this.#seq;
  }

  get roomMs(): number {
    return this.#roomMs;
  }

  // ---- What lives.

  leaseOf(o: OperationRecord): LeaseRecord | undefined {
    const lease = o.claim === undefined ? undefined : this.locks.open(o.resource).leases.get(o.claim);
    const isIts = lease && lease.token === o.token && lease.state === 'held' && this.locks.alive(lease);
    return isIts ? lease : undefined;
  }

  living(o: OperationRecord): boolean {
    if (!o.lock) return this.locks.alive(o);
    const lease = this.leaseOf(o);
    if (lease) o.deadlineMs = Math.max(o.deadlineMs, lease.deadlineMs);
    return lease !== undefined;
  }

  /** Says why an attempt may not write. */
  refusalOf(
    o: OperationRecord,
    { claimId, fencingToken }: { readonly claimId: string; readonly fencingToken: bigint },
  ): 'wrong-state' | 'stale-attempt' | undefined {
    const isIts = o.claim === claimId && BigInt(o.token) === fencingToken;
    if (o.state !== 'running') return isIts && isFinal(o.state) ? 'wrong-state' : 'stale-attempt';
    return isIts && this.living(o) ? undefined : 'stale-attempt';
  }

  isOpenElsewhere(resource: string, exclusive: boolean): boolean {
    for (const o of this.records.values()) {
      if (o.resource !== resource || isFinal(o.state)) continue;
      if (exclusive || o.exclusive) return true;
    }
    return false;
  }

  // ---- Records and what is said of them.

  save(o: OperationRecord, isStale = false): void {
    this.records.set(o.name, o);
    o.dueMs = this.#nextMoment(o, isStale);
    const wasClaimable = o.isClaimable;
    o.isClaimable = isStale || (o.state === 'pending' && o.claimableMs <= this.locks.clockMs);
    if (o.isClaimable && !wasClaimable) this.#announce({ kind: 'claimable', type: o.type });
  }

  change(o: OperationRecord, isStale = false): void {
    o.version++;
    o.updatedWallMs = this.locks.systemMs;
    this.save(o, isStale);
    this.#announceChange(o);
  }

  /** A change of a living attempt: what is due when stays a lower bound. */
  amend(o: OperationRecord): void {
    o.version++;
    o.updatedWallMs = this.locks.systemMs;
    this.#announceChange(o);
  }

  finish(o: OperationRecord, state: 'succeeded' | 'failed' | 'cancelled' | 'dead', outcome: Payload): void {
    o.state = state;
    o.finishedWallMs = this.locks.systemMs;
    o.claimableMs = 0;
    o.expiresMs = this.locks.clockMs + o.retention[`${state}Ms`];
    o.outcome = outcome;
    this.change(o);
  }

  remove(o: OperationRecord): void {
    for (const claim of o.claims) this.#forgetClaim(o.name, claim);
    this.records.delete(o.name);
    this.#announceChange(o);
  }

  #announceChange({ resource, operationId }: OperationRecord): void {
    this.#announce({ kind: 'changed', resource, operationId });
  }

  /** Names that were claimed under this claim id; undefined: it isn't known. */
  claimedUnder(claimId: string): readonly string[] | undefined {
    const names = this.#claims.get(claimId);
    return names && [...names];
  }

  isRepeat(o: OperationRecord, verb: string, requestId: string): boolean {
    return requestId !== '' && o.requests.includes(`${verb}:${requestId}`);
  }

  rememberRequest(o: OperationRecord, verb: string, requestId: string): void {
    if (requestId === '') return;
    o.requests.push(`${verb}:${requestId}`);
    if (o.requests.length > LIMITS.rememberedRequests) o.requests.shift();
  }

  // ---- Attempts.

  /**
   * Makes it run, or returns the lock that can't be had; nothing was changed then. `isClaimed`: by a claim, whose repeat
   * is to find it.
   */
  start(
    o: OperationRecord,
    claimId: string,
    stamp: CallStamp,
    owner: string,
    isClaimed = false,
  ): Lock | undefined {
    let taken: { readonly token: number; readonly deadlineMs: number };
    if (o.lock) {
      const lock = this.locks.open(o.resource);
      const lease = this.takeLock(lock, o.lock, claimId, stamp, owner);
      if (!lease) return lock;
      taken = lease;
    } else {
      const deadlineMs = this.locks.clockMs + o.heartbeatMs + SKEW_ALLOWANCE_MS;
      taken = { token: this.locks.nextToken(), deadlineMs };
    }
    this.tellAttempt(o, 'look'); // the stale one's stream
    Object.assign(o, { state: 'running', claim: claimId, stamp, owner, claimableMs: 0 });
    o.token = taken.token;
    o.deadlineMs = taken.deadlineMs;
    o.number++;
    o.counted++;
    o.startedWallMs = this.locks.systemMs;
    if (isClaimed) this.#rememberClaim(o, claimId);
    this.change(o);
    return undefined;
  }

  takeLock(
    lock: Lock,
    terms: AttemptLock,
    claimId: string,
    stamp: CallStamp,
    owner: string,
  ): LeaseRecord | undefined {
    const { locks } = this;
    locks.dropLapsed(lock);
    const own = lock.leases.get(claimId);
    if (own) return undefined;
    const isTaken = lock.queue.liveLength > 0 || locks.clockMs < lock.takenUntilMs;
    if (isTaken || !locks.admits(lock, terms.mode)) return undefined;
    const spec: LeaseSpec = {
      ...terms,
      resource: lock.resource,
      leaseId: claimId,
      owner: terms.owner === '' ? owner : terms.owner,
    };
    const record = locks.grant(lock, spec, stamp);
    locks.hold(record, spec);
    lock.nextMs = Math.min(lock.nextMs, record.deadlineMs);
    lock.takenUntilMs = terms.minHoldMs > 0 ? locks.clockMs + terms.minHoldMs : 0;
    locks.save(lock);
    return record;
  }

  /** Says whether its lease is at the end of its max_hold. */
  extend(o: OperationRecord): boolean {
    if (!o.lock) {
      o.deadlineMs = Math.max(o.deadlineMs, this.locks.clockMs + o.heartbeatMs + SKEW_ALLOWANCE_MS);
      return false;
    }
    const lease = this.leaseOf(o);
    if (!lease || !o.stamp) throw new Error('a living attempt with a lock has its lease');
    this.locks.extend(lease, lease.ttlMs);
    lease.stamp = o.stamp;
    o.deadlineMs = lease.deadlineMs;
    return lease.ceilingMs > 0 && lease.deadlineMs >= lease.ceilingMs;
  }

  releaseLease(o: OperationRecord): void {
    if (!o.lock || o.claim === undefined) return;
    const lock = this.locks.open(o.resource);
    const lease = lock.leases.get(o.claim);
    if (!lease || lease.token !== o.token) return;
    this.locks.erase(lock, o.claim, lease);
    this.locks.settle(lock);
  }

  takeOver(o: OperationRecord, stamp: CallStamp): void {
    if (!o.stamp || !sameStamp(o.stamp, stamp)) this.tellAttempt(o, 'moved');
    o.stamp = stamp;
  }

  /** Tells the stream that speaks for the attempt, if it is one (odd). */
  tellAttempt(o: OperationRecord, kind: AttemptNotice['kind']): void {
    const { claim: claimId, stamp } = o;
    if (claimId === undefined || !stamp || stamp.callNumber % 2 === 0) return;
    if (stamp.instanceId !== this.#options.instanceId) return;
    const { callNumber } = stamp;
    queueMicrotask(() => this.#notify({ kind, claimId, callNumber }));
  }

  #notify(notice: AttemptNotice): void {
    for (const listener of this.#attemptListeners) listener(notice);
  }

  // ---- What happens by itself.

  /** The record as it is when what is due was done; undefined where there is none any more. */
  settle(o: OperationRecord): { readonly o: OperationRecord | undefined; readonly isStale: boolean } {
    const { clockMs } = this.locks;
    if (isFinal(o.state)) {
      if (o.expiresMs > clockMs) return { o, isStale: false };
      this.remove(o);
      return { o: undefined, isStale: false };
    }
    if (o.state === 'pending') {
      if (o.expiresMs > 0 && o.expiresMs <= clockMs) {
        this.finish(o, 'dead', TIME_TO_LIVE_OVER);
      } else if (o.claimableMs > 0 && o.claimableMs <= clockMs) {
        o.claimableMs = 0;
        this.save(o);
      }
      return { o, isStale: false };
    }
    if (this.living(o)) {
      o.dueMs = o.deadlineMs;
      return { o, isStale: false };
    }
    if (o.counted >= o.max) {
      this.tellAttempt(o, 'look');
      this.finish(o, 'dead', ATTEMPTS_USED_UP);
      return { o, isStale: false };
    }
    if (o.expiresMs > 0 && Math.max(o.expiresMs, o.deadlineMs + this.#roomMs) <= clockMs) {
      this.finish(o, 'dead', TIME_TO_LIVE_OVER);
      return { o, isStale: false };
    }
    this.save(o, true);
    return { o, isStale: true };
  }

  sweep(): void {
    const due = [...this.records.values()].filter(({ dueMs }) => dueMs <= this.locks.clockMs);
    due.sort((a, b) => a.dueMs - b.dueMs || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    for (const o of due) this.settle(o);
  }

  /** When something may happen by itself, as a lower bound; Infinity: nothing. */
  nextDueMs(): number {
    let nextMs = NEVER;
    for (const { dueMs } of this.records.values()) nextMs = Math.min(nextMs, dueMs);
    return nextMs;
  }

  #nextMoment(o: OperationRecord, isStale: boolean): number {
    if (isFinal(o.state)) return o.expiresMs;
    if (o.state === 'running' && !isStale) return o.deadlineMs;
    if (o.state === 'running') {
      return o.expiresMs > 0 ? Math.max(o.expiresMs, o.deadlineMs + this.#roomMs) : NEVER;
    }
    const expiresMs = o.expiresMs > 0 ? o.expiresMs : NEVER;
    return o.claimableMs > this.locks.clockMs ? Math.min(expiresMs, o.claimableMs) : expiresMs;
  }

  #rememberClaim(o: OperationRecord, claimId: string): void {
    if (o.claims.includes(claimId)) return;
    const names = this.#claims.get(claimId) ?? new Set<string>();
    this.#claims.set(claimId, names.add(o.name));
    o.claims.push(claimId);
    const forgotten = o.claims.length > LIMITS.rememberedClaims ? o.claims.shift() : undefined;
    if (forgotten !== undefined) this.#forgetClaim(o.name, forgotten);
  }

  #forgetClaim(name: string, claimId: string): void {
    const names = this.#claims.get(claimId);
    if (names?.delete(name) && names.size === 0) this.#claims.delete(claimId);
  }

  // ---- Who listens.

  watch(listener: (notice: OperationNotice) => void): () => void {
    const own = (notice: OperationNotice): void => listener(notice);
    this.#watchers.add(own);
    const stopLocks = this.locks.watchChanges((notice) => {
      if (notice.kind === 'changed') own({ kind: 'lock-changed', resource: notice.resource });
    });
    own({ kind: 'resync' });
    return () => {
      this.#watchers.delete(own);
      stopLocks();
    };
  }

  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void {
    this.#attemptListeners.add(listener);
    return () => this.#attemptListeners.delete(listener);
  }

  // Later, as a message from Redis would come: never inside the command that caused it.
  #announce(notice: OperationNotice): void {
    queueMicrotask(() => {
      for (const listener of this.#watchers) listener(notice);
    });
  }
}
