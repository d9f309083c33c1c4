// What the monitor reads under the users of docs/redis-acl.md: with the least rights some collectors are down and the
// locks go on; with the rights that the page adds for monitoring, all of it is there, and nothing is denied.
import { describe, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { MonitoredInstance } from '../support/monitored-instance.ts';
import { LEAST_USER, leastRights, leastUserLine, moreRights } from '../support/redis/least-user.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { type AtEnd, MASTER_NAME, ownRedis } from '../support/watched-redis.ts';

interface Watched {
  readonly redis: RedisProcess;
  readonly sentinel: RedisProcess;
  readonly monitored: MonitoredInstance;
}

/** A Redis and a Sentinel, and an instance that logs in to both with the user of the page. */
async function startedUnder(atEnd: AtEnd, more: { atRedis: string; atSentinels: string }): Promise<Watched> {
  const rights = `${leastRights('The user at Redis')} ${more.atRedis}`;
  // On a busy machine a command may be slow enough for the slow log.
  const directives = [leastUserLine(rights), 'min-replicas-to-write 0', 'slowlog-log-slower-than -1'];
  const redis = await ownRedis(atEnd, { directives });
  const sentinel = await RedisProcess.sentinel({
    self: { id: 'c'.repeat(40), address: { host: '127.0.0.1', port: 1 } },
    others: [],
    deployment: {
      masterName: MASTER_NAME,
      primary: redis.listens,
      replicas: [],
      quorum: 1,
      downAfterMs: 5_000,
      failoverTimeoutMs: 10_000,
    },
  });
  atEnd(() => sentinel.stop());
  await sentinel.start();
  const atSentinels = `${leastRights('The user at the Sentinels')} ${more.atSentinels}`.trim().split(' ');
  await sentinel.withClient((client) =>
    client.call('ACL', 'SETUSER', LEAST_USER.username, 'on', `>${LEAST_USER.password}`, ...atSentinels),
  );
  const monitored = await MonitoredInstance.start({
    LEASEHOLD_REDIS_ADDRESS: formatHostPort(sentinel.listens),
    LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
    LEASEHOLD_REDIS_MASTER_NAME: MASTER_NAME,
    LEASEHOLD_REDIS_SENTINEL_USERNAME: LEAST_USER.username,
    LEASEHOLD_REDIS_SENTINEL_PASSWORD: LEAST_USER.password,
    LEASEHOLD_REDIS_USERNAME: LEAST_USER.username,
    LEASEHOLD_REDIS_PASSWORD: LEAST_USER.password,
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
  });
  atEnd(() => monitored.stop());
  await monitored.usable();
  return { redis, sentinel, monitored };
}

/** Waits until each of these is so much up. */
async function showsCollectors(
  monitored: MonitoredInstance,
  states: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [collector, up] of Object.entries(states)) {
    await monitored.shows('leasehold_collector_up', { collector }, [up]);
  }
}

/** Waits until the nodes have been read again. */
async function polled(monitored: MonitoredInstance): Promise<void> {
  const name = 'leasehold_collector_last_success_timestamp_seconds';
  const before = await monitored.value(name, { collector: 'info' });
  await eventually(async () => (await monitored.value(name, { collector: 'info' })) > before, {
    what: 'another poll',
    withinMs: 15_000,
  });
}

describe.concurrent('the rights of the monitor', { timeout: 60_000 }, () => {
  test('without the rights for monitoring, the collectors that need them are down, each tells it once, and locks go on', async ({
    onTestFinished,
  }) => {
    const { redis, sentinel, monitored } = await startedUnder(onTestFinished, {
      atRedis: '',
      atSentinels: '',
    });
    const states = { info: 1, latency: 1, counts: 1, slowlog: 0, sentinels: 0, events: 0 };
    await showsCollectors(monitored, states);
    const node = formatHostPort(redis.listens);
    await monitored.shows('leasehold_redis_up', { node }, [1]);
    await monitored.shows('leasehold_redis_info', { node, role: 'primary' }, [1]);
    await monitored.shows('leasehold_redis_slowlog_length', {}, []);
    const at = { sentinel: formatHostPort(sentinel.listens) };
    await monitored.shows('leasehold_sentinel_up', at, [1]);
    await monitored.shows('leasehold_sentinel_config_epoch', at, [0]);
    await monitored.shows('leasehold_sentinel_quorum_ok', {}, []);
    await monitored.shows('leasehold_sentinel_tilt', {}, []);
    // On a busy machine one Sentinel confirms the primary late now and then.
    const granted = async () => (await monitored.client.acquire({ resource: 'a' })).lease;
    const lease = await eventually(granted, { what: 'a grant', withinMs: 15_000 });
    await monitored.shows('leasehold_deployment_leases', {}, [1]);
    await monitored.client.release({ resource: 'a', leaseId: lease?.leaseId ?? '' });
    for (let i = 0; i < 3; i++) await polled(monitored);
    await showsCollectors(monitored, states);
    const told = monitored.lines.filter(({ msg }) => String(msg).startsWith("the monitor can't read all"));
    expect(told.map(({ collector }) => collector).sort()).toEqual(['events', 'sentinels', 'slowlog']);
    for (const { level, reason } of told) {
      expect(level).toBe(40);
      expect(reason).toContain('NOPERM');
    }
    // The one event that the user may hear.
    const clients = String(await sentinel.withClient((client) => client.call('CLIENT', 'LIST')));
    expect(clients).toMatch(/ name=leasehold-monitor-\S+ .* sub=1 /);
  });

  test('with the rights for monitoring, every collector is up, and nothing is denied', async ({
    onTestFinished,
  }) => {
    const { redis, sentinel, monitored } = await startedUnder(onTestFinished, moreRights('For monitoring'));
    await showsCollectors(monitored, { info: 1, latency: 1, counts: 1, slowlog: 1, sentinels: 1, events: 1 });
    await monitored.shows('leasehold_redis_slowlog_length', {}, [0]);
    await monitored.shows('leasehold_sentinel_quorum_ok', {}, [1]);
    await monitored.shows('leasehold_sentinel_tilt', {}, [0]);
    await polled(monitored);
    expect(await redis.withClient((client) => client.call('ACL', 'LOG'))).toEqual([]);
    expect(await sentinel.withClient((client) => client.call('ACL', 'LOG'))).toEqual([]);
    // (A busy machine may answer late.)
    const refusals = monitored.lines.filter(({ reason }) => String(reason).includes('NOPERM'));
    expect(refusals.map(({ collector, reason }) => `${collector}: ${reason}`)).toEqual([]);
  });
});
