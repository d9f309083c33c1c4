// Runs the keep-alive suite for both stores.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { keepAliveSuite } from './keep-alive.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

keepAliveSuite('memory', memoryHarness);
keepAliveSuite('Redis', () => redisHarness(redis));
