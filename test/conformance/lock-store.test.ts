// Runs the lock-store suite for both stores.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { lockStoreSuite } from './lock-store.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

lockStoreSuite('memory', memoryHarness);
lockStoreSuite('Redis', () => redisHarness(redis));
