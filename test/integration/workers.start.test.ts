// The start of a server with several processes: what it refuses, once and in one line, and each way to reach it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { getHttp, gone, startedRedis, startedWorkers, WorkerRig } from '../support/worker-rig.ts';

const TLS = join(import.meta.dirname, '../support/tls');

describe.concurrent('the start of a server with several processes', { timeout: 90_000 }, () => {
  test('several server processes are refused without a Redis, because each would have locks of its own', async ({
    onTestFinished: atEnd,
  }) => {
    const refused =
      'server.workers: 2 server processes need a redis section: in memory, each would have its own locks';
    const option = CommandLine.start(['serve', '--workers', '2']);
    atEnd(() => option.kill());
    expect(await option.exit()).toBe(2);
    expect(option.stderr).toBe(`--workers: ${refused}\n`);
    expect(option.stdout).toBe('');
    const rig = WorkerRig.start(atEnd, 2, {});
    expect(await rig.server.exit()).toBe(2);
    expect(rig.server.stderr).toBe(`LEASEHOLD_SERVER_WORKERS: ${refused}\n`);
  });

  test('--workers overrides the setting', async ({ onTestFinished: atEnd }) => {
    const env = { LEASEHOLD_REDIS_ADDRESS: 'redis:6379', LEASEHOLD_SERVER_WORKERS: '65' };
    const good = CommandLine.start(['serve', '--check-config', '--workers', '3'], env);
    atEnd(() => good.kill());
    expect(await good.exit()).toBe(0);
    const bad = CommandLine.start(['serve', '--check-config', '--workers', 'all'], env);
    atEnd(() => bad.kill());
    expect(await bad.exit()).toBe(2);
    expect(bad.stderr).toBe('--workers: server.workers: expected a whole number from 1 to 64, got "all"\n');
  });

  test('a server of several processes whose port is taken names the setting to change in one line, and ends with status 1', async ({
    onTestFinished: atEnd,
  }) => {
    const redis = await startedRedis(atEnd);
    const taken = `127.0.0.1:${redis.listens.port}`;
    const said = `another process, perhaps another Leasehold server, listens on ${taken} (EADDRINUSE)`;
    const rig = WorkerRig.start(atEnd, 2, { ...singleRedis(redis), LEASEHOLD_SERVER_ADDRESS: taken });
    expect(await rig.server.exit()).toBe(1);
    expect(rig.server.stderr).toBe(
      `leasehold: server.address: ${said}; set another one in server.address (LEASEHOLD_SERVER_ADDRESS)\n`,
    );
    expect(rig.server.stdout).not.toContain('"serving"');
    const admin = WorkerRig.start(atEnd, 2, { ...singleRedis(redis), LEASEHOLD_ADMIN_ADDRESS: taken });
    expect(await admin.server.exit()).toBe(1);
    expect(admin.server.stderr).toBe(
      `leasehold: admin.address: ${said}; ` +
        'set another one in admin.address (LEASEHOLD_ADMIN_ADDRESS), or "off" for no admin port\n',
    );
  });

  test('a server of several processes refuses a Redis that evicts, says so once, and leaves no process', async ({
    onTestFinished: atEnd,
  }) => {
    const redis = await startedRedis(atEnd, ['maxmemory-policy allkeys-lru']);
    const rig = WorkerRig.start(atEnd, 3, singleRedis(redis));
    expect(await rig.server.exit()).toBe(1);
    const reason = expect.stringContaining('maxmemory-policy is allkeys-lru');
    expect(rig.lines('refusing to serve')).toMatchObject([{ level: 60, reason }]);
    expect(rig.server.stderr).toBe('');
    await gone(rig.workers().map(({ pid }) => pid));
  });

  test('an unfit Redis that comes up later ends all server processes with status 1, and none is replaced', async ({
    onTestFinished: atEnd,
  }) => {
    const redis = await startedRedis(atEnd, ['maxmemory-policy allkeys-lru']);
    await redis.kill();
    const rig = WorkerRig.start(atEnd, 2, singleRedis(redis));
    await rig.address();
    expect((await rig.admin('/readyz')).status).toBe(503);
    expect((await rig.admin('/healthz')).status).toBe(200);
    await redis.start();
    expect(await rig.server.exit()).toBe(1);
    expect(rig.lines('refusing to serve')).toHaveLength(1);
    expect(rig.workers()).toHaveLength(2);
  });

  test('a server of several processes that gets a signal while it starts ends, and leaves no process', async ({
    onTestFinished: atEnd,
  }) => {
    const redis = await startedRedis(atEnd);
    const port = await freePort();
    const admin = `127.0.0.1:${port}`;
    const rig = WorkerRig.start(atEnd, 2, { ...singleRedis(redis), LEASEHOLD_ADMIN_ADDRESS: admin });
    // The admin port answers before any server process exists.
    await eventually(() => getHttp(`http://${admin}/healthz`), { what: 'the admin port', withinMs: 60_000 });
    rig.server.signal('SIGTERM');
    // The output closes when the last process that has it ends.
    expect(await rig.server.exit()).toBe(0);
    expect(rig.lines('a worker has ended; another takes its place')).toEqual([]);
  });

  test.for([
    ['IPv6', '[::1]:0'],
    ['a name', 'localhost:0'],
  ])(
    'several server processes can be reached over %s',
    async ([, listen = ''], { onTestFinished: atEnd }) => {
      const redis = await startedRedis(atEnd);
      const rig = WorkerRig.start(atEnd, 2, { ...singleRedis(redis), LEASEHOLD_SERVER_ADDRESS: listen });
      const [serving] = await eventually(() => rig.lines('serving').length > 0 && rig.lines('serving'), {
        what: `serving by ${rig.server}`,
        withinMs: 60_000,
      });
      const address = String(serving?.address);
      const port = Number(address.slice(address.lastIndexOf(':') + 1));
      expect(address).toBe(listen.replace(/0$/, String(port)));
      const host = listen.startsWith('[') ? '::1' : 'localhost';
      expect((await rig.connectToEach({ host, port }, 2)).size).toBe(2);
    },
  );

  test('several server processes can be reached over TLS', async ({ onTestFinished: atEnd }) => {
    const { rig, address } = await startedWorkers(atEnd, 2, {
      LEASEHOLD_SERVER_TLS_CERT_FILE: join(TLS, 'server.crt'),
      LEASEHOLD_SERVER_TLS_KEY_FILE: join(TLS, 'server.key'),
    });
    const channel = credentials.createSsl(readFileSync(join(TLS, 'ca.crt')));
    const seen = new Set<string | undefined>();
    for (let connection = 0; connection < 4; connection++) {
      seen.add((await rig.connect(address, channel).getServerInfo()).info?.instanceId);
    }
    expect(seen.size).toBe(2);
    await expect(rig.connect(address).getServerInfo()).rejects.toMatchObject({ code: 14 });
  });
});
