// Domain values as the messages that callers read: leases, holders, locks, server info.

import type { Durability, Lease as LeaseMessage } from '../../generated/leasehold/v1/lease.ts';
import { type Lock, type LockHolder, LockState, type LockWaiter } from '../../generated/leasehold/v1/lock.ts';
import { type ServerInfo as ServerInfoMessage, StoreKind } from '../../generated/leasehold/v1/server_info.ts';
import { LIMITS } from '../domain/limits.ts';
import type { Holder, LockView, Mode, Waiter } from '../domain/lock.ts';
import type { GrantedLease } from '../service/lock-service.ts';
import type { ServerInfo } from '../service/server-info.ts';
import { encodeDuration, encodeTimestamp } from './durations.ts';

export function encodeLease({ lease, validForMs }: GrantedLease): LeaseMessage {
  return {
    resource: lease.resource,
    leaseId: lease.leaseId,
    fencingToken: lease.fencingToken,
    validFor: encodeDuration(validForMs),
    expireTime: encodeTimestamp(lease.expiresAtWallMs),
    achievedDurability: encodeDurability(lease.replicas ?? 0),
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
  const held = view.holders.length > 0;
  const minHold = view.minHoldRemainingMs > 0;
  const free = minHold ? LockState.LOCK_STATE_MIN_HOLD : LockState.LOCK_STATE_FREE;
  return {
    resource: view.resource,
    state: held ? LockState.LOCK_STATE_HELD : free,
    holders: view.holders.slice(0, LIMITS.listedPerLock).map(encodeHolder),
    holderCount: view.holders.length,
    waiters: view.waiters.map(encodeWaiter),
    waiterCount: view.queueLength,
    ...permitsOf(view),
    minHoldRemaining: minHold ? encodeDuration(view.minHoldRemainingMs) : undefined,
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

function permitsOf({ holders }: LockView): { permitsHeld: number; permitsLimit: number } {
  let [permitsHeld, permitsLimit] = [0, 0];
  for (const { mode } of holders) {
    if (mode.kind !== 'permits') continue;
    permitsHeld += mode.permits;
    permitsLimit = permitsLimit === 0 ? mode.limit : Math.min(permitsLimit, mode.limit);
  }
  return { permitsHeld, permitsLimit };
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
      // Zero and unset: nothing of these is served.

      maxPageSize: 0,
      defaultPageSize: 0,
      maxPayloadBytes: 0,
      maxClaimOperations: 0,
      defaultHeartbeatTimeout: undefined,
      maxMaxAttempts: 0,
      defaultMaxAttempts: 0,
      maxRetention: undefined,
      defaultRetention: undefined,
      maxOperationTimeToLive: undefined,
    },
  };
}

function encodeDurability(replicas: number): Durability {
  if (replicas === 0) return { level: { $case: 'asynchronous', value: {} } };
  return { level: { $case: 'replicated', value: { minAcks: replicas } } };
}

function encodeMode(mode: Mode): LockHolder['mode'] {
  switch (mode.kind) {
    case 'exclusive':
      return { $case: 'exclusive', value: {} };
    case 'shared':
      return { $case: 'shared', value: {} };
    case 'permits':
      return { $case: 'permits', value: { permits: mode.permits, limit: mode.limit } };
  }
}
