// The primary is stopped (SIGSTOP), replaced, and continued: it then runs what its socket buffers hold.

import { afterEach, expect, test } from 'vitest';
import { FailoverRig, QUARANTINE_MS } from '../support/failover-rig.ts';

let rig: FailoverRig | undefined;

afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});

test('while a primary is frozen no call hangs and renewals go on, and after its thaw it grants nothing', {
  timeout: 90_000,
}, async () => {
  rig = await FailoverRig.start();
  const before = await rig.reign();
  const old = await rig.cluster.primary();
  await old.process.pause();
  const frozenMs = performance.now();
  await rig.nextReign(before);
  await rig.renewalsWithin(5_000, 'renewals after the failover');
  await old.process.resume();
  await rig.newGrantsWithin(QUARANTINE_MS + 10_000, 'grants after the quarantine');
  rig.expectNoGrants(frozenMs, frozenMs + QUARANTINE_MS);
  // Calls that were in flight when it froze were answered in time, as unknown.
  expect(rig.load.calls.some(({ outcome }) => outcome === 'OUTCOME_UNKNOWN')).toBe(true);
  await rig.finish();
});
