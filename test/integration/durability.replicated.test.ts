// Durability `replicated`: what an answer confirms is on the replicas, and what doesn't reach them is not confirmed.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AtRiskReason } from '../../generated/leasehold/v1/lease_events.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { hold, validForMs } from '../support/lease-stream.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { clusterEnvironment, duration, startInstance, TestClient } from '../support/test-instance.ts';

const MASTER_NAME = 'durable';
const DOWN_AFTER_MS = 5_000; // longer than any freeze here
const ASYNC = { level: { $case: 'asynchronous', value: {} } };
const onReplicas = (minAcks: number) => ({ level: { $case: 'replicated' as const, value: { minAcks } } });
const MAX_TTL_MS = 40_000;

let cluster: SentinelCluster;
const rigs: { instance: Instance; client: TestClient }[] = [];

async function startRig(overrides: Readonly<Record<string, string>>) {
  const environment = {
    ...clusterEnvironment(cluster, MASTER_NAME),
    LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
  };
  const instance = await startInstance({ ...environment, ...overrides });
  const client = new TestClient(instance.address);
  rigs.push({ instance, client });
  await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 20_000 });
  return { instance, client };
}

const frozen = async (count: number, work: () => Promise<void>): Promise<void> => {
  const primary = await cluster.primary();
  const replicas = cluster.nodes.filter((node) => node !== primary).slice(0, count);
  await Promise.all(replicas.map((node) => node.process.pause()));
  try {
    await work();
  } finally {
    await Promise.all(replicas.map((node) => node.process.resume()));
  }
};

const refusal = async (call: Promise<unknown>): Promise<CallError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError)) throw new Error(`no error status where one is promised: ${error}`);
  return error;
};

async function waitsSent(): Promise<number> {
  const { process } = await cluster.primary();
  const stats = await process.client().info('commandstats');
  return Number(/cmdstat_wait:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

beforeAll(async () => {
  cluster = await SentinelCluster.start({ masterName: MASTER_NAME, downAfterMs: DOWN_AFTER_MS });
}, 60_000);

afterAll(async () => {
  for (const { instance, client } of rigs) {
    client.close();
    await instance.stop();
  }
  await cluster?.stop();
});

beforeEach(async () => {
  await cluster?.waitUntilInSync(30_000);
});

describe('an asynchronous server', () => {
  let client: TestClient;

  beforeAll(async () => {
    ({ client } = await startRig({}));
  }, 60_000);

  test('an asynchronous server asks no replica, unless a request wants it', async () => {
    const before = await waitsSent();
    expect((await client.acquire({ resource: 'plain' })).lease?.achievedDurability).toEqual(ASYNC);
    expect(await waitsSent()).toBe(before);
    // 0 stands for the server's own number, which is 1.
    for (const [minAcks, achieved] of [
      [0, 1],
      [2, 2],
    ] as const) {
      const durability = onReplicas(minAcks);
      const { lease } = await client.acquire({ resource: `wanted-${minAcks}`, durability });
      expect(lease?.achievedDurability?.level).toMatchObject({ $case: 'replicated' });
      const got = lease?.achievedDurability?.level;
      expect(got?.$case === 'replicated' && got.value.minAcks).toBeGreaterThanOrEqual(achieved);
    }
    expect((await client.getServerInfo()).info?.defaultDurability).toEqual(ASYNC);
  });

  test('a stream keeps the durability of its request', async () => {
    const held = hold(client, { resource: 'stream', ttl: duration(2_000), durability: onReplicas(2) });
    expect((await held.event('granted')).achievedDurability).toEqual(onReplicas(2));
    expect((await held.event('renewed', { count: 2 })).achievedDurability).toEqual(onReplicas(2));
    held.call.cancel();
  });
});

describe('every answer on both replicas', () => {
  let client: TestClient;

  beforeAll(async () => {
    const environment = { LEASEHOLD_REDIS_DURABILITY: 'replicated', LEASEHOLD_REDIS_MIN_ACKS: '2' };
    ({ client } = await startRig(environment));
  }, 60_000);

  test('an answer says which durability was achieved, and GetServerInfo says the default', async () => {
    const { lease } = await client.acquire({ resource: 'said' });
    expect(lease?.achievedDurability).toEqual(onReplicas(2));
    expect((await client.getServerInfo()).info?.defaultDurability).toEqual(onReplicas(2));
    const held = hold(client, { resource: 'said-by-stream', ttl: duration(2_000) });
    expect((await held.event('renewed', { count: 2 })).achievedDurability).toEqual(onReplicas(2));
    held.call.cancel();
  });

  test('256 callers share their WAITs', async () => {
    const before = await waitsSent();
    await Promise.all(Array.from({ length: 256 }, (_, i) => client.acquire({ resource: `many-${i}` })));
    const sent = (await waitsSent()) - before;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(128);
  });

  test('a request for more replicas than exist is refused and holds up no other call', async () => {
    const many = refusal(client.acquire({ resource: 'too-many', durability: onReplicas(3) }));
    for (let i = 0; i < 5; i++) await client.acquire({ resource: `meanwhile-${i}` });
    let isOver = false;
    void many.then(() => {
      isOver = true;
    });
    await Promise.resolve();
    expect(isOver).toBe(false);
    expect((await many).reason).toBe('DURABILITY_UNMET');
  });

  test('with one frozen replica nothing is granted as if it were safe, no call hangs, and a repeat finds the lease', async () => {
    const leaseId = randomUUID();
    const resource = 'frozen';
    await frozen(1, async () => {
      const startedMs = performance.now();
      const error = await refusal(client.acquire({ resource, leaseId }));
      expect(error).toMatchObject({ code: 14, reason: 'DURABILITY_UNMET' });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      expect(performance.now() - startedMs).toBeLessThan(2_500);
      // A repeat of what is recorded by now isn't confirmed either, nor is its release.
      expect((await refusal(client.acquire({ resource, leaseId }))).reason).toBe('DURABILITY_UNMET');
      expect((await refusal(client.release({ resource, leaseId: randomUUID() }))).reason).toBe(
        'DURABILITY_UNMET',
      );
      // A refusal confirms nothing that a failover could lose.
      expect((await refusal(client.acquire({ resource }))).reason).toBe('LOCK_CONTENDED');
    });
    const { lease } = await client.acquire({ resource, leaseId });
    expect(lease?.achievedDurability).toEqual(onReplicas(2));
  });

  test('a holder gets at_risk while replicas are missing, its deadline stands, and renewals go on afterwards', {
    timeout: 30_000,
  }, async () => {
    const held = hold(client, { resource: 'at-risk', ttl: duration(12_000) });
    await held.event('renewed');
    await frozen(1, async () => {
      const told = held.all('renewed').length;
      expect((await held.event('atRisk')).reason).toBe(AtRiskReason.AT_RISK_REASON_DURABILITY_UNMET);
      expect(held.all('renewed').length).toBeLessThanOrEqual(told + 1); // one renewal may have been on its way
    });
    const before = held.all('renewed');
    const next = await held.event('renewed', { count: before.length + 1 });
    expect(validForMs(next)).toBeGreaterThan(Math.max(...before.map(validForMs)));
    held.call.cancel();
  });

  test('a waiter gets its grant only when the replicas have it', async () => {
    const resource = 'queued';
    const leaseId = randomUUID();
    await client.acquire({ resource, leaseId });
    const waiting = hold(client, { resource }, { $case: 'waitForever', value: true });
    await waiting.event('queued');
    await frozen(1, async () => {
      expect((await refusal(client.release({ resource, leaseId }))).reason).toBe('DURABILITY_UNMET');
      expect(waiting.all('granted')).toEqual([]);
    });
    expect((await waiting.event('granted')).achievedDurability).toEqual(onReplicas(2));
    waiting.call.cancel();
  });

  test('when the primary is killed right after the answers, no lease is forgotten', {
    timeout: 90_000,
  }, async () => {
    const leases = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const leaseId = randomUUID();
        const resource = `kept-${i}`;
        const { lease } = await client.acquire({ resource, leaseId, ttl: duration(MAX_TTL_MS) });
        return { resource, leaseId, fencingToken: lease?.fencingToken ?? 0n };
      }),
    );
    const old = await cluster.primary();
    await old.process.kill();
    await cluster.waitForNewPrimary(old, 30_000);
    // Until the old primary is back, only one of the two replicas that must have every answer is there. When it is
    // back, it takes itself for a primary until a Sentinel makes it a replica, some 10 s later.
    await old.process.start();
    const renewed = async (lease: (typeof leases)[number]): Promise<unknown> => {
      try {
        return (await client.renew(lease)).lease?.fencingToken === lease.fencingToken;
      } catch (error) {
        return error instanceof CallError && error.code === 14 ? false : String(error);
      }
    };
    for (const lease of leases) {
      const outcome = await eventually(() => renewed(lease), { what: 'a renewal', withinMs: 30_000 });
      expect(outcome).toBe(true);
    }
  });
});
