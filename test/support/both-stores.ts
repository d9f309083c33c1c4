// Runs a conformance suite on the memory store and on Redis. Owns the Redis that the suite's stores share; the stores
// are store-harness.ts's.

import { afterAll, beforeAll } from 'vitest';
import { memoryHarness } from './memory-harness.ts';
import type { RedisProcess } from './redis/redis-process.ts';
import { redisHarness, startHarnessRedis } from './redis-harness.ts';
import type { HarnessOptions, StoreHarness } from './store-harness.ts';

/** Registers its tests under the name of a store; `open` gives each test a store of its own. */
export type ConformanceSuite = (storeName: string, open: () => Promise<StoreHarness>) => void;

export function onBothStores(suite: ConformanceSuite, options: HarnessOptions = {}): void {
  let redis: RedisProcess;

  beforeAll(async () => {
    redis = await startHarnessRedis();
  });
  afterAll(async () => {
    await redis?.stop();
  });

  suite('memory', () => memoryHarness(options));
  suite('Redis', () => redisHarness(redis, options));
}
