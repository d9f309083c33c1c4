// The unary calls of locks, each with its lines in the history and what its answer means for the caller's belief.

import type { Lease } from '../../../generated/leasehold/v1/lease.ts';
import type {
  AcquireManyResponse,
  AcquireResponse,
  RenewResponse,
} from '../../../generated/leasehold/v1/lock_service.ts';
import {
  AcquireManyRequest,
  AcquireRequest,
  type GetLockResponse,
  ListLocksRequest,
  type ListLocksResponse,
} from '../../../generated/leasehold/v1/lock_service.ts';
import type { SentAt } from '../../../src/client/core/lease-deadline.ts';
import { nowMs } from '../history.ts';
import { AnsweredBelief } from './belief.ts';
import type { ChaosClient } from './chaos-client.ts';
import {
  durationOf,
  type LeaseRequest,
  leaseTold,
  lockOf,
  millisecondsOf,
  modeText,
  specOf,
  waitOf,
} from './lease-request.ts';
import { type Result, recordedUnary } from './recorded-unary.ts';

/** How long a call that waits may take beyond its wait: one more try at another server. */
const BEYOND_WAIT_MS = 4_000;
const TRY_FOR_MS = 2_000;

/** A lease that unary calls keep. */
export interface CalledLease {
  readonly request: LeaseRequest;
  readonly token: bigint;
  readonly belief: AnsweredBelief;
}

/** An answer that grants, and when its call was sent. */
export interface Granted extends SentAt {
  readonly lease: Lease | undefined;
}

/** How much of a wait is left for the next try, and how long the whole call may take. */
function waiting(waitMs: number, withinMs: number) {
  const [beganMs, mostMs] = [nowMs(), waitMs > 0 ? waitMs + BEYOND_WAIT_MS : withinMs];
  return {
    wait: () => waitOf(Math.max(0, Math.floor(waitMs - (nowMs() - beganMs)))),
    deadlineMs: beganMs + mostMs,
    tryForMs: waitMs > 0 ? waitMs + TRY_FOR_MS : TRY_FOR_MS,
    waits: waitMs > 0,
  };
}

export async function recordedAcquire(
  client: ChaosClient,
  request: LeaseRequest,
  withinMs: number,
): Promise<Result<AcquireResponse>> {
  const { wait, ...bounds } = waiting(request.waitMs, withinMs);
  const spec = specOf(request, client.name);
  return recordedUnary<AcquireResponse>(client.recorder, {
    rpc: 'Acquire',
    lock: lockOf(request),
    channel: client.channel,
    signal: client.stop,
    ...bounds,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.acquire(AcquireRequest.fromPartial({ spec, wait: wait() }), metadata, options, callback),
    told: ({ lease }) => ({ lease: leaseTold(theLease(lease)) }),
  });
}

export async function recordedAcquireMany(
  client: ChaosClient,
  requests: readonly LeaseRequest[],
  waitMs: number,
  withinMs: number,
): Promise<Result<AcquireManyResponse>> {
  const { wait, ...bounds } = waiting(waitMs, withinMs);
  const specs = requests.map((request) => specOf(request, client.name));
  return recordedUnary<AcquireManyResponse>(client.recorder, {
    rpc: 'AcquireMany',
    locks: requests.map(lockOf),
    channel: client.channel,
    signal: client.stop,
    ...bounds,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.acquireMany(AcquireManyRequest.fromPartial({ specs, wait: wait() }), metadata, options, callback),
    told: ({ leases }) => ({ leases: leases.map(leaseTold) }),
  });
}

/** What a grant makes its caller believe. */
export function taken(client: ChaosClient, request: LeaseRequest, answered: Granted): CalledLease {
  const { resource, leaseId, mode, ttlMs } = request;
  const lease = theLease(answered.lease);
  const { fencingToken: token } = lease;
  const name = { resource, leaseId, token: String(token), mode: modeText(mode), of: 'lock' as const };
  const belief = new AnsweredBelief(client.recorder, name, ttlMs);
  belief.heard(answered, millisecondsOf(lease.validFor));
  return { request, token, belief };
}

export async function recordedRenew(
  client: ChaosClient,
  { request, token, belief }: CalledLease,
  withinMs: number,
  ttlMs?: number,
): Promise<void> {
  const { resource, leaseId } = request;
  const ttl = ttlMs === undefined ? undefined : durationOf(ttlMs);
  const result = await recordedUnary<RenewResponse>(client.recorder, {
    rpc: 'Renew',
    deadlineMs: nowMs() + withinMs,
    lock: { ...lockOf(request), token: String(token) },
    channel: client.channel,
    signal: client.stop,
    tryForMs: TRY_FOR_MS,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.renew({ resource, leaseId, fencingToken: token, ttl }, metadata, options, callback),
    told: ({ lease }) => ({ lease: leaseTold(theLease(lease)) }),
  });
  if (result.outcome === 'ok') belief.heard(result, millisecondsOf(result.response.lease?.validFor));
  else if (result.error.reason === 'LEASE_LOST') belief.ended('lost:LEASE_LOST');
}

/** Releases a lease that exists, or may exist. It is not broken off when the client is told to stop. */
export async function recordedRelease(
  client: ChaosClient,
  request: LeaseRequest,
  withinMs: number,
): Promise<void> {
  const { resource, leaseId } = request;
  await recordedUnary<{ released: boolean }>(client.recorder, {
    rpc: 'Release',
    deadlineMs: nowMs() + withinMs,
    lock: lockOf(request),
    channel: client.channel,
    tryForMs: TRY_FOR_MS,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.release({ resource, leaseId }, metadata, options, callback),
    told: ({ released }) => ({ released }),
  });
}

export async function recordedCheck(
  client: ChaosClient,
  { request, token }: CalledLease,
  withinMs: number,
): Promise<void> {
  const { resource } = request;
  await recordedUnary<{ valid: boolean }>(client.recorder, {
    rpc: 'CheckFencingToken',
    deadlineMs: nowMs() + withinMs,
    lock: { ...lockOf(request), token: String(token) },
    channel: client.channel,
    signal: client.stop,
    tryForMs: TRY_FOR_MS,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.checkFencingToken({ resource, fencingToken: token }, metadata, options, callback),
    told: ({ valid }) => ({ said: { valid } }),
  });
}

export function theLease(lease: Lease | undefined): Lease {
  // An acquisition that isn't granted is an error: an answer without a lease breaks the contract.
  if (!lease) throw new Error('an answer that grants has no lease');
  return lease;
}

/** Reads one lock, or a page of all of them, as a dashboard does. */
export async function recordedLook(client: ChaosClient, resource: string, withinMs: number): Promise<void> {
  const common = {
    deadlineMs: nowMs() + withinMs,
    channel: client.channel,
    signal: client.stop,
    tryForMs: TRY_FOR_MS,
  };
  await recordedUnary<GetLockResponse>(client.recorder, {
    rpc: 'GetLock',
    ...common,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.getLock({ resource }, metadata, options, callback),
    told: ({ lock }) => ({
      said: { resource, holders: lock?.holderCount ?? 0, waiters: lock?.waiterCount ?? 0 },
    }),
  });
  await recordedUnary<ListLocksResponse>(client.recorder, {
    rpc: 'ListLocks',
    ...common,
    invoke: ({ locks }, metadata, options, callback) =>
      locks.listLocks(ListLocksRequest.fromPartial({}), metadata, options, callback),
    told: ({ locks }) => ({ said: { found: locks.length } }),
  });
}
