// Without a majority of the Sentinels nobody vouches for the primary: the service stops, on a healthy Redis, and goes
// on when they are back.

import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { FailoverRig } from '../support/failover-rig.ts';

let rig: FailoverRig | undefined;

afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

test('a lost majority of the Sentinels stops all answers at once, and no lease is lost if it is back soon', {
  timeout: 60_000,
}, async () => {
  rig = await FailoverRig.start();
  const { cluster, load } = rig;
  const before = await rig.reign();
  const [, second, third] = cluster.sentinels;
  await second?.process.kill();
  await third?.process.kill();
  const lostMs = performance.now();
  await eventually(() => load.calls.some((c) => c.outcome === 'PRIMARY_UNCONFIRMED'), {
    what: 'a refusal for want of a majority',
    withinMs: 5_000,
  });
  await eventually(async () => (await rig?.reign(0)) === '', {
    what: 'an instance that is not serving',
    withinMs: 3_000,
  });
  const quietMs = performance.now();
  await eventually(() => performance.now() > quietMs + 1_500, {
    what: 'some time without answers',
    withinMs: 5_000,
  });
  const answered = load.calls.filter((c) => c.sentAtMs > quietMs && c.outcome === 'OK');
  expect(answered).toEqual([]);
  expect(quietMs - lostMs).toBeLessThan(5_000);

  await second?.process.start();
  await third?.process.start();
  await rig.renewalsWithin(5_000, 'renewals with the majority back');
  await rig.newGrantsWithin(5_000, 'grants with the majority back');
  expect(await rig.reign()).toBe(before); // the primary ruled on: no quarantine
  await rig.finish();
});
