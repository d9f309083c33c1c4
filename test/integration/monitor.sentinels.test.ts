// What an operator sees of a Sentinel deployment while things break: nodes that hang, Sentinels that are away, a
// failover. One deployment and one instance, to which all of it happens in turn.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { fieldsOf } from '../../src/store/redis/info.ts';
import { eventually } from '../support/eventually.ts';
import { MonitoredInstance } from '../support/monitored-instance.ts';
import { type ClusterMember, SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { clusterEnvironment, duration } from '../support/test-instance.ts';

let cluster: SentinelCluster;
let monitored: MonitoredInstance;

beforeAll(async () => {
  cluster = await SentinelCluster.start({ masterName: 'mymaster' });
  monitored = await MonitoredInstance.start({
    ...clusterEnvironment(cluster, 'mymaster'),
    LEASEHOLD_REDIS_CONNECT_TIMEOUT: '500ms',
  });
  await monitored.usable();
});

afterAll(async () => {
  await monitored?.stop();
  await cluster?.stop();
});

function named({ address }: ClusterMember): string {
  return formatHostPort(address);
}

function member(members: readonly ClusterMember[], index: number): ClusterMember {
  const found = members[index];
  if (!found) throw new Error(`there is no member ${index}`);
  return found;
}

/** The names that CLIENT LIST has for the monitor's connections to a node. */
function connectionsTo({ process }: ClusterMember): Promise<readonly string[]> {
  return process.withClient(async (client) => {
    const list = String(await client.call('CLIENT', 'LIST'));
    return [...list.matchAll(/ name=(leasehold-monitor-\S+)/g)].map(([, name = '']) => name);
  });
}

/** The lines of the log about what Sentinels have announced of a node. */
function announced(what: string, node: string): number {
  return monitored.logged(`Sentinel says ${what}`).filter((line) => line.node === node).length;
}

describe('the monitor of a Sentinel deployment', () => {
  test('the primary, the replicas and the Sentinels are found and read, on a connection each', async () => {
    const [primary, ...replicas] = cluster.nodes.map(named);
    await monitored.shows('leasehold_redis_info', { node: primary ?? '', role: 'primary' }, [1]);
    for (const node of replicas) {
      await monitored.shows('leasehold_redis_info', { node, role: 'replica' }, [1]);
      await monitored.shows('leasehold_redis_replication_link_up', { node }, [1]);
      expect(await monitored.value('leasehold_redis_replication_lag_seconds', { node })).toBeLessThan(10);
    }
    await monitored.shows('leasehold_redis_connected_replicas', { node: primary ?? '' }, [2]);
    for (const sentinel of cluster.sentinels.map(named)) {
      await monitored.shows('leasehold_sentinel_up', { sentinel }, [1]);
      await monitored.shows('leasehold_sentinel_quorum_ok', { sentinel }, [1]);
      await monitored.shows('leasehold_sentinel_tilt', { sentinel }, [0]);
      // The primary, two replicas and two other Sentinels.
      expect(await monitored.values('leasehold_sentinel_flags', { sentinel, flag: 's_down' })).toEqual([
        0, 0, 0, 0, 0,
      ]);
    }
    for (const collector of ['info', 'latency', 'slowlog', 'counts', 'sentinels', 'events']) {
      await monitored.shows('leasehold_collector_up', { collector }, [1]);
    }
    for (const node of cluster.nodes) expect(await connectionsTo(node)).toHaveLength(1);
    // A subscription that goes on succeeds at each poll.
    const last = (): Promise<number> =>
      monitored.value('leasehold_collector_last_success_timestamp_seconds', { collector: 'events' });
    const before = await last();
    await eventually(async () => (await last()) > before, { what: 'a later success', withinMs: 15_000 });
    // One to ask, and one that is subscribed.
    for (const sentinel of cluster.sentinels) expect(await connectionsTo(sentinel)).toHaveLength(2);
  });

  test('the numbers of a node are those that Redis itself gives', async () => {
    const primary = member(cluster.nodes, 0);
    const labels = { node: named(primary) };
    const commands = Number((await primary.process.info('stats')).get('total_commands_processed'));
    const memory = Number((await primary.process.info('memory')).get('used_memory'));
    await eventually(
      async () => (await monitored.value('leasehold_redis_commands_total', labels)) > commands,
      { what: 'a poll', withinMs: 15_000 },
    );
    const shown = await monitored.value('leasehold_redis_memory_used_bytes', labels);
    expect(shown / memory).toBeGreaterThan(0.5);
    expect(shown / memory).toBeLessThan(2);
    const latency = { ...labels, family: 'scripts', quantile: '0.99' };
    const p99 = await monitored.value('leasehold_redis_command_latency_seconds', latency);
    expect(p99).toBeGreaterThan(1e-6);
    expect(p99).toBeLessThan(1);
  });

  test('locks, leases and waiters of the whole deployment are counted', async () => {
    const { client } = monitored;
    const { lease } = await client.acquire({ resource: 'exclusive' });
    for (let i = 0; i < 3; i++)
      await client.acquire({ resource: 'shared', mode: { $case: 'shared', value: {} } });
    const waiting = client.acquire(
      { resource: 'exclusive' },
      { $case: 'waitTimeout', value: duration(20_000) },
    );
    await monitored.shows('leasehold_deployment_locks', {}, [2]);
    await monitored.shows('leasehold_deployment_leases', {}, [4]);
    await monitored.shows('leasehold_deployment_waiters', {}, [1]);
    await client.release({ resource: 'exclusive', leaseId: lease?.leaseId ?? '' });
    await waiting;
    await monitored.shows('leasehold_deployment_waiters', {}, [0]);
  });

  test('a replica that hangs is down, and delays neither the scrape nor the other nodes', async () => {
    const frozen = member(cluster.nodes, 2);
    const node = named(frozen);
    const others = { node: named(member(cluster.nodes, 1)) };
    const announcedBefore = announced('+sdown', node);
    await frozen.process.pause();
    try {
      await monitored.shows('leasehold_redis_up', { node }, [0]);
      await monitored.shows('leasehold_collector_up', { collector: 'info' }, [0]);
      // What it said last is gone after some polls. What the primary says of it stays.
      await monitored.shows('leasehold_redis_memory_used_bytes', { node }, []);
      const before = await monitored.value('leasehold_redis_commands_total', others);
      await eventually(
        async () => (await monitored.value('leasehold_redis_commands_total', others)) > before,
        {
          what: 'another poll of the other replica',
          withinMs: 15_000,
        },
      );
      const askedMs = performance.now();
      await monitored.instance.metricsText();
      expect(performance.now() - askedMs).toBeLessThan(1_000);
      for (const sentinel of cluster.sentinels.map(named)) {
        await monitored.shows('leasehold_sentinel_flags', { sentinel, node, flag: 's_down' }, [1]);
      }
      // All three have said it.
      expect(announced('+sdown', node)).toBe(announcedBefore + 1);
    } finally {
      await frozen.process.resume();
    }
    await monitored.shows('leasehold_redis_up', { node }, [1]);
    await monitored.shows('leasehold_collector_up', { collector: 'info' }, [1]);
    await eventually(() => announced('-sdown', node) > 0, { what: '-sdown', withinMs: 20_000 });
    await monitored.shows('leasehold_redis_replication_link_up', { node }, [1]);
    const told = monitored.lines.filter(({ collector, target }) => collector === 'info' && target === node);
    expect(told.length).toBeGreaterThan(0);
    expect(new Set(told.map(({ reason }) => reason)).size).toBe(told.length);
  });

  test('while most Sentinels are away, the nodes are read, and the one that is left says that no failover could be decided', async () => {
    const [left, ...away] = cluster.sentinels;
    for (const { process } of away) await process.kill();
    for (const sentinel of away.map(named)) {
      await monitored.shows('leasehold_sentinel_up', { sentinel }, [0]);
      await monitored.shows('leasehold_sentinel_config_epoch', { sentinel }, []);
    }
    const sentinel = named(left as ClusterMember);
    await monitored.shows('leasehold_sentinel_up', { sentinel }, [1]);
    await monitored.shows('leasehold_sentinel_quorum_ok', { sentinel }, [0]);
    await monitored.shows('leasehold_collector_up', { collector: 'sentinels' }, [0]);
    await monitored.shows('leasehold_collector_up', { collector: 'events' }, [0]);
    await monitored.shows('leasehold_collector_up', { collector: 'info' }, [1]);
    await monitored.shows('leasehold_redis_up', {}, [1, 1, 1]);
    // One line for each that is away, not one for each connection to it.
    const told = monitored.lines.filter(({ target }) => away.map(named).includes(String(target)));
    expect(new Set(told.map(({ collector }) => collector))).toEqual(new Set(['sentinels']));
    await Promise.all(away.map(({ process }) => process.start()));
    await monitored.shows('leasehold_sentinel_up', {}, [1, 1, 1]);
    await monitored.shows('leasehold_sentinel_quorum_ok', {}, [1, 1, 1]);
    await monitored.shows('leasehold_collector_up', { collector: 'events' }, [1]);
    await cluster.waitUntilWhole();
  });

  test('a failover is in the log in the words of Sentinel, counted once, with its time, and the epoch grows', async () => {
    const old = await cluster.primary();
    const epochs = await monitored.values('leasehold_sentinel_config_epoch');
    expect(await monitored.value('leasehold_last_failover_timestamp_seconds')).toBe(0);
    const startedSeconds = Date.now() / 1_000;
    await old.process.kill();
    const next = await cluster.waitForNewPrimary(old, 60_000);
    await monitored.shows('leasehold_redis_info', { node: named(next), role: 'primary' }, [1]);
    await monitored.shows('leasehold_sentinel_events_total', { event: '+switch-master' }, [1]);
    const [line, ...more] = monitored.logged('Sentinel says +switch-master');
    expect(line).toMatchObject({
      level: 40,
      what: '+switch-master',
      node: named(next),
      former: named(old),
    });
    expect(cluster.sentinels.map(named)).toContain(line?.sentinel);
    expect(more).toEqual([]);
    expect(announced('+odown', named(old))).toBe(1);
    const timestamp = await monitored.value('leasehold_last_failover_timestamp_seconds');
    expect(timestamp).toBeGreaterThanOrEqual(startedSeconds);
    await eventually(
      async () => {
        const now = await monitored.values('leasehold_sentinel_config_epoch');
        return now.length === 3 && Math.min(...now) > Math.max(...epochs);
      },
      { what: 'a larger epoch at each Sentinel', withinMs: 30_000 },
    );
    // The announcement was heard, so the polls tell nothing new.
    expect(monitored.logged('the Sentinels name another primary')).toEqual([]);
    expect(await monitored.value('leasehold_last_failover_timestamp_seconds')).toBe(timestamp);
    await monitored.shows('leasehold_redis_up', { node: named(old) }, [0]);
    const logged = (): number =>
      monitored.lines.filter(({ msg }) => String(msg).startsWith('Sentinel says ')).length;
    const before = logged();
    const counted = await monitored.values('leasehold_sentinel_events_total');
    const sum = counted.reduce((total, count) => total + count, 0);
    expect(sum).toBeGreaterThanOrEqual(before);
    expect(sum).toBeLessThanOrEqual(logged());
  });

  test('the series of a node go when the Sentinels forget it', async () => {
    const gone =
      (await monitored.instance.metricsText()).match(/leasehold_redis_up\{node="([^"]+)"\} 0/)?.[1] ?? '';
    expect(cluster.nodes.map(named)).toContain(gone);
    // A replica that the Sentinels forget before they have sent it to the new primary stays where it is for ever.
    const connected = async (): Promise<number> => {
      const counts = await monitored.values('leasehold_redis_connected_replicas');
      return Math.max(...counts);
    };
    await eventually(async () => (await connected()) === 1, {
      what: 'a replica at the new primary',
      withinMs: 60_000,
    });
    // The Sentinel that leads the failover would go back to the former primary while it isn't done.
    for (const { process } of cluster.sentinels) {
      await eventually(
        async () => {
          const master = process.withClient((client) => client.call('SENTINEL', 'MASTER', 'mymaster'));
          const fields = fieldsOf(await master);
          return fields.get('flags') === 'master' && fields.get('port') !== gone.split(':')[1];
        },
        { what: 'the end of the failover', withinMs: 60_000 },
      );
    }
    await Promise.all(
      cluster.sentinels.map(({ process }) =>
        process.withClient((client) => client.call('SENTINEL', 'RESET', 'mymaster')),
      ),
    );
    await eventually(
      async () => {
        const left = (await monitored.instance.metricsText()).match(new RegExp(`^.*node="${gone}".*$`, 'm'));
        if (left) throw new Error(left[0]);
        return true;
      },
      { what: `a scrape without ${gone}`, withinMs: 30_000 },
    );
    await monitored.shows('leasehold_redis_up', {}, [1, 1], 30_000);
    await monitored.shows('leasehold_collector_up', { collector: 'info' }, [1]);
  }, 120_000);

  test('a Sentinel that was frozen is in TILT, as it says itself', async () => {
    const frozen = member(cluster.sentinels, 2);
    const labels = { sentinel: named(frozen) };
    await frozen.process.pause();
    try {
      // It takes longer to give up its answer than a Sentinel takes for a jump of the clock.
      await monitored.shows('leasehold_sentinel_up', labels, [0]);
    } finally {
      await frozen.process.resume();
    }
    await monitored.shows('leasehold_sentinel_up', labels, [1]);
    await monitored.shows('leasehold_sentinel_tilt', labels, [1]);
    const told = (): boolean =>
      monitored.logged('Sentinel says +tilt').some(({ sentinel }) => sentinel === labels.sentinel);
    await eventually(told, { what: '+tilt in the log', withinMs: 10_000 });
    const counted = await monitored.value('leasehold_sentinel_events_total', { event: '+tilt' });
    expect(counted).toBeGreaterThanOrEqual(1);
  });

  test('an instance that has stopped leaves no connection of its monitor behind', async () => {
    await monitored.stop();
    const left = async (): Promise<readonly string[]> => {
      const running = [...cluster.nodes, ...cluster.sentinels].filter((one) => one !== cluster.nodes[0]);
      return (await Promise.all(running.map(connectionsTo))).flat();
    };
    await eventually(async () => (await left()).length === 0, { what: 'no connection', withinMs: 10_000 });
    monitored = await MonitoredInstance.start(clusterEnvironment(cluster, 'mymaster'));
  });
});
