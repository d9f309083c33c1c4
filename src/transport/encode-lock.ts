// Domain values as the messages that callers read: leases, holders, locks, server info.

import type { Durability, Lease as LeaseMessage } from '../../generated/leasehold/v1/lease.ts';
import { type Lock, type LockHolder, LockState, type LockWaiter } from '../../generated/leasehold/v1/lock.ts';
import {
  QuarantineEnd_How,
  type RollCall,
  type ServerInfo as ServerInfoMessage,
  StoreKind,
} from '../../generated/leasehold/v1/server_info.ts';
import { LIMITS } from '../domain/limits.ts';
import {
  type LockState as DomainLockState,
  type Holder,
  type LockView,
  type Mode,
  stateOf,
  type Waiter,
} from '../domain/lock.ts';
import type { GrantedLease } from '../service/lock-service.ts';
import type { ServerInfo } from '../service/server-info-service.ts';
import type { RollCallStatus } from '../store/store.ts';
import { encodeDuration, encodeTimestamp } from './durations.ts';

const STATES: Readonly<Record<DomainLockState, LockState>> = {
  held: LockState.LOCK_STATE_HELD,
  'min-hold': LockState.LOCK_STATE_MIN_HOLD,
  free: LockState.LOCK_STATE_FREE,
};

export function encodeLease({ lease, validForMs }: GrantedLease): LeaseMessage {
  return {
    resource: lease.resource,
    leaseId: lease.leaseId,
    fencingToken: lease.fencingToken,
    validFor: encodeDuration(validForMs),
    expireTime: encodeTimestamp(lease.expiresAtWallMs),
    achievedDurability: encodeDurability(lease.replicas ?? 0),
    permitsLimit: lease.permitsLimit ?? 0,
  };
}

export function encodeHolder(holder: Holder): LockHolder {
  return {
    leaseIdHash: holder.leaseIdHash,
    owner: holder.owner,
    mode: encodeMode(holder.mode),
    fencingToken: holder.fencingToken,
    acquireTime: encodeTimestamp(holder.acquiredAtWallMs),
    remaining: encodeDuration(holder.remainingMs),
    metadata: new Map(holder.metadata),
    revoked: holder.revoked,
  };
}

export function encodeLock(view: LockView): Lock {
  return {
    resource: view.resource,
    state: STATES[stateOf(view)],
    holders: view.holders.map(encodeHolder),
    holderCount: view.holderCount,
    waiters: view.waiters.map(encodeWaiter),
    waiterCount: view.queueLength,
    permitsHeld: view.permitsHeld,
    permitsLimit: view.permitsLimit,
    minHoldRemaining: view.minHoldRemainingMs > 0 ? encodeDuration(view.minHoldRemainingMs) : undefined,
  };
}

function encodeWaiter(waiter: Waiter): LockWaiter {
  return {
    leaseIdHash: waiter.leaseIdHash,
    owner: waiter.owner,
    mode: encodeMode(waiter.mode),
    queueTime: encodeTimestamp(waiter.queuedAtWallMs),
    absent: false,
  };
}

export function encodeServerInfo(info: ServerInfo): ServerInfoMessage {
  const { store } = info;
  return {
    version: info.version,
    instanceId: info.instanceId,
    store: store.kind === 'redis' ? StoreKind.STORE_KIND_REDIS : StoreKind.STORE_KIND_MEMORY,
    serving: store.usable,
    reign: store.reign,
    epoch: BigInt(store.epoch),
    quarantineRemaining:
      store.quarantineRemainingMs > 0 ? encodeDuration(store.quarantineRemainingMs) : undefined,
    rollCall: store.kind === 'redis' ? encodeRollCall(store.rollCall) : undefined,
    defaultDurability: encodeDurability(info.minAcks),
    smallestAdvisableTtl:
      info.smallestAdvisableTtlMs === undefined ? undefined : encodeDuration(info.smallestAdvisableTtlMs),
    limits: {
      minTtl: encodeDuration(LIMITS.minTtlMs),
      maxTtl: encodeDuration(info.maxTtlMs),
      defaultTtl: encodeDuration(info.defaultTtlMs),
      maxMinHold: encodeDuration(LIMITS.minHoldMs),
      maxMaxHold: encodeDuration(LIMITS.maxHoldMs),
      maxWait: encodeDuration(LIMITS.unaryWaitMs),
      maxResourceBytes: LIMITS.resourceBytes,
      maxOwnerBytes: LIMITS.ownerBytes,
      maxMetadataEntries: LIMITS.metadataEntries,
      maxMetadataKeyBytes: LIMITS.metadataKeyChars,
      maxMetadataValueBytes: LIMITS.metadataValueBytes,
      maxMetadataBytes: LIMITS.metadataTotalBytes,
      maxPermitsLimit: LIMITS.permits,
      maxAcquireMany: LIMITS.acquireMany,
      maxKeepAliveLeases: LIMITS.keepAliveLeases,
      maxQueueLength: LIMITS.waitersPerResource,
      maxRequestBytes: info.maxMessageBytes,
      maxPageSize: LIMITS.largestPage,
      defaultPageSize: LIMITS.defaultPage,
      maxPayloadBytes: info.maxPayloadBytes,
      maxClaimOperations: LIMITS.claimedOperations,
      defaultHeartbeatTimeout: encodeDuration(info.defaultTtlMs),
      maxMaxAttempts: LIMITS.maxAttempts,
      defaultMaxAttempts: LIMITS.defaultMaxAttempts,
      maxRetention: encodeDuration(LIMITS.retentionMs),
      defaultRetention: encodeDuration(LIMITS.defaultRetentionMs),
      maxOperationTimeToLive: encodeDuration(LIMITS.timeToLiveMs),
    },
  };
}

export function encodeDurability(replicas: number): Durability {
  if (replicas === 0) return { level: { $case: 'asynchronous', value: {} } };
  return { level: { $case: 'replicated', value: { minAcks: replicas } } };
}

export function encodeMode(mode: Mode): LockHolder['mode'] {
  switch (mode.kind) {
    case 'exclusive':
      return { $case: 'exclusive', value: {} };
    case 'shared':
      return { $case: 'shared', value: {} };
    case 'permits':
      return { $case: 'permits', value: { permits: mode.permits, limit: mode.limit } };
  }
}

function encodeRollCall(status: RollCallStatus): RollCall {
  const { enabled, newcomerRemainingMs, fullQuarantineRemainingMs, missing, missingCount, lastEnd } = status;
  return {
    enabled,
    newcomerRemaining: newcomerRemainingMs > 0 ? encodeDuration(newcomerRemainingMs) : undefined,
    fullQuarantineRemaining:
      fullQuarantineRemainingMs > 0 ? encodeDuration(fullQuarantineRemainingMs) : undefined,
    missingInstances: missing.map(({ instanceId, host, unseenMs }) => ({
      instanceId,
      host,
      unseen: encodeDuration(unseenMs),
    })),
    missingCount,
    lastQuarantineEnd: lastEnd && {
      how: lastEnd.how === 'early' ? QuarantineEnd_How.HOW_EARLY : QuarantineEnd_How.HOW_FULL,
      why: lastEnd.why,
      took: encodeDuration(lastEnd.tookMs),
    },
  };
}
