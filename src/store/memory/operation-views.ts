// Operations in memory as callers see them: the records and attempts of answers.

import type { Lease } from '../../domain/lock.ts';
import { type Attempt, isFinal, type Operation } from '../../domain/operation.ts';
import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type { OperationRecord } from './operation-record.ts';
import type { OperationTable } from './operation-table.ts';

/** `nowMs` is the instance's monotonic time. */
export function attemptView(
  { locks }: OperationTable,
  o: OperationRecord,
  claimId: string,
  nowMs: number,
): Attempt {
  const remainingMs = o.deadlineMs - SKEW_ALLOWANCE_MS - locks.clockMs;
  const deadlineMs = nowMs + remainingMs;
  const fencingToken = BigInt(o.token);
  const expiresAtWallMs = locks.systemMs + remainingMs;
  const lease: Lease = { resource: o.resource, leaseId: claimId, fencingToken, deadlineMs, expiresAtWallMs };
  return { number: o.number, claimId, fencingToken, deadlineMs, lease: o.lock ? lease : undefined };
}

export function operationView(table: OperationTable, o: OperationRecord, withPayloads: boolean): Operation {
  const { clockMs, systemMs } = table.locks;
  const wallMs = (atMs: number): number => systemMs + Math.max(atMs - clockMs, 0);
  const optional = (atMs: number): number | undefined => (atMs > 0 ? atMs : undefined);
  const leftMs = (): number =>
    table.living(o) ? Math.max(o.deadlineMs - SKEW_ALLOWANCE_MS - clockMs, 0) : 0;
  const isResult = o.state === 'succeeded';
  const outcome = withPayloads || !isResult ? o.outcome : undefined;
  return {
    resource: o.resource,
    operationId: o.operationId,
    type: o.type,
    state: o.state,
    data: withPayloads ? o.data : undefined,
    progress: withPayloads ? o.progress : undefined,
    outcome: isFinal(o.state) ? { kind: isResult ? 'result' : 'error', value: outcome } : undefined,
    labels: new Map(o.labels),
    owner: o.owner,
    attemptNumber: o.number,
    attemptsCounted: o.counted,
    maxAttempts: o.max,
    fencingToken: BigInt(o.token),
    version: o.version,
    cancelRequested: o.cancel,
    cancelReason: o.reason,
    exclusive: o.exclusive,
    lock: o.lock,
    heartbeatTimeoutMs: o.heartbeatMs,
    heartbeatRemainingMs: o.state === 'running' ? leftMs() : undefined,
    createdAtWallMs: o.createdWallMs,
    startedAtWallMs: optional(o.startedWallMs),
    updatedAtWallMs: o.updatedWallMs,
    finishedAtWallMs: optional(o.finishedWallMs),
    claimableAtWallMs: o.state === 'pending' && o.claimableMs > clockMs ? wallMs(o.claimableMs) : undefined,
    expiresAtWallMs: o.expiresMs > 0 ? wallMs(o.expiresMs) : undefined,
    retention: o.retention,
  };
}
