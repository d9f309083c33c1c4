// The rows that tell how it goes: at a glance, contention, operations.
import { I, N, orZero, quantiles, type Row, rate, stat, timeseries } from './panel.ts';

const BAD_FROM_ONE = [[1, 'red']] as const;
const GOOD_FROM_ONE = [
  [0, 'red'],
  [1, 'green'],
] as const;

export const GLANCE: Row = {
  title: 'At a glance',
  panels: [
    stat(
      'Alerts firing',
      'none',
      orZero('count(ALERTS{job="$job", alertname=~"Leasehold.*", alertstate="firing"})'),
      { colours: BAD_FROM_ONE, description: 'docs/runbooks.md has a paragraph on each.' },
    ),
    stat('Server processes ready', 'none', `sum(leasehold_ready{${I}})`, { colours: GOOD_FROM_ONE }),
    stat('With a confirmed primary', 'percentunit', `avg(leasehold_store_usable{${I}})`, {
      colours: GOOD_FROM_ONE,
    }),
    stat('Quarantine left', 's', `max(leasehold_quarantine_remaining_seconds{${I}})`, {
      colours: [[0.001, 'orange']],
      description: 'Nothing new is granted until then.',
    }),
    stat(
      'Sentinels to spare',
      'none',
      `min(leasehold_sentinels_agreeing{${I}} - leasehold_sentinels_needed{${I}})`,
      {
        colours: [
          [-1_000, 'red'],
          [0, 'orange'],
          [1, 'green'],
        ],
        description: 'How many more may fail until no majority agrees on the primary.',
      },
    ),
    stat(
      'Last failover',
      'dateTimeFromNow',
      `max(leasehold_last_failover_timestamp_seconds{${I}} > 0) * 1000`,
      {
        noValue: 'never',
      },
    ),
    stat(
      'Redis memory',
      'percentunit',
      `max(max by (node) (leasehold_redis_memory_used_bytes{${N}})` +
        ` / (max by (node) (leasehold_redis_memory_max_bytes{${N}}) > 0))`,
      {
        colours: [
          [0.8, 'orange'],
          [0.95, 'red'],
        ],
        noValue: 'no limit',
        description: 'Of maxmemory, on the fullest node.',
      },
    ),
    stat('Replicas attached', 'none', `max(leasehold_redis_connected_replicas{${I}})`, {
      colours: GOOD_FROM_ONE,
    }),
    stat('Leases held', 'none', `max(leasehold_deployment_leases{${I}})`),
    stat('Waiters', 'none', `max(leasehold_deployment_waiters{${I}})`),
    stat('Oldest wait', 's', `max(leasehold_oldest_wait_seconds{${I}})`, { colours: [[600, 'orange']] }),
    stat('Suspected deadlocks', 'none', `max(leasehold_suspected_deadlocks{${I}})`, {
      colours: BAD_FROM_ONE,
      description: 'leasehold locks deadlocks names the owners.',
    }),
    stat(
      'Leases lost, last hour',
      'none',
      orZero(`sum(increase(leasehold_lease_losses_total{${I}, reason!="released"}[1h]))`),
      { colours: BAD_FROM_ONE },
    ),
    stat('Oldest pending operation', 's', orZero(`max(leasehold_deployment_oldest_pending_seconds{${I}})`), {
      colours: [[600, 'orange']],
    }),
    stat(
      'Dead operations',
      'none',
      orZero(`sum(max by (type) (leasehold_deployment_operations{${I}, state="dead"}))`),
      { colours: BAD_FROM_ONE },
    ),
    stat(
      'Collectors down',
      'none',
      `count(leasehold_collector_up{${I}}) - sum(leasehold_collector_up{${I}})`,
      {
        colours: BAD_FROM_ONE,
        description: 'While one is down, a part of this dashboard is old or missing.',
      },
    ),
    timeseries('Calls', 'reqps', [['{{method}}', rate('method', 'leasehold_calls_total')]]),
    timeseries('Calls that failed', 'reqps', [
      ['{{method}} {{code}}', `${rate('method, code', 'leasehold_calls_total', ', code!="OK"')} > 0`],
    ]),
    timeseries(
      'Calls refused unread',
      'reqps',
      [['{{instance}}', rate('instance', 'leasehold_calls_shed_total')]],
      'Because there were more than the instance could answer.',
    ),
    timeseries(
      'Time of a call',
      's',
      quantiles('leasehold_call_duration_seconds', 'method'),
      'Waits for a lock or for work are part of it.',
    ),
  ],
};

export const CONTENTION: Row = {
  title: 'Contention',
  panels: [
    timeseries('Locks', 'none', [
      ['locks that are not free', `max(leasehold_deployment_locks{${I}})`],
      ['leases', `max(leasehold_deployment_leases{${I}})`],
      ['leases kept by streams', `sum(leasehold_kept_leases{${I}})`],
      ['waiters', `max(leasehold_deployment_waiters{${I}})`],
      ['calls that wait', `sum(leasehold_waiting_calls{${I}})`],
      ['watches', `sum(leasehold_watches{${I}})`],
    ]),
    timeseries('Oldest wait', 's', [
      ['{{instance}}', `max by (instance) (leasehold_oldest_wait_seconds{${I}})`],
    ]),
    timeseries('Suspected deadlocks', 'none', [['circles', `max(leasehold_suspected_deadlocks{${I}})`]]),
    timeseries('Acquires', 'ops', [
      ['{{mode}} {{outcome}}', rate('mode, outcome', 'leasehold_lock_acquires_total')],
    ]),
    timeseries(
      'Time to the grant',
      's',
      quantiles('leasehold_lock_grant_duration_seconds', 'queued'),
      'queued: whether the caller had to wait.',
    ),
    timeseries(
      'Time from free to the next grant',
      's',
      quantiles('leasehold_lock_handover_duration_seconds'),
    ),
    timeseries('Time that leases were held', 's', quantiles('leasehold_lock_hold_duration_seconds', 'end')),
    timeseries('Lag of renewals', 's', quantiles('leasehold_lease_renewal_lag_seconds')),
    timeseries('Leases lost and expired', 'ops', [
      ['lost: {{reason}}', rate('reason', 'leasehold_lease_losses_total')],
      [
        'expired, all of the deployment',
        `max(rate(leasehold_deployment_expired_leases_total{${I}}[$__rate_interval]))`,
      ],
    ]),
    ...(
      [
        ['Calls that wait, by group', 'none', 'leasehold_group_wait_seconds_total'],
        ['Leases that are held, by group', 'none', 'leasehold_group_hold_seconds_total'],
        ['Acquires, by group', 'ops', 'leasehold_group_acquires_total'],
      ] as const
    ).map(([title, unit, metric]) =>
      timeseries(
        title,
        unit,
        [['{{group}}', `topk(10, ${rate('group', metric)})`]],
        'The top ten; only with monitoring.group_by.',
      ),
    ),
  ],
};

export const OPERATIONS: Row = {
  title: 'Operations',
  panels: [
    timeseries('Operations', 'none', [
      ['{{type}} {{state}}', `max by (type, state) (leasehold_deployment_operations{${I}})`],
    ]),
    timeseries('Oldest pending', 's', [
      ['{{type}}', `max by (type) (leasehold_deployment_oldest_pending_seconds{${I}})`],
    ]),
    timeseries('Workers', 'none', [
      ['attempts kept', `sum(leasehold_kept_attempts{${I}})`],
      ['claims that wait for work', `sum(leasehold_waiting_claims{${I}})`],
      ['calls that wait for an operation', `sum(leasehold_operation_waits{${I}})`],
    ]),
    timeseries('Begun', 'ops', [
      ['{{type}} {{outcome}}', rate('type, outcome', 'leasehold_operation_begins_total')],
    ]),
    timeseries(
      'Claimed',
      'ops',
      [['{{type}} {{kind}}', rate('type, kind', 'leasehold_operation_claims_total')]],
      'stale: a former worker was interrupted.',
    ),
    timeseries('Ended', 'ops', [
      ['{{type}} {{state}}', rate('type, state', 'leasehold_operation_ends_total')],
    ]),
    timeseries('Tried again', 'ops', [['{{type}}', rate('type', 'leasehold_operation_retries_total')]]),
    timeseries(
      'Time until an operation is claimed',
      's',
      quantiles('leasehold_operation_pending_duration_seconds', 'type'),
    ),
    timeseries('Time of an attempt', 's', quantiles('leasehold_operation_run_duration_seconds', 'type')),
    timeseries('Lag of heartbeats', 's', quantiles('leasehold_operation_heartbeat_lag_seconds')),
  ],
};
