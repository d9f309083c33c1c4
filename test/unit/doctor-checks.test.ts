// What each check of the doctor makes of facts that are made up: one deployment where all is well, and then one thing
// wrong after the other.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '../../src/doctor/checks.ts';
import type { Finding } from '../../src/doctor/examination.ts';
import { judge } from '../../src/doctor/examine.ts';
import type { Examined, Facts } from '../../src/doctor/facts.ts';
import {
  madeUp,
  NOW_MS,
  PRIMARY,
  REPLICA,
  withInfo,
  withNode,
  withPrimaryFields,
  withSentinel,
  withSettings,
} from '../support/made-up-deployment.ts';

const DAY_MS = 86_400_000;
const MB = 2 ** 20;
const SENTINEL = 'sentinel-1:26379';
const REFUSED = { unseen: 'NOPERM this user has no permissions to run this command' };

function withFacts(changes: Partial<Facts>, examined = madeUp()): Examined {
  return { ...examined, facts: { ...examined.facts, ...changes } };
}

function meta(fields: Readonly<Record<string, string>>): Partial<Facts> {
  return { meta: { seen: new Map(Object.entries(fields)) } };
}

function certificate(leftMs: number): Partial<Facts> {
  return {
    certificates: [
      { subject: 'redis.tls.ca_file', what: 'the authorities', expiresAtMs: { seen: NOW_MS + leftMs } },
    ],
  };
}

const NODES_HERE = withNode(madeUp(), 'all', { isHere: true });

const TWO_SENTINELS = withPrimaryFields(
  madeUp({ LEASEHOLD_REDIS_ADDRESS: 'sentinel-1:26379,sentinel-2:26379' }),
  'all',
  { 'num-other-sentinels': '1' },
);

/** Not ok: what a user is told. */
function told(examined: Examined): readonly Finding[] {
  return judge(examined).filter(({ severity }) => severity !== 'ok');
}

test('a deployment as the docs want it has no finding but what cannot be seen from another machine', () => {
  expect(told(madeUp()).map(({ check, severity }) => `${severity} ${check}`)).toEqual([
    'info transparent-huge-pages',
    'info overcommit-memory',
  ]);
  expect(told(NODES_HERE)).toEqual([]);
});

type Case = readonly [
  wrong: string,
  examined: Examined,
  check: string,
  severity: string,
  subject: string,
  seen: RegExp,
  fix: RegExp,
];

const CASES: readonly Case[] = [
  [
    'a Sentinel that is silent',
    withSentinel(madeUp(), 0, { view: { unseen: 'connect ECONNREFUSED' } }),
    'reach-sentinels',
    'warning',
    SENTINEL,
    /ECONNREFUSED/,
    /redis-cli -h sentinel-1 -p 26379 PING$/,
  ],
  [
    'two of three Sentinels that are silent',
    withSentinel(withSentinel(madeUp(), 0, { view: { unseen: 'no' } }), 1, { view: { unseen: 'no' } }),
    'reach-sentinels',
    'error',
    SENTINEL,
    /can't be asked/,
    /PING$/,
  ],
  [
    'a Sentinel that does not know the name',
    withSentinel(madeUp(), 0, { view: { unseen: 'ERR No such master with that name' } }),
    'reach-sentinels',
    'warning',
    SENTINEL,
    /No such master/,
    /redis\.master_name/,
  ],
  [
    'a primary out of reach',
    withNode(madeUp(), 0, { reach: { unseen: 'connect ECONNREFUSED' }, info: { unseen: 'x' } }),
    'reach-redis',
    'error',
    PRIMARY,
    /the primary can't be asked: connect ECONNREFUSED/,
    /redis-cli -h redis-1 -p 6379 PING$/,
  ],
  [
    'a replica that hangs',
    withNode(madeUp(), 1, { info: { unseen: 'INFO: no reply within 1500 ms' } }),
    'reach-redis',
    'warning',
    REPLICA,
    /the replica can't be asked: INFO: no reply/,
    /PING$/,
  ],
  [
    'no primary that anybody names',
    withFacts({ primary: undefined, nodes: [] }),
    'reach-redis',
    'error',
    'deployment',
    /names a primary/,
    /SENTINEL MASTER mymaster$/,
  ],
  [
    'a password that Redis refuses',
    withNode(madeUp(), 0, { reach: { unseen: 'WRONGPASS invalid username-password pair' } }),
    'reach-redis',
    'error',
    PRIMARY,
    /WRONGPASS/,
    /docs\/redis-acl\.md/,
  ],
  [
    'a Sentinel that others announce by an address that nothing reaches',
    withFacts({
      announcedSentinels: [{ address: { host: '10.0.0.9', port: 26_379 }, reach: { unseen: 'timeout' } }],
    }),
    'reach-announced-sentinels',
    'warning',
    '10.0.0.9:26379',
    /can't be reached from here/,
    /announce-ip/,
  ],
  [
    'a Sentinel that is not listed',
    withFacts({ announcedSentinels: [{ address: { host: '10.0.0.9', port: 26_379 }, reach: { seen: 1 } }] }),
    'reach-announced-sentinels',
    'info',
    '10.0.0.9:26379',
    /redis\.address doesn't list it/,
    /add 10\.0\.0\.9:26379 to redis\.address/,
  ],
  [
    'a replica whose user lacks a right',
    withNode(madeUp(), 1, { lackingRights: { seen: ['+hset', '&leasehold:{0}:*'] } }),
    'redis-rights',
    'error',
    REPLICA,
    /lacks \+hset &leasehold/,
    /ACL SETUSER default \+hset '&leasehold:\{0\}:\*' && .* ACL SAVE$/,
  ],
  [
    'a Sentinel where the user may not subscribe',
    withSentinel(madeUp(), 0, { subscription: REFUSED }),
    'sentinel-rights',
    'warning',
    SENTINEL,
    /SUBSCRIBE/,
    /ACL SETUSER default \+subscribe '&\+switch-master' && .* SENTINEL FLUSHCONFIG$/,
  ],
  [
    'a Redis that refuses CONFIG GET',
    withNode(madeUp(), 0, { settings: REFUSED }),
    'rights-to-look',
    'warning',
    PRIMARY,
    /could not look: NOPERM/,
    /ACL SETUSER default '\+config\|get' && /,
  ],
  [
    'a Redis that refuses LATENCY',
    withNode(madeUp(), 0, { latency: REFUSED }),
    'rights-to-look',
    'info',
    PRIMARY,
    /could not look/,
    /'\+latency\|latest' && /,
  ],
  [
    'a Sentinel that refuses to tell of the others',
    withSentinel(madeUp(), 0, () => ({ refused: new Map([['REPLICAS', 'NOPERM']]) })),
    'rights-to-look',
    'warning',
    SENTINEL,
    /could not look/,
    /'\+sentinel\|replicas' && /,
  ],
  [
    'another max_ttl than the deployment has',
    withFacts(meta({ max_ttl: '60000000', schema: '3' })),
    'max-ttl',
    'error',
    'locks.max_ttl',
    /says 30 s, and the deployment has 60 s/,
    /locks\.max_ttl: 60000ms/,
  ],
  [
    'keys of another layout',
    withFacts(meta({ max_ttl: '30000000', schema: '9' })),
    'key-layout',
    'error',
    'redis.key_prefix',
    /layout 9/,
    /version of the other instances/,
  ],
  [
    'keys of the former layout',
    withFacts(meta({ max_ttl: '30000000', schema: '2' })),
    'key-layout',
    'info',
    'redis.key_prefix',
    /layout 2/,
    /Upgrading/,
  ],
  [
    'bootstrap: new in a deployment with data',
    madeUp({ LEASEHOLD_REDIS_BOOTSTRAP: 'new' }),
    'bootstrap',
    'warning',
    'redis.bootstrap',
    /still new/,
    /LEASEHOLD_REDIS_BOOTSTRAP=wait/,
  ],
  [
    'bootstrap: new in a deployment without data',
    withFacts(meta({}), madeUp({ LEASEHOLD_REDIS_BOOTSTRAP: 'new' })),
    'bootstrap',
    'info',
    'redis.bootstrap',
    /no data yet/,
    /bootstrap: wait/,
  ],
  [
    'a quarantine that is off',
    madeUp({ LEASEHOLD_REDIS_QUARANTINE: 'off' }),
    'quarantine',
    'warning',
    'redis.quarantine',
    /off/,
    /redis\.quarantine: on/,
  ],
  [
    'a Redis with known holes',
    withInfo(madeUp(), 0, { redis_version: '7.2.10' }),
    'version',
    'warning',
    PRIMARY,
    /Redis 7\.2\.10 .*CVE-2025-49844.*CVE-2026-23479/,
    /Redis 7\.2\.16 or newer/,
  ],
  [
    'a Valkey with known holes',
    withInfo(madeUp(), 0, { redis_version: '7.2.4', valkey_version: '8.1.3' }),
    'version',
    'warning',
    PRIMARY,
    /Valkey 8\.1\.3/,
    /Valkey 8\.1\.7 or newer/,
  ],
  [
    'a Redis that is too old',
    withInfo(madeUp(), 0, { redis_version: '6.2.24' }),
    'version',
    'error',
    PRIMARY,
    /Redis 6\.2\.24/,
    /upgrade Redis/,
  ],
  [
    'a policy that evicts',
    withInfo(madeUp(), 0, { maxmemory_policy: 'allkeys-lru' }),
    'eviction',
    'error',
    PRIMARY,
    /allkeys-lru/,
    /CONFIG SET maxmemory-policy noeviction && redis-cli .* CONFIG REWRITE$/,
  ],
  [
    'a policy that evicts, and that the configuration accepts',
    withInfo(madeUp({ LEASEHOLD_REDIS_ALLOW_EVICTION_POLICY: 'volatile-lru' }), 0, {
      maxmemory_policy: 'volatile-lru',
    }),
    'eviction',
    'warning',
    PRIMARY,
    /volatile-lru/,
    /noeviction/,
  ],
  [
    'keys that were evicted',
    withInfo(madeUp(), 0, { evicted_keys: '3' }),
    'eviction',
    'warning',
    PRIMARY,
    /3 keys were evicted/,
    /maxmemory-policy/,
  ],
  [
    'no maxmemory',
    withInfo(madeUp(), 1, { maxmemory: '0', total_system_memory: String(8 * 2 ** 30) }),
    'memory',
    'warning',
    REPLICA,
    /not set/,
    /CONFIG SET maxmemory 4096mb/,
  ],
  [
    'a memory that is nearly full',
    withInfo(madeUp(), 0, { used_memory: String(850 * MB) }),
    'memory',
    'warning',
    PRIMARY,
    /850 MB of 1000 MB .*85 %/,
    /maxmemory 2097152000/,
  ],
  [
    'a memory that is full',
    withInfo(madeUp(), 0, { used_memory: String(990 * MB) }),
    'memory',
    'error',
    PRIMARY,
    /99 %/,
    /maxmemory 2097152000/,
  ],
  [
    'a nearly full memory on a machine that has no more',
    withInfo(madeUp(), 0, { used_memory: String(850 * MB), total_system_memory: String(1_500 * MB) }),
    'memory',
    'warning',
    PRIMARY,
    /85 %/,
    /^the machine has 1\.5 GB: give it more memory/,
  ],
  [
    'connections that run short',
    withInfo(madeUp(), 0, { connected_clients: '9000' }),
    'connections',
    'warning',
    PRIMARY,
    /9000 of 10000/,
    /maxclients 20000/,
  ],
  [
    'connections that were refused',
    withInfo(madeUp(), 0, { rejected_connections: '4' }),
    'connections',
    'warning',
    PRIMARY,
    /4 were refused/,
    /maxclients 20000/,
  ],
  [
    'a primary that loads its data',
    withInfo(madeUp(), 0, { loading: '1' }),
    'reach-redis',
    'error',
    PRIMARY,
    /still loading/,
    /INFO persistence$/,
  ],
  [
    'a primary that a script blocks',
    withNode(madeUp(), 0, { info: { unseen: 'BUSY Redis is busy running a script.' } }),
    'reach-redis',
    'error',
    PRIMARY,
    /BUSY/,
    /SCRIPT KILL$/,
  ],
  [
    'hashes that are not packed',
    withSettings(madeUp(), 0, { 'hash-max-listpack-value': '64' }),
    'packed-hashes',
    'info',
    PRIMARY,
    /value is 64/,
    /CONFIG SET hash-max-listpack-value 512 && [^&]*REWRITE$/,
  ],
  [
    'no append-only file',
    withInfo(madeUp(), 2, { aof_enabled: '0' }),
    'append-only-file',
    'warning',
    'redis-3:6379',
    /appendonly is no/,
    /CONFIG SET appendonly yes/,
  ],
  [
    'an append-only file that the kernel writes when it likes',
    withSettings(madeUp(), 0, { appendfsync: 'no' }),
    'append-only-file',
    'warning',
    PRIMARY,
    /appendfsync is no/,
    /appendfsync everysec/,
  ],
  [
    'an append-only file that is synced at every write',
    withSettings(madeUp(), 0, { appendfsync: 'always' }),
    'append-only-file',
    'info',
    PRIMARY,
    /appendfsync is always/,
    /appendfsync everysec/,
  ],
  [
    'no snapshots',
    withSettings(madeUp(), 0, { save: '' }),
    'snapshots',
    'warning',
    PRIMARY,
    /save is empty/,
    /CONFIG SET save "900 1"/,
  ],
  [
    'an old snapshot',
    withInfo(madeUp(), 0, { rdb_last_save_time: String(NOW_MS / 1_000 - 3_600) }),
    'snapshots',
    'warning',
    PRIMARY,
    /60 min old, with 17 changes/,
    /BGSAVE$/,
  ],
  [
    'a snapshot that failed on the primary',
    withInfo(madeUp(), 0, { rdb_last_bgsave_status: 'err' }),
    'last-writes',
    'error',
    PRIMARY,
    /the last snapshot/,
    /BGSAVE$/,
  ],
  [
    'a write that failed on a replica',
    withInfo(madeUp(), 1, { aof_last_write_status: 'err' }),
    'last-writes',
    'warning',
    REPLICA,
    /append-only file/,
    /disk/,
  ],
  [
    'a disk that keeps Redis waiting',
    withInfo(madeUp(), 0, { aof_delayed_fsync: '12' }),
    'disk-latency',
    'warning',
    PRIMARY,
    /12 writes waited/,
    /faster/,
  ],
  [
    'a slow write that the latency monitor has seen',
    withNode(madeUp(), 0, {
      latency: { seen: [{ event: 'aof-write-pending-fsync', latestMs: 20, maxMs: 1_800 }] },
    }),
    'disk-latency',
    'warning',
    PRIMARY,
    /aof-write-pending-fsync took up to 1\.8 s/,
    /LATENCY DOCTOR/,
  ],
  [
    'a slow fork',
    withInfo(madeUp(), 0, { latest_fork_usec: '1500000' }),
    'disk-latency',
    'warning',
    PRIMARY,
    /fork took 1\.5 s/,
    /LATENCY DOCTOR/,
  ],
  [
    'a latency monitor that is off',
    withSettings(madeUp(), 0, { 'latency-monitor-threshold': '0' }),
    'disk-latency',
    'info',
    PRIMARY,
    /monitor is off/,
    /latency-monitor-threshold 100/,
  ],
  [
    'a primary that says that it is a replica',
    withInfo(madeUp(), 0, { role: 'slave' }),
    'roles',
    'error',
    PRIMARY,
    /take it for a primary, and it says that it is a replica/,
    /REPLICAOF/,
  ],
  [
    'a second primary',
    withInfo(madeUp(), 1, { role: 'master' }),
    'roles',
    'warning',
    REPLICA,
    /take it for a replica, and it says that it is a primary/,
    /REPLICAOF/,
  ],
  [
    'a replica whose link is down',
    withInfo(madeUp(), 1, { master_link_status: 'down' }),
    'replicas',
    'warning',
    REPLICA,
    /its link is down/,
    /masterauth/,
  ],
  [
    'one replica alone',
    withInfo(madeUp(), 1, { master_link_status: 'down' }),
    'replicas',
    'info',
    PRIMARY,
    /one replica is attached/,
    /second replica/,
  ],
  [
    'replicas of another stream',
    withInfo(withInfo(madeUp(), 1, { master_replid: 'b' }), 2, { master_replid: 'b' }),
    'replicas',
    'error',
    PRIMARY,
    /no replica is attached/,
    /INFO replication$/,
  ],
  [
    'a replica that acknowledges late',
    withInfo(madeUp(), 0, { slave0: 'ip=redis-2,port=6379,state=online,offset=1000,lag=5' }),
    'replication-lag',
    'warning',
    REPLICA,
    /acknowledged 5 s ago/,
    /INFO replication$/,
  ],
  [
    'a replica that is so late that leases are lost',
    withInfo(madeUp(), 0, { slave0: 'ip=redis-2,port=6379,state=online,offset=1000,lag=9' }),
    'replication-lag',
    'error',
    REPLICA,
    /acknowledged 9 s ago/,
    /INFO replication$/,
  ],
  [
    'a replica that lacks much',
    withInfo(madeUp(), 0, { master_repl_offset: String(1_000 + 5 * MB) }),
    'replication-lag',
    'warning',
    REPLICA,
    /5 MB behind/,
    /INFO replication$/,
  ],
  [
    'fewer replicas than must acknowledge',
    madeUp({ LEASEHOLD_REDIS_DURABILITY: 'replicated', LEASEHOLD_REDIS_MIN_ACKS: '3' }),
    'acknowledgements',
    'error',
    'redis.min_acks',
    /is 3, and 2 replicas/,
    /min_acks: 2/,
  ],
  [
    'just as many replicas as must acknowledge',
    madeUp({ LEASEHOLD_REDIS_DURABILITY: 'replicated', LEASEHOLD_REDIS_MIN_ACKS: '2' }),
    'acknowledgements',
    'info',
    'redis.min_acks',
    /is 2, and 2 replicas/,
    /add a replica/,
  ],
  [
    'a min-replicas-to-write of 1',
    withSettings(madeUp(), 1, { 'min-replicas-to-write': '1' }),
    'min-replicas',
    'warning',
    REPLICA,
    /min-replicas-to-write is 1 \(min-replicas-max-lag 10\)/,
    /min-replicas-to-write 0/,
  ],
  [
    'a min-replicas-to-write that stops all writes now',
    withSettings(withInfo(madeUp(), 0, { min_slaves_good_slaves: '1' }), 0, { 'min-replicas-to-write': '2' }),
    'min-replicas',
    'error',
    PRIMARY,
    /is 2/,
    /min-replicas-to-write 0/,
  ],
  [
    'a backlog that is dropped',
    withSettings(madeUp(), 0, { 'repl-backlog-ttl': '3600' }),
    'replication-backlog',
    'warning',
    PRIMARY,
    /repl-backlog-ttl is 3600/,
    /repl-backlog-ttl 0/,
  ],
  [
    'a backlog that is too small for what is written',
    withInfo(madeUp(), 0, { instantaneous_output_repl_kbps: '500' }),
    'replication-backlog',
    'warning',
    PRIMARY,
    /500 KB a second, that is 2 s/,
    /repl-backlog-size 61440000/,
  ],
  [
    'a preferred replica',
    withSettings(madeUp(), 1, { 'replica-priority': '10' }),
    'replica-priority',
    'warning',
    'deployment',
    /redis-2:6379: 10/,
    /replica-priority 100/,
  ],
  [
    'replicas that are never promoted',
    withSettings(withSettings(madeUp(), 1, { 'replica-priority': '0' }), 2, { 'replica-priority': '0' }),
    'replica-priority',
    'error',
    'deployment',
    /0 on all replicas/,
    /replica-priority 100/,
  ],
  [
    'an even number of Sentinels',
    withPrimaryFields(madeUp(), 'all', { 'num-other-sentinels': '3' }),
    'sentinel-count',
    'warning',
    'redis.address',
    /4 Sentinels, an even number/,
    /one more, or one fewer/,
  ],
  [
    'a minority of the Sentinels in the configuration',
    withPrimaryFields(madeUp(), 'all', { 'num-other-sentinels': '6' }),
    'sentinel-count',
    'error',
    'redis.address',
    /lists 3 of 7/,
    /list all Sentinels/,
  ],
  [
    'two Sentinels',
    TWO_SENTINELS,
    'sentinel-count',
    'warning',
    'redis.address',
    /2 Sentinels/,
    /three Sentinels/,
  ],
  [
    'Redis nodes on one host',
    withNode(madeUp(), 1, { address: { host: 'redis-1', port: 6380 } }),
    'hosts',
    'warning',
    'deployment',
    /2 Redis nodes are on redis-1/,
    /machines/,
  ],
  [
    'Sentinels on one host',
    withSentinel(madeUp(), 1, { address: { host: 'sentinel-1', port: 26_380 } }),
    'hosts',
    'warning',
    'deployment',
    /2 Sentinels are on sentinel-1/,
    /machines/,
  ],
  [
    'a Sentinel that names another primary',
    withPrimaryFields(madeUp(), 0, { ip: 'redis-2', 'config-epoch': '5' }),
    'same-primary',
    'warning',
    'deployment',
    /sentinel-1:26379 name redis-2:6379 \(epoch 5\)/,
    /SENTINEL MASTER mymaster/,
  ],
  [
    'Sentinels that all name another primary',
    withPrimaryFields(withPrimaryFields(madeUp(), 0, { ip: 'redis-2' }), 1, { ip: 'redis-3' }),
    'same-primary',
    'error',
    'deployment',
    /redis-3/,
    /SENTINEL MASTER mymaster/,
  ],
  [
    'a failover that could not be decided',
    withSentinel(madeUp(), 0, { quorumCheck: { seen: 'NOQUORUM 1 usable Sentinels. Not enough available' } }),
    'sentinel-quorum',
    'error',
    SENTINEL,
    /NOQUORUM/,
    /SENTINEL CKQUORUM mymaster$/,
  ],
  [
    'a Sentinel in TILT mode',
    withSentinel(madeUp(), 0, { info: { seen: new Map([['sentinel_tilt', '1']]) } }),
    'sentinel-state',
    'warning',
    SENTINEL,
    /TILT/,
    /NTP/,
  ],
  [
    'a Sentinel that misses the primary',
    withPrimaryFields(madeUp(), 0, { flags: 'master,s_down' }),
    'sentinel-state',
    'error',
    SENTINEL,
    /takes the primary for dead \(master, s_down\)/,
    /SENTINEL MASTER mymaster$/,
  ],
  [
    'a replica that is gone',
    withSentinel(madeUp(), 0, () => ({
      replicas: [
        new Map([
          ['ip', 'redis-9'],
          ['port', '6379'],
          ['flags', 'slave,s_down'],
        ]),
      ],
    })),
    'sentinel-state',
    'warning',
    SENTINEL,
    /replica redis-9:6379 for dead/,
    /SENTINEL RESET mymaster/,
  ],
  [
    'a quorum that a minority has',
    withPrimaryFields(madeUp(), 'all', { quorum: '1' }),
    'quorum-setting',
    'warning',
    'deployment',
    /1 of 3/,
    /SENTINEL SET mymaster quorum 2 && .*sentinel-3/,
  ],
  [
    'a quorum that is more than a majority',
    withPrimaryFields(madeUp(), 'all', { quorum: '3' }),
    'quorum-setting',
    'warning',
    'deployment',
    /3 of 3/,
    /quorum 2/,
  ],
  [
    'a quorum that there can never be',
    withPrimaryFields(madeUp(), 'all', { quorum: '5' }),
    'quorum-setting',
    'error',
    'deployment',
    /5 of 3/,
    /quorum 2/,
  ],
  [
    'a quorum that differs',
    withPrimaryFields(madeUp(), 2, { quorum: '3' }),
    'quorum-setting',
    'warning',
    'deployment',
    /sentinel-3:26379: 3/,
    /quorum 2/,
  ],
  [
    'a down-after that is too short',
    withPrimaryFields(madeUp(), 'all', { 'down-after-milliseconds': '1000' }),
    'down-after',
    'warning',
    'deployment',
    /is 1000/,
    /down-after-milliseconds 5000/,
  ],
  [
    'a down-after that is too long for the TTL',
    withPrimaryFields(madeUp(), 'all', { 'down-after-milliseconds': '30000' }),
    'down-after',
    'warning',
    'locks.default_ttl',
    /default_ttl is 20 s, and down-after-milliseconds is 30000/,
    /^set locks\.default_ttl to 51334ms, and locks\.max_ttl.*; or redis-cli .* 5000$/,
  ],
  [
    'a TTL that is too short for the down-after',
    madeUp({ LEASEHOLD_LOCKS_DEFAULT_TTL: '5s' }),
    'down-after',
    'warning',
    'locks.default_ttl',
    /default_ttl is 5 s/,
    /^set locks\.default_ttl: 18000ms/,
  ],
  [
    'a failover-timeout as Redis has it by default',
    withPrimaryFields(madeUp(), 'all', { 'failover-timeout': '180000' }),
    'failover-timeout',
    'warning',
    'deployment',
    /180000/,
    /failover-timeout 60000/,
  ],
  [
    'replicas that sync all at once',
    withPrimaryFields(madeUp(), 'all', { 'parallel-syncs': '2' }),
    'parallel-syncs',
    'info',
    'deployment',
    /is 2/,
    /parallel-syncs 1/,
  ],
  [
    'a Redis that is far away',
    withNode(madeUp(), 0, { roundTripsMs: { seen: [30, 31, 32] } }),
    'round-trip',
    'warning',
    PRIMARY,
    /31 ms \(median of 3\)/,
    /SLOWLOG/,
  ],
  [
    'a Redis that stops now and then',
    withNode(madeUp(), 0, { roundTripsMs: { seen: [1, 1, 700] } }),
    'round-trip',
    'warning',
    PRIMARY,
    /700 ms at most/,
    /SLOWLOG/,
  ],
  [
    'clocks that are nearly too far apart',
    withNode(madeUp(), 1, { clock: { seen: { offsetMs: 1_500, uncertaintyMs: 1 } } }),
    'clocks',
    'warning',
    'deployment',
    /redis-2:6379 is 1\.5 s ahead/,
    /NTP/,
  ],
  [
    'clocks that are too far apart',
    withNode(madeUp(), 1, { clock: { seen: { offsetMs: -2_500, uncertaintyMs: 1 } } }),
    'clocks',
    'error',
    'deployment',
    /2\.5 s ahead of that of redis-2:6379/,
    /NTP/,
  ],
  [
    'a clock here that is off',
    withNode(madeUp(), 'all', { clock: { seen: { offsetMs: 5_000, uncertaintyMs: 1 } } }),
    'clock-here',
    'info',
    PRIMARY,
    /5 s ahead of the one here/,
    /NTP/,
  ],
  [
    'a certificate that expires soon',
    withFacts(certificate(20 * DAY_MS)),
    'certificates',
    'warning',
    'redis.tls.ca_file',
    /expires in 20 d, on 2026-12-20/,
    /without a restart/,
  ],
  [
    'a certificate that expires very soon',
    withFacts(certificate(6 * DAY_MS)),
    'certificates',
    'error',
    'redis.tls.ca_file',
    /expires in 6 d/,
    /redis\.tls\.ca_file/,
  ],
  [
    'a certificate that has expired',
    withFacts(certificate(-DAY_MS)),
    'certificates',
    'error',
    'redis.tls.ca_file',
    /expired on 2026-11-29/,
    /redis\.tls\.ca_file/,
  ],
  [
    'a certificate that cannot be read',
    withFacts({
      certificates: [
        {
          subject: 'redis-1:6379',
          what: 'the certificate that it presents',
          expiresAtMs: { unseen: 'no handshake' },
        },
      ],
    }),
    'certificates',
    'warning',
    PRIMARY,
    /no handshake/,
    /openssl s_client -connect redis-1:6379/,
  ],
  [
    'huge pages that Redis has not switched off',
    withFacts(
      { host: { ...madeUp().facts.host, transparentHugePages: { seen: 'always' } } },
      withSettings(NODES_HERE, 0, { 'disable-thp': 'no' }),
    ),
    'transparent-huge-pages',
    'warning',
    PRIMARY,
    /"always"/,
    /echo madvise/,
  ],
  [
    'a kernel that refuses the fork when memory is short',
    withFacts({ host: { ...madeUp().facts.host, overcommitMemory: { seen: '0' } } }, NODES_HERE),
    'overcommit-memory',
    'warning',
    PRIMARY,
    /is 0/,
    /sysctl -w vm\.overcommit_memory=1 && /,
  ],
];

test.each(CASES)('the doctor finds %s', (_wrong, examined, check, severity, subject, seen, fix) => {
  const found = told(examined).filter((finding) => finding.check === check && finding.subject === subject);
  const finding = found.find((one) => one.severity === severity && seen.test(one.seen));
  expect(finding ?? told(examined)).toMatchObject({ check, severity, subject });
  expect(finding?.fix).toMatch(fix);
  expect(finding?.why).not.toBe('');
});

test.each([
  ['7.2.16', 'Redis', []],
  ['7.4.9', 'Redis', []],
  ['7.4.9', 'Redis with TLS', ['CVE-2026-81934']],
  ['7.4.11', 'Redis with TLS', []],
  ['8.0.9', 'Redis', ['CVE-2026-23479, CVE-2026-25243']],
  ['8.8.0', 'Redis', []],
  ['8.12.0', 'Redis with TLS', []],
  ['7.2.11', 'Valkey', ['CVE-2026-23479, CVE-2026-25243']],
  ['8.0.8', 'Valkey', []],
  ['8.1.7', 'Valkey with TLS', []],
  ['9.1.2', 'Valkey', []],
])('version %s of %s has these known holes: %j', (number, engine, holes) => {
  const config = madeUp(engine.endsWith('TLS') ? { LEASEHOLD_REDIS_TLS: 'true' } : {});
  const name = engine.startsWith('Valkey') ? 'valkey_version' : 'redis_version';
  const found = told(withInfo(config, 0, { [name]: number })).filter(({ check }) => check === 'version');
  expect(found.map(({ seen }) => seen.replace(/^.*by its number: /, ''))).toEqual(holes);
});

test('the versions that docs/deployment.md names for production have no known hole', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/deployment.md'), 'utf8');
  const [, sentence = ''] = /In production, take ([^:]+):/.exec(page) ?? [];
  const [redis = '', valkey = ''] = sentence.split('Valkey');
  const numbers = (text: string): readonly string[] => text.match(/\d+\.\d+\.\d+/g) ?? [];
  expect([numbers(redis).length, numbers(valkey).length]).toEqual([3, 3]);
  const found = [
    ...numbers(redis).map((redis_version) => withInfo(madeUp(), 'all', { redis_version })),
    ...numbers(valkey).map((valkey_version) => withInfo(madeUp(), 'all', { valkey_version })),
  ].flatMap((examined) => told(examined).filter(({ check }) => check === 'version'));
  expect(found).toEqual([]);
});

test('every check has been shown to find something', () => {
  const shown = new Set([...CASES.map(([, , check]) => check), 'sentinels-in-use']);
  expect(CHECKS.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
});

test('a single Redis is told of as one, and no check of Sentinels speaks', () => {
  const single = madeUp({ LEASEHOLD_REDIS_ADDRESS: 'redis-1:6379' }, {});
  const [primary] = single.facts.nodes;
  const examined = withFacts({ nodes: primary ? [primary] : [] }, single);
  expect(told(examined).map(({ check, severity }) => `${severity} ${check}`)).toEqual([
    'warning sentinels-in-use',
    'info replicas',
    'info transparent-huge-pages',
    'info overcommit-memory',
  ]);
});

test('facts that could not be seen are told of once, and no check judges them', () => {
  const blind = withNode(madeUp(), 'all', {
    info: REFUSED,
    settings: REFUSED,
    clock: REFUSED,
    roundTripsMs: REFUSED,
    latency: REFUSED,
    lackingRights: REFUSED,
  });
  expect(new Set(told(blind).map(({ check }) => check))).toEqual(
    new Set(['rights-to-look', 'transparent-huge-pages', 'overcommit-memory']),
  );
});
