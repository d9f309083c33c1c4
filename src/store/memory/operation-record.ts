// One operation as it is recorded in memory, and how callers see it. Times are on the lease clock, in milliseconds,
// unless a name says otherwise.

import { LIMITS } from '../../domain/limits.ts';
import type { CallStamp } from '../../domain/lock.ts';
import {
  isFinal,
  type Operation,
  type OperationSpec,
  type OperationState,
  type Payload,
} from '../../domain/operation.ts';
import type { TakenOver, UpdateCommand } from '../operation-store.ts';
import type { LeaseClock } from './lease-clock.ts';
import type { LeaseRecord } from './lock-record.ts';

/** One run by one worker, whether it lives or not. */
export interface AttemptRecord {
  readonly claimId: string;
  readonly fencingToken: bigint;
  /** Without a lease; otherwise the lease's deadline counts. */
  deadlineMs: number;
  lease: LeaseRecord | undefined;
  /** The call that speaks for it. */
  stamp: CallStamp;
}

/** Its lease's own deadline, since the lease can be renewed by itself. */
export function deadlineOf({ lease, deadlineMs }: AttemptRecord): number {
  return lease?.deadlineMs ?? deadlineMs;
}

export interface OperationRecord {
  /** As it was begun. */
  readonly spec: OperationSpec;
  /** The request that began it; '' for none. */
  readonly begunBy: string;
  readonly createdAtWallMs: number;
  state: OperationState;
  version: number;
  owner: string;
  labels: ReadonlyMap<string, string>;
  data: Payload | undefined;
  progress: Payload | undefined;
  outcome: Payload | undefined;
  cancelReason: string | undefined;
  updatedAtWallMs: number;
  startedAtWallMs: number | undefined;
  finishedAtWallMs: number | undefined;
  /** The current or the latest one. */
  attempt: AttemptRecord | undefined;
  attemptNumber: number;
  attemptsCounted: number;
  /** Before this no claim gets it while it is pending. */
  claimableAtMs: number;
  /** The end of its time to live, or of its retention; Infinity for none. */
  expiresAtMs: number;
  /** The last requests that changed it, each "verb:request_id". */
  readonly requests: string[];
  /** The last claim ids that claimed it. */
  readonly claims: string[];
  /** Those who listen were told that it may be claimed. */
  isAnnounced: boolean;
}

/** `leftMs`: how long its worker may rely on its attempt, if it is running. */
export function operationView(
  record: OperationRecord,
  clock: LeaseClock,
  leftMs: number,
  withPayloads: boolean,
): Operation {
  const { spec, state, attempt } = record;
  const wallMs = (atMs: number): number => clock.wallMs + clock.leftMs(atMs);
  const isResult = state === 'succeeded';
  const outcome = withPayloads || !isResult ? record.outcome : undefined;
  const isDelayed = state === 'pending' && record.claimableAtMs > clock.nowMs;
  return {
    resource: spec.resource,
    operationId: spec.operationId,
    type: spec.type,
    state,
    data: withPayloads ? record.data : undefined,
    progress: withPayloads ? record.progress : undefined,
    outcome: isFinal(state) ? { kind: isResult ? 'result' : 'error', value: outcome } : undefined,
    labels: new Map(record.labels),
    owner: record.owner,
    attemptNumber: record.attemptNumber,
    attemptsCounted: record.attemptsCounted,
    maxAttempts: spec.maxAttempts,
    fencingToken: attempt?.fencingToken ?? 0n,
    version: record.version,
    cancelRequested: record.cancelReason !== undefined,
    cancelReason: record.cancelReason ?? '',
    exclusive: spec.exclusive,
    lock: spec.lock,
    heartbeatTimeoutMs: spec.heartbeatTimeoutMs,
    heartbeatRemainingMs: state === 'running' ? Math.max(leftMs, 0) : undefined,
    createdAtWallMs: record.createdAtWallMs,
    startedAtWallMs: record.startedAtWallMs,
    updatedAtWallMs: record.updatedAtWallMs,
    finishedAtWallMs: record.finishedAtWallMs,
    claimableAtWallMs: isDelayed ? wallMs(record.claimableAtMs) : undefined,
    expiresAtWallMs: Number.isFinite(record.expiresAtMs) ? wallMs(record.expiresAtMs) : undefined,
    retention: spec.retention,
  };
}

/** What a claim takes over when it gets this. */
export function takenOver(record: OperationRecord, { nowMs, wallMs }: LeaseClock): TakenOver {
  const { state, attempt, claimableAtMs, updatedAtWallMs } = record;
  if (state === 'running' && attempt) {
    return { was: 'stale', waitedMs: Math.max(nowMs - deadlineOf(attempt), 0) };
  }
  // A pending one without a delay has had no change since it became that.
  const waitedMs = claimableAtMs > 0 ? nowMs - claimableAtMs : wallMs - updatedAtWallMs;
  return { was: 'pending', waitedMs: Math.max(waitedMs, 0) };
}

/** What its worker may write. */
type Content = Pick<OperationRecord, 'labels' | 'data' | 'progress'>;

export function contentAfter(record: Content, update: UpdateCommand): Content {
  const labels = new Map(record.labels);
  for (const key of update.removeLabels) labels.delete(key);
  for (const [key, value] of update.setLabels) labels.set(key, value);
  const after = (before: Payload | undefined, sent: UpdateCommand['data']): Payload | undefined =>
    sent === undefined ? before : sent === 'remove' ? undefined : sent;
  return { labels, data: after(record.data, update.data), progress: after(record.progress, update.progress) };
}

export function sameContent(a: Content, b: Content): boolean {
  const sameLabels =
    a.labels.size === b.labels.size && [...a.labels].every(([key, value]) => b.labels.get(key) === value);
  return sameLabels && samePayload(a.data, b.data) && samePayload(a.progress, b.progress);
}

function samePayload(a: Payload | undefined, b: Payload | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

export function labelsExceed(labels: ReadonlyMap<string, string>): boolean {
  const bytes = [...labels].reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
  return labels.size > LIMITS.metadataEntries || bytes > LIMITS.metadataTotalBytes;
}
