// Contention and suspected deadlocks as users see them: plain values with units in their names. lock_contention.proto
// says what they mean.

import type {
  ContendedLock as ContendedMessage,
  ContentionCoverage,
  DeadlockMember as MemberMessage,
} from '../../generated/leasehold/v1/lock_contention.ts';
import type {
  ListContendedLocksResponse,
  ListSuspectedDeadlocksResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import { present } from './client-calls.ts';
import { dateOf, msOf } from './core/time-spans.ts';
import { type Lock, lockOf } from './lock-view.ts';

/** How long calls have waited for one lock within the last minutes. */
export interface ContendedLock {
  /** As it is now. */
  readonly lock: Lock;
  /** All waits together, those that go on among them. Too large by `waitErrorMs` at most. */
  readonly totalWaitMs: number;
  /** 0: all of these numbers are exact. Otherwise those below are the least that there was. */
  readonly waitErrorMs: number;
  readonly waitCount: number;
  readonly longestWaitMs: number;
  /** Leases that have ended since calls first waited, and how long all of them were held. */
  readonly holdCount: number;
  readonly totalHoldMs: number;
}

/** Which servers an answer covers. */
export interface Coverage {
  /** The one that answered, and those that have reported within the last minute. One without waits doesn't report. */
  readonly serverCount: number;
  readonly oldestReportMs: number;
}

export interface ContendedLocks extends Coverage {
  /** The most contended first. */
  readonly locks: readonly ContendedLock[];
  /** How far back the numbers reach. */
  readonly windowMs: number;
}

/** It holds what the one before it waits for, and waits for what the next one holds. */
export interface DeadlockMember {
  readonly owner: string;
  readonly heldResource: string;
  readonly fencingToken: bigint;
  /** Identifies the lease on `heldResource`; gives no power over it. */
  readonly leaseIdHash: string;
  readonly awaitedResource: string;
  /** By the server's wall clock, for people. */
  readonly waitingSince: Date | undefined;
  readonly waitedMs: number;
}

export interface SuspectedDeadlocks extends Coverage {
  /** Each is a circle: the last one waits for what the first one holds. */
  readonly deadlocks: readonly (readonly DeadlockMember[])[];
  /** There were more waits or holders than the server looked at. */
  readonly partial: boolean;
}

export function contendedOf({ locks, window, coverage }: ListContendedLocksResponse): ContendedLocks {
  return { locks: locks.map(contendedLockOf), windowMs: msOf(window) ?? 0, ...coverageOf(coverage) };
}

function contendedLockOf({ lock, waitCount, holdCount, ...spans }: ContendedMessage): ContendedLock {
  return {
    lock: lockOf(present(lock, 'a lock')),
    totalWaitMs: msOf(spans.totalWait) ?? 0,
    waitErrorMs: msOf(spans.waitError) ?? 0,
    waitCount: Number(waitCount),
    longestWaitMs: msOf(spans.longestWait) ?? 0,
    holdCount: Number(holdCount),
    totalHoldMs: msOf(spans.totalHold) ?? 0,
  };
}

export function deadlocksOf({
  deadlocks,
  partial,
  coverage,
}: ListSuspectedDeadlocksResponse): SuspectedDeadlocks {
  return {
    deadlocks: deadlocks.map(({ members }) => members.map(memberOf)),
    partial,
    ...coverageOf(coverage),
  };
}

function memberOf({ waitSince, waited, ...member }: MemberMessage): DeadlockMember {
  return { ...member, waitingSince: dateOf(waitSince), waitedMs: msOf(waited) ?? 0 };
}

function coverageOf(coverage: ContentionCoverage | undefined): Coverage {
  return { serverCount: coverage?.serverCount ?? 0, oldestReportMs: msOf(coverage?.oldestReport) ?? 0 };
}
