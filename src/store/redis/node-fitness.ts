// What a node must be like for an instance to use it at all, whatever its role is now: no retry helps an unfit one.
// Owns the words for people. primary-keeper.ts reads the node, and refuses it.

import type { NodeInfo } from './info.ts';

const OLDEST_MAJOR = 7;

const IS_A_SENTINEL =
  'redis.address names a Sentinel, not a Redis: set redis.failover_cluster to true and redis.master_name, ' +
  'or give the address of the Redis';

/** Why the node can't be used; '' if it is fit. */
export function unfitness(node: NodeInfo, allowEvictionPolicy: string | undefined): string {
  if (node.mode === 'sentinel') return IS_A_SENTINEL;
  // A replica is not judged: the Sentinels may name the next primary in a moment, and a retry will find it.
  if (node.role !== 'master') return '';
  if (Number.parseInt(node.version, 10) < OLDEST_MAJOR) {
    return `Redis ${node.version} is too old: Leasehold needs 7.0 or newer`;
  }
  const policy = node.maxmemoryPolicy;
  if (policy === '' || policy === 'noeviction' || policy === allowEvictionPolicy) return '';
  return (
    `maxmemory-policy is ${policy}, which lets Redis drop leases: ` +
    'set it to noeviction, or name it in redis.allow_eviction_policy'
  );
}

/**
 * The same for a node that did not let this instance connect; '' if a retry can help. A Sentinel has no databases, so
 * it refuses the one that was chosen before it could be asked what it is.
 */
export function unfitnessShownBy(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /unknown command .?select\b/i.test(text) ? IS_A_SENTINEL : '';
}
