// The doctor on a real Sentinel deployment: what it finds when all is well, and when one thing after the other is
// broken. The tests share the deployment, so they run in order, and each repairs what it broke.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import type { Finding } from '../../src/doctor/examination.ts';
import { examine } from '../../src/doctor/examine.ts';
import { type Clock, systemClock } from '../../src/domain/clock.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import {
  ALWAYS_FOUND,
  configOf,
  findingsOf,
  foundIn,
  inShort,
  startWellKept,
  TILT,
} from '../support/doctor-rig.ts';
import { eventually } from '../support/eventually.ts';
import { pastedCommands } from '../support/pasted-commands.ts';
import { LEAST_USER, leastRights, moreRights } from '../support/redis/least-user.ts';
import type { ClusterMember, SentinelCluster } from '../support/redis/sentinel-cluster.ts';

/** Everything hangs: what it may take, with room for a busy machine. */
const WITHIN_MS = 15_000;
/** Sentinel takes a pause of 2 s between two of its rounds for a step of the clock. */
const TILT_AFTER_MS = 2_500;
const META = 'leasehold:{0}:meta';

let cluster: SentinelCluster;
let config: Config;

beforeAll(async () => {
  cluster = await startWellKept();
  config = configOf(cluster);
}, 90_000);

afterAll(() => cluster?.stop());

function member(of: readonly ClusterMember[], index: number): ClusterMember {
  const found = of[index];
  if (!found) throw new Error('no such member');
  return found;
}

const node = (index: number): ClusterMember => member(cluster.nodes, index);
const sentinel = (index: number): ClusterMember => member(cluster.sentinels, index);

function nameOf({ address }: ClusterMember): string {
  return formatHostPort(address);
}

function call({ process }: ClusterMember, ...words: readonly [string, ...string[]]): Promise<unknown> {
  const [command, ...args] = words;
  return process.withClient((client) => client.call(command, ...args));
}

/** Does what somebody does who pastes the commands of these findings and is asked for the default user's password. */
async function paste(findings: readonly Finding[]): Promise<void> {
  const commands = findings.flatMap(({ fix }) => pastedCommands(fix ?? ''));
  const members = [...cluster.nodes, ...cluster.sentinels];
  for (const { user, port, words } of commands) {
    expect(user).toBe('default');
    const of = members.find(({ address }) => address.port === port);
    if (!of) throw new Error(`nobody has port ${port}`);
    if (words.join(' ') === 'ACL SAVE') continue; // These nodes have no ACL file, which the least user can't know.
    await call(of, ...words);
  }
}

/** For nodes that hang: they accept connections, and the default waits 2 s for each. */
function hasty(): Config {
  return configOf(cluster, { LEASEHOLD_REDIS_CONNECT_TIMEOUT: '1s' });
}

/** SIGSTOP until the test is over. */
async function frozen({ onTestFinished }: TestContext, members: readonly ClusterMember[]): Promise<void> {
  for (const { process } of members) {
    onTestFinished(() => process.resume());
    await process.pause();
  }
}

test('a deployment as the docs want it has no finding but those of a rig on one machine', async () => {
  expect((await findingsOf(config)).map(inShort)).toEqual(ALWAYS_FOUND);
});

test.each([
  ['maxmemory-policy', 'allkeys-lru', 'error eviction'],
  ['maxmemory', '0', 'warning memory'],
  ['hash-max-listpack-value', '64', 'info packed-hashes'],
  ['appendfsync', 'no', 'warning append-only-file'],
  ['appendfsync', 'always', 'info append-only-file'],
  ['appendonly', 'no', 'warning append-only-file'],
  ['min-replicas-to-write', '1', 'warning min-replicas'],
  ['repl-backlog-ttl', '3600', 'warning replication-backlog'],
  ['replica-priority', '50', 'warning replica-priority'],
])(
  'a replica with %s %s is found, and is fine again after the command of the finding',
  async (name, value, expected) => {
    const replica = node(1);
    await call(replica, 'CONFIG', 'SET', name, value);
    const [finding, ...others] = (await findingsOf(config)).filter(
      (one) => !ALWAYS_FOUND.includes(inShort(one)),
    );
    expect(others).toEqual([]);
    const subject = name === 'replica-priority' ? 'deployment' : nameOf(replica);
    expect(finding && inShort(finding)).toBe(`${expected} ${subject}`);
    const { port } = replica.address;
    // As the finding has it, but for maxmemory, where it can only propose a size.
    const [, words = ''] =
      new RegExp(`redis-cli -h 127\\.0\\.0\\.1 -p ${port} (CONFIG SET ${name} \\S+)`).exec(
        finding?.fix ?? '',
      ) ?? [];
    expect(words).toContain(name);
    const [command = '', ...args] = words.split(' ');
    await replica.process.withClient((client) => client.call(command, ...args));
    expect(await foundIn(config)).toEqual([]);
  },
);

test('a primary that waits for more replicas than there are refuses all writes, which is an error', async ({
  onTestFinished,
}) => {
  onTestFinished(async () => {
    await call(node(0), 'CONFIG', 'SET', 'min-replicas-to-write', '0');
  });
  await call(node(0), 'CONFIG', 'SET', 'min-replicas-to-write', '3');
  expect(await foundIn(config)).toEqual([`error min-replicas ${nameOf(node(0))}`]);
});

test.each([
  ['quorum', '1', '2', 'warning quorum-setting'],
  ['failover-timeout', '180000', '10000', 'warning failover-timeout'],
  ['parallel-syncs', '2', '1', 'info parallel-syncs'],
  ['down-after-milliseconds', '1900', '60000', 'warning down-after'],
])('Sentinels with %s %s are found', async (name, value, former, expected) => {
  const setAll = (to: string): Promise<unknown> =>
    Promise.all(cluster.sentinels.map((one) => call(one, 'SENTINEL', 'SET', 'mymaster', name, to)));
  await setAll(value);
  const found = await foundIn(config);
  await setAll(former);
  expect(found).toEqual([`${expected} deployment`]);
});

test('one Sentinel with a setting of its own is found', async ({ onTestFinished }) => {
  const set = (to: string): Promise<unknown> =>
    call(sentinel(2), 'SENTINEL', 'SET', 'mymaster', 'quorum', to);
  onTestFinished(async () => {
    await set('2');
  });
  await set('3');
  const [finding] = (await findingsOf(config)).filter(({ check }) => check === 'quorum-setting');
  expect(finding?.seen).toContain(`${nameOf(sentinel(2))}: 3`);
});

test('a configuration that lists a minority of the Sentinels is found, and those that it leaves out', async () => {
  const [first] = cluster.sentinels;
  const found = await foundIn(configOf(cluster, { LEASEHOLD_REDIS_ADDRESS: first ? nameOf(first) : '' }));
  expect(found).toEqual([
    'error sentinel-count redis.address',
    `info reach-announced-sentinels ${nameOf(sentinel(1))}`,
    `info reach-announced-sentinels ${nameOf(sentinel(2))}`,
  ]);
});

test('Sentinels that know no primary of this name leave nothing to examine, which is an error', async () => {
  const found = await findingsOf(configOf(cluster, { LEASEHOLD_REDIS_MASTER_NAME: 'other' }));
  const errors = found.filter(({ severity }) => severity === 'error');
  expect(errors.map(({ check }) => check)).toEqual([
    'reach-sentinels',
    'reach-sentinels',
    'reach-sentinels',
    'reach-redis',
  ]);
  expect(errors[0]?.seen).toMatch(/No such master/);
  expect(errors[0]?.fix).toMatch(/redis\.master_name/);
});

test('another max_ttl than the one recorded, and bootstrap: new beside data, are found', async ({
  onTestFinished,
}) => {
  onTestFinished(async () => {
    await call(node(0), 'DEL', META);
  });
  await call(
    node(0),
    'HSET',
    META,
    'reign',
    '1:x:4:off',
    'schema',
    '4',
    'max_ttl',
    '60000000',
    'buckets',
    '1',
  );
  expect(await foundIn(configOf(cluster, { LEASEHOLD_REDIS_BOOTSTRAP: 'new' }))).toEqual([
    'error max-ttl locks.max_ttl',
    'warning bootstrap redis.bootstrap',
  ]);
  expect(await foundIn(configOf(cluster, { LEASEHOLD_LOCKS_MAX_TTL: '60s' }))).toEqual([]);
});

test('the least users of the docs are told what the doctor could not see, and the rest is judged', async ({
  onTestFinished,
}) => {
  const rights = (heading: Parameters<typeof leastRights>[0]): readonly string[] =>
    leastRights(heading).split(' ');
  const setUser = (of: ClusterMember, more: readonly string[]): Promise<unknown> =>
    call(of, 'ACL', 'SETUSER', LEAST_USER.username, 'reset', 'on', `>${LEAST_USER.password}`, ...more);
  onTestFinished(async () => {
    for (const one of [...cluster.nodes, ...cluster.sentinels])
      await call(one, 'ACL', 'DELUSER', LEAST_USER.username);
    await call(node(2), 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });
  for (const one of cluster.nodes) await setUser(one, rights('The user at Redis'));
  for (const one of cluster.sentinels) await setUser(one, rights('The user at the Sentinels'));
  // Replication carries no users: the one at a replica can differ.
  await call(node(1), 'ACL', 'SETUSER', LEAST_USER.username, '-hset');
  await call(node(2), 'CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
  const least = configOf(cluster, {
    LEASEHOLD_REDIS_USERNAME: LEAST_USER.username,
    LEASEHOLD_REDIS_PASSWORD: LEAST_USER.password,
    LEASEHOLD_REDIS_SENTINEL_USERNAME: LEAST_USER.username,
    LEASEHOLD_REDIS_SENTINEL_PASSWORD: LEAST_USER.password,
  });
  const found = await findingsOf(least);
  const bad = found.filter(({ severity }) => severity === 'error');
  expect(bad.map(inShort)).toEqual([
    `error redis-rights ${nameOf(node(1))}`,
    `error eviction ${nameOf(node(2))}`,
  ]);
  // The least user may not give itself a right: the commands log in as the administrator.
  expect(pastedCommands(bad[0]?.fix ?? '')).toEqual([
    { user: 'default', port: node(1).address.port, words: ['ACL', 'SETUSER', 'leasehold', '+hset'] },
    { user: 'default', port: node(1).address.port, words: ['ACL', 'SAVE'] },
  ]);
  const blind = found.filter(({ check }) => check === 'rights-to-look');
  const rightsOf = (subject: string): readonly (string | undefined)[] =>
    blind.filter((one) => one.subject === subject).map(({ fix }) => pastedCommands(fix ?? '')[0]?.words[3]);
  const { atRedis, atSentinels } = moreRights('For the doctor');
  expect(rightsOf(nameOf(node(0))).toSorted()).toEqual(atRedis.split(' ').toSorted());
  expect(rightsOf(nameOf(sentinel(0))).toSorted()).toEqual(atSentinels.split(' ').toSorted());
  expect(JSON.stringify(found)).not.toContain(LEAST_USER.password);
  await paste([...bad, ...blind]);
  const after = await findingsOf(least);
  const right = /^(redis-rights|sentinel-rights|rights-to-look|eviction)$/;
  expect(after.filter(({ check }) => right.test(check))).toEqual([]);
});

test('a wrong password is told of as such at every node', async () => {
  const found = await findingsOf(
    configOf(cluster, { LEASEHOLD_REDIS_USERNAME: 'nobody', LEASEHOLD_REDIS_PASSWORD: 'horse' }),
  );
  const nodes = found.filter(({ check }) => check === 'reach-redis');
  expect(nodes.map(({ severity }) => severity)).toEqual(['error', 'warning', 'warning']);
  for (const { seen, fix } of nodes) {
    expect(seen).toMatch(/WRONGPASS/);
    expect(fix).toMatch(/redis-acl\.md/);
  }
  expect(JSON.stringify(found)).not.toContain('horse');
});

test('clocks that differ from the one here, and an old snapshot, are found by the clock of the doctor', async () => {
  const ahead: Clock = { ...systemClock, wallMs: () => Date.now() + 3_600_000 };
  await call(node(0), 'HSET', META, 'reign', 'x');
  await call(node(0), 'DEL', META);
  const { findings } = await examine(config, { clock: ahead });
  const told = findings.filter(({ severity }) => severity !== 'ok');
  const here = told.filter(({ check }) => check === 'clock-here');
  expect(here).toHaveLength(3);
  expect(here[0]?.seen).toMatch(/60 min behind the one here/);
  expect(told.map(({ check }) => check)).toContain('snapshots');
  expect(findings.find(({ check }) => check === 'clocks')?.severity).toBe('ok');
});

test('a replica that is down, and one that follows another primary, are found', async ({
  onTestFinished,
}) => {
  const [down, astray] = [node(1), node(2)];
  const primary = node(0).address;
  onTestFinished(async () => {
    await down.process.start();
    await call(astray, 'REPLICAOF', primary.host, String(primary.port));
    await cluster.waitUntilInSync();
  });
  await down.process.shutDown();
  await call(astray, 'REPLICAOF', '127.0.0.1', '1');
  const found = await foundIn(config);
  expect(found).toContain(`error replicas ${nameOf(node(0))}`);
  expect(found).toContain(`warning replicas ${nameOf(astray)}`);
  expect(found).toContain(`warning reach-redis ${nameOf(down)}`);
});

test('a Sentinel and a replica that hang are found, and the others are judged', async (context) => {
  await frozen(context, [sentinel(0), node(2)]);
  const began = performance.now();
  const found = await foundIn(hasty());
  expect(performance.now() - began).toBeLessThan(WITHIN_MS);
  expect(found).toContain(`warning reach-sentinels ${nameOf(sentinel(0))}`);
  expect(found).toContain(`warning reach-redis ${nameOf(node(2))}`);
  expect(found.filter((text) => text.startsWith('error'))).toEqual([]);
});

test('a lost majority of the Sentinels and a primary that hangs are errors, told of in time', async (context) => {
  await frozen(context, [sentinel(0), sentinel(1), node(0)]);
  const began = performance.now();
  const found = await foundIn(hasty());
  expect(performance.now() - began).toBeLessThan(WITHIN_MS);
  expect(found.filter((text) => text.startsWith('error')).sort()).toEqual([
    `error reach-redis ${nameOf(node(0))}`,
    `error reach-sentinels ${nameOf(sentinel(0))}`,
    `error reach-sentinels ${nameOf(sentinel(1))}`,
  ]);
});

test('a Sentinel that was frozen for longer than 2 s is found in TILT mode, and all else is as well as before', async () => {
  await sentinel(0).process.pause();
  await sleep(TILT_AFTER_MS);
  await sentinel(0).process.resume();
  const told = async (): Promise<void> => {
    const { findings } = await examine(config);
    const tilted = findings.filter(({ seen }) => seen === TILT);
    expect(tilted.map(inShort)).toContain(`warning sentinel-state ${nameOf(sentinel(0))}`);
    expect(await foundIn(config)).toEqual([]);
  };
  await eventually(told, { what: 'TILT mode and nothing else', withinMs: 20_000 });
});
