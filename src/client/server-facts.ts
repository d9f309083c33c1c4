// What a server says about itself, in plain values.

import type { GetServerInfoResponse } from '../../generated/leasehold/v1/lock_service.ts';
import {
  QuarantineEnd_How,
  type RollCall,
  type ServerInfo as ServerInfoMessage,
  StoreKind,
} from '../../generated/leasehold/v1/server_info.ts';
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
  /** Undefined for a store in memory, and for a server that knows of none. */
  readonly rollCall: RollCallFacts | undefined;
}

/** How it stands with the roll call, which ends a quarantine early. */
export interface RollCallFacts {
  readonly enabled: boolean;
  /** For how long the server answers nothing yet, because it has just registered; undefined: it answers. */
  readonly newcomerRemainingMs: number | undefined;
  /**
   * Until the quarantine would end without a roll call, which repeats of calls from before it wait for; undefined when
   * that is over.
   */
  readonly fullQuarantineRemainingMs: number | undefined;
  /** Some of the servers that have not answered the present roll call, and for how long they were not seen. */
  readonly missingInstances: readonly {
    readonly instanceId: string;
    readonly host: string;
    readonly unseenMs: number;
  }[];
  readonly missingCount: number;
  /** How the last quarantine ended that the server has seen; undefined before the first. */
  readonly lastQuarantineEnd:
    | { readonly how: 'early' | 'full' | 'unknown'; readonly why: string; readonly tookMs: number }
    | undefined;
}

export async function serverInfo(caller: Caller, options?: CallOptions): Promise<ServerInfo> {
  const { info } = await caller.answer<GetServerInfoResponse>(
    ({ locks }, metadata, call, callback) => locks.getServerInfo({}, metadata, call, callback),
    options,
  );
  return factsOf(info);
}

export function factsOf(info: ServerInfoMessage | undefined): ServerInfo {
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
    rollCall: info?.rollCall && rollCallFacts(info.rollCall),
  };
}

function rollCallFacts(rollCall: RollCall): RollCallFacts {
  const { enabled, missingInstances, missingCount, lastQuarantineEnd: end } = rollCall;
  return {
    enabled,
    newcomerRemainingMs: msOf(rollCall.newcomerRemaining),
    fullQuarantineRemainingMs: msOf(rollCall.fullQuarantineRemaining),
    missingInstances: missingInstances.map(({ instanceId, host, unseen }) => ({
      instanceId,
      host,
      unseenMs: msOf(unseen) ?? 0,
    })),
    missingCount,
    lastQuarantineEnd: end && { how: howOf(end.how), why: end.why, tookMs: msOf(end.took) ?? 0 },
  };
}

function howOf(how: QuarantineEnd_How): 'early' | 'full' | 'unknown' {
  if (how === QuarantineEnd_How.HOW_EARLY) return 'early';
  return how === QuarantineEnd_How.HOW_FULL ? 'full' : 'unknown';
}
