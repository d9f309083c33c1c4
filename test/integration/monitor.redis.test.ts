// What the monitor of an instance reads of a single Redis, and when it leaves it alone: Redis away, the setting that
// switches the monitor off, several server processes, and what it counts.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { NodeLines } from '../../src/deployment/node-lines.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { OperationCensus } from '../../src/monitoring/operation-census.ts';
import { type Ask, countLocks, LEASE_SAMPLE } from '../../src/store/redis/deployment-counts.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { MonitoredInstance } from '../support/monitored-instance.ts';
import { OperationClient } from '../support/operation-client.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';
import { startedWorkers } from '../support/worker-rig.ts';

async function started(
  atEnd: AtEnd,
  redis: RedisProcess,
  overrides: Readonly<Record<string, string>> = {},
): Promise<MonitoredInstance> {
  const monitored = await MonitoredInstance.start({ ...singleRedis(redis), ...overrides });
  atEnd(() => monitored.stop());
  await monitored.usable();
  return monitored;
}

/** The names of the connections that a monitor has to it. */
function monitorsOf(redis: RedisProcess): Promise<readonly string[]> {
  return redis.withClient(async (client) => {
    const list = String(await client.call('CLIENT', 'LIST'));
    return [...list.matchAll(/ name=(leasehold-monitor-\S+)/g)].map(([, name = '']) => name);
  });
}

function asking(atEnd: AtEnd, redis: RedisProcess): Ask {
  const lines = new NodeLines({
    settings: { connectTimeoutMs: 5_000, name: 'test' },
    clock: systemClock,
    timeoutMs: 5_000,
  });
  atEnd(() => lines.close());
  return (command, ...args) => lines.ask(redis.listens, command, ...args);
}

describe.concurrent('the monitor of a single Redis', { timeout: 60_000 }, () => {
  test('while Redis is away its collectors are down, its series go, and a scrape waits for nothing', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const monitored = await started(onTestFinished, redis);
    const node = `${redis.listens.host}:${redis.listens.port}`;
    for (const collector of ['info', 'latency', 'slowlog', 'counts']) {
      await monitored.shows('leasehold_collector_up', { collector }, [1]);
    }
    await monitored.shows('leasehold_redis_up', { node }, [1]);
    // There are no Sentinels, so nothing of them is there.
    expect(await monitored.instance.metricsText()).not.toMatch(
      /leasehold_sentinel_(up|events)|collector="events"/,
    );
    await redis.pause();
    await monitored.shows('leasehold_collector_up', {}, [0, 0, 0, 0]);
    const askedMs = performance.now();
    await monitored.instance.metricsText();
    expect(performance.now() - askedMs).toBeLessThan(1_000);
    await redis.resume();
    await monitored.shows('leasehold_collector_up', {}, [1, 1, 1, 1]);
    await redis.kill();
    await monitored.shows('leasehold_redis_up', { node }, [0]);
    await monitored.shows('leasehold_redis_memory_used_bytes', {}, []);
    await monitored.shows('leasehold_deployment_locks', {}, []);
    await redis.start();
    await monitored.shows('leasehold_redis_up', { node }, [1]);
    await monitored.shows('leasehold_deployment_locks', {}, [0]);
    // Of all that can't be read, the node's own trouble is told, once each time that it is another one.
    const told = monitored.lines.filter(({ msg }) => String(msg).startsWith("the monitor can't read all"));
    expect(new Set(told.map(({ collector }) => collector))).toEqual(new Set(['info']));
    expect(new Set(told.map(({ reason }) => reason)).size).toBeGreaterThanOrEqual(2);
    expect(told.length).toBeLessThan(8);
  });

  test('with monitoring.poll_interval off, an instance makes no connection for monitoring and shows none of its series', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const off = await started(onTestFinished, redis, { LEASEHOLD_MONITORING_POLL_INTERVAL: 'off' });
    const on = await started(onTestFinished, redis);
    await eventually(async () => (await monitorsOf(redis)).length > 0, {
      what: 'a monitor',
      withinMs: 15_000,
    });
    const id = on.logged('serving')[0]?.instanceId;
    expect(await monitorsOf(redis)).toEqual([`leasehold-monitor-${id}`]);
    expect(await off.instance.metricsText()).not.toMatch(/leasehold_(redis|sentinel|deployment|collector)_/);
  });

  test('several server processes have one monitor, that of their supervisor', async ({ onTestFinished }) => {
    const { rig, redis } = await startedWorkers(onTestFinished, 2, {
      LEASEHOLD_MONITORING_POLL_INTERVAL: '1s',
    });
    const node = `${redis.listens.host}:${redis.listens.port}`;
    await eventually(
      async () => (await rig.metric(`leasehold_redis_up{node="${node}",worker="supervisor"}`)) === 1,
      { what: 'the series of the supervisor', withinMs: 20_000 },
    );
    expect(await monitorsOf(redis)).toHaveLength(1);
    const { text } = await rig.admin('/metrics');
    expect(text.match(/^leasehold_redis_up\{/gm)).toHaveLength(1);
  });

  test('where Redis tracks no latencies, that collector alone is down, and says why', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished, { directives: ['latency-tracking no'] });
    const monitored = await started(onTestFinished, redis);
    await monitored.shows('leasehold_collector_up', { collector: 'info' }, [1]);
    await monitored.shows('leasehold_collector_up', { collector: 'slowlog' }, [1]);
    await monitored.shows('leasehold_collector_up', { collector: 'latency' }, [0]);
    await monitored.shows('leasehold_redis_command_latency_seconds', {}, []);
    expect(monitored.logged("the monitor can't read all: latency")).toMatchObject([
      { reason: 'Redis tracks no latencies: latency-tracking is off' },
    ]);
  });

  test('operations are counted by type and state, with the age of the oldest that can be claimed, in any database and under any prefix', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const monitored = await started(onTestFinished, redis, {
      LEASEHOLD_REDIS_DB: '2',
      LEASEHOLD_REDIS_KEY_PREFIX: 'mine:',
    });
    const operations = new OperationClient(monitored.instance.address);
    onTestFinished(() => operations.close());
    for (const id of ['1', '2', '3']) {
      await operations.begin({ resource: 'r', operationId: id, type: 'copy' });
    }
    await operations.started({
      resource: 'r',
      operationId: '4',
      type: 'move',
      heartbeatTimeout: duration(1_000),
    });
    const shows = (type: string, state: string, count: number): Promise<void> =>
      monitored.shows('leasehold_deployment_operations', { type, state }, [count]);
    await shows('copy', 'pending', 3);
    await shows('copy', 'running', 0);
    await shows('move', 'running', 1);
    const age = (type: string): Promise<number> =>
      monitored.value('leasehold_deployment_oldest_pending_seconds', { type });
    await eventually(async () => (await age('copy')) > 2, { what: 'an age of copy', withinMs: 15_000 });
    expect(await age('copy')).toBeLessThan(60);
    // It was begun with an attempt, whose worker is silent: when that is stale it waits, too.
    expect(await age('move')).toBeLessThan(1);
    await eventually(async () => (await age('move')) > 1, { what: 'an age of move', withinMs: 20_000 });
    await shows('move', 'running', 1);
    await operations.claim({ types: ['copy'], maxOperations: 3, claimId: randomUUID() });
    await shows('copy', 'running', 3);
    await eventually(async () => (await age('copy')) === 0, { what: 'no age of copy', withinMs: 15_000 });
    await redis.withClient(async (client) => {
      await client.select(2);
      await client.hset('mine:{0}:meta', 'expired_leases', '7');
    });
    await monitored.shows('leasehold_deployment_expired_leases_total', {}, [7]);

    // A pass of several polls: nothing is shown before it is complete.
    const ask = asking(onTestFinished, redis);
    await ask('SELECT', 2);
    const census = new OperationCensus({ keys: keysFor('mine:'), recordsPerPage: 3, pagesPerPoll: 1 });
    expect(await census.read(ask)).toBeUndefined();
    const { counts = [] } = (await census.read(ask)) ?? {};
    expect(counts.filter(({ count }) => count > 0)).toEqual([
      { type: 'copy', state: 'running', count: 3 },
      { type: 'move', state: 'running', count: 1 },
    ]);
  });

  test('leases are counted exactly in up to 400 locks, and estimated from as many of more', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const ask = asking(onTestFinished, redis);
    const keys = keysFor('leasehold:');
    const add = async (from: number, to: number, holders: (index: number) => number): Promise<void> => {
      await redis.withClient(async (client) => {
        const pipeline = client.pipeline();
        for (let index = from; index < to; index++) {
          const name = `lock-${String(index).padStart(5, '0')}`;
          pipeline.zadd(keys.names, 0, name);
          pipeline.hset(`${keys.lockPrefix}${name}`, ':', `shared ${holders(index)} 0 - 1 0`);
        }
        await pipeline.exec();
      });
    };
    expect(await countLocks(ask, keys)).toEqual({ locks: 0, leases: 0, waiters: 0, expiredLeases: 0 });
    await add(0, LEASE_SAMPLE, (index) => (index === 300 ? 7 : 1));
    expect(await countLocks(ask, keys)).toMatchObject({ locks: LEASE_SAMPLE, leases: LEASE_SAMPLE + 6 });
    await add(0, 4_000, (index) => 1 + (index % 7));
    const { locks, leases } = await countLocks(ask, keys);
    expect(locks).toBe(4_000);
    expect(leases).toBeGreaterThan(15_000);
    expect(leases).toBeLessThan(17_000);
    await add(0, 4_000, () => 1);
    expect(await countLocks(ask, keys)).toMatchObject({ locks: 4_000, leases: 4_000 });
  });
});
