// The primary dies and another takes over; the old one comes back; the new one dies too. And the primary comes back
// with empty data, before the Sentinels act.

import { afterEach, expect, test } from 'vitest';
import { FailoverRig, QUARANTINE_MS } from '../support/failover-rig.ts';

let rig: FailoverRig | undefined;

afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

test('after a primary is killed renewals go on, and grants after the quarantine, and again when the next primary dies', {
  timeout: 150_000,
}, async () => {
  rig = await FailoverRig.start();
  for (const round of [1, 2]) {
    const before = await rig.reign();
    const old = await rig.cluster.primary();
    await old.process.kill();
    const killedMs = performance.now();
    await rig.nextReign(before);
    await rig.renewalsWithin(5_000, `renewals after failover ${round}`);
    await rig.newGrantsWithin(QUARANTINE_MS + 10_000, `grants after failover ${round}`);
    // The adoption comes after the kill, by at least the time that the Sentinels need to notice it.
    rig.expectNoGrants(killedMs, killedMs + QUARANTINE_MS);
    if (round === 2) break;
    await old.process.start();
    await rig.cluster.waitUntilInSync(60_000);
  }
  await rig.finish();
});

test('a primary that restarts empty before the Sentinels act does not grant again what it forgot', {
  timeout: 90_000,
}, async () => {
  rig = await FailoverRig.start({ downAfterMs: 5_000 });
  const before = await rig.reign();
  const primary = await rig.cluster.primary();
  await primary.process.kill();
  const killedMs = performance.now();
  await primary.process.restart({ empty: true });
  await rig.nextReign(before);
  await rig.newGrantsWithin(QUARANTINE_MS + 10_000, 'grants after the empty restart');
  rig.expectNoGrants(killedMs, killedMs + QUARANTINE_MS);
  // Its data are gone, and the kept lease with them: the holder is told, and nobody else had the lock meanwhile.
  expect(rig.load.calls.some(({ outcome }) => outcome === 'LEASE_LOST')).toBe(true);
  await rig.finish((violation) => violation.startsWith('the kept lease was lost'));
});
