// What a server says about itself, in plain values.

import type { GetServerInfoResponse } from '../../generated/leasehold/v1/lock_service.ts';
import { StoreKind } from '../../generated/leasehold/v1/server_info.ts';
import type { Caller, CallOptions } from './client-calls.ts';
import { msOf } from './core/time-spans.ts';

export interface ServerInfo {
  readonly version: string;
  readonly instanceId: string;
  readonly store: 'memory' | 'redis' | 'unknown';
  /** Whether the store is usable and confirmed, which it also is during a quarantine. */
  readonly serving: boolean;
  readonly reign: string;
  /** How long the server still grants nothing; undefined where there is no quarantine. */
  readonly quarantineRemainingMs: number | undefined;
  readonly smallestAdvisableTtlMs: number | undefined;
  readonly minTtlMs: number | undefined;
  readonly maxTtlMs: number | undefined;
  readonly defaultTtlMs: number | undefined;
  readonly maxPayloadBytes: number | undefined;
}

export async function serverInfo(caller: Caller, options?: CallOptions): Promise<ServerInfo> {
  const { info } = await caller.answer<GetServerInfoResponse>(
    ({ locks }, metadata, call, callback) => locks.getServerInfo({}, metadata, call, callback),
    options,
  );
  const store = info?.store;
  return {
    version: info?.version ?? '',
    instanceId: info?.instanceId ?? '',
    store:
      store === StoreKind.STORE_KIND_MEMORY
        ? 'memory'
        : store === StoreKind.STORE_KIND_REDIS
          ? 'redis'
          : 'unknown',
    serving: info?.serving ?? false,
    reign: info?.reign ?? '',
    quarantineRemainingMs: msOf(info?.quarantineRemaining),
    smallestAdvisableTtlMs: msOf(info?.smallestAdvisableTtl),
    minTtlMs: msOf(info?.limits?.minTtl),
    maxTtlMs: msOf(info?.limits?.maxTtl),
    defaultTtlMs: msOf(info?.limits?.defaultTtl),
    maxPayloadBytes: info?.limits?.maxPayloadBytes,
  };
}
