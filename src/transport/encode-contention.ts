// Contended locks and suspected deadlocks as the messages that callers read.

import type {
  ContendedLock as ContendedLockMessage,
  ContentionCoverage,
  SuspectedDeadlock,
} from '../../generated/leasehold/v1/lock_contention.ts';
import type {
  ListContendedLocksResponse,
  ListSuspectedDeadlocksResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import type { ContendedLock, ContendedLocks } from '../service/contention/contention.ts';
import type { FoundDeadlocks } from '../service/contention/deadlock-search.ts';
import type { Coverage } from '../service/contention/deployment-reports.ts';
import type { Deadlock } from '../service/contention/wait-graph.ts';
import { encodeDuration, encodeTimestamp } from './durations.ts';
import { encodeLock } from './encode-lock.ts';

export function encodeContendedLocks({
  locks,
  windowMs,
  coverage,
}: ContendedLocks): ListContendedLocksResponse {
  return {
    locks: locks.map(encodeContendedLock),
    window: encodeDuration(windowMs),
    coverage: encodeCoverage(coverage),
  };
}

function encodeContendedLock({ lock, ...counted }: ContendedLock): ContendedLockMessage {
  return {
    lock: encodeLock(lock),
    totalWait: encodeDuration(counted.waitMs),
    waitError: counted.errorMs > 0 ? encodeDuration(counted.errorMs) : undefined,
    waitCount: BigInt(counted.waits),
    longestWait: encodeDuration(counted.longestWaitMs),
    holdCount: BigInt(counted.holds),
    totalHold: encodeDuration(counted.holdMs),
  };
}

export function encodeDeadlocks({
  deadlocks,
  nowWallMs,
  isPartial,
  coverage,
}: FoundDeadlocks): ListSuspectedDeadlocksResponse {
  return {
    deadlocks: deadlocks.map((deadlock) => encodeDeadlock(deadlock, nowWallMs)),
    partial: isPartial,
    coverage: encodeCoverage(coverage),
  };
}

function encodeDeadlock(deadlock: Deadlock, nowWallMs: number): SuspectedDeadlock {
  return {
    members: deadlock.map(({ owner, holds, fencingToken, leaseIdHash, waitsFor, sinceWallMs }) => ({
      owner,
      heldResource: holds,
      fencingToken,
      leaseIdHash,
      awaitedResource: waitsFor,
      waitSince: encodeTimestamp(sinceWallMs),
      waited: encodeDuration(Math.max(0, nowWallMs - sinceWallMs)),
    })),
  };
}

function encodeCoverage({ instances, oldestReportMs }: Coverage): ContentionCoverage {
  return { serverCount: instances, oldestReport: encodeDuration(oldestReportMs) };
}
