// Two processes that answer under one instance id, as after a copy of a running machine or a snapshot that is put back
// beside it: none of them may answer the roll call for both. Real Redis, stores without a server around them.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { newcomerWaitMs, quarantineMs } from '../../src/domain/safety.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { MAX_TTL_MS, Member, passed } from '../support/roll-call-members.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const FULL_MS = quarantineMs(MAX_TTL_MS);
const SLACK_MS = 15_000;
const INSTANCE_ID = 'twin';
const REFUSAL = /another process answers under the id of this one/;

async function deployment(atEnd: AtEnd): Promise<{ redis: RedisProcess; keyPrefix: string; twin: Member }> {
  const redis = await ownRedis(atEnd);
  const keyPrefix = `t-${randomUUID()}:`;
  const twin = Member.start(atEnd, redis.listens, keyPrefix, { instanceId: INSTANCE_ID });
  await twin.usable();
  await passed(newcomerWaitMs(MAX_TTL_MS) + 2_500);
  return { redis, keyPrefix, twin };
}

function failOver(redis: RedisProcess): Promise<unknown> {
  return redis.withClient((client) =>
    client
      .multi([
        ['debug', 'change-repl-id'],
        ['client', 'kill', 'skipme', 'yes'],
      ])
      .exec(),
  );
}

describe.concurrent('two processes with one instance id', { timeout: 60_000 }, () => {
  test('a second process with the id of one that runs is refused, and the first goes on', async ({
    onTestFinished,
  }) => {
    const { redis, keyPrefix, twin } = await deployment(onTestFinished);
    const second = Member.start(onTestFinished, redis.listens, keyPrefix, { instanceId: INSTANCE_ID });
    await second.refused(REFUSAL);
    expect(await second.acquire('of-the-second')).toBe('DEPLOYMENT_MISMATCH');
    const held = await twin.granted('held');
    const { joins } = twin;
    await failOver(redis);
    await twin.joinsAfter(joins);
    expect(await twin.ended(SLACK_MS)).toBe('early');
    expect(await twin.acquire(held.resource)).toBe('contended');
    expect(second.status).toMatchObject({ usable: false, mismatch: true });
  });

  test('a process whose copy has ticked answers nothing more, and a failover then takes the full quarantine', async ({
    onTestFinished,
  }) => {
    const { redis, keyPrefix, twin } = await deployment(onTestFinished);
    const other = Member.start(onTestFinished, redis.listens, keyPrefix);
    await other.usable(newcomerWaitMs(MAX_TTL_MS) + SLACK_MS);
    // What a copy writes: the same run, the number that is next, and something random that is not the process's own.
    const instances = `${keysFor(keyPrefix).bucket}instances`;
    await redis.withClient(async (client) => {
      const entry = (await client.hget(instances, INSTANCE_ID)) ?? '';
      expect(entry).toMatch(/ \w+\.\d+\.\w+$/);
      await client.hset(instances, INSTANCE_ID, entry.replace(/\.\w+$/, '.copied'));
    });
    await twin.refused(REFUSAL);
    expect(await twin.acquire('held')).toBe('DEPLOYMENT_MISMATCH');
    // The copy stops too, at its next tick.
    const left = await redis.withClient((client) => client.hget(instances, INSTANCE_ID));
    expect(left).toMatch(/ !$/);
    const { joins } = other;
    const sinceMs = performance.now();
    await failOver(redis);
    await other.joinsAfter(joins);
    const { atMs } = await other.grantedAtLast('held', FULL_MS + SLACK_MS);
    expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - 500);
    expect(await other.ended(SLACK_MS)).toBe('full');
    expect(twin.status).toMatchObject({ usable: false, mismatch: true });
  });

  test('an instance whose ticks Redis refuses for a while goes on as before', async ({ onTestFinished }) => {
    const { redis, twin } = await deployment(onTestFinished);
    const held = await twin.granted('held');
    const setReplicas = (count: number) =>
      redis.withClient((client) => client.config('SET', 'min-replicas-to-write', count));
    await setReplicas(1);
    // More ticks than one accepts marks of.
    await passed(12_000);
    expect(await twin.renew(held)).toBe('REDIS_UNAVAILABLE');
    await setReplicas(0);
    await eventually(async () => typeof (await twin.acquire('free')) === 'object', {
      what: 'a grant',
      withinMs: SLACK_MS,
    });
    await passed(2_500);
    expect(twin.status).toMatchObject({ usable: true, mismatch: false, epoch: 1 });
  });
});
