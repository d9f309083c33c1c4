// The traffic that `leasehold capacity` plans, beside what the leases of a real client cause: renewals, the streams that
// the client opens anew, and the looks at deadlines that were written down before a renewal.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { planFor } from '../../src/capacity/capacity-plan.ts';
import { DEFAULT_DEPLOYMENT, type Load, MEAN_STREAM_AGE_MS } from '../../src/capacity/load.ts';
import { NAME_BYTES, OWNER_BYTES } from '../../src/capacity/unit-costs.ts';
import { UNIT_FIGURES } from '../../src/capacity/unit-figures.ts';
import { Client } from '../../src/client/client.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { startInstance } from '../support/test-instance.ts';
import { ownRedis } from '../support/watched-redis.ts';

const LOAD: Load = {
  locks: 300,
  mode: 'exclusive',
  holdStreams: 300,
  ratePerSecond: 0,
  waitedShare: 0,
  ttlMs: 8_000,
  waiters: 0,
  queueLength: 1,
  operations: 0,
  operationsPerSecond: 0,
  payloadBytes: 0,
  nameBytes: NAME_BYTES,
  ownerBytes: OWNER_BYTES,
  metadataBytes: 0,
  clients: 1,
};
/** Until the leases are on the streams on which they stay. */
const SETTLED_MS = 6_000;
const TOLERANCE = 0.25;

test('The planned traffic of leases that a client holds is within 25 % of what Redis reads and appends to its file', {
  timeout: 60_000,
}, async () => {
  const redis = await ownRedis(onTestFinished, { appendonly: true });
  const instance = await startInstance({
    LEASEHOLD_REDIS_ADDRESS: formatHostPort(redis.listens),
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
  });
  onTestFinished(() => instance.stop());
  const client = new Client({ addresses: formatHostPort(instance.address), owner: 'o'.repeat(OWNER_BYTES) });
  onTestFinished(() => client.close());
  await Promise.all(
    Array.from({ length: LOAD.locks }, (_, index) =>
      client.acquire(`lock/${index}/`.padEnd(NAME_BYTES, 'x'), { ttlMs: LOAD.ttlMs }),
    ),
  );
  const seen = async () => {
    const [stats, persistence] = await Promise.all([redis.info('stats'), redis.info('persistence')]);
    const read = Number(stats.get('total_net_input_bytes'));
    return { atMs: performance.now(), read, appended: Number(persistence.get('aof_current_size')) };
  };
  await sleep(SETTLED_MS);
  const before = await seen();
  await sleep(MEAN_STREAM_AGE_MS);
  const after = await seen();
  const seconds = (after.atMs - before.atMs) / 1_000;
  const plan = planFor(LOAD, DEFAULT_DEPLOYMENT, UNIT_FIGURES).redis;
  for (const [what, planned, measured] of [
    ['read', plan.inBytesPerSecond, (after.read - before.read) / seconds],
    ['appended', plan.aofBytesPerSecond, (after.appended - before.appended) / seconds],
  ] as const) {
    const ratio = planned / measured;
    expect([what, ratio > 1 - TOLERANCE && ratio < 1 + TOLERANCE, ratio]).toEqual([what, true, ratio]);
  }
});
