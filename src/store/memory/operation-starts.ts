// How attempts start in memory: by begin and by claim, in the order of ../redis/lua/begin-operation.lua and
// claim-operations.lua. Nothing is recorded that can't be had together.

import type { Clock } from '../../domain/clock.ts';
import type { Attempt } from '../../domain/operation.ts';
import { isFinal, nameOf } from '../../domain/operation.ts';
import type {
  BeginCommand,
  BeginOutcome,
  ClaimCommand,
  ClaimedOperation,
  ClaimOutcome,
} from '../operation-store.ts';
import type { Lock } from './lock-table.ts';
import { LockViews } from './lock-views.ts';
import type { OperationRecord } from './operation-record.ts';
import type { OperationTable } from './operation-table.ts';
import { attemptView, operationView } from './operation-views.ts';

const NEVER = Number.POSITIVE_INFINITY;

export class OperationStarts {
  readonly #table: OperationTable;
  readonly #clock: Clock;
  readonly #lockViews: LockViews;

  constructor(table: OperationTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#lockViews = new LockViews(table.locks);
  }

  begin(command: BeginCommand): BeginOutcome {
    const { spec, claimId, stamp, requestId, requireLease } = command;
    const { locks } = this.#table;
    if (locks.quarantined && (claimId !== undefined || spec.exclusive || spec.lock)) {
      return { kind: 'quarantined', retryAfterMs: locks.quarantineRemainingMs };
    }
    const known = this.#table.records.get(nameOf(spec));
    const { o, isStale } = known ? this.#table.settle(known) : { o: undefined, isStale: false };
    if (o) {
      if (o.hash !== spec.contentHash) return { kind: 'exists' };
      const created = requestId !== '' && o.begunBy === requestId;
      if (claimId === undefined || isFinal(o.state)) return this.#begun(o, created, undefined);
      if (o.state === 'running' && !isStale) {
        if (o.claim !== claimId) {
          // Until it is stale: later than its worker counts on it.
          return { kind: 'attempt-held', retryAfterMs: o.deadlineMs - locks.clockMs };
        }
        this.#table.takeOver(o, stamp);
        this.#table.extend(o);
        return this.#begun(o, created, claimId);
      }
      if (this.#lacksLease(requireLease)) return { kind: 'lease-required' };
      const inTheWay = this.#table.start(o, claimId, stamp, spec.owner);
      return inTheWay && o.lock ? this.#contended(inTheWay, o) : this.#begun(o, created, claimId);
    }
    if (this.#table.isOpenElsewhere(spec.resource, spec.exclusive)) return { kind: 'open' };
    if (this.#lacksLease(requireLease)) return { kind: 'lease-required' };
    return this.#record(command);
  }

  #lacksLease(required: BeginCommand['requireLease']): boolean {
    if (!required) return false;
    const { locks } = this.#table;
    const lease = locks.open(required.resource).leases.get(required.leaseId);
    const isIts = lease?.state === 'held' && BigInt(lease.token) === required.fencingToken;
    return !isIts || !locks.alive(lease);
  }

  #record({ spec, claimId, stamp, requestId }: BeginCommand): BeginOutcome {
    const { locks } = this.#table;
    const { resource, operationId, type, labels, owner, data, exclusive, lock, retention } = spec;
    const o: OperationRecord = {
      ...{ resource, operationId, name: nameOf(spec), type, labels, owner, data, exclusive, lock, retention },
      hash: spec.contentHash,
      begunBy: requestId,
      seq: 0,
      createdWallMs: locks.systemMs,
      max: spec.maxAttempts,
      heartbeatMs: spec.heartbeatTimeoutMs,
      ttlMs: spec.timeToLiveMs,
      requests: [],
      claims: [],
      state: 'pending',
      version: 0,
      startedWallMs: 0,
      updatedWallMs: locks.systemMs,
      finishedWallMs: 0,
      number: 0,
      counted: 0,
      token: 0,
      claim: undefined,
      stamp: undefined,
      deadlineMs: 0,
      expiresMs: spec.timeToLiveMs > 0 ? locks.clockMs + spec.timeToLiveMs : 0,
      claimableMs: 0,
      cancel: false,
      reason: '',
      progress: undefined,
      outcome: undefined,
      isClaimable: false,
      dueMs: NEVER,
    };
    if (claimId === undefined) {
      o.seq = this.#table.nextSeq();
      this.#table.change(o);
      return this.#begun(o, true, undefined);
    }
    const inTheWay = this.#table.start(o, claimId, stamp, owner);
    if (inTheWay) return this.#contended(inTheWay, o);
    o.seq = this.#table.nextSeq();
    return this.#begun(o, true, claimId);
  }

  #begun(o: OperationRecord, created: boolean, claimId: string | undefined): BeginOutcome {
    const attempt = claimId === undefined ? undefined : this.#attempt(o, claimId);
    return { kind: 'begun', operation: operationView(this.#table, o, true), attempt, created };
  }

  #contended(lock: Lock, { lock: terms }: OperationRecord): BeginOutcome {
    if (!terms) throw new Error('only the lock of an operation can be in its way');
    this.#table.locks.settle(lock);
    return { kind: 'contended', contention: this.#lockViews.contention(lock, terms.mode) };
  }

  claim({ types, resourcePrefix, claimId, owner, stamp, most }: ClaimCommand): ClaimOutcome {
    const { locks, records } = this.#table;
    if (locks.quarantined) return { kind: 'quarantined', retryAfterMs: locks.quarantineRemainingMs };
    const claimed: ClaimedOperation[] = [];
    const add = (o: OperationRecord): unknown =>
      claimed.push({ operation: operationView(this.#table, o, true), attempt: this.#attempt(o, claimId) });
    const known = this.#table.claimedUnder(claimId);
    if (known) {
      let isRepeat = false;
      for (const name of known) {
        const o = records.get(name);
        if (o?.state !== 'running' || o.claim !== claimId || !this.#table.living(o)) continue;
        if (this.#table.takeOver(o, stamp)) isRepeat = true;
        this.#table.extend(o);
        add(o);
      }
      return { kind: 'claimed', claimed, isRepeat, askAgainInMs: NEVER, blockedOn: [] };
    }
    this.#table.sweep();
    const blockedOn = new Set<string>();
    let askAgainMs = NEVER;
    const candidates = [...records.values()].filter(
      ({ isClaimable, type, resource }) =>
        isClaimable && types.includes(type) && resource.startsWith(resourcePrefix),
    );
    for (const one of candidates.toSorted((a, b) => a.seq - b.seq)) {
      if (claimed.length === most) break;
      const { o, isStale } = this.#table.settle(one);
      if (!o || !(isStale || o.state === 'pending')) continue;
      const inTheWay = this.#table.start(o, claimId, stamp, owner, true);
      if (!inTheWay) {
        add(o);
        continue;
      }
      locks.settle(inTheWay);
      if (inTheWay.leases.size > 0) askAgainMs = Math.min(askAgainMs, inTheWay.nextMs);
      if (locks.clockMs < inTheWay.takenUntilMs) askAgainMs = Math.min(askAgainMs, inTheWay.takenUntilMs);
      blockedOn.add(o.resource);
    }
    const askAgainInMs = Math.max(Math.min(askAgainMs, this.#table.nextDueMs()) - locks.clockMs, 0);
    return { kind: 'claimed', claimed, isRepeat: false, askAgainInMs, blockedOn: [...blockedOn] };
  }

  #attempt(o: OperationRecord, claimId: string): Attempt {
    return attemptView(this.#table, o, claimId, this.#clock.monotonicMs());
  }
}
