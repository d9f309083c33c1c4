// Requests to list and to watch operations, as domain values. Checks every field, by the domain's rules.

import {
  type OperationFilter as FilterMessage,
  OperationState,
} from '../../generated/leasehold/v1/operation.ts';
import type {
  ListOperationsRequest as ListMessage,
  WatchOperationsRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { OperationState as State } from '../domain/operation.ts';
import type { OperationFilter } from '../domain/operation-filter.ts';
import type { ListOperationsRequest } from '../service/operation-service.ts';
import { decodeTimestamp } from './durations.ts';
import { Violations } from './violations.ts';

export interface WatchInput {
  readonly filter: OperationFilter;
  readonly withPayloads: boolean;
}

const STATES = new Map<OperationState, State>([
  [OperationState.OPERATION_STATE_PENDING, 'pending'],
  [OperationState.OPERATION_STATE_RUNNING, 'running'],
  [OperationState.OPERATION_STATE_SUCCEEDED, 'succeeded'],
  [OperationState.OPERATION_STATE_FAILED, 'failed'],
  [OperationState.OPERATION_STATE_CANCELLED, 'cancelled'],
  [OperationState.OPERATION_STATE_DEAD, 'dead'],
]);

/** No restriction. */
export const ALL_OPERATIONS: OperationFilter = { types: [], states: [], labels: new Map() };

export function decodeList(message: ListMessage): ListOperationsRequest {
  const violations = new Violations();
  const { pageToken, withPayloads } = message;
  const request = {
    filter: decodeFilter(violations, message.filter),
    most: violations.pageSize('page_size', message.pageSize),
    withPayloads,
    pageToken,
  };
  violations.refuse();
  return request;
}

export function decodeWatch({ filter, withPayloads }: WatchOperationsRequest): WatchInput {
  const violations = new Violations();
  const input = { filter: decodeFilter(violations, filter), withPayloads };
  violations.refuse();
  return input;
}

/** Fields are named below `filter`. */
function decodeFilter(violations: Violations, filter: FilterMessage | undefined): OperationFilter {
  if (!filter) return ALL_OPERATIONS;
  const time = (field: string, sent: FilterMessage['createdFrom']): number | undefined => {
    const wallMs = decodeTimestamp(sent);
    if (Number.isNaN(wallMs)) violations.note(`filter.${field}`, 'must be a valid Timestamp');
    return wallMs;
  };
  const { resource, resourcePrefix, owner } = filter;
  return {
    resource: resource === '' ? undefined : violations.resource('filter.resource', resource),
    resourcePrefix:
      resourcePrefix === '' ? undefined : violations.resourcePrefix('filter.resource_prefix', resourcePrefix),
    types: violations.types('filter.types', filter.types, 0),
    states: decodeStates(violations, filter.states),
    owner: owner === '' ? undefined : violations.owner('filter.owner', owner),
    labels: violations.metadata('filter.labels', filter.labels),
    createdFromWallMs: time('created_from', filter.createdFrom),
    createdBeforeWallMs: time('created_before', filter.createdBefore),
    updatedFromWallMs: time('updated_from', filter.updatedFrom),
    updatedBeforeWallMs: time('updated_before', filter.updatedBefore),
  };
}

function decodeStates(violations: Violations, states: readonly OperationState[]): readonly State[] {
  const known = new Set<State>();
  for (const [index, sent] of states.entries()) {
    const state = STATES.get(sent);
    if (state) known.add(state);
    else violations.note(`filter.states[${index}]`, 'must be a known state, and not unspecified');
  }
  return [...known];
}
