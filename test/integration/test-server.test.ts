// leasehold/testing as users of it see it: a real server in their process, on a clock that they send ahead.
import { expect, onTestFinished, test } from 'vitest';
import { startTestServer, type TestServer } from '../../src/testing/test-server.ts';
import { eventually } from '../support/eventually.ts';
import { collected, refusal } from '../support/sdk-rig.ts';

async function server(options?: Parameters<typeof startTestServer>[0]): Promise<TestServer> {
  const started = await startTestServer(options);
  onTestFinished(() => started.stop());
  return started;
}

test('Hours pass in a moment, and a lease that is kept stays held', async () => {
  const { clock, createClient } = await server();
  const client = createClient();
  const startedMs = performance.now();
  const lease = await client.acquire('job', { ttlMs: 10_000 });
  await clock.advance(600_000);
  expect([lease.state, lease.remainingMs() > 1_000]).toEqual(['held', true]);
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  await lease.release();
});

test('minHoldMs, retention and heartbeat timeouts run on the test clock', async () => {
  const { clock, createClient } = await server();
  const client = createClient();
  await client.withLock('cron', () => {}, { minHoldMs: 3_600_000 });
  await clock.advance(3_500_000);
  expect(await client.tryAcquire('cron')).toBe(undefined);
  await clock.advance(200_000);
  await using again = await client.tryAcquire('cron');
  expect(again?.state).toBe('held');
  await client.operations.run('r', '1', () => 1, { retentionMs: 60_000 });
  await clock.advance(120_000);
  expect(await collected(client.operations.list())).toEqual([]);
});

test('A test server can force a release, and a failover after which it grants nothing for a while', async () => {
  const { clock, createClient, forceRelease, failOver } = await server();
  const client = createClient();
  const work = client.withLock('job', async ({ signal }) => {
    await forceRelease('job');
    await eventually(() => signal.aborted, { what: 'the loss', withinMs: 5_000 });
    signal.throwIfAborted();
  });
  expect(await refusal(work)).toMatchObject({ name: 'LeaseLostError', loss: 'force-released' });
  failOver();
  const quarantined = await refusal(client.acquire('job', { waitMs: 0 }));
  expect(quarantined).toMatchObject({ name: 'UnavailableError', reason: 'QUARANTINE' });
  await clock.advance(60_000);
  expect(await client.withLock('job', () => 'granted')).toBe('granted');
});

test('A test server takes settings, shares its clock with others, and closes its clients when it stops', async () => {
  const first = await server({
    settings: { LEASEHOLD_LOCKS_MAX_TTL: '5s', LEASEHOLD_LOCKS_DEFAULT_TTL: '5s' },
  });
  const second = await server({ clock: first.clock });
  expect(second.clock).toBe(first.clock);
  const client = first.createClient();
  expect(await refusal(client.acquire('x', { ttlMs: 6_000 }))).toMatchObject({
    name: 'InvalidArgumentError',
  });
  await first.stop();
  expect(await refusal(client.serverInfo())).toMatchObject({ reason: 'CLIENT_CLOSED' });
});
