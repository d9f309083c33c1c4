// How attempts start in memory: by begin and by claim. A record, its attempt and its lock come together or not at all.

import { LIMITS } from '../../domain/limits.ts';
import { isFinal } from '../../domain/operation.ts';
import type {
  BeginCommand,
  BeginOutcome,
  ClaimCommand,
  ClaimedOperation,
  ClaimOutcome,
  TakenOver,
} from '../operation-store.ts';
import type { LockRecord } from './lock-record.ts';
import { LockViews } from './lock-views.ts';
import { deadlineOf, type OperationRecord, takenOver } from './operation-record.ts';
import type { OperationTable } from './operation-table.ts';

type Begun = Extract<BeginOutcome, { kind: 'begun' }>;

const NEVER = Number.POSITIVE_INFINITY;

export class OperationStarts {
  readonly #table: OperationTable;
  readonly #lockViews: LockViews;

  constructor(table: OperationTable) {
    this.#table = table;
    this.#lockViews = new LockViews(table.locks);
  }

  begin(command: BeginCommand): BeginOutcome {
    const { spec, claimId } = command;
    const { clock } = this.#table;
    // A failover may have lost the record of a former begin, whose attempt may still run.
    if (clock.isFullQuarantine && (claimId !== undefined || spec.exclusive || spec.lock)) {
      return { kind: 'quarantined', retryAfterMs: clock.leftMs(clock.fullUntilMs) };
    }
    const known = this.#table.find(spec);
    if (known && this.#table.settle(known)) return this.#beginKnown(known, command);
    if (this.#table.isOpenElsewhere(spec.resource, spec.exclusive)) return { kind: 'open' };
    if (this.#lacksLease(command)) return { kind: 'lease-required' };
    const record = this.#newRecord(command);
    const inTheWay = this.#start(record, command);
    if (inTheWay) return this.#contended(inTheWay, record);
    this.#table.add(record);
    return this.#begun(record, { created: true, hasAttempt: claimId !== undefined, did: 'record' });
  }

  #beginKnown(record: OperationRecord, command: BeginCommand): BeginOutcome {
    const { spec, claimId, stamp, requestId } = command;
    const { attempt } = record;
    if (record.spec.contentHash !== spec.contentHash) return { kind: 'exists' };
    const created = requestId !== '' && record.begunBy === requestId;
    if (claimId === undefined || isFinal(record.state)) return this.#begun(record, { created });
    if (attempt && this.#table.isLiving(record)) {
      if (attempt.claimId !== claimId) {
        // Until it is stale, which is later than its worker relies on it.
        const retryAfterMs = this.#table.clock.leftMs(deadlineOf(attempt));
        return { kind: 'attempt-held', retryAfterMs };
      }
      this.#table.takeOver(record, stamp);
      this.#table.extend(record);
      return this.#begun(record, { created, hasAttempt: true });
    }
    if (this.#lacksLease(command)) return { kind: 'lease-required' };
    const did = takenOver(record, this.#table.clock);
    const inTheWay = this.#start(record, command);
    if (inTheWay) return this.#contended(inTheWay, record);
    this.#table.change(record);
    return this.#begun(record, { created, hasAttempt: true, did });
  }

  #start(record: OperationRecord, { claimId, stamp, spec }: BeginCommand): LockRecord | undefined {
    return claimId === undefined ? undefined : this.#table.start(record, claimId, stamp, spec.owner);
  }

  #lacksLease({ requireLease: required }: BeginCommand): boolean {
    if (!required) return false;
    const { locks, clock } = this.#table;
    const lease = locks.find(required.resource).leases.get(required.leaseId);
    const isIts = lease?.state === 'held' && lease.fencingToken === required.fencingToken;
    return !isIts || !clock.isRenewable(lease);
  }

  #newRecord({ spec, requestId }: BeginCommand): OperationRecord {
    const { nowMs, wallMs } = this.#table.clock;
    return {
      spec,
      begunBy: requestId,
      createdAtWallMs: wallMs,
      state: 'pending',
      version: 0,
      owner: spec.owner,
      labels: spec.labels,
      data: spec.data,
      progress: undefined,
      outcome: undefined,
      cancelReason: undefined,
      updatedAtWallMs: wallMs,
      startedAtWallMs: undefined,
      finishedAtWallMs: undefined,
      attempt: undefined,
      attemptNumber: 0,
      attemptsCounted: 0,
      claimableAtMs: 0,
      expiresAtMs: spec.timeToLiveMs > 0 ? nowMs + spec.timeToLiveMs : NEVER,
      requests: [],
      claims: [],
      isAnnounced: false,
    };
  }

  #begun(
    record: OperationRecord,
    { created, hasAttempt = false, did }: Pick<Begun, 'created'> & Partial<Begun> & { hasAttempt?: boolean },
  ): BeginOutcome {
    const attempt = hasAttempt ? this.#table.attemptView(record) : undefined;
    return { kind: 'begun', operation: this.#table.viewOf(record), attempt, created, did };
  }

  #contended(lock: LockRecord, { spec }: OperationRecord): BeginOutcome {
    if (!spec.lock) throw new Error('only the lock of an operation can be in its way');
    this.#table.locks.settle(lock);
    return { kind: 'contended', contention: this.#lockViews.contention(lock, spec.lock.mode) };
  }

  claim(command: ClaimCommand): ClaimOutcome {
    const { types, resourcePrefix, claimId, owner, stamp, most } = command;
    const { locks, clock } = this.#table;
    if (clock.isFullQuarantine) {
      return { kind: 'quarantined', retryAfterMs: clock.leftMs(clock.fullUntilMs) };
    }
    const known = this.#table.all.filter(({ claims }) => claims.includes(claimId));
    if (known.length > 0) return this.#claimAgain(known, command);
    this.#table.sweep();
    const claimed: ClaimedOperation[] = [];
    const blockedOn = new Set<string>();
    let askAgainAtMs = NEVER;
    for (const record of this.#table.all) {
      const { type, resource } = record.spec;
      if (!types.includes(type) || !resource.startsWith(resourcePrefix)) continue;
      if (!this.#table.isClaimable(record)) {
        askAgainAtMs = Math.min(askAgainAtMs, this.#table.claimableAtMs(record));
        continue;
      }
      if (claimed.length === most) continue;
      const taken = takenOver(record, this.#table.clock);
      const inTheWay = this.#table.start(record, claimId, stamp, owner);
      if (inTheWay) {
        locks.settle(inTheWay);
        blockedOn.add(resource);
        askAgainAtMs = Math.min(askAgainAtMs, locks.freeAtMs(inTheWay));
        continue;
      }
      if (!record.claims.includes(claimId)) record.claims.push(claimId);
      if (record.claims.length > LIMITS.rememberedClaims) record.claims.shift();
      this.#table.change(record);
      claimed.push(this.#claimed(record, taken));
    }
    const askAgainInMs = clock.leftMs(askAgainAtMs);
    return { kind: 'claimed', claimed, isRepeat: false, askAgainInMs, blockedOn: [...blockedOn] };
  }

  #claimAgain(known: readonly OperationRecord[], { claimId, stamp }: ClaimCommand): ClaimOutcome {
    const its = known.filter((record) => record.attempt?.claimId === claimId && this.#table.isLiving(record));
    for (const record of its) {
      this.#table.takeOver(record, stamp);
      this.#table.extend(record);
    }
    const claimed = its.map((record) => this.#claimed(record));
    return { kind: 'claimed', claimed, isRepeat: true, askAgainInMs: NEVER, blockedOn: [] };
  }

  #claimed(record: OperationRecord, taken?: TakenOver): ClaimedOperation {
    return { operation: this.#table.viewOf(record), attempt: this.#table.attemptView(record), taken };
  }
}
