// A lease that only the dying primary has: its replicas are cut off a moment before it is granted. So the next primary
// has never heard of it, and its holder renews it there: the servers must have put it back. Owns the lease and what
// became of it.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../src/client/core/call-error.ts';
import type { ClusterMember, SentinelCluster } from '../../test/support/redis/sentinel-cluster.ts';
import { duration, type TestClient } from '../../test/support/test-instance.ts';
import { TTL_MS } from './demo-deployment.ts';
import type { Belief } from './journal.ts';

const RESOURCE = 'month-end';
const NAME = 'latecomer';
const RENEW_EVERY_MS = 200;

export interface LateLease {
  readonly belief: Belief;
  readonly leaseId: string;
}

/**
 * Freezes the replicas and closes their connections, so that not even the buffers of the kernel have what comes next;
 * then takes the lease, and kills the primary. Returns when the replicas go on.
 */
export async function grantThenKill(
  cluster: SentinelCluster,
  primary: ClusterMember,
  client: TestClient,
): Promise<LateLease> {
  const replicas = cluster.nodes.filter((node) => node !== primary);
  await Promise.all(replicas.map(({ process }) => process.pause()));
  try {
    await primary.process.withClient((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'replica'));
    const leaseId = randomUUID();
    const spec = { resource: RESOURCE, leaseId, owner: NAME, ttl: duration(TTL_MS) };
    const { lease } = await client.acquire(spec);
    const token = lease?.fencingToken ?? 0n;
    const belief = { worker: NAME, token, fromMs: performance.now(), untilMs: undefined };
    await primary.process.kill();
    return { belief, leaseId };
  } finally {
    await Promise.all(replicas.map(({ process }) => process.resume()));
  }
}

/** Renews until a server says yes or no. Returns the moment of the renewal; undefined: the lease is lost. */
export async function renewed(
  { belief, leaseId }: LateLease,
  clients: readonly TestClient[],
): Promise<number | undefined> {
  for (let call = 0; performance.now() < belief.fromMs + TTL_MS; call++) {
    try {
      const request = { resource: RESOURCE, leaseId, fencingToken: belief.token };
      await clients[call % clients.length]?.renew(request);
      return performance.now();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.reason === 'LEASE_LOST') return undefined;
    }
    await sleep(RENEW_EVERY_MS);
  }
  return undefined;
}

/** Gives it back. */
export async function giveBack(
  { belief, leaseId }: LateLease,
  client: TestClient | undefined,
): Promise<void> {
  await client?.release({ resource: RESOURCE, leaseId });
  belief.untilMs = performance.now();
}
