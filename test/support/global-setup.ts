// Runs once before any test file: chooses the Redis that the tests use, and says so in one line. Where there is none,
// the whole run fails here and says what to install, and not each test by itself. Names the cache of compiled modules.
import { join } from 'node:path';
import { describeRuntime, findRedis } from './redis/find-redis.ts';

const COMPILED = join(import.meta.dirname, '../../.cache/compiled');

export default async function setup(): Promise<void> {
  const runtime = await findRedis();
  // The test processes inherit it and need not look again.
  process.env.LEASEHOLD_TEST_REDIS = runtime.mode;
  // Tests start hundreds of Node.js processes. With the cache, one needs a third of the processor time to begin.
  process.env.NODE_COMPILE_CACHE ??= COMPILED;
  console.log(`Redis for the tests: ${describeRuntime(runtime)}`);
}
