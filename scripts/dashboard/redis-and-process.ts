// The rows about the parts: failover and Sentinels, Redis, the processes of the server.
import { I, N, nodeRate, orZero, quantiles, type Row, rate, table, timeseries } from './panel.ts';

const perNode = (metric: string): string => `max by (node) (${metric}{${N}})`;
const refused = (outcome: string): string =>
  `sum(rate(leasehold_store_commands_total{${I}, outcome="${outcome}"}[$__rate_interval]))`;
const perSentinel = (metric: string): string => `max by (sentinel) (${metric}{${I}})`;

export const FAILOVER: Row = {
  title: 'Failover',
  panels: [
    timeseries('Notifications of the Sentinels', 'none', [
      ['{{event}}', `max by (event) (increase(leasehold_sentinel_events_total{${I}}[$__rate_interval]))`],
    ]),
    timeseries(
      'Time without a confirmed primary',
      'percentunit',
      [['{{instance}} {{reason}}', rate('instance, reason', 'leasehold_store_unusable_seconds_total')]],
      'Calls are answered UNAVAILABLE meanwhile. With workers, their times add up.',
    ),
    timeseries(
      'Time in quarantine',
      'percentunit',
      [
        [
          '{{instance}}',
          `max by (instance) (rate(leasehold_quarantine_seconds_total{${I}}[$__rate_interval]))`,
        ],
      ],
      'Nothing new is granted meanwhile; renewals go on.',
    ),
    timeseries(
      'Quarantines that ended',
      'none',
      [['{{how}}', `max by (how) (increase(leasehold_quarantine_ends_total{${I}}[$__rate_interval]))`]],
      'early: by a roll call, that is, all instances had answered. leasehold info says why one was full.',
    ),
    timeseries('Instances that a roll call waits for', 'none', [
      ['missing', `max(leasehold_roll_call_missing_instances{${I}})`],
      ['newcomers', `sum(leasehold_newcomer_remaining_seconds{${I}} > bool 0)`],
    ]),
    timeseries(
      'Leases remembered for a roll call',
      'none',
      [
        ['{{instance}}', `sum by (instance) (leasehold_told_leases{${I}})`],
        ['too many to remember', `sum(leasehold_told_memory_incomplete{${I}})`],
        ['put back', `sum(increase(leasehold_roll_call_leases_put_back_total{${I}}[$__rate_interval]))`],
      ],
      'An instance remembers redis.max_told_leases. Beyond that, a quarantine lasts its whole time.',
    ),
    timeseries('Reigns', 'none', [
      ['all so far', `max(leasehold_reign_epoch{${I}})`],
      ['changes', `max(increase(leasehold_reign_changes_total{${I}}[$__rate_interval]))`],
    ]),
    timeseries('Time to the next session with a primary, over an hour', 's', [
      [
        'p50',
        `histogram_quantile(0.5, sum by (le) (increase(leasehold_adoption_duration_seconds_bucket{${I}}[1h])))`,
      ],
      [
        'p99',
        `histogram_quantile(0.99, sum by (le) (increase(leasehold_adoption_duration_seconds_bucket{${I}}[1h])))`,
      ],
    ]),
    timeseries('Sentinels', 'none', [
      ['known', `min(leasehold_sentinels_known{${I}})`],
      ['agreeing', `min(leasehold_sentinels_agreeing{${I}})`],
      ['needed', `max(leasehold_sentinels_needed{${I}})`],
    ]),
    timeseries('Age of the confirmation', 's', [
      ['{{instance}}', `max by (instance) (leasehold_confirmation_age_seconds{${I}})`],
    ]),
    timeseries(
      'Commands refused as late, or of another reign',
      'ops',
      ['late', 'reign'].map((outcome) => [outcome, orZero(refused(outcome))] as const),
      'What keeps an answer from being untrue. Many late ones: Redis or the network is slow.',
    ),
    timeseries('Flags that Sentinels have on nodes', 'none', [
      [
        '{{node}} {{flag}}',
        `max by (node, flag) (max_over_time(leasehold_sentinel_flags{${N}}[$__rate_interval]))`,
      ],
    ]),
    timeseries('Sentinels up, and sure of a quorum', 'none', [
      ['{{sentinel}} up', perSentinel('leasehold_sentinel_up')],
      ['{{sentinel}} quorum', `min by (sentinel) (leasehold_sentinel_quorum_ok{${I}})`],
    ]),
    timeseries('TILT, and failovers in progress', 'none', [
      ['{{sentinel}} TILT', perSentinel('leasehold_sentinel_tilt')],
      ['{{sentinel}} failover', perSentinel('leasehold_sentinel_failover_in_progress')],
    ]),
    timeseries('Config epoch', 'none', [['{{sentinel}}', perSentinel('leasehold_sentinel_config_epoch')]]),
  ],
};

export const REDIS: Row = {
  title: 'Redis',
  panels: [
    table('Nodes', `max by (node, role, version) (leasehold_redis_info{${N}})`),
    timeseries('Nodes that answer', 'none', [['{{node}}', perNode('leasehold_redis_up')]]),
    timeseries('Time since the start', 's', [['{{node}}', perNode('leasehold_redis_uptime_seconds')]]),
    timeseries('Memory', 'bytes', [
      ['{{node}} used', perNode('leasehold_redis_memory_used_bytes')],
      ['{{node}} RSS', perNode('leasehold_redis_memory_rss_bytes')],
      ['{{node}} limit', perNode('leasehold_redis_memory_max_bytes')],
    ]),
    timeseries('Fragmentation', 'none', [
      ['{{node}}', perNode('leasehold_redis_memory_fragmentation_ratio')],
    ]),
    timeseries('Evicted and expired keys', 'ops', [
      ['{{node}} evicted', nodeRate('node', 'leasehold_redis_evicted_keys_total')],
      ['{{node}} expired', nodeRate('node', 'leasehold_redis_expired_keys_total')],
    ]),
    timeseries(
      'Time of commands in Redis',
      's',
      [
        [
          '{{node}} {{family}} {{quantile}}',
          `max by (node, family, quantile) (leasehold_redis_command_latency_seconds{${N}})`,
        ],
      ],
      'Since the node started.',
    ),
    timeseries(
      'Time of commands, as the server sees it',
      's',
      quantiles('leasehold_store_command_duration_seconds'),
    ),
    timeseries('Commands of the server', 'ops', [
      ['{{command}} {{outcome}}', rate('command, outcome', 'leasehold_store_commands_total')],
    ]),
    timeseries('Commands in Redis', 'ops', [
      ['{{node}}', nodeRate('node', 'leasehold_redis_commands_total')],
    ]),
    timeseries('Slow log', 'none', [['{{node}}', perNode('leasehold_redis_slowlog_length')]]),
    timeseries('CPU', 'percentunit', [
      ['{{node}} {{mode}}', nodeRate('node, mode', 'leasehold_redis_cpu_seconds_total')],
    ]),
    timeseries('Clients', 'none', [
      ['{{node}} connected', perNode('leasehold_redis_connected_clients')],
      ['{{node}} blocked', perNode('leasehold_redis_blocked_clients')],
      ['{{node}} limit', perNode('leasehold_redis_max_clients')],
    ]),
    timeseries('Connections refused', 'ops', [
      ['{{node}}', nodeRate('node', 'leasehold_redis_rejected_connections_total')],
    ]),
    timeseries('Keys found and not found', 'ops', [
      ['{{node}} found', nodeRate('node', 'leasehold_redis_keyspace_hits_total')],
      ['{{node}} not found', nodeRate('node', 'leasehold_redis_keyspace_misses_total')],
    ]),
    timeseries('Network', 'Bps', [
      ['{{node}} in', nodeRate('node', 'leasehold_redis_network_in_bytes_total')],
      ['{{node}} out', nodeRate('node', 'leasehold_redis_network_out_bytes_total')],
    ]),
    timeseries('Replicas', 'none', [
      ['{{node}} has', perNode('leasehold_redis_connected_replicas')],
      ['{{node}} is attached', perNode('leasehold_redis_replication_link_up')],
    ]),
    timeseries('Replication lag, seconds', 's', [
      ['{{node}}', perNode('leasehold_redis_replication_lag_seconds')],
    ]),
    timeseries('Replication lag, bytes', 'bytes', [
      ['{{node}}', perNode('leasehold_redis_replication_lag_bytes')],
    ]),
    timeseries('Age of the snapshot', 's', [['{{node}}', perNode('leasehold_redis_rdb_age_seconds')]]),
    timeseries(
      'Persistence works',
      'none',
      [
        ['{{node}} snapshot', `min by (node) (leasehold_redis_rdb_last_ok{${N}})`],
        ['{{node}} append-only file', `min by (node) (leasehold_redis_aof_last_write_ok{${N}})`],
        ['{{node}} append-only file is on', `min by (node) (leasehold_redis_aof_enabled{${N}})`],
      ],
      '1 is good.',
    ),
    timeseries('Time of the last fork', 's', [['{{node}}', perNode('leasehold_redis_fork_seconds')]]),
    timeseries(
      'Wait for replicas',
      's',
      quantiles('leasehold_commit_duration_seconds'),
      'Only with durability replicated.',
    ),
    timeseries('Answers that pass together', 'none', quantiles('leasehold_commit_batch_size')),
    timeseries('Commands that go together', 'none', quantiles('leasehold_store_batch_size')),
  ],
};

export const PROCESS: Row = {
  title: 'Process',
  panels: [
    table('Instances', `max by (instance, worker, version, store, instance_id) (leasehold_info{${I}})`),
    timeseries('Event loop, p99', 's', [
      ['{{instance}} {{worker}}', `max by (instance, worker) (nodejs_eventloop_lag_p99_seconds{${I}})`],
    ]),
    timeseries('CPU', 'percentunit', [
      ['{{instance}} {{worker}}', rate('instance, worker', 'process_cpu_seconds_total')],
    ]),
    timeseries('Garbage collection', 'percentunit', [
      ['{{instance}} {{kind}}', rate('instance, kind', 'nodejs_gc_duration_seconds_sum')],
    ]),
    timeseries('Memory', 'bytes', [
      ['{{instance}} {{worker}}', `max by (instance, worker) (process_resident_memory_bytes{${I}})`],
    ]),
    timeseries('Connections of clients', 'none', [
      ['{{instance}}', `sum by (instance) (leasehold_connections{${I}})`],
    ]),
    timeseries('Open streams', 'none', [['{{method}}', `sum by (method) (leasehold_open_streams{${I}})`]]),
    timeseries(
      'Workers',
      'none',
      [
        ['{{instance}} {{worker}} up', `min by (instance, worker) (leasehold_worker_up{${I}})`],
        ['{{instance}} {{worker}} ended', rate('instance, worker', 'leasehold_worker_ends_total')],
      ],
      'Only with --workers.',
    ),
    timeseries('Collectors up', 'none', [
      ['{{instance}} {{collector}}', `min by (instance, collector) (leasehold_collector_up{${I}})`],
    ]),
    timeseries('Collectors: time of a read', 's', [
      ['{{collector}}', `max by (collector) (leasehold_collector_duration_seconds{${I}})`],
    ]),
    timeseries('Collectors: age of what they read', 's', [
      [
        '{{instance}} {{collector}}',
        `time() - min by (instance, collector) (leasehold_collector_last_success_timestamp_seconds{${I}})`,
      ],
    ]),
  ],
};
