// Which operations a listing or a watch is about: the filter, and the one place where stores and service apply it.

import type { Operation, OperationState } from './operation.ts';

/** A part that is undefined or empty restricts nothing. */
export interface OperationFilter {
  readonly resource?: string | undefined;
  readonly resourcePrefix?: string | undefined;
  readonly types: readonly string[];
  readonly states: readonly OperationState[];
  readonly owner?: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly createdFromWallMs?: number | undefined;
  readonly createdBeforeWallMs?: number | undefined;
  readonly updatedFromWallMs?: number | undefined;
  readonly updatedBeforeWallMs?: number | undefined;
}

/** The fields that a filter looks at. */
export type Filtered = Pick<
  Operation,
  'resource' | 'type' | 'state' | 'owner' | 'labels' | 'createdAtWallMs' | 'updatedAtWallMs'
>;

/** Whether the operation meets every part of the filter. */
export function fits(operation: Filtered, filter: OperationFilter): boolean {
  const { resource, resourcePrefix, types, states, owner, labels } = filter;
  return (
    (resource === undefined || operation.resource === resource) &&
    (resourcePrefix === undefined || operation.resource.startsWith(resourcePrefix)) &&
    (types.length === 0 || types.includes(operation.type)) &&
    (states.length === 0 || states.includes(operation.state)) &&
    (owner === undefined || operation.owner === owner) &&
    [...labels].every(([key, value]) => operation.labels.get(key) === value) &&
    isBetween(operation.createdAtWallMs, filter.createdFromWallMs, filter.createdBeforeWallMs) &&
    isBetween(operation.updatedAtWallMs, filter.updatedFromWallMs, filter.updatedBeforeWallMs)
  );
}

function isBetween(atMs: number, fromMs: number | undefined, beforeMs: number | undefined): boolean {
  return (fromMs === undefined || atMs >= fromMs) && (beforeMs === undefined || atMs < beforeMs);
}
