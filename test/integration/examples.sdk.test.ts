// The examples around the TypeScript client as a reader runs them: each in a process of its own, against a real server.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { freePort } from '../support/ports.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { startInstance } from '../support/test-instance.ts';

let instance: Instance;

beforeAll(async () => {
  instance = await startInstance();
});

afterAll(() => instance?.stop());

async function run(example: string, ...args: string[]): Promise<string[]> {
  const program = join(import.meta.dirname, '../../examples', example);
  const server = formatHostPort(instance.address);
  const { stdout } = await promisify(execFile)(process.execPath, [program, server, ...args], {
    timeout: 30_000,
  });
  return stdout.trim().split('\n');
}

test('the SQL example of fencing refuses a late writer', { timeout: 40_000 }, async () => {
  expect(await run('fencing-sql.ts')).toEqual(['written: true', 'written late: false', 'total: 100']);
});

test('the Redis example of fencing refuses a late writer', { timeout: 60_000 }, async () => {
  const redis = await RedisProcess.server();
  try {
    await redis.start();
    const { host, port } = redis.listens;
    const lines = await run('fencing-redis.ts', `redis://${host}:${port}`);
    expect(lines).toEqual(['written: true', 'written late: false', 'value: new']);
  } finally {
    await redis.stop();
  }
});

test('The example for a key in Redis says once that there is no Redis, and ends', {
  timeout: 40_000,
}, async () => {
  const url = `redis://:a-password@127.0.0.1:${await freePort()}`;
  const ended: { code: number; stdout: string; stderr: string } = await run('fencing-redis.ts', url).then(
    () => ({ code: 0, stdout: '', stderr: '' }),
    (error) => error,
  );
  expect([ended.code, ended.stdout]).toEqual([1, '']);
  expect(ended.stderr).toMatch(
    /^No Redis at 127\.0\.0\.1:\d+ \(connect ECONNREFUSED .*\)\. Start one, .*\n$/,
  );
});

test.each(['proto-stubs.ts', 'proto-loader.ts'])(
  'the example %s acquires and releases a lock',
  { timeout: 40_000 },
  async (example) => {
    expect(await run(example)).toEqual([
      expect.stringMatching(/^token \d{16}, valid for 20 s$/),
      'released: true',
    ]);
  },
);
