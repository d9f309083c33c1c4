// The options of an operation and of a filter for operations, and the requests that they become.

import type { OperationFilter } from '../../generated/leasehold/v1/operation.ts';
import { BeginOperationRequest } from '../../generated/leasehold/v1/operation_store_service.ts';
import { encodePayload } from './core/json-payload.ts';
import { type LeaseOptions, specOf } from './lease-options.ts';
import { countOf, instantOf, spanOf } from './number-options.ts';
import { OPERATION_STATES, type OperationState } from './operation-view.ts';

export interface BeginOptions {
  /** The kind of work, by which workers claim it; `run` by default. */
  readonly type?: string | undefined;
  /** What a worker needs to know: JSON, or a RawPayload. A repeat must have the same. */
  readonly data?: unknown;
  /** Filters find the operation by them. A repeat must have the same. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Tells people who runs it; the client's `owner` by default. */
  readonly owner?: string | undefined;
  /** How long an attempt may be silent before another worker may take the operation over, in milliseconds. */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How long the operation may take, in milliseconds, before it becomes DEAD. */
  readonly timeToLiveMs?: number | undefined;
  /** How many attempts may be lost before the operation becomes DEAD. */
  readonly maxAttempts?: number | undefined;
  /** Whether it must be the only open operation of its resource. */
  readonly exclusive?: boolean | undefined;
  /** Makes every attempt also hold the lock of the resource, under the same token. */
  readonly lock?: boolean | LeaseOptions | undefined;
  /** How long the finished record stays, in milliseconds: one number, or one for each way to end. */
  readonly retentionMs?:
    | number
    | { readonly [state in 'succeeded' | 'failed' | 'cancelled' | 'dead']?: number | undefined }
    | undefined;
}

export interface FilterOptions {
  readonly resource?: string | undefined;
  readonly prefix?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly states?: readonly Exclude<OperationState, 'unknown'>[] | undefined;
  /** Only operations that exactly this owner runs, or ran last. */
  readonly owner?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdBefore?: Date | undefined;
  readonly updatedFrom?: Date | undefined;
  readonly updatedBefore?: Date | undefined;
}

/** With an empty `claimId` the operation waits for a worker. */
export function beginRequestOf(
  resource: string,
  operationId: string,
  options: BeginOptions,
  { owner, claimId }: { readonly owner: string; readonly claimId: string },
): BeginOperationRequest {
  const { lock, retentionMs, data } = options;
  const retention = typeof retentionMs === 'object' ? retentionMs : everyState(retentionMs);
  const spec = lock ? { ...specOf(resource, lock === true ? {} : lock, ''), leaseId: '' } : undefined;
  return BeginOperationRequest.fromPartial({
    resource,
    operationId,
    type: options.type ?? 'run',
    data: data === undefined ? undefined : encodePayload(data),
    labels: new Map(Object.entries(options.labels ?? {})),
    claimId,
    owner: options.owner ?? owner,
    heartbeatTimeout: spanOf('heartbeatTimeoutMs', options.heartbeatTimeoutMs),
    timeToLive: spanOf('timeToLiveMs', options.timeToLiveMs),
    lock: spec,
    maxAttempts: countOf('maxAttempts', options.maxAttempts, 1) ?? 0,
    exclusive: options.exclusive ?? false,
    retention: retention && {
      succeeded: spanOf('retentionMs.succeeded', retention.succeeded),
      failed: spanOf('retentionMs.failed', retention.failed),
      cancelled: spanOf('retentionMs.cancelled', retention.cancelled),
      dead: spanOf('retentionMs.dead', retention.dead),
    },
  });
}

export function filterOf(filter: FilterOptions): OperationFilter {
  return {
    resource: filter.resource ?? '',
    resourcePrefix: filter.prefix ?? '',
    types: [...(filter.types ?? [])],
    states: (filter.states ?? []).map((state) => OPERATION_STATES[state]),
    owner: filter.owner ?? '',
    labels: new Map(Object.entries(filter.labels ?? {})),
    createdFrom: instantOf('createdFrom', filter.createdFrom),
    createdBefore: instantOf('createdBefore', filter.createdBefore),
    updatedFrom: instantOf('updatedFrom', filter.updatedFrom),
    updatedBefore: instantOf('updatedBefore', filter.updatedBefore),
  };
}

function everyState(ms: number | undefined) {
  spanOf('retentionMs', ms); // by the name that the caller wrote
  return ms === undefined ? undefined : { succeeded: ms, failed: ms, cancelled: ms, dead: ms };
}
