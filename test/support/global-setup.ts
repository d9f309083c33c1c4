// Runs once before any test file: chooses the Redis that the tests use, and says so in one line. Where there is none,
// the whole run fails here and says what to install, and not each test by itself.
import { describeRuntime, findRedis } from './redis/find-redis.ts';

export default async function setup(): Promise<void> {
  const runtime = await findRedis();
  // The test processes inherit it and need not look again.
  process.env.LEASEHOLD_TEST_REDIS = runtime.mode;
  console.log(`Redis for the tests: ${describeRuntime(runtime)}`);
}
