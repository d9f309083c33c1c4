// Which operations a listing or a watch means: the one place where a filter is read, for both stores and the service.

import type { Operation, OperationFilter } from './operation.ts';

/** What a filter looks at. */
export type Filtered = Pick<
  Operation,
  'resource' | 'type' | 'state' | 'owner' | 'labels' | 'createdAtWallMs' | 'updatedAtWallMs'
>;

/** Whether all that the filter names is met. */
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
