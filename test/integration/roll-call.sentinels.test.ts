// What operators do to the Sentinels of a deployment with roll calls: SENTINEL RESET, and REMOVE with MONITOR, after
// which config epochs begin at 0 again. Real Redis, Sentinels that say what a test tells them; stores without a server.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { awayAtMostMs, newcomerWaitMs, quarantineMs } from '../../src/domain/safety.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeSentinel } from '../support/fake-sentinel.ts';
import { keep, MAX_TTL_MS, Member, passed } from '../support/roll-call-members.ts';
import { type AtEnd, MASTER_NAME, startSentinels, startSettledRedis } from '../support/watched-redis.ts';

const FULL_MS = quarantineMs(MAX_TTL_MS);
const SLACK_MS = 15_000;

function memberOf(
  atEnd: AtEnd,
  sentinels: readonly FakeSentinel[],
  keyPrefix: string,
  maxTtlMs = MAX_TTL_MS,
): Member {
  return Member.start(atEnd, { host: '127.0.0.1', port: 1 }, keyPrefix, {
    maxTtlMs,
    deployment: {
      kind: 'sentinel',
      masterName: MASTER_NAME,
      sentinels: sentinels.map(({ address }) => address),
      sentinelConnection: { connectTimeoutMs: 1_000, name: 'test' },
    },
  });
}

async function settled(atEnd: AtEnd) {
  const redis = await startSettledRedis();
  atEnd(() => redis.stop());
  return redis;
}

describe.concurrent('config epochs that begin at 0 again', { timeout: 90_000 }, () => {
  test('a primary that is named under the epoch of a reign that others have left begins that reign again', async ({
    onTestFinished,
  }) => {
    const [a, b] = [await settled(onTestFinished), await settled(onTestFinished)];
    const sentinels = await startSentinels(onTestFinished, 3, a.listens);
    const keyPrefix = `t-${randomUUID()}:`;
    const x = memberOf(onTestFinished, sentinels, keyPrefix);
    const y = memberOf(onTestFinished, sentinels, keyPrefix);
    await Promise.all([x.usable(), y.usable()]);
    const former = x.status;
    // A is cut off and never demoted. B rules, and grants.
    const onB = [x.joins, y.joins];
    for (const sentinel of sentinels) sentinel.say({ primary: b.listens, configEpoch: 1 });
    await Promise.all([x.joinsAfter(onB[0] ?? 0), y.joinsAfter(onB[1] ?? 0)]);
    const { lease: onlyOnB } = await x.grantedAtLast('only-on-b', FULL_MS + SLACK_MS);
    // SENTINEL REMOVE, and MONITOR of A: it is named as it was at first, and the reign in its data has that name.
    const sinceMs = performance.now();
    for (const sentinel of sentinels) sentinel.say({ primary: a.listens, configEpoch: 0 });
    const { lease, atMs } = await y.grantedAtLast('only-on-b', FULL_MS + SLACK_MS);
    expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - 500);
    expect(lease.fencingToken).toBeGreaterThan(onlyOnB.fencingToken);
    expect(y.status.epoch).toBeGreaterThan(former.epoch);
    expect(y.status.reign.startsWith(`${former.reign}:`)).toBe(true);
    expect(await y.ended(SLACK_MS)).toBe('full');
  });

  test('REMOVE and MONITOR of the primary that rules cost a quarantine, lose no lease, and happen once', async ({
    onTestFinished,
  }) => {
    const a = await settled(onTestFinished);
    const sentinels = await startSentinels(onTestFinished, 3, a.listens, { configEpoch: 7 });
    const keyPrefix = `t-${randomUUID()}:`;
    const maxTtlMs = 12_000;
    const fullMs = quarantineMs(maxTtlMs);
    const [x, y] = [
      memberOf(onTestFinished, sentinels, keyPrefix, maxTtlMs),
      memberOf(onTestFinished, sentinels, keyPrefix, maxTtlMs),
    ];
    const { lease: held } = await x.grantedAtLast('held', fullMs + SLACK_MS);
    const kept = keep(held, x);
    for (const sentinel of sentinels) sentinel.say({ configEpoch: 0 });
    const areUnder0 = () => [x, y].every(({ status: { reign } }) => reign.startsWith('0:'));
    await eventually(areUnder0, { what: 'a reign under the epoch 0', withinMs: SLACK_MS });
    await y.grantedAtLast('free', fullMs + SLACK_MS);
    expect(await y.acquire('held')).toBe('contended');
    const [before, { reign }] = [x.joins + y.joins, y.status];
    await passed(2_000);
    expect([x.joins + y.joins, x.status.reign]).toEqual([before, reign]);
    const renewals = await kept.stop();
    expect(renewals).not.toContain('lost');
    expect(renewals.at(-1)).toBe('renewed');
  });
});

describe.concurrent('Sentinels that stand still', { timeout: 90_000 }, () => {
  test('a failover after the Sentinels were silent for longer than an instance may be away takes the full quarantine', async ({
    onTestFinished,
  }) => {
    const a = await settled(onTestFinished);
    const sentinels = await startSentinels(onTestFinished, 3, a.listens);
    const keyPrefix = `t-${randomUUID()}:`;
    const x = memberOf(onTestFinished, sentinels, keyPrefix);
    const y = memberOf(onTestFinished, sentinels, keyPrefix);
    await Promise.all([x.usable(), y.usable()]);
    await passed(newcomerWaitMs(MAX_TTL_MS) + 2_500);
    for (const sentinel of sentinels) sentinel.hold();
    await passed(awayAtMostMs(MAX_TTL_MS) + 2_000);
    // They tick all the while: what their entries say of a majority is old nevertheless.
    expect(await x.acquire('meanwhile')).toBe('PRIMARY_UNCONFIRMED');
    const sinceMs = performance.now();
    for (const sentinel of sentinels) {
      sentinel.say({ configEpoch: 1 });
      sentinel.release();
    }
    const { atMs } = await y.grantedAtLast('free', FULL_MS + SLACK_MS);
    expect(atMs - sinceMs).toBeGreaterThan(FULL_MS - 500);
    expect(await y.ended(SLACK_MS)).toBe('full');
    expect(y.status.reign).toMatch(/^1:/);
  });

  test('a failover while the Sentinels are heard is ended early, by the same instances', async ({
    onTestFinished,
  }) => {
    const a = await settled(onTestFinished);
    const sentinels = await startSentinels(onTestFinished, 3, a.listens);
    const keyPrefix = `t-${randomUUID()}:`;
    const [x, y] = [
      memberOf(onTestFinished, sentinels, keyPrefix),
      memberOf(onTestFinished, sentinels, keyPrefix),
    ];
    await Promise.all([x.usable(), y.usable()]);
    await passed(newcomerWaitMs(MAX_TTL_MS) + 2_500);
    for (const sentinel of sentinels) sentinel.say({ configEpoch: 1 });
    expect(await y.ended(FULL_MS + SLACK_MS)).toBe('early');
    expect(y.status.reign).toMatch(/^1:/);
  });
});
