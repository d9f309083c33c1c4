// Roll calls switched on and off in a running deployment, and instances that are configured otherwise than the others:
// a full quarantine or a refusal, and no lease is lost. Real Redis, stores without a server around them.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { quarantineMs } from '../../src/domain/safety.ts';
import { keep, Member } from '../support/roll-call-members.ts';
import { ownRedis } from '../support/watched-redis.ts';

/** Long enough for a lease that is renewed three times a second to live through a new reign. */
const MAX_TTL_MS = 12_000;
const FULL_MS = quarantineMs(MAX_TTL_MS);
const SLACK_MS = 15_000;
const ROUGHLY_MS = 500;
const OFF = { maxTtlMs: MAX_TTL_MS, rollCall: false };
const ON = { maxTtlMs: MAX_TTL_MS, rollCall: true };

describe.concurrent('the setting of roll calls', { timeout: 90_000 }, () => {
  test('switched on under running instances: the first with it answer at once, no lease is lost, and the others are refused', async ({
    onTestFinished,
  }) => {
    const { listens } = await ownRedis(onTestFinished);
    const prefix = `t-${randomUUID()}:`;
    const former = [0, 1].map(() => Member.start(onTestFinished, listens, prefix, OFF));
    await Promise.all(former.map((member) => member.usable()));
    const [first, second] = former as [Member, Member];
    const [held, other] = [await first.granted('held'), await second.granted('other')];
    const sinceMs = performance.now();
    const [x, y] = [0, 1].map(() => Member.start(onTestFinished, listens, prefix, ON)) as [Member, Member];
    await Promise.all([x.usable(), y.usable()]);
    expect([x.status, y.status].map(({ rollCall }) => rollCall.newcomerRemainingMs)).toEqual([0, 0]);
    expect([await x.renew(held), await y.renew(other)]).toEqual(['renewed', 'renewed']);
    const kept = [keep(held, x), keep(other, y)];
    await Promise.all(former.map((member) => member.refused(/roll_call is on, and this instance's is off/)));
    expect(await first.acquire('free')).toBe('DEPLOYMENT_MISMATCH');
    const { atMs } = await y.grantedAtLast('free', FULL_MS + SLACK_MS);
    expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - ROUGHLY_MS);
    expect(await y.ended(SLACK_MS)).toBe('full');
    for (const one of kept) expect(new Set(await one.stop())).toEqual(new Set(['renewed']));
  });

  test('switched off while an instance is registered: refused with the reason; when all have left: a full quarantine', async ({
    onTestFinished,
  }) => {
    const { listens } = await ownRedis(onTestFinished);
    const prefix = `t-${randomUUID()}:`;
    const [x, y] = [0, 1].map(() => Member.start(onTestFinished, listens, prefix, ON)) as [Member, Member];
    await Promise.all([x.usable(), y.usable()]);
    const held = await x.granted('held');
    const off = Member.start(onTestFinished, listens, prefix, OFF);
    await off.refused(/switch it off only when all instances have ended/);
    await x.close();
    expect(off.status.mismatch).toBe(true);
    expect(await y.renew(held)).toBe('renewed');
    const sinceMs = performance.now();
    await y.close();
    await off.usable();
    expect(await off.renew(held)).toBe('renewed');
    const kept = keep(held, off);
    const { atMs } = await off.grantedAtLast('free', FULL_MS + SLACK_MS);
    expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - ROUGHLY_MS);
    expect(await off.acquire('held')).toBe('contended');
    expect(new Set(await kept.stop())).toEqual(new Set(['renewed']));
    expect(off.status.rollCall.enabled).toBe(false);
  });

  test('an instance with another max_ttl is refused beside others with roll calls, and is not registered', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const prefix = `t-${randomUUID()}:`;
    const x = Member.start(onTestFinished, redis.listens, prefix, ON);
    await x.usable();
    const other = Member.start(onTestFinished, redis.listens, prefix, { ...ON, maxTtlMs: 2 * MAX_TTL_MS });
    await other.refused(/max_ttl is 12000 ms/);
    expect(await other.acquire('free')).toBe('DEPLOYMENT_MISMATCH');
    const ids = await redis.withClient((client) => client.hkeys(`${prefix}{0}:instances`));
    expect(ids).toEqual([x.id]);
    expect(typeof (await x.acquire('free'))).toBe('object');
  });
});
