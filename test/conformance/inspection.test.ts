// Runs the inspection suite for both stores.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { inspectionSuite } from './inspection.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

inspectionSuite('memory', memoryHarness);
inspectionSuite('Redis', () => redisHarness(redis));
