// The suite of the rules of operations, on both stores.

import { afterAll, beforeAll } from 'vitest';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { memoryHarness, redisHarness, startHarnessRedis } from '../support/store-harness.ts';
import { operationRulesSuite } from './operation-rules.suite.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

operationRulesSuite('memory', memoryHarness);
operationRulesSuite('Redis', () => redisHarness(redis));
