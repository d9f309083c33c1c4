// Opens the store that the configuration names. Nothing else in the server knows the implementations.

import { hostname } from 'node:os';
import type { Config, RedisConfig } from '../config/config.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import type { Clock } from '../domain/clock.ts';
import type { Identity } from '../domain/inheritance.ts';
import { MemoryStore } from '../store/memory/memory-store.ts';
import { type RedisDeployment, RedisStore } from '../store/redis/redis-store.ts';
import type { Store, StoreObserver } from '../store/store.ts';

export interface OpenStoreOptions {
  readonly config: Config;
  readonly instanceId: string;
  readonly identity: Identity | undefined;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly observer: StoreObserver;
}

/** Does not wait for Redis: the store says by its status when it is usable. */
export function openStore({
  config,
  instanceId,
  identity,
  clock,
  random,
  observer,
}: OpenStoreOptions): Store {
  const { redis, locks } = config;
  if (!redis) return new MemoryStore({ clock, observer, instanceId, maxTtlMs: locks.maxTtlMs });
  return new RedisStore({
    deployment: deploymentOf(redis, instanceId, observer),
    instanceId,
    connection: redisConnection(redis, `leasehold-${instanceId}`, observer),
    keyPrefix: redis.keyPrefix,
    maxTtlMs: locks.maxTtlMs,
    maxInFlight: redis.maxInFlight,
    minAcks: redis.minAcks,
    quarantine: redis.quarantine === 'on',
    bootstrapNew: redis.bootstrap === 'new',
    rollCall: redis.rollCall === 'on',
    maxToldLeases: redis.maxToldLeases,
    hostName: hostname(),
    identity,
    allowEvictionPolicy: redis.allowEvictionPolicy,
    clock,
    observer,
    random,
  });
}

function deploymentOf(redis: RedisConfig, instanceId: string, observer: StoreObserver): RedisDeployment {
  if (redis.kind === 'single') return { kind: 'single', address: redis.address };
  return {
    kind: 'sentinel',
    masterName: redis.masterName,
    sentinels: redis.sentinels,
    sentinelConnection: sentinelConnection(redis, `leasehold-${instanceId}`, observer),
  };
}
