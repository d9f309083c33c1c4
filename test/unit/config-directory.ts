// A temporary directory to load configurations from, for the tests of src/config. Not a test itself.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config, RedisConfig, SentinelRedisConfig, SingleRedisConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';

/** What most deployments write, word for word. */
export const SENTINEL_BLOCK = `redis:
  failover_cluster: true
  master_name: "mymaster"
  address: ["sentinel1:26379", "sentinel2:26379", "sentinel3:26379"]
  password: "secret"
  db: 0
`;

export type Environment = Record<string, string>;

export class ConfigDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'config-'));

  write(name: string, content: string | Buffer): string {
    const path = join(this.path, name);
    writeFileSync(path, content);
    return path;
  }

  /** Loads a file of this content, called c.yaml. */
  load(content: string | Buffer, env: Environment = {}): Config {
    this.write('c.yaml', content);
    return loadConfig({ file: 'c.yaml', env, workingDirectory: this.path });
  }

  redisOf(content: string, env: Environment = {}): RedisConfig {
    const { redis } = this.load(content, env);
    if (redis === undefined) throw new Error('expected a redis configuration');
    return redis;
  }

  singleOf(content: string, env: Environment = {}): SingleRedisConfig {
    const redis = this.redisOf(content, env);
    if (redis.kind !== 'single') throw new Error('expected a single Redis');
    return redis;
  }

  sentinelOf(content: string, env: Environment = {}): SentinelRedisConfig {
    const redis = this.redisOf(content, env);
    if (redis.kind !== 'sentinel') throw new Error('expected Sentinels');
    return redis;
  }

  /** The error that loading ends with; fails the test when it doesn't. */
  refusal(input: { file?: string; env?: Environment }): ConfigError {
    try {
      loadConfig({ env: {}, workingDirectory: this.path, ...input });
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error('expected the configuration to be refused');
  }

  /** The lines of that error for a file of this content, called c.yaml. */
  linesFor(content: string | Buffer, env: Environment = {}): string[] {
    this.write('c.yaml', content);
    return this.refusal({ file: 'c.yaml', env }).message.split('\n');
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
