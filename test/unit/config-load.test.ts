// What a configuration resolves to: the defaults, the file, and the environment over it; and the form of the result.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_VARIABLES, GIVEN_TO_COMMANDS, isOfClients } from '../../src/config/client-environment.ts';
import type { Config } from '../../src/config/config.ts';
import { describeConfig } from '../../src/config/describe-config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { Secret } from '../../src/config/secret.ts';
import { SETTING_LIST } from '../../src/config/settings.ts';
import { ConfigDirectory, SENTINEL_BLOCK } from './config-directory.ts';

let directory: ConfigDirectory;

beforeEach(() => {
  directory = new ConfigDirectory();
});

afterEach(() => {
  directory.remove();
});

describe('defaults', () => {
  test('without a file and variables, the server has the embedded store and listens on the loopback address', () => {
    expect(loadConfig({ env: {} })).toEqual({
      server: {
        address: { host: '127.0.0.1', port: 50051 },
        tls: undefined,
        maxConnectionAgeMs: 1_800_000,
        drainTimeoutMs: 10_000,
        maxMessageBytes: 131_072,
        maxPayloadBytes: 32_768,
        maxConcurrentStreams: 1_000,
        keepaliveTimeMs: 30_000,
        keepaliveTimeoutMs: 10_000,
        workers: 1,
        reflection: true,
      },
      auth: { tokensFile: undefined, anonymousAdmin: false },
      admin: { address: { host: '127.0.0.1', port: 9464 } },
      redis: undefined,
      locks: { maxTtlMs: 30_000, defaultTtlMs: 20_000 },
      monitoring: { pollIntervalMs: 10_000, groupBy: undefined, traceNames: false },
      log: { level: 'info', format: 'json' },
    } satisfies Config);
  });

  test('a file of comments or empty sections changes no default', () => {
    const defaults = loadConfig({ env: {} });
    expect(directory.load('# nothing yet\n')).toEqual(defaults);
    expect(directory.load('server:\nadmin: {}\nlocks:\nmonitoring:\nlog:\n')).toEqual(defaults);
  });

  test('a lower max_ttl alone lowers the default TTL with it', () => {
    expect(directory.load('locks: { max_ttl: 10s }').locks).toEqual({
      maxTtlMs: 10_000,
      defaultTtlMs: 10_000,
    });
  });
});

describe('options of the command line', () => {
  const env = { LEASEHOLD_REDIS_ADDRESS: 'r:1', LEASEHOLD_SERVER_WORKERS: '2' };

  test('an option of the command line wins over the environment, and passes the same checks', () => {
    expect(loadConfig({ env }).server.workers).toBe(2);
    expect(loadConfig({ env, options: { workers: undefined } }).server.workers).toBe(2);
    expect(loadConfig({ env, options: { workers: '3' } }).server.workers).toBe(3);
    for (const workers of ['0', '65', '2.5', 'many', '']) {
      expect(() => loadConfig({ env, options: { workers } })).toThrow(
        `--workers: server.workers: expected a whole number from 1 to 64, got ${/^\d+$/.test(workers) ? workers : `"${workers}"`}`,
      );
    }
  });
});

describe('the redis section', () => {
  test('the Sentinel block that most deployments write works as it stands', () => {
    expect(directory.sentinelOf(SENTINEL_BLOCK)).toEqual({
      kind: 'sentinel',
      masterName: 'mymaster',
      sentinels: [
        { host: 'sentinel1', port: 26379 },
        { host: 'sentinel2', port: 26379 },
        { host: 'sentinel3', port: 26379 },
      ],
      sentinelCredentials: undefined,
      sentinelTls: undefined,
      credentials: { username: undefined, password: expect.any(Secret) },
      db: 0,
      tls: undefined,
      keyPrefix: 'leasehold:',
      commandTimeoutMs: 1_000,
      connectTimeoutMs: 2_000,
      maxInFlight: 4_096,
      minAcks: 0,
      replicatedMinAcks: 1,
      bootstrap: 'wait',
      allowEvictionPolicy: undefined,
      quarantine: 'on',
      rollCall: 'on',
      maxToldLeases: 250_000,
    });
    expect(directory.sentinelOf(SENTINEL_BLOCK).credentials?.password.reveal()).toBe('secret');
  });

  test('Redis and the Sentinels have separate users and passwords', () => {
    const redis = directory.sentinelOf(`${SENTINEL_BLOCK}  username: app
  sentinel_username: watcher
  sentinel_password: "other"
`);
    expect(redis.credentials?.username).toBe('app');
    expect(redis.credentials?.password.reveal()).toBe('secret');
    expect(redis.sentinelCredentials?.username).toBe('watcher');
    expect(redis.sentinelCredentials?.password.reveal()).toBe('other');
  });

  test.each([
    ['as text', 'redis: { failover_cluster: false, address: "redis:6379", db: 15 }'],
    ['as a list of one', 'redis: { failover_cluster: false, address: ["redis:6379"], db: 15 }'],
    ['without failover_cluster', 'redis: { address: "redis:6379", db: 15 }'],
  ])('the address of a single Redis is read %s', (_, yaml) => {
    const redis = directory.singleOf(yaml);
    expect(redis.address).toEqual({ host: 'redis', port: 6379 });
    expect(redis.db).toBe(15);
    expect(redis).not.toHaveProperty('masterName');
    expect(redis).not.toHaveProperty('sentinels');
  });

  test.each([
    ['[::1]:6379', { host: '::1', port: 6379 }],
    ['10.1.2.3:1', { host: '10.1.2.3', port: 1 }],
    ['redis-0.redis.svc.cluster.local:65535', { host: 'redis-0.redis.svc.cluster.local', port: 65535 }],
    ['redis_1:6379', { host: 'redis_1', port: 6379 }],
  ])('the address %s is accepted', (address, expected) => {
    expect(directory.singleOf(`redis: { address: "${address}" }`).address).toEqual(expected);
  });

  test('a key prefix may be empty', () => {
    expect(directory.redisOf('redis: { address: "r:1", key_prefix: "" }').keyPrefix).toBe('');
    expect(directory.redisOf('redis: { address: "r:1" }', { LEASEHOLD_REDIS_KEY_PREFIX: '' }).keyPrefix).toBe(
      '',
    );
  });

  test('every other key of the section reaches the configuration', () => {
    expect(
      directory.singleOf(`redis:
  address: "r:1"
  key_prefix: "a:"
  command_timeout: 500ms
  connect_timeout: 3s
  max_in_flight: 7
  durability: replicated
  min_acks: 2
  bootstrap: new
  allow_eviction_policy: volatile-ttl
  quarantine: off
`),
    ).toMatchObject({
      keyPrefix: 'a:',
      commandTimeoutMs: 500,
      connectTimeoutMs: 3_000,
      maxInFlight: 7,
      minAcks: 2,
      replicatedMinAcks: 2,
      bootstrap: 'new',
      allowEvictionPolicy: 'volatile-ttl',
      quarantine: 'off',
    });
  });
});

describe('the environment', () => {
  test('a server ignores the variables that clients read and those that commands under a lease are given', () => {
    const names = [...Object.values(CLIENT_VARIABLES), ...Object.values(GIVEN_TO_COMMANDS)];
    const settings = SETTING_LIST.map(({ environmentName }) => environmentName);
    expect(settings.filter((name) => isOfClients(name))).toEqual([]);
    expect(loadConfig({ env: Object.fromEntries(names.map((name) => [name, 'x'])) })).toEqual(
      loadConfig({ env: {} }),
    );
  });

  test('a variable replaces the value of its key in the file, and of no other key', () => {
    const redis = directory.sentinelOf(SENTINEL_BLOCK, {
      LEASEHOLD_REDIS_ADDRESS: 'a:1, [::2]:2',
      LEASEHOLD_REDIS_DB: '3',
    });
    expect(redis.sentinels).toEqual([
      { host: 'a', port: 1 },
      { host: '::2', port: 2 },
    ]);
    expect([redis.db, redis.masterName]).toEqual([3, 'mymaster']);
  });

  test('variables are enough without a file', () => {
    const config = loadConfig({
      env: {
        LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
        LEASEHOLD_REDIS_MASTER_NAME: 'm',
        LEASEHOLD_REDIS_ADDRESS: 'a:1,b:2',
        LEASEHOLD_ADMIN_ADDRESS: 'off',
        LEASEHOLD_SERVER_ADDRESS: '[::]:0',
        LEASEHOLD_SERVER_REFLECTION: 'false',
        LEASEHOLD_LOCKS_MAX_TTL: '1m',
        PATH: '/bin',
      },
    });
    expect(config.redis).toMatchObject({ kind: 'sentinel', masterName: 'm' });
    expect(config.admin).toBeUndefined();
    expect(config.server).toMatchObject({ address: { host: '::', port: 0 }, reflection: false });
    expect(config.locks.maxTtlMs).toBe(60_000);
  });

  test('LEASEHOLD_CONFIG names the file, unless the command line does', () => {
    const named = directory.write('named.yaml', 'log: { level: warn }');
    const env = { LEASEHOLD_CONFIG: named };
    expect(loadConfig({ env }).log.level).toBe('warn');
    expect(loadConfig({ env, file: directory.write('other.yaml', 'log: { level: debug }') }).log.level).toBe(
      'debug',
    );
  });

  test('the variables of tests and of Kubernetes are ignored', () => {
    const env = {
      LEASEHOLD_TEST_ANYTHING: '1',
      LEASEHOLD_SERVICE_HOST: '10.0.0.1',
      LEASEHOLD_SERVICE_PORT_GRPC: '50051',
      LEASEHOLD_PORT: 'tcp://10.0.0.1:50051',
      LEASEHOLD_PORT_50051_TCP_ADDR: '10.0.0.1',
      LEASEHOLD_REDIS_PORT: 'tcp://10.0.0.2:6379',
      LEASEHOLD_REDIS_SERVICE_PORT: '6379',
    };
    expect(loadConfig({ env })).toEqual(loadConfig({ env: {} }));
  });

  test('every key has a variable of its own', () => {
    expect(new Set(SETTING_LIST.map(({ environmentName }) => environmentName)).size).toBe(
      SETTING_LIST.length,
    );
  });
});

describe('a loaded configuration', () => {
  test('a loaded configuration cannot be changed at any depth', () => {
    const config = directory.load(SENTINEL_BLOCK);
    const loose: unknown[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value) && !(value instanceof Secret)) loose.push(value);
      Object.values(value).forEach(visit);
    };
    visit(config);
    expect(loose).toEqual([]);
    expect(() => Object.assign(config.locks, { maxTtlMs: 1 })).toThrow(TypeError);
  });

  test('a configuration does not depend on one that was loaded before it', () => {
    directory.load(SENTINEL_BLOCK);
    expect(loadConfig({ env: {} }).redis).toBeUndefined();
  });

  test('the description for the log has no secrets', () => {
    const described = describeConfig(
      directory.load(`${SENTINEL_BLOCK}  username: app\nadmin: { address: off }\n`),
    );
    expect(described).not.toHaveProperty('admin');
    expect(described).toMatchObject({
      server: { address: '127.0.0.1:50051', maxMessageBytes: 131_072 },
      redis: {
        kind: 'sentinel',
        sentinels: ['sentinel1:26379', 'sentinel2:26379', 'sentinel3:26379'],
        credentials: { username: 'app', password: '[secret]' },
      },
    });
    expect(describeConfig(loadConfig({ env: {} }))).toMatchObject({
      redis: 'none (embedded in-memory store)',
    });
    expect(describeConfig(directory.load('server: { address: "[::1]:1" }'))).toMatchObject({
      server: { address: '[::1]:1' },
    });
  });
});

test('the sample file is a valid configuration and shows every key', () => {
  const sample = join(import.meta.dirname, '../../examples/leasehold.yaml');
  const config = loadConfig({ file: sample, env: {} });
  expect({ ...config, redis: undefined }).toEqual(loadConfig({ env: {} }));
  expect(config.redis).toEqual(directory.redisOf(SENTINEL_BLOCK));
  const shown = readFileSync(sample, 'utf8');
  const missing = SETTING_LIST.filter(({ key }) => !shown.includes(`${key.split('.').at(-1)}:`));
  expect(missing.map(({ key }) => key)).toEqual([]);
});
