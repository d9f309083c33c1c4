// Runs once before any test file: settles which Redis the tests use and says so in one line. Tests fail here, with
// what to install, and not one by one.
import { describeRuntime, findRedis } from './redis/find-redis.ts';

export default async function setup(): Promise<void> {
  const runtime = await findRedis();
  // The workers inherit it and need not look again.
  process.env.LEASEHOLD_TEST_REDIS = runtime.mode;
  console.log(`Redis for the tests: ${describeRuntime(runtime)}`);
}
