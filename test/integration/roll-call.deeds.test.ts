// What operators do to the data of a deployment with roll calls, under instances that run and hold leases: each deed
// ends in the full quarantine, or in an early end that forgets nothing. Real Redis; the Sentinels are in
// roll-call.sentinels.test.ts, and other configurations and versions in roll-call.settings.test.ts.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { newcomerWaitMs, quarantineMs } from '../../src/domain/safety.ts';
import { findRedis } from '../support/redis/find-redis.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { keep, MAX_TTL_MS, Member, passed } from '../support/roll-call-members.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const WARM_MS = newcomerWaitMs(MAX_TTL_MS);
const FULL_MS = quarantineMs(MAX_TTL_MS);
const SLACK_MS = 15_000;
/** What clocks of different kinds, and a tick, may differ by. */
const ROUGHLY_MS = 500;

const { mode } = await findRedis();

/** Two instances of a deployment that is old enough for early ends. */
async function twoMembers(atEnd: AtEnd, redis: RedisProcess, keyPrefix: string, maxTtlMs = MAX_TTL_MS) {
  const x = Member.start(atEnd, redis.listens, keyPrefix, { hostName: 'x', maxTtlMs });
  const y = Member.start(atEnd, redis.listens, keyPrefix, { hostName: 'y', maxTtlMs });
  await Promise.all([x.usable(), y.usable()]);
  await passed(newcomerWaitMs(maxTtlMs) + 2_500); // the clock in a snapshot may be that of the last tick
  return { x, y };
}

/** A new grant comes when the full quarantine is over, and not before. */
async function expectFullQuarantine(member: Member, sinceMs: number, fullMs = FULL_MS) {
  const { lease, atMs } = await member.grantedAtLast(randomUUID(), fullMs + SLACK_MS);
  expect(atMs - sinceMs).toBeGreaterThan(fullMs - ROUGHLY_MS);
  expect(await member.ended(SLACK_MS)).toBe('full');
  return lease;
}

describe.concurrent('keys that are deleted under running instances', { timeout: 90_000 }, () => {
  const deeds: readonly (readonly [string, (redis: RedisProcess, prefix: string) => Promise<unknown>])[] = [
    ['FLUSHALL', (redis) => redis.withClient((client) => client.flushall())],
    ['FLUSHDB', (redis) => redis.withClient((client) => client.flushdb())],
    [
      'DEL of all keys with the prefix',
      (redis, prefix) => redis.withClient(async (client) => client.del(...(await client.keys(`${prefix}*`)))),
    ],
  ];

  test.for(deeds)(
    '%s grants nothing before the full quarantine is over, and larger tokens then',
    async ([, deed], { onTestFinished }) => {
      const redis = await ownRedis(onTestFinished);
      const keyPrefix = `t-${randomUUID()}:`;
      const { x, y } = await twoMembers(onTestFinished, redis, keyPrefix);
      const held = await x.granted('held');
      const sinceMs = performance.now();
      await deed(redis, keyPrefix);
      const { atMs } = await y.grantedAtLast('held', FULL_MS + SLACK_MS);
      expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - ROUGHLY_MS);
      const after = await y.granted('after');
      expect(after.fencingToken).toBeGreaterThan(held.fencingToken);
      expect(await y.ended(SLACK_MS)).toBe('full');
    },
  );

  test('a lease that is long enough outlives FLUSHALL, as its instance puts it back', async ({
    onTestFinished,
  }) => {
    const maxTtlMs = 26_000;
    const redis = await ownRedis(onTestFinished);
    const keyPrefix = `t-${randomUUID()}:`;
    const x = Member.start(onTestFinished, redis.listens, keyPrefix, { hostName: 'x', maxTtlMs });
    const y = Member.start(onTestFinished, redis.listens, keyPrefix, { hostName: 'y', maxTtlMs });
    await Promise.all([x.usable(), y.usable()]);
    const held = await x.granted('held', { ttlMs: maxTtlMs });
    const [sinceMs, joins] = [performance.now(), x.joins];
    await redis.withClient((client) => client.flushall());
    await x.joinsAfter(joins);
    await x.usable(newcomerWaitMs(maxTtlMs) + SLACK_MS);
    expect(performance.now() - sinceMs).toBeGreaterThan(newcomerWaitMs(maxTtlMs) - ROUGHLY_MS);
    expect(await x.renew(held)).toBe('renewed');
    const kept = keep(held, x);
    await expectFullQuarantine(y, sinceMs, quarantineMs(maxTtlMs));
    expect(await y.acquire('held')).toBe('contended');
    expect(new Set(await kept.stop())).toEqual(new Set(['renewed']));
  });
});

// The files of a Redis in a container can't be reached.
const describeWithFiles = describe.skipIf(mode === 'docker');

describeWithFiles.concurrent('an old file under running instances', { timeout: 90_000 }, () => {
  async function snapshot(redis: RedisProcess): Promise<void> {
    await redis.withClient((client) => client.save());
    await redis.keepData();
  }

  async function restarted(redis: RedisProcess, ...members: readonly Member[]): Promise<void> {
    const before = members.map(({ joins }) => joins);
    await redis.restartFromKept();
    await Promise.all(members.map((member, at) => member.joinsAfter(before[at] ?? 0)));
  }

  test('data younger than a fresh answer allows: all that was told is put back, and the quarantine ends early', async ({
    onTestFinished,
  }) => {
    const maxTtlMs = 12_000;
    const redis = await ownRedis(onTestFinished);
    const { x, y } = await twoMembers(onTestFinished, redis, `t-${randomUUID()}:`, maxTtlMs);
    await snapshot(redis);
    const [ofX, ofY] = [await x.granted('of-x'), await y.granted('of-y')];
    await restarted(redis, x, y);
    expect(await y.ended(SLACK_MS)).toBe('early');
    expect([await y.acquire('of-x'), await x.acquire('of-y')]).toEqual(['contended', 'contended']);
    expect([await x.renew(ofX), await y.renew(ofY)]).toEqual(['renewed', 'renewed']);
    const after = await x.granted('after');
    expect(after.fencingToken > ofX.fencingToken && after.fencingToken > ofY.fencingToken).toBe(true);
  });

  test('data older than a fresh answer allows, of instances that were not away for long: the full quarantine', async ({
    onTestFinished,
  }) => {
    // Larger than 15 s, the age of a fresh answer's data, so that there is something in between.
    const maxTtlMs = 24_000;
    const redis = await ownRedis(onTestFinished);
    const { x, y } = await twoMembers(onTestFinished, redis, `t-${randomUUID()}:`, maxTtlMs);
    await snapshot(redis);
    await passed(15_500);
    const held = await x.granted('held');
    const sinceMs = performance.now();
    await restarted(redis, x, y);
    // They are no newcomers: what is held is renewed at once.
    await x.usable();
    expect(await x.renew(held)).toBe('renewed');
    const kept = keep(held, x);
    await expectFullQuarantine(y, sinceMs, quarantineMs(maxTtlMs));
    expect(await y.acquire('held')).toBe('contended');
    expect(new Set(await kept.stop())).toEqual(new Set(['renewed']));
  });

  test('data older than an instance may be away, and without one that came since: the full quarantine', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const keyPrefix = `t-${randomUUID()}:`;
    const { x, y } = await twoMembers(onTestFinished, redis, keyPrefix);
    await snapshot(redis);
    const z = Member.start(onTestFinished, redis.listens, keyPrefix, { hostName: 'z' });
    await z.usable(WARM_MS + SLACK_MS);
    const held = await z.granted('of-z');
    const sinceMs = performance.now();
    await restarted(redis, x, y);
    const after = await expectFullQuarantine(x, sinceMs);
    expect(after.fencingToken).toBeGreaterThan(held.fencingToken);
  });
});
