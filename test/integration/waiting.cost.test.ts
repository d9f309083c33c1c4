// What waiting costs Redis, and what abuse leaves behind. The tests count and do not measure time.

import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../src/domain/limits.ts';
import type { CallStamp, LeaseSpec } from '../../src/domain/lock.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { redisHarness, startHarnessRedis } from '../support/redis-harness.ts';
import { inTime, leaseSpec, type StoreHarness } from '../support/store-harness.ts';

let redis: RedisProcess;
let client: Redis;
let h: StoreHarness;
let calls = 0;

beforeAll(async () => {
  redis = await startHarnessRedis();
  client = redis.client();
  h = await redisHarness(redis);
});
afterAll(async () => {
  await h?.close();
  await redis?.stop();
});

interface Asked {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
}

function asked(resource: string, instanceId = 'i1'): Asked {
  return { spec: leaseSpec({ resource, ttlMs: 30_000 }), stamp: { instanceId, callNumber: ++calls } };
}

async function inQueue(resource: string, count: number, instanceId?: string): Promise<Asked[]> {
  const all = Array.from({ length: count }, () => asked(resource, instanceId));
  // One after the other, because the place is the order of arrival.
  for (let from = 0; from < count; from += 500) {
    const outcomes = await Promise.all(
      all
        .slice(from, from + 500)
        .map(({ spec, stamp }) => h.locks.acquire({ spec, stamp, mayWait: true }, inTime(20_000))),
    );
    expect(outcomes.every(({ kind }) => kind === 'queued')).toBe(true);
  }
  return all;
}

async function held(resource: string): Promise<Asked> {
  const ask = asked(resource);
  expect((await h.locks.acquire({ spec: ask.spec, stamp: ask.stamp, mayWait: false }, inTime())).kind).toBe(
    'granted',
  );
  return ask;
}

/** The commands that Redis ran, including those of scripts. */
async function commandsRun(work: () => Promise<unknown>): Promise<number> {
  await client.config('RESETSTAT');
  await work();
  const stats = await client.info('commandstats');
  let sum = 0;
  for (const [, name, count] of stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)) {
    if (name !== 'config|resetstat' && name !== 'info') sum += Number(count);
  }
  return sum;
}

test('a hand-over takes as many Redis commands with 10,000 waiters as with 10', {
  timeout: 60_000,
}, async () => {
  const costs = [];
  for (const count of [10, 1_000, 10_000]) {
    const resource = `hot-${count}`;
    let holder = await held(resource);
    const waiters = await inQueue(resource, count);
    const runs = [];
    // The least of several: the store's own tick, once a second, may fall into one of them.
    for (const next of waiters.slice(0, 5)) {
      runs.push(
        await commandsRun(async () => {
          await h.locks.release(holder.spec, inTime());
          expect((await h.locks.confirm({ spec: next.spec, stamp: next.stamp }, inTime())).kind).toBe(
            'granted',
          );
        }),
      );
      holder = next;
    }
    costs.push(Math.min(...runs));
  }
  expect(new Set(costs).size).toBe(1);
  expect(costs[0]).toBeLessThan(60);
});

test('10,000 detached waiters at the head cost the next one nothing', { timeout: 60_000 }, async () => {
  const resource = 'detached';
  const holder = await held(resource);
  const gone = await inQueue(resource, 10_000);
  const [next] = await inQueue(resource, 1);
  for (let from = 0; from < gone.length; from += 500) {
    await Promise.all(
      gone.slice(from, from + 500).map(({ spec, stamp }) => {
        const { leaseId } = spec;
        return h.locks.leave({ resource, leaseId, stamp, keepPlaceMs: 5_000 }, inTime(20_000));
      }),
    );
  }
  await h.locks.release(holder.spec, inTime());
  expect(
    (await h.locks.confirm({ spec: next?.spec ?? leaseSpec(), stamp: next?.stamp ?? holder.stamp }, inTime()))
      .kind,
  ).toBe('granted');
});

test('500 waiters of a dead instance at the head cost the next one an offer window', {
  timeout: 60_000,
}, async () => {
  const resource = 'dead';
  const holder = await held(resource);
  await inQueue(resource, 500, 'dead-instance');
  const [next] = await inQueue(resource, 1);
  await h.locks.release(holder.spec, inTime());
  await h.pass(1_000);
  expect(
    (await h.locks.confirm({ spec: next?.spec ?? leaseSpec(), stamp: next?.stamp ?? holder.stamp }, inTime()))
      .kind,
  ).toBe('granted');
});

test('a flood meets a bounded queue, and nothing is left of it', { timeout: 60_000 }, async () => {
  const resource = 'flood';
  const holder = await held(resource);
  const waiters = await inQueue(resource, LIMITS.waitersPerResource);
  const { spec, stamp } = asked(resource);
  expect(await h.locks.acquire({ spec, stamp, mayWait: true }, inTime())).toEqual({ kind: 'full' });
  await release(waiters);
  await h.locks.release(holder.spec, inTime());
  expect(await client.keys(`*${resource}*`)).toEqual([]);
});

test('100,000 times acquire-then-cancel leaves no key and no queue entry', { timeout: 120_000 }, async () => {
  const times = 100_000;
  const resource = 'cancelled';
  const holder = await held(resource);
  for (let from = 0; from < times; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, async () => {
        const { spec, stamp } = asked(resource);
        await h.locks.acquire({ spec, stamp, mayWait: true }, inTime(20_000));
        const leave = { resource, leaseId: spec.leaseId, stamp, keepPlaceMs: 5_000 };
        expect(await h.locks.leave(leave, inTime(20_000))).toBe(true);
      }),
    );
    // Kept places count as waiters until they are forgotten.
    if (from % 10_000 === 0) {
      await h.pass(6_000);
      await h.locks.acquire({ spec: holder.spec, stamp: holder.stamp, mayWait: false }, inTime()); // the holder goes on
    }
  }
  await h.locks.release(holder.spec, inTime());
  await h.pass(31_000); // until kept places are forgotten, those of the dead instance above too
  expect(await client.keys(`*${resource}*`)).toEqual([]);
  expect(await client.keys('*patience*')).toEqual([]);
});

async function release(all: readonly Asked[]): Promise<void> {
  for (let from = 0; from < all.length; from += 500) {
    await Promise.all(all.slice(from, from + 500).map(({ spec }) => h.locks.release(spec, inTime(20_000))));
  }
}
