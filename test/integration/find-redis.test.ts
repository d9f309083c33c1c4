// Which Redis the tests run on when the environment names one: scripts/test-engines.ts runs them on others with it.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRuntime, lookForRedis } from '../support/redis/find-redis.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'leasehold-engine-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, says: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho "${says}"\n`);
  chmodSync(path, 0o755);
  return path;
}

const look = (executable: string) =>
  lookForRedis({ PATH: process.env.PATH, LEASEHOLD_TEST_REDIS_SERVER: executable });

test('the program that the environment names is the one that the tests run on, and a Valkey is called one', async () => {
  const valkey = program('valkey', 'Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64');
  const found = await look(valkey);
  expect(found).toMatchObject({ engine: 'Valkey', version: '8.1.1', executable: valkey });
  expect(describeRuntime(found)).toBe(`Valkey 8.1.1 (${valkey})`);
});

test('a named program that is missing, too old or no Redis fails the run and no other one is taken in its place', async () => {
  await expect(look(join(folder, 'missing'))).rejects.toThrow('ENOENT');
  await expect(look(program('old', 'Redis server v=6.2.5 sha=0'))).rejects.toThrow('6.2.5 is too old');
  await expect(look(program('other', 'hello'))).rejects.toThrow('unknown redis-server: hello');
});
