// Runs the suite of forced releases for both stores.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { forceReleaseSuite } from './force-release.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

forceReleaseSuite('memory', memoryHarness);
forceReleaseSuite('Redis', () => redisHarness(redis));
