// Would a failover find a replica, and one that knows what the primary knew?

import { formatHostPort } from '../../domain/host-port.ts';
import { LAPSED_AFTER_ADOPTION_MS } from '../../domain/safety.ts';
import { error, info, type Judgement, ok, warning } from '../examination.ts';
import { type Check, type Examined, type Fields, type RedisNodeFacts, seenOf } from '../facts.ts';
import { redisCli, setting } from '../redis-cli-text.ts';
import { bytesText, numberIn, ofEach, ofEachSetting } from './node-judgements.ts';

/** Replicas acknowledge once a second. */
const LATE_S = 3;
const LATE_BYTES = 2 ** 20;
const BACKLOG_S = 60;
const NO_FIELDS: Fields = new Map();

export const REPLICATION_CHECKS: readonly Check[] = [
  { name: 'roles', about: 'Each node has the role that the Sentinels give it.', judge: roles },
  {
    name: 'replicas',
    about: 'At least one replica, better two, is attached to the primary, with its link up.',
    judge: replicas,
  },
  {
    name: 'replication-lag',
    about: 'No replica is more than 3 s or 1 MB behind.',
    judge: replicationLag,
  },
  {
    name: 'acknowledgements',
    about: 'With `redis.durability: replicated`, as many replicas are attached as `redis.min_acks` says.',
    judge: acknowledgements,
  },
  {
    name: 'min-replicas',
    about: '`min-replicas-to-write` is 0 on every node.',
    judge: minReplicas,
  },
  {
    name: 'replication-backlog',
    about: '`repl-backlog-ttl` is 0, and `repl-backlog-size` holds a minute of writes.',
    judge: replicationBacklog,
  },
  {
    name: 'replica-priority',
    about: '`replica-priority` is the same on all nodes, and not 0.',
    judge: replicaPriority,
  },
];

function primaryOf({ facts }: Examined): RedisNodeFacts | undefined {
  return facts.nodes.find(({ role }) => role === 'primary');
}

function infoOf(node: RedisNodeFacts | undefined): Fields {
  return (node && seenOf(node.info)) ?? NO_FIELDS;
}

function replicasOf({ facts }: Examined): readonly RedisNodeFacts[] {
  return facts.nodes.filter(({ role }) => role === 'replica');
}

/** It follows the very stream of the primary. Names of hosts differ by who tells them; the id of a stream doesn't. */
function isAttached(replica: RedisNodeFacts, primary: Fields): boolean {
  const fields = infoOf(replica);
  const sameStream = fields.get('master_replid') === primary.get('master_replid');
  return fields.get('role') === 'slave' && fields.get('master_link_status') === 'up' && sameStream;
}

function roles(examined: Examined): readonly Judgement[] {
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { role }) => {
      const own = fields.get('role');
      if (own === undefined) return undefined;
      if ((own === 'master') === (role === 'primary')) return ok(subject, `it is a ${role}`);
      const told = {
        seen: `the Sentinels take it for a ${role}, and it says that it is a ${own === 'master' ? 'primary' : 'replica'}`,
        why:
          role === 'primary'
            ? 'no write succeeds until both agree'
            : 'a second primary: a client that asks it gets answers that nobody else knows of',
        fix: "wait for a minute: the Sentinels put this right by themselves. If they don't, look at the log of a Sentinel; never use REPLICAOF by hand",
      };
      return role === 'primary' ? error(subject, told) : warning(subject, told);
    },
  );
}

function replicas(examined: Examined): readonly Judgement[] {
  const primary = primaryOf(examined);
  const fields = infoOf(primary);
  if (!primary || fields.get('role') !== 'master') return [];
  const subject = formatHostPort(primary.address);
  const all = replicasOf(examined);
  const single = examined.redis.kind === 'single';
  const attached = all.filter((replica) => isAttached(replica, fields));
  const loose = all.filter((replica) => 'seen' in replica.info && !isAttached(replica, fields));
  const findings = loose.map((replica) => looseReplica(examined, replica));
  if (attached.length > 1) return [ok(subject, `${attached.length} replicas are attached`), ...findings];
  if (attached.length === 1) {
    const told = {
      seen: 'one replica is attached',
      why: 'while one of the two nodes is away, the other holds all the data alone',
      fix: 'add a second replica, on another machine',
    };
    return [single ? ok(subject, told.seen) : info(subject, told), ...findings];
  }
  const told = {
    seen: 'no replica is attached',
    why: 'this node holds all the data alone, and a failover would find nobody',
    fix: `start the replicas, and look in their logs why they don't attach; then ${redisCli(examined.redis, primary.address, 'INFO replication')}`,
  };
  return [single ? info(subject, told) : error(subject, told), ...findings];
}

function looseReplica({ redis }: Examined, replica: RedisNodeFacts): Judgement {
  const fields = infoOf(replica);
  const link = fields.get('master_link_status') ?? 'unknown';
  const syncing = fields.get('master_sync_in_progress') === '1' ? ', a sync is in progress' : '';
  const upstream = `${fields.get('master_host') ?? 'nobody'}:${fields.get('master_port') ?? ''}`;
  return warning(formatHostPort(replica.address), {
    seen: `it isn't in sync with the primary: it follows ${upstream}, its link is ${link}${syncing}`,
    why: "a failover can't choose it, or loses what it lacks",
    fix: `wait for the sync to end; if it doesn't, compare masterauth with the password of the primary, and look at ${redisCli(redis, replica.address, 'INFO replication')}`,
  });
}

/** By what the primary says: both of its numbers are from one moment. */
function replicationLag(examined: Examined): readonly Judgement[] {
  const primary = primaryOf(examined);
  const fields = infoOf(primary);
  const offset = numberIn(fields, 'master_repl_offset');
  if (!primary || offset === undefined) return [];
  return [...fields].flatMap(([name, row]) => {
    const attached = /^slave\d+$/.test(name)
      ? /ip=([^,]+),port=(\d+),state=(\w+),offset=(\d+),lag=(-?\d+)/.exec(row)
      : null;
    if (!attached) return [];
    const [, host = '', port, , has, lag] = attached;
    const subject = formatHostPort({ host, port: Number(port) });
    const behind = Math.max(0, offset - Number(has));
    const seen = `it acknowledged ${lag} s ago, and is ${bytesText(behind)} behind`;
    const lagS = Number(lag);
    if (lagS <= LATE_S && behind <= LATE_BYTES) return [ok(subject, seen)];
    const told = {
      seen,
      why: 'a failover forgets what the replica lacks: locks and operations of that time',
      fix: `look for a full network or a busy machine; ${redisCli(examined.redis, { host, port: Number(port) }, 'INFO replication')}`,
    };
    return [lagS * 1_000 > LAPSED_AFTER_ADOPTION_MS ? error(subject, told) : warning(subject, told)];
  });
}

function acknowledgements(examined: Examined): readonly Judgement[] {
  const { minAcks } = examined.redis;
  const primary = primaryOf(examined);
  const fields = infoOf(primary);
  if (minAcks === 0 || fields.get('role') !== 'master') return [];
  const attached = replicasOf(examined).filter((replica) => isAttached(replica, fields)).length;
  const subject = 'redis.min_acks';
  const seen = `redis.min_acks is ${minAcks}, and ${attached} replicas are attached`;
  if (attached > minAcks) return [ok(subject, seen)];
  if (attached < minAcks) {
    return [
      error(subject, {
        seen,
        why: 'every call that writes fails with DURABILITY_UNMET',
        fix: `start more replicas, or set redis.min_acks: ${Math.max(1, attached)}`,
      }),
    ];
  }
  return [
    info(subject, {
      seen,
      why: 'no failover loses a write, but while one replica is away every call that writes fails',
      fix: 'add a replica if calls should go on then',
    }),
  ];
}

function minReplicas(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEachSetting(
    examined,
    'min-replicas-to-write',
    (subject, value, { address, info: text, settings }) => {
      if (value === '0') return ok(subject, 'min-replicas-to-write is 0');
      const maxLag = seenOf(settings)?.get('min-replicas-max-lag');
      if (maxLag === '0')
        return ok(subject, `min-replicas-to-write is ${value}, switched off by min-replicas-max-lag 0`);
      const good = numberIn(seenOf(text) ?? NO_FIELDS, 'min_slaves_good_slaves');
      const told = {
        seen: `min-replicas-to-write is ${value} (min-replicas-max-lag ${maxLag})`,
        why: 'a replica that was just promoted refuses all writes, renewals too, until others have attached to it; redis.durability: replicated waits for replicas without that',
        fix: setting(redis, address, 'min-replicas-to-write', '0'),
      };
      const refusesNow = seenOf(text)?.get('role') === 'master' && good !== undefined && good < Number(value);
      return refusesNow
        ? error(subject, { ...told, why: `only ${good} replicas count now: Redis refuses all writes` })
        : warning(subject, told);
    },
  );
}

function replicationBacklog(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ settings }) => settings,
    (subject, settings, { address, info: text }) => {
      const [ttl, size] = [numberIn(settings, 'repl-backlog-ttl'), numberIn(settings, 'repl-backlog-size')];
      if (ttl === undefined || size === undefined) return undefined;
      if (ttl !== 0) {
        return warning(subject, {
          seen: `repl-backlog-ttl is ${ttl}`,
          why: 'a primary whose replicas are all away for that long takes a new replication id, which costs a quarantine',
          fix: setting(redis, address, 'repl-backlog-ttl', '0'),
        });
      }
      const rate = 1_024 * (numberIn(seenOf(text) ?? NO_FIELDS, 'instantaneous_output_repl_kbps') ?? 0);
      const holdsS = rate === 0 ? Number.POSITIVE_INFINITY : size / rate;
      const seen = `repl-backlog-size is ${bytesText(size)}, repl-backlog-ttl is 0`;
      if (holdsS >= BACKLOG_S) return ok(subject, seen);
      return warning(subject, {
        seen: `${seen}; at ${bytesText(rate)} a second, that is ${Math.round(holdsS)} s of writes`,
        why: "a replica that is away for longer needs a full copy, and a failover meanwhile can't choose it",
        fix: setting(redis, address, 'repl-backlog-size', String(Math.ceil(2 * BACKLOG_S * rate))),
      });
    },
  );
}

function replicaPriority(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  const told = examined.facts.nodes.flatMap((node) => {
    const value = seenOf(node.settings)?.get('replica-priority');
    return value === undefined ? [] : [{ node, value }];
  });
  if (told.length === 0 || redis.kind === 'single') return [];
  const values = new Set(told.map(({ value }) => value));
  const fix = told.map(({ node }) => setting(redis, node.address, 'replica-priority', '100')).join(' && ');
  const seen = told.map(({ node, value }) => `${formatHostPort(node.address)}: ${value}`).join(', ');
  const ofReplicas = told.filter(({ node }) => node.role === 'replica');
  if (ofReplicas.length > 0 && ofReplicas.every(({ value }) => value === '0')) {
    const why = 'a node with priority 0 is never promoted: a failover would find nobody';
    return [error('deployment', { seen: `replica-priority is 0 on all replicas (${seen})`, why, fix })];
  }
  if (values.size === 1 && !values.has('0'))
    return [ok('deployment', `replica-priority is ${[...values].join()} on all nodes`)];
  return [
    warning('deployment', {
      seen: `replica-priority differs: ${seen}`,
      why: 'Sentinel chooses by priority first: a preferred replica wins over one that knows more',
      fix,
    }),
  ];
}
