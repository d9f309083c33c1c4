// Requests to list and to watch locks, as domain values. Checks every field, by the domain's rules.

import { LockState as LockStateMessage } from '../../generated/leasehold/v1/lock.ts';
import type {
  ListContendedLocksRequest,
  ListLocksRequest,
  WatchLocksRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { LIMITS } from '../domain/limits.ts';
import type { ListRequest } from '../service/lock-service.ts';
import type { WatchFilter } from '../service/watch-index.ts';
import { Violations } from './violations.ts';

export function decodeListLocks(request: ListLocksRequest): ListRequest {
  const violations = new Violations();
  const listing = {
    prefix: violations.resourcePrefix('resource_prefix', request.resourcePrefix),
    owner: violations.owner('owner', request.owner),
    states: decodeStates(violations, request.states),
    most: violations.pageSize('page_size', request.pageSize),
    pageToken: request.pageToken,
  };
  violations.refuse();
  return listing;
}

// A request may ask for FREE, but free locks are never listed: FREE alone leaves no state.
function decodeStates(violations: Violations, states: readonly LockStateMessage[]): ListRequest['states'] {
  const wanted = new Set<ListRequest['states'][number]>();
  for (const [index, state] of states.entries()) {
    if (state === LockStateMessage.LOCK_STATE_HELD) wanted.add('held');
    else if (state === LockStateMessage.LOCK_STATE_MIN_HOLD) wanted.add('min-hold');
    else if (state !== LockStateMessage.LOCK_STATE_FREE) {
      violations.note(`states[${index}]`, `must be a known state, is ${state}`);
    }
  }
  return states.length === 0 ? ['held', 'min-hold'] : [...wanted];
}

/** How many locks to list. */
export function decodeListContendedLocks({ limit }: ListContendedLocksRequest): number {
  const violations = new Violations();
  if (limit < 0) violations.note('limit', `must not be negative, is ${limit}`);
  violations.refuse();
  return limit === 0 ? LIMITS.defaultContended : Math.min(limit, LIMITS.mostContended);
}

export function decodeWatchLocks({ resources, resourcePrefix }: WatchLocksRequest): WatchFilter {
  const violations = new Violations();
  if (resources.length === 0) {
    const prefix = violations.resourcePrefix('resource_prefix', resourcePrefix);
    violations.refuse();
    return { kind: 'prefix', prefix };
  }
  if (resourcePrefix !== '') violations.note('resource_prefix', 'must be empty when resources are named');
  if (resources.length > LIMITS.watchedResources) {
    violations.note(
      'resources',
      `must have at most ${LIMITS.watchedResources} entries, has ${resources.length}`,
    );
    violations.refuse();
  }
  const seen = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    violations.resource(`resources[${index}]`, resource);
    if (seen.has(resource)) violations.note(`resources[${index}]`, 'is named twice');
    seen.add(resource);
  }
  violations.refuse();
  return { kind: 'names', names: resources };
}
