// The same deeds as in roll-call.sentinels.test.ts on a real deployment with Sentinels: what RESET, REMOVE and MONITOR
// do to leases that are held.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { quarantineMs } from '../../src/domain/safety.ts';
import { eventually } from '../support/eventually.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { keep, Member, passed } from '../support/roll-call-members.ts';

const MAX_TTL_MS = 15_000;
const FULL_MS = quarantineMs(MAX_TTL_MS);
const SLACK_MS = 20_000;

test('SENTINEL RESET begins no reign; REMOVE and MONITOR begin one; a lease that is held lives through both', {
  timeout: 180_000,
}, async () => {
  const cluster = await SentinelCluster.start();
  onTestFinished(() => cluster.stop());
  const keyPrefix = `t-${randomUUID()}:`;
  const member = (): Member =>
    Member.start(onTestFinished, { host: '127.0.0.1', port: 1 }, keyPrefix, {
      maxTtlMs: MAX_TTL_MS,
      deployment: {
        kind: 'sentinel',
        masterName: cluster.masterName,
        sentinels: cluster.sentinelAddresses,
        sentinelConnection: { connectTimeoutMs: 1_000, name: 'test' },
      },
    });
  const [x, y] = [member(), member()];
  await Promise.all([x.usable(), y.usable()]);
  const held = await x.granted('held');
  const kept = keep(held, x);
  const told = async (use: (client: Redis) => Promise<unknown>): Promise<void> => {
    await Promise.all(cluster.sentinels.map(({ process }) => process.withClient(use)));
  };

  // So that the Sentinels are past their first config epoch.
  await cluster.failover();
  await eventually(() => x.status.reign.startsWith('1:') && y.status.reign.startsWith('1:'), {
    what: 'the reign of the next primary',
    withinMs: SLACK_MS,
  });
  await y.grantedAtLast('after the failover', FULL_MS + SLACK_MS);
  const before = y.status;
  await cluster.waitUntilInSync();
  await told((client) => client.call('SENTINEL', 'RESET', '*'));
  await passed(3_000);
  await cluster.waitUntilWhole();
  await y.usable();
  expect(y.status).toMatchObject({ reign: before.reign, epoch: before.epoch });
  expect(typeof (await y.acquire('after the reset'))).toBe('object');

  const { host, port } = (await cluster.primary()).address;
  await told(async (client) => {
    await client.call('SENTINEL', 'REMOVE', cluster.masterName);
    await client.call('SENTINEL', 'MONITOR', cluster.masterName, host, String(port), '2');
  });
  const sinceMs = performance.now();
  await eventually(() => y.status.reign.startsWith('0:') && y.status.usable, {
    what: 'the reign under the first config epoch',
    withinMs: SLACK_MS,
  });
  expect(y.status.epoch).toBeGreaterThan(before.epoch);
  await y.grantedAtLast('after the new watch', FULL_MS + SLACK_MS);
  const tookMs = performance.now() - sinceMs;
  expect((await y.ended(SLACK_MS)) === 'early' || tookMs > FULL_MS - 1_000).toBe(true);
  expect(await y.acquire('held')).toBe('contended');
  const renewals = await kept.stop();
  expect(renewals).not.toContain('lost');
  expect(renewals.at(-1)).toBe('renewed');
});
