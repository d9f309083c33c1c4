// The suite of operation stores, on both of them.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { operationStoreSuite } from './operation-store.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

operationStoreSuite('memory', memoryHarness);
operationStoreSuite('Redis', () => redisHarness(redis));
