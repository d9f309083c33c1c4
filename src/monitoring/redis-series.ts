// Which fields of INFO are which metrics of a node. docs/metrics.md has the same list, for people.

type Info = ReadonlyMap<string, string>;

export interface RedisSeries {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  /** Undefined if the node doesn't say so. */
  readonly value: (info: Info) => number | undefined;
}

function field(name: string, unit = 1): RedisSeries['value'] {
  return (info) => {
    const text = info.get(name);
    const value = Number(text);
    return text === undefined || text === '' || !Number.isFinite(value) ? undefined : value * unit;
  };
}

/** 1 if the field has this value, 0 if it has another one. */
function is(name: string, value: string): RedisSeries['value'] {
  return (info) => (info.has(name) ? Number(info.get(name) === value) : undefined);
}

const LONGEST_VERSION = 40;
const MICROSECONDS = 1e-6;

function rdbAge(info: Info): number | undefined {
  const now = field('server_time_usec', MICROSECONDS)(info);
  const saved = field('rdb_last_save_time')(info);
  return now === undefined || saved === undefined ? undefined : Math.max(0, now - saved);
}

function gauge(name: string, help: string, value: RedisSeries['value']): RedisSeries {
  return { name: `leasehold_redis_${name}`, help, kind: 'gauge', value };
}

function counter(name: string, help: string, value: RedisSeries['value']): RedisSeries {
  return { name: `leasehold_redis_${name}`, help, kind: 'counter', value };
}

export const REDIS_SERIES: readonly RedisSeries[] = [
  gauge('uptime_seconds', 'Since the process started', field('uptime_in_seconds')),
  gauge('memory_used_bytes', 'Memory that Redis has allocated', field('used_memory')),
  gauge('memory_rss_bytes', 'Memory that the process has from the system', field('used_memory_rss')),
  gauge('memory_fragmentation_ratio', 'RSS to used', field('mem_fragmentation_ratio')),
  gauge('memory_max_bytes', 'maxmemory; 0 is no limit', field('maxmemory')),
  gauge('connected_clients', 'Connections, without those of replicas', field('connected_clients')),
  gauge('blocked_clients', 'Connections that wait in a command such as WAIT', field('blocked_clients')),
  gauge('max_clients', 'maxclients', field('maxclients')),
  counter(
    'rejected_connections_total',
    'Connections refused because of maxclients',
    field('rejected_connections'),
  ),
  counter('keyspace_hits_total', 'Reads that found their key', field('keyspace_hits')),
  counter('keyspace_misses_total', 'Reads that found none', field('keyspace_misses')),
  counter('network_in_bytes_total', 'Bytes received', field('total_net_input_bytes')),
  counter('network_out_bytes_total', 'Bytes sent', field('total_net_output_bytes')),
  counter(
    'commands_total',
    'Commands processed, those inside of scripts among them',
    field('total_commands_processed'),
  ),
  counter(
    'evicted_keys_total',
    'Keys that Redis dropped for want of memory: must stay 0',
    field('evicted_keys'),
  ),
  counter('expired_keys_total', 'Keys whose own TTL ended', field('expired_keys')),
  gauge('connected_replicas', 'Replicas attached to this node', field('connected_slaves')),
  gauge(
    'replication_link_up',
    'On a replica: 1 while it is attached to its primary',
    is('master_link_status', 'up'),
  ),
  gauge('rdb_age_seconds', 'Since the last snapshot that succeeded', rdbAge),
  gauge('rdb_last_ok', '1 if the last snapshot succeeded', is('rdb_last_bgsave_status', 'ok')),
  gauge('aof_enabled', '1 if the append-only file is on', is('aof_enabled', '1')),
  gauge('aof_last_write_ok', '1 if the last write to it succeeded', is('aof_last_write_status', 'ok')),
  gauge('fork_seconds', 'How long the last fork stopped Redis', field('latest_fork_usec', MICROSECONDS)),
];

/** CPU seconds of the node's process. */
export const CPU_SECONDS: readonly { readonly mode: string; readonly value: RedisSeries['value'] }[] = [
  { mode: 'user', value: field('used_cpu_user') },
  { mode: 'system', value: field('used_cpu_sys') },
];

export function roleOf(info: Info): string {
  return info.get('role') === 'master' ? 'primary' : 'replica';
}

export function versionOf(info: Info): string {
  return (info.get('redis_version') ?? '').slice(0, LONGEST_VERSION);
}
