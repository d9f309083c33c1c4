// Proves the test harness itself on real processes: what other tests build on (crash, failover, partition, restart,
// clean end) really happens. The cases run side by side, since most of their time is spent waiting for Sentinel.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { describe, expect, type TestContext, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { APPLICATIONS } from '../support/redis/partition.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import {
  type ClusterMember,
  SentinelCluster,
  type SentinelClusterOptions,
} from '../support/redis/sentinel-cluster.ts';

// Tests that run side by side register by their own context what is to be stopped at their end.
type AtEnd = TestContext['onTestFinished'];

const SUPPORT = new URL('../support/redis/', import.meta.url);

// Sentinel looks at a returned node for 8 s, and at each node every 10 s, before it makes it follow the new primary.
const REJOIN_WITHIN_MS = 22_000;

async function startCluster(atEnd: AtEnd, options: SentinelClusterOptions = {}): Promise<SentinelCluster> {
  const cluster = await SentinelCluster.start(options);
  atEnd(() => cluster.stop());
  return cluster;
}

/** Connects as an application does: through the node's proxy, with no timeout that would hide a stall. */
function application(atEnd: AtEnd, { address }: ClusterMember): Redis {
  const client = new Redis({ ...address, retryStrategy: () => null, enableReadyCheck: false });
  client.on('error', () => undefined);
  atEnd(() => client.disconnect());
  return client;
}

async function roleOf({ process }: ClusterMember): Promise<string | undefined> {
  return (await process.info('replication')).get('role');
}

function spawned(atEnd: AtEnd, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  atEnd(() => {
    child.kill('SIGKILL');
  });
  return child;
}

describe.concurrent('the Redis test harness', () => {
  test('a killed primary is replaced by a majority of the Sentinels and comes back as a replica', {
    timeout: 40_000,
  }, async ({ onTestFinished: atEnd }) => {
    const cluster = await startCluster(atEnd);
    const old = await cluster.primary();
    expect(old).toBe(cluster.nodes[0]);
    await old.process.withClient((client) => client.set('kept', 'yes'));
    await old.process.withClient((client) => client.wait(2, 2000));

    await old.process.kill();
    const fresh = await cluster.waitForNewPrimary(old, 10_000);
    expect(await fresh.process.withClient((client) => client.get('kept'))).toBe('yes');

    await old.process.restart();
    expect(await roleOf(old)).toBe('master');
    await cluster.waitUntilInSync(REJOIN_WITHIN_MS);
    expect(await roleOf(old)).toBe('slave');
    expect(await old.process.withClient((client) => client.get('kept'))).toBe('yes');
  });

  test('a primary cut off from Sentinels and replicas is replaced, and still takes what applications write', {
    timeout: 40_000,
  }, async ({ onTestFinished: atEnd }) => {
    const cluster = await startCluster(atEnd, { partitions: true });
    const old = await cluster.primary();
    const app = application(atEnd, old);
    await app.set('before', '1');

    cluster.isolate(old, { except: [APPLICATIONS] });
    const fresh = await cluster.waitForNewPrimary(old, 10_000);
    expect(await app.set('lost', '1')).toBe('OK');
    expect(await application(atEnd, old).get('lost')).toBe('1');
    expect(await roleOf(old)).toBe('master');
    const app2 = application(atEnd, fresh);
    expect(await app2.get('before')).toBe('1');
    expect(await app2.get('lost')).toBeNull();

    cluster.heal();
    await cluster.waitUntilInSync(REJOIN_WITHIN_MS);
    expect(await roleOf(old)).toBe('slave');
    expect(await old.process.withClient((client) => client.get('lost'))).toBeNull();
  });

  test('a node that is cut off from everything stalls its callers, and goes on with what they sent when it is healed', async ({
    onTestFinished: atEnd,
  }) => {
    const cluster = await startCluster(atEnd, { partitions: true, downAfterMs: 30_000 });
    const primary = await cluster.primary();
    const app = application(atEnd, primary);
    await app.set('key', 'before');

    cluster.isolate(primary);
    let isSettled = false;
    const late = app.set('key', 'late').finally(() => {
      isSettled = true;
    });
    await eventually(() => (primary.proxy?.heldRequestBytes ?? 0) > 0, {
      what: 'a held command',
      withinMs: 5000,
    });
    expect(isSettled).toBe(false);
    expect(await primary.process.withClient((client) => client.get('key'))).toBe('before');

    cluster.heal();
    await late;
    expect(await primary.process.withClient((client) => client.get('key'))).toBe('late');
  });

  test('one application is left alone with one node, while another reaches everything', async ({
    onTestFinished: atEnd,
  }) => {
    const cluster = await startCluster(atEnd, { partitions: true });
    const [primary, replica] = cluster.nodes;
    if (primary === undefined || replica === undefined) throw new Error('a cluster has nodes');
    cluster.isolate('127.0.0.41', { except: [primary] });

    await pong(atEnd, primary, '127.0.0.41');
    await pong(atEnd, replica, '127.0.0.42');
    const unheard = pong(atEnd, replica, '127.0.0.41');
    await eventually(() => replica.proxy?.heldRequestBytes === 'PING\r\n'.length, {
      what: 'a held PING',
      withinMs: 5000,
    });
    cluster.heal();
    await unheard;
  });

  test('a cluster can be failed over as planned, and a replica can be frozen', async ({
    onTestFinished: atEnd,
  }) => {
    const cluster = await startCluster(atEnd);
    const old = await cluster.primary();
    const fresh = await cluster.failover();
    expect(fresh).not.toBe(old);
    expect(await roleOf(fresh)).toBe('master');

    const frozen = cluster.nodes.find((node) => node !== fresh && node !== old);
    await frozen?.process.pause();
    await expect(frozen?.process.withClient((client) => client.ping())).rejects.toThrow();
    await frozen?.process.resume();
    await frozen?.process.ready();
  });

  test('Redis and the Sentinels can demand users and passwords', async ({ onTestFinished: atEnd }) => {
    const cluster = await startCluster(atEnd, {
      redisAuth: { username: 'leasehold', password: 'redis-secret' },
      sentinelAuth: { password: 'sentinel-secret' },
    });
    const primary = await cluster.primary();
    await expect(application(atEnd, primary).get('key')).rejects.toThrow(/NOAUTH/);
    const [sentinel] = cluster.sentinels;
    if (sentinel === undefined) throw new Error('a cluster has Sentinels');
    await expect(application(atEnd, sentinel).call('SENTINEL', 'MYID')).rejects.toThrow(/NOAUTH/);
    await cluster.failover();
  });

  test('a Redis can restart with its data, or empty', async ({ onTestFinished: atEnd }) => {
    const redis = await RedisProcess.server({ appendonly: true });
    atEnd(() => redis.stop());
    await redis.start();
    await redis.withClient((client) => client.set('key', 'value'));
    // An append-only file that is fsynced every second survives a SIGKILL: the kernel has the bytes already.
    await redis.kill();
    await redis.restart();
    expect(await redis.withClient((client) => client.get('key'))).toBe('value');
    await redis.kill();
    await redis.restart({ empty: true });
    expect(await redis.withClient((client) => client.dbsize())).toBe(0);
  });

  test('a preloaded process calls from an address of its own', async ({ onTestFinished: atEnd }) => {
    let caller: string | undefined;
    const server = createServer((socket: Socket) => {
      caller = socket.remoteAddress;
      socket.destroy();
    });
    atEnd(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;

    const script = `require('node:net').connect(${port}, '127.0.0.1').on('error', () => {})`;
    const child = spawned(atEnd, ['--import', new URL('source-address.ts', SUPPORT).href, '-e', script], {
      LEASEHOLD_TEST_SOURCE_ADDRESS: '127.0.0.41',
    });
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(caller).toBe('127.0.0.41');
  });

  test('no child process outlives the process that started it, even when that is killed', async ({
    onTestFinished: atEnd,
  }) => {
    const script = `
      const { RedisProcess } = await import(${JSON.stringify(new URL('redis-process.ts', SUPPORT).href)});
      const redis = await RedisProcess.server();
      await redis.start();
      console.log(redis.listens.port);
      setInterval(() => {}, 1000);`;
    const child = spawned(atEnd, ['--input-type=module', '-e', script]);
    const [printed] = child.stdout === null ? [] : await once(child.stdout, 'data');
    const port = Number(String(printed));
    expect(await isListening(port)).toBe(true);
    child.kill('SIGKILL');
    await eventually(async () => !(await isListening(port)), { what: 'the end of Redis', withinMs: 10_000 });
  });
});

/** Sends PING from the given address and resolves with the answer. */
async function pong(atEnd: AtEnd, { address }: ClusterMember, localAddress: string): Promise<void> {
  const socket = connect({ ...address, localAddress });
  atEnd(() => void socket.destroy());
  socket.write('PING\r\n');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toBe('+PONG\r\n');
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ port, host: '127.0.0.1' });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
