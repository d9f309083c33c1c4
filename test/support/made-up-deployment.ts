// Facts of a deployment as docs/deployment.md wants it, made up for the checks of the doctor: a primary, two replicas
// and three Sentinels on machines of their own. A test changes what it is about.
import { loadConfig } from '../../src/config/load-config.ts';
import type { SentinelView } from '../../src/deployment/topology.ts';
import type { Examined, Fields, Look, RedisNodeFacts, SentinelFacts } from '../../src/doctor/facts.ts';
import { seenOf } from '../../src/doctor/facts.ts';
import type { HostPort } from '../../src/domain/host-port.ts';

export const PRIMARY = 'redis-1:6379';
export const REPLICA = 'redis-2:6379';
export const NOW_MS = Date.parse('2026-11-30T12:00:00Z');

const REPLID = 'a'.repeat(40);

/** The environment of a configuration that uses the made-up Sentinels. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
  LEASEHOLD_REDIS_MASTER_NAME: 'mymaster',
  LEASEHOLD_REDIS_ADDRESS: 'sentinel-1:26379,sentinel-2:26379,sentinel-3:26379',
};

export function madeUp(
  overrides: Readonly<Record<string, string>> = {},
  environment: Readonly<Record<string, string>> = ENVIRONMENT,
): Examined {
  const config = loadConfig({ env: { ...environment, ...overrides } });
  const { redis } = config;
  if (!redis) throw new Error('a deployment has a redis section');
  const hosts = ['redis-1', 'redis-2', 'redis-3'];
  return {
    config,
    redis,
    facts: {
      nowMs: NOW_MS,
      primary: { host: 'redis-1', port: 6379 },
      nodes: hosts.map((host, index) => node({ host, port: 6379 }, index === 0)),
      sentinels: redis.kind === 'sentinel' ? redis.sentinels.map(sentinel) : [],
      announcedSentinels: [],
      meta: {
        seen: new Map([
          ['reign', '1:x:3'],
          ['schema', '4'],
          ['max_ttl', '30000000'],
          ['buckets', '1'],
          ['roll_call', 'on'],
          ['clock', '1000000000'],
        ]),
      },
      instances: {
        seen: new Map([
          ['aa', '999500000 5000 1796000000000 1 app-1'],
          ['bb', '998000000 5000 1796000000000 1 app-2'],
        ]),
      },
      certificates: [],
      host: { transparentHugePages: { seen: 'madvise' }, overcommitMemory: { seen: '1' } },
    },
  };
}

function node(address: HostPort, isPrimary: boolean): RedisNodeFacts {
  const replication = isPrimary
    ? {
        role: 'master',
        connected_slaves: '2',
        master_repl_offset: '1000',
        slave0: 'ip=redis-2,port=6379,state=online,offset=1000,lag=0',
        slave1: 'ip=redis-3,port=6379,state=online,offset=1000,lag=1',
      }
    : { role: 'slave', master_host: 'redis-1', master_port: '6379', master_link_status: 'up' };
  const fields = {
    redis_version: '8.2.9',
    used_memory: String(100 * 2 ** 20),
    maxmemory: String(1_000 * 2 ** 20),
    maxmemory_policy: 'noeviction',
    evicted_keys: '0',
    connected_clients: '40',
    maxclients: '10000',
    rejected_connections: '0',
    aof_enabled: '1',
    aof_last_write_status: 'ok',
    aof_last_bgrewrite_status: 'ok',
    aof_delayed_fsync: '0',
    rdb_last_bgsave_status: 'ok',
    rdb_last_save_time: String(NOW_MS / 1_000 - 600),
    rdb_changes_since_last_save: '17',
    latest_fork_usec: '900',
    instantaneous_output_repl_kbps: '3.5',
    master_replid: REPLID,
    ...replication,
  };
  const settings = {
    appendonly: 'yes',
    appendfsync: 'everysec',
    'disable-thp': 'yes',
    'hash-max-listpack-entries': '128',
    'hash-max-listpack-value': '512',
    'latency-monitor-threshold': '100',
    maxmemory: String(1_000 * 2 ** 20),
    'maxmemory-policy': 'noeviction',
    'min-replicas-max-lag': '10',
    'min-replicas-to-write': '0',
    'repl-backlog-size': '1048576',
    'repl-backlog-ttl': '0',
    'replica-priority': '100',
    save: '900 1',
    'stop-writes-on-bgsave-error': 'yes',
  };
  return {
    address,
    role: isPrimary ? 'primary' : 'replica',
    isHere: false,
    reach: { seen: 1.5 },
    info: { seen: new Map(Object.entries(fields)) },
    settings: { seen: new Map(Object.entries(settings)) },
    roundTripsMs: { seen: [0.4, 0.5, 0.6, 0.5, 0.4, 0.5, 2] },
    clock: { seen: { offsetMs: 3, uncertaintyMs: 0.2 } },
    latency: { seen: [] },
    lackingRights: { seen: [] },
  };
}

function sentinel(address: HostPort, index: number): SentinelFacts {
  const primary = {
    ip: 'redis-1',
    port: '6379',
    flags: 'master',
    quorum: '2',
    'config-epoch': '4',
    'num-other-sentinels': '2',
    'down-after-milliseconds': '5000',
    'failover-timeout': '60000',
    'parallel-syncs': '1',
  };
  const row = (host: string, port: number, flags: string): Fields =>
    new Map([
      ['ip', host],
      ['port', String(port)],
      ['flags', flags],
    ]);
  const view: SentinelView = {
    address,
    id: String(index + 1).repeat(40),
    primary: new Map(Object.entries(primary)),
    replicas: ['redis-2', 'redis-3'].map((host) => row(host, 6379, 'slave')),
    otherSentinels: [1, 2, 3]
      .filter((number) => number !== index + 1)
      .map((number) => row(`sentinel-${number}`, 26_379, 'sentinel')),
    refused: new Map(),
  };
  return {
    address,
    view: { seen: view },
    info: { seen: new Map([['sentinel_tilt', '0']]) },
    quorumCheck: { seen: 'OK 3 usable Sentinels. Quorum and failover authorization can be reached' },
    subscription: { seen: true },
  };
}

/** The same with another fact about one node, or about all. */
export function withNode(
  examined: Examined,
  which: number | 'all',
  changes: Partial<RedisNodeFacts>,
): Examined {
  const nodes = examined.facts.nodes.map((one, index) =>
    which === 'all' || which === index ? { ...one, ...changes } : one,
  );
  return { ...examined, facts: { ...examined.facts, nodes } };
}

/** The same with other fields of INFO. */
export function withInfo(
  examined: Examined,
  which: number | 'all',
  changes: Readonly<Record<string, string>>,
): Examined {
  return changed(examined, which, 'info', changes);
}

/** The same with other settings. */
export function withSettings(
  examined: Examined,
  which: number | 'all',
  changes: Readonly<Record<string, string>>,
): Examined {
  return changed(examined, which, 'settings', changes);
}

function changed(
  examined: Examined,
  which: number | 'all',
  what: 'info' | 'settings',
  changes: Readonly<Record<string, string>>,
): Examined {
  const nodes = examined.facts.nodes.map((one, index) =>
    which === 'all' || which === index ? { ...one, [what]: merged(one[what], changes) } : one,
  );
  return { ...examined, facts: { ...examined.facts, nodes } };
}

function merged(look: Look<Fields>, changes: Readonly<Record<string, string>>): Look<Fields> {
  return { seen: new Map([...(seenOf(look) ?? []), ...Object.entries(changes)]) };
}

/** The same with another fact about one Sentinel, or about all. */
export function withSentinel(
  examined: Examined,
  which: number | 'all',
  changes: Partial<SentinelFacts> | ((view: SentinelView) => Partial<SentinelView>),
): Examined {
  const sentinels = examined.facts.sentinels.map((one, index): SentinelFacts => {
    if (which !== 'all' && which !== index) return one;
    if (typeof changes !== 'function') return { ...one, ...changes };
    const view = seenOf(one.view);
    if (!view) throw new Error('a Sentinel that answers');
    return { ...one, view: { seen: { ...view, ...changes(view) } } };
  });
  return { ...examined, facts: { ...examined.facts, sentinels } };
}

/** The same with other fields of SENTINEL MASTER. */
export function withPrimaryFields(
  examined: Examined,
  which: number | 'all',
  changes: Readonly<Record<string, string>>,
): Examined {
  return withSentinel(examined, which, ({ primary }) => ({
    primary: new Map([...primary, ...Object.entries(changes)]),
  }));
}
