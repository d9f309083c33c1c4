// Secrets and TLS files: where they come from, which source wins, and that secrets stay secret.
import { chmodSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { ConfigDirectory, SENTINEL_BLOCK } from './config-directory.ts';

let directory: ConfigDirectory;

beforeEach(() => {
  directory = new ConfigDirectory();
});

afterEach(() => {
  directory.remove();
});

describe('TLS', () => {
  const systemTrust = { caFile: undefined, clientCertificate: undefined, serverName: undefined };

  test('TLS is switched on without details, for Redis or for the Sentinels', () => {
    const redis = directory.sentinelOf(`${SENTINEL_BLOCK}  tls: true\n`);
    expect([redis.tls, redis.sentinelTls]).toEqual([systemTrust, undefined]);
    const sentinels = directory.sentinelOf(`${SENTINEL_BLOCK}  sentinel_tls: {}\n`);
    expect([sentinels.tls, sentinels.sentinelTls]).toEqual([undefined, systemTrust]);
  });

  test('TLS files in the file are relative to the configuration file', () => {
    mkdirSync(join(directory.path, 'tls'));
    for (const name of ['ca', 'crt', 'key']) directory.write(`tls/${name}.pem`, 'PEM');
    const details =
      '{ ca_file: tls/ca.pem, cert_file: tls/crt.pem, key_file: tls/key.pem, server_name: r.example }';
    const expected = {
      caFile: join(directory.path, 'tls/ca.pem'),
      clientCertificate: {
        certFile: join(directory.path, 'tls/crt.pem'),
        keyFile: join(directory.path, 'tls/key.pem'),
      },
      serverName: 'r.example',
    };
    const file = directory.write(
      'leasehold.yaml',
      `${SENTINEL_BLOCK}  tls: ${details}\n  sentinel_tls: ${details}\n`,
    );
    // Named relative to another directory than the file's own.
    const { redis } = loadConfig({ file: relative(tmpdir(), file), env: {}, workingDirectory: tmpdir() });
    expect(redis).toMatchObject({ tls: expected, sentinelTls: expected });
  });

  test('TLS files in variables are relative to the working directory', () => {
    for (const name of ['crt', 'key', 'ca']) directory.write(`${name}.pem`, 'PEM');
    const env = {
      LEASEHOLD_SERVER_TLS_CERT_FILE: 'crt.pem',
      LEASEHOLD_SERVER_TLS_KEY_FILE: 'key.pem',
    };
    const tls = { certFile: join(directory.path, 'crt.pem'), keyFile: join(directory.path, 'key.pem') };
    expect(loadConfig({ env, workingDirectory: directory.path }).server.tls).toEqual({
      ...tls,
      clientCaFile: undefined,
    });
    const mutual = directory.load(
      'server: { tls: { cert_file: crt.pem, key_file: key.pem, client_ca_file: ca.pem } }',
    );
    expect(mutual.server.tls).toEqual({ ...tls, clientCaFile: join(directory.path, 'ca.pem') });
  });

  test('the environment switches off the TLS that the file describes', () => {
    const yaml = 'redis: { address: "r:1", tls: { ca_file: not-there.pem } }';
    expect(directory.singleOf(yaml, { LEASEHOLD_REDIS_TLS: 'false' }).tls).toBeUndefined();
  });

  test('one detail in a variable is enough to switch TLS on', () => {
    const env = { LEASEHOLD_REDIS_TLS_SERVER_NAME: 'r.example' };
    expect(directory.singleOf('redis: { address: "r:1" }', env).tls).toEqual({
      ...systemTrust,
      serverName: 'r.example',
    });
  });
});

describe('secrets', () => {
  test.each(['top secret', 'top secret\n', 'top secret\r\n'])(
    'a secret from a file has no line end: %j',
    (content) => {
      directory.write('password', content);
      const redis = directory.singleOf('redis: { address: "r:1", password_file: password }');
      expect(redis.credentials?.password.reveal()).toBe('top secret');
    },
  );

  test('a variable names the file of a secret', () => {
    directory.write('password', 'from file');
    directory.write('sentinel-password', 'of sentinels');
    const redis = directory.sentinelOf(SENTINEL_BLOCK, {
      LEASEHOLD_REDIS_PASSWORD_FILE: 'password',
      LEASEHOLD_REDIS_SENTINEL_PASSWORD_FILE: 'sentinel-password',
    });
    expect(redis.credentials?.password.reveal()).toBe('from file');
    expect(redis.sentinelCredentials?.password.reveal()).toBe('of sentinels');
  });

  test('a variable with the secret replaces a password_file in the file', () => {
    const yaml = 'redis: { address: "r:1", password_file: not-there }';
    const redis = directory.singleOf(yaml, { LEASEHOLD_REDIS_PASSWORD: 'from variable' });
    expect(redis.credentials?.password.reveal()).toBe('from variable');
  });

  test('no dump of the configuration shows a secret', () => {
    const config = directory.load(SENTINEL_BLOCK.replace('"secret"', '"hunter2"'));
    const dumps = [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true })];
    for (const dump of [...dumps, `${directory.redisOf(SENTINEL_BLOCK).credentials?.password}`]) {
      expect(dump).toContain('[secret]');
      expect(dump).not.toContain('hunter2');
    }
  });
});

// The superuser can read every file, so the test would show nothing.
test.skipIf(process.getuid?.() === 0)('a file without read permission is refused', () => {
  chmodSync(directory.write('password', 'x'), 0);
  expect(() => directory.load('redis: { address: "r:1", password_file: password }')).toThrow(
    /no permission to read it/,
  );
});
