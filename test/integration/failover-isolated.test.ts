// The primary is cut off: first from Sentinels and replicas only, so that every instance still reaches it; then
// together with one instance, which sees a working Redis and no Sentinel.

import { afterEach, expect, test } from 'vitest';
import { CONFIRMATION_WINDOW_MS } from '../../src/domain/safety.ts';
import { FailoverRig, QUARANTINE_MS } from '../support/failover-rig.ts';
import { APPLICATIONS } from '../support/redis/partition.ts';

let rig: FailoverRig | undefined;

afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

test('an isolated primary that the instances still reach is left for the one that the Sentinels name', {
  timeout: 90_000,
}, async () => {
  rig = await FailoverRig.start({ partitions: true });
  const before = await rig.reign();
  const old = await rig.cluster.primary();
  rig.cluster.isolate(old, { except: [APPLICATIONS] });
  await rig.nextReign(before);
  const adoptedMs = performance.now();
  await rig.renewalsWithin(5_000, 'renewals after the failover');
  await rig.newGrantsWithin(QUARANTINE_MS + 10_000, 'grants after the quarantine');
  rig.expectNoGrants(adoptedMs, adoptedMs + QUARANTINE_MS - 1_000);
  rig.cluster.heal();
  await rig.renewalsWithin(10_000, 'renewals after the partition healed');
  await rig.finish();
});

test('an instance alone with the old primary answers nothing, while the others go on', {
  timeout: 120_000,
}, async () => {
  const alone = '127.0.0.41';
  rig = await FailoverRig.start({ partitions: true, firstInstanceFrom: alone });
  const before = await rig.reign();
  const old = await rig.cluster.primary();
  const cutMs = performance.now();
  rig.cluster.isolate(old, { except: [alone] });
  rig.cluster.isolate(alone, { except: [old] });
  await rig.nextReign(before, [1]);
  await rig.newGrantsWithin(QUARANTINE_MS + 15_000, 'grants by the other instance');

  // Its Redis works and takes its writes, but no Sentinel confirms it.
  const aloneUntilMs = performance.now();
  const quietFromMs = cutMs + CONFIRMATION_WINDOW_MS + 500;
  const answered = rig.load.calls.filter((c) => c.client === 0 && c.endedAtMs > quietFromMs);
  expect(answered.length).toBeGreaterThan(0);
  expect(answered.filter((c) => c.outcome === 'OK' && c.endedAtMs < aloneUntilMs)).toEqual([]);
  expect(answered.some((c) => c.outcome === 'PRIMARY_UNCONFIRMED')).toBe(true);

  rig.cluster.heal();
  await rig.nextReign(before, [0]);
  await rig.finish();
});
