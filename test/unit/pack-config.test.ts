// A configuration is the same on both ends of the pipe to a server process, secrets included; and what differs for a
// process that replaces another.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { packConfig, replacementConfig, unpackConfig } from '../../src/config/pack-config.ts';
import { Secret } from '../../src/config/secret.ts';
import { ConfigDirectory, SENTINEL_BLOCK } from './config-directory.ts';

let directory: ConfigDirectory;

beforeAll(() => {
  directory = new ConfigDirectory();
});

afterAll(() => {
  directory.remove();
});

test('a configuration that was packed and unpacked is the same, and frozen', () => {
  const configs = [
    loadConfig({ env: {} }),
    directory.load(`${SENTINEL_BLOCK}  username: app\n  sentinel_password: other\nserver: { workers: 3 }\n`),
  ];
  for (const config of configs) {
    const unpacked = unpackConfig(packConfig(config));
    expect(unpacked).toEqual(config);
    expect(() => Object.assign(unpacked.server, { workers: 9 })).toThrow(TypeError);
  }
});

test('a packed configuration carries its secrets, which stay secret after it', () => {
  const config = directory.load(SENTINEL_BLOCK);
  const { redis } = unpackConfig(packConfig(config));
  expect(redis?.credentials?.password).toBeInstanceOf(Secret);
  expect(redis?.credentials?.password.reveal()).toBe('secret');
  expect(JSON.stringify(redis)).not.toContain('"secret"');
});

test('a server process that replaces another never takes an empty Redis for a new deployment', () => {
  const config = directory.load(`${SENTINEL_BLOCK}  bootstrap: new\n`);
  expect(config.redis?.bootstrap).toBe('new');
  const replacement = replacementConfig(config);
  expect(replacement.redis?.bootstrap).toBe('wait');
  expect({ ...replacement, redis: { ...replacement.redis, bootstrap: 'new' } }).toEqual(config);
});
