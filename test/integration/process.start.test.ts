// The command at its start: arguments, configuration, output, and when it refuses to serve.
import { describe, expect, type TestContext, test } from 'vitest';
import { CommandLine } from '../support/command-line.ts';
import { freePort } from '../support/ports.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { answersOfVersion, ScriptedServer } from '../support/redis/scripted-server.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { TestClient } from '../support/test-instance.ts';

type AtEnd = TestContext['onTestFinished'];

function command(atEnd: AtEnd, args: readonly string[], environment?: Record<string, string>): CommandLine {
  const started = CommandLine.start(args, environment);
  atEnd(() => started.kill());
  return started;
}

function server(atEnd: AtEnd, overrides?: Record<string, string>): CommandLine {
  const started = CommandLine.serve(overrides);
  atEnd(() => started.kill());
  return started;
}

async function redisWith(atEnd: AtEnd, directives: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.server({ directives });
  atEnd(() => redis.stop());
  await redis.start();
  return redis;
}

describe.concurrent('the command', { timeout: 90_000 }, () => {
  test('--version and --help print and end', async ({ onTestFinished }) => {
    const version = command(onTestFinished, ['--version']);
    expect(await version.exit()).toBe(0);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = command(onTestFinished, ['serve', '-h']);
    expect(await help.exit()).toBe(0);
    expect(help.stdout).toContain('--check-config');
    expect(help.stderr).toBe('');
  });

  test('an unknown option, a stray word or a missing command ends with status 2, and says what to do', async ({
    onTestFinished,
  }) => {
    const option = command(onTestFinished, ['serve', '--cnofig', 'x.yaml']);
    expect(await option.exit()).toBe(2);
    expect(option.stderr).toContain("'--cnofig'");
    expect(option.stderr).toContain('(Did you mean --config?)');
    expect(option.stdout).toBe('');
    const word = command(onTestFinished, ['start']);
    expect(await word.exit()).toBe(2);
    expect(word.stderr).toContain("'start'");
    const stray = command(onTestFinished, ['serve', 'now']);
    expect(await stray.exit()).toBe(2);
    expect(stray.stderr).toMatch(/^leasehold: too many arguments/);
    // A unit that still starts it without a command must not look as if it had served.
    const nothing = command(onTestFinished, []);
    expect(await nothing.exit()).toBe(2);
    expect(nothing.stderr).toContain('leasehold serve');
    expect(nothing.stdout).toBe('');
  });

  test('--check-config ends with 0 for a good configuration, and with 2 and what is wrong for a bad one', async ({
    onTestFinished,
  }) => {
    const good = command(onTestFinished, ['serve', '--check-config'], {
      LEASEHOLD_REDIS_ADDRESS: 'redis:6379',
    });
    expect(await good.exit()).toBe(0);
    expect(good.stdout).toBe('configuration ok\n');
    expect(good.stderr).toBe('');

    const bad = command(onTestFinished, ['serve', '--check-config'], {
      LEASEHOLD_REDIS_ADDRES: 'redis:6379',
      LEASEHOLD_LOCKS_MAX_TTL: '30',
    });
    expect(await bad.exit()).toBe(2);
    expect(bad.stdout).toBe('');
    expect(bad.stderr.trim().split('\n').sort()).toEqual([
      expect.stringMatching(/^LEASEHOLD_LOCKS_MAX_TTL: locks\.max_ttl: /),
      expect.stringMatching(/^LEASEHOLD_REDIS_ADDRES: /),
    ]);

    const missing = command(onTestFinished, ['serve', '--check-config', '--config', '/does/not/exist.yaml']);
    expect(await missing.exit()).toBe(2);
    expect(missing.stderr).toContain('/does/not/exist.yaml');
  });

  test('a server with a bad configuration does not start', async ({ onTestFinished }) => {
    const bad = server(onTestFinished, { LEASEHOLD_LOCKS_MAX_TTL: '30' });
    expect(await bad.exit()).toBe(2);
    expect(bad.stderr).toMatch(/^LEASEHOLD_LOCKS_MAX_TTL: locks\.max_ttl: expected a duration .*\n$/);
    expect(bad.stdout).toBe('');
  });

  test('without a Redis the server says where it serves, and in a line of its JSON log that no other server shares its locks', async ({
    onTestFinished,
  }) => {
    const embedded = server(onTestFinished);
    await embedded.logged(
      /"level":40.*LEASEHOLD_REDIS_ADDRESS.*"embedded, .*locks live in this process's memory/,
    );
    const address = await embedded.address();
    for (const line of embedded.stdout.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
    expect(embedded.stdout).toContain('they are shared with no other instance');
    const client = new TestClient(address);
    onTestFinished(() => client.close());
    expect((await client.acquire({ resource: 'a' })).lease?.resource).toBe('a');
  });

  test('a server with a log for people names the port it has bound, and nothing when it could bind none', async ({
    onTestFinished,
  }) => {
    const embedded = server(onTestFinished, { LEASEHOLD_LOG_FORMAT: 'pretty' });
    await embedded.logged(/Serving gRPC on 127\.0\.0\.1:[1-9]\d*; Ctrl-C ends it\./);
    const [, port = ''] = /Serving gRPC on 127\.0\.0\.1:(\d+)/.exec(embedded.stdout) ?? [];
    expect(embedded.stdout).toMatch(
      /^Leasehold, embedded, for trials and tests: locks live in this process's/m,
    );
    const client = new TestClient({ host: '127.0.0.1', port: Number(port) });
    onTestFinished(() => client.close());
    expect((await client.acquire({ resource: 'a' })).lease?.resource).toBe('a');
    for (const setting of ['LEASEHOLD_SERVER_ADDRESS', 'LEASEHOLD_ADMIN_ADDRESS']) {
      const second = server(onTestFinished, {
        LEASEHOLD_LOG_FORMAT: 'pretty',
        [setting]: `127.0.0.1:${port}`,
      });
      expect(await second.exit()).toBe(1);
      expect(second.stdout).not.toMatch(/serving|embedded/i);
    }
  });

  test('with a Redis the server prints no banner', async ({ onTestFinished }) => {
    const redis = await redisWith(onTestFinished);
    const instance = server(onTestFinished, singleRedis(redis));
    await instance.address();
    expect(instance.stdout).not.toContain('embedded');
    expect(
      instance.stdout
        .trim()
        .split('\n')
        .every((line) => line.startsWith('{')),
    ).toBe(true);
  });

  test('a server whose port is taken names the setting to change in one line, and ends with status 1', async ({
    onTestFinished,
  }) => {
    const first = server(onTestFinished);
    const { port } = await first.address();
    const taken = `another process, perhaps another Leasehold server, listens on 127.0.0.1:${port} (EADDRINUSE)`;
    const second = server(onTestFinished, { LEASEHOLD_SERVER_ADDRESS: `127.0.0.1:${port}` });
    expect(await second.exit()).toBe(1);
    expect(second.stderr).toBe(
      `leasehold: server.address: ${taken}; set another one in server.address (LEASEHOLD_SERVER_ADDRESS)\n`,
    );
    expect(second.stdout).not.toMatch(/serving|embedded/i);
    const third = server(onTestFinished, { LEASEHOLD_ADMIN_ADDRESS: `127.0.0.1:${port}` });
    expect(await third.exit()).toBe(1);
    expect(third.stderr).toBe(
      `leasehold: admin.address: ${taken}; ` +
        'set another one in admin.address (LEASEHOLD_ADMIN_ADDRESS), or "off" for no admin port\n',
    );
    expect(third.stdout).not.toMatch(/serving|embedded/i);
  });

  test('a server refuses a Redis that evicts, unless it is configured to accept it', async ({
    onTestFinished,
  }) => {
    const redis = await redisWith(onTestFinished, ['maxmemory-policy allkeys-lru']);
    const strict = server(onTestFinished, singleRedis(redis));
    expect(await strict.exit()).toBe(1);
    expect(strict.stdout).toMatch(/"level":60.*maxmemory-policy is allkeys-lru.*"msg":"refusing to serve"/);

    const other = server(onTestFinished, {
      ...singleRedis(redis),
      LEASEHOLD_REDIS_ALLOW_EVICTION_POLICY: 'volatile-lru',
    });
    expect(await other.exit()).toBe(1);

    const lenient = server(onTestFinished, {
      ...singleRedis(redis),
      LEASEHOLD_REDIS_ALLOW_EVICTION_POLICY: 'allkeys-lru',
    });
    await lenient.logged(/primary in use/);
    const client = new TestClient(await lenient.address());
    onTestFinished(() => client.close());
    expect((await client.acquire({ resource: 'a' })).lease?.resource).toBe('a');
  });

  test('a server refuses a Redis before 7.0, with the version that it found and the one that it needs', async ({
    onTestFinished,
  }) => {
    const old = await ScriptedServer.start(answersOfVersion('6.2.5'));
    onTestFinished(() => old.close());
    const { host, port } = old.listens;
    const instance = server(onTestFinished, { LEASEHOLD_REDIS_ADDRESS: `${host}:${port}` });
    expect(await instance.exit()).toBe(1);
    expect(instance.stdout).toMatch(
      /"level":60.*"reason":"Redis 6\.2\.5 is too old: Leasehold needs 7\.0 or newer".*"refusing to serve"/,
    );
    expect(instance.stdout).not.toContain('syntax error');
  });

  test.for(['0', '3'])(
    'a server refuses a Sentinel in the place of the single Redis, and says how to use it (database %s)',
    async (db, { onTestFinished }) => {
      const redis = await redisWith(onTestFinished);
      const sentinel = await RedisProcess.sentinel({
        self: { id: 'a'.repeat(40), address: { host: '127.0.0.1', port: 1 } },
        others: [],
        deployment: {
          masterName: 'mymaster',
          primary: redis.listens,
          replicas: [],
          quorum: 1,
          downAfterMs: 5_000,
          failoverTimeoutMs: 10_000,
        },
      });
      onTestFinished(() => sentinel.stop());
      await sentinel.start();
      const instance = server(onTestFinished, { ...singleRedis(sentinel), LEASEHOLD_REDIS_DB: db });
      expect(await instance.exit()).toBe(1);
      expect(instance.stdout).toMatch(
        /"level":60.*redis\.address names a Sentinel, not a Redis: set redis\.failover_cluster to true.*"refusing/,
      );
    },
  );

  test('a server that is given a Redis among its Sentinels says so in its log', async ({
    onTestFinished,
  }) => {
    const redis = await redisWith(onTestFinished);
    const instance = server(onTestFinished, {
      ...singleRedis(redis),
      LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
      LEASEHOLD_REDIS_MASTER_NAME: 'mymaster',
    });
    await instance.logged(/"level":40.*redis\.address names a Redis among the Sentinels/);
  });

  test("a server refuses to serve with another max_ttl than the deployment's", async ({ onTestFinished }) => {
    const redis = await redisWith(onTestFinished);
    const first = server(onTestFinished, singleRedis(redis));
    await first.logged(/primary in use/);
    const second = server(onTestFinished, { ...singleRedis(redis), LEASEHOLD_LOCKS_MAX_TTL: '40s' });
    expect(await second.exit()).toBe(1);
    expect(second.stdout).toMatch(
      /"level":60.*the deployment's max_ttl is 30000 ms, another one than this instance's.*"refusing to serve"/,
    );
    const client = new TestClient(await first.address());
    onTestFinished(() => client.close());
    expect((await client.acquire({ resource: 'a' })).lease?.resource).toBe('a');
  });

  test('a server whose Redis is not there yet serves and waits for it', async ({ onTestFinished }) => {
    const port = await freePort();
    const instance = server(onTestFinished, { LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${port}` });
    const client = new TestClient(await instance.address());
    onTestFinished(() => client.close());
    expect((await client.getServerInfo()).info?.serving).toBe(false);
    await expect(client.acquire({ resource: 'a' })).rejects.toMatchObject({ reason: 'REDIS_UNAVAILABLE' });
  });
});
