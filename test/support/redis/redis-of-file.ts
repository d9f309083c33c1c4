// One real Redis for all tests of a file.
import type { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { RedisProcess } from './redis-process.ts';

/** Starts it before the first test, and ends it after the last. What it returns can be called in between. */
export function redisOfFile(): { readonly process: () => RedisProcess; readonly client: () => Redis } {
  let started: { readonly process: RedisProcess; readonly client: Redis } | undefined;
  const now = () => {
    if (!started) throw new Error('the tests have not begun');
    return started;
  };
  beforeAll(async () => {
    const process = await RedisProcess.server();
    await process.start();
    started = { process, client: process.client() };
  });
  afterAll(() => started?.process.stop());
  return { process: () => now().process, client: () => now().client };
}
