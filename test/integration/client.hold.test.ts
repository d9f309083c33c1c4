// The client core against real servers, through a proxy that delays, holds back and cuts: leases go on at another
// server, and no holder believes in its lease longer than it may.

import { status } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hold } from '../../src/client/core/hold.ts';
import { systemClock } from '../../src/domain/clock.ts';
import {
  addressOf,
  channelTo,
  failure,
  holder,
  lossAt,
  MARGIN_MS,
  observed,
  pair,
  proxyTo,
  started,
  TTL_MS,
} from '../support/client-rig.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { clusterEnvironment, duration, TestClient } from '../support/test-instance.ts';

describe('one instance behind a proxy', () => {
  test('Renewals that are delayed on their way do not stretch the deadline', {
    timeout: 20_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const channel = channelTo([addressOf(proxy)]);
    const { options, seen, events } = observed('delayed');
    const lease = await hold(channel, options);
    await seen('renewed');
    proxy.delayMs = 700;
    const before = events.length;
    await seen('renewed', events.filter(({ kind }) => kind === 'renewed').length + 3);
    expect(events.length).toBeGreaterThan(before);
    // The server's deadline is at most a TTL from now, and the newest answer is 700 ms old.
    expect(lease.remainingMs()).toBeLessThanOrEqual(TTL_MS - 700 - MARGIN_MS);
    expect(lease.state).toBe('held');
    proxy.delayMs = 0;
    expect(await lease.release()).toBe(true);
    expect([lease.state, lease.remainingMs(), lease.signal.aborted]).toEqual(['released', 0, true]);
  });

  test('An answer that is held back until after the deadline does not revive the lease', {
    timeout: 20_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const { options, seen, events } = observed('held-back');
    const lease = await hold(channelTo([addressOf(proxy)]), options);
    await seen('renewed');
    const heldAtMs = performance.now();
    const deadlineMs = heldAtMs + lease.remainingMs();
    proxy.holdReplies();
    const lostMs = await lossAt(lease);
    // The loss comes at the deadline, and hardly later: not because of the silence before.
    expect(lostMs).toBeGreaterThan(heldAtMs + TTL_MS / 2);
    expect(lostMs - deadlineMs).toBeLessThan(1_000);
    expect(events.at(-1)).toEqual({ kind: 'lost', reason: undefined });
    const told = events.length;
    proxy.heal(); // the renewals that the server has sent meanwhile
    const direct = new TestClient(address);
    await direct.acquire({ resource: 'held-back' }, { $case: 'waitTimeout', value: duration(10_000) });
    direct.close();
    expect([events.length, lease.state, lease.remainingMs()]).toEqual([told, 'lost', 0]);
  });

  test('A lease whose server is gone for good is held until its deadline, and no longer', {
    timeout: 20_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const { options, seen, events } = observed('gone');
    const lease = await hold(channelTo([addressOf(proxy)]), options);
    await seen('renewed');
    await proxy.refuse();
    proxy.drop();
    const droppedMs = performance.now();
    const remainingMs = lease.remainingMs();
    const lostMs = await lossAt(lease);
    expect(lostMs - droppedMs).toBeGreaterThan(remainingMs - 50);
    expect(lostMs - droppedMs).toBeLessThan(remainingMs + 500);
    expect(events.filter(({ kind }) => kind === 'reopened').length).toBeGreaterThan(1);
    await proxy.accept();
  });

  test('A stream that grows old is reopened, and its lease stays held', async () => {
    const { address } = await started();
    const { options, seen, events } = observed('old');
    const channel = channelTo([address], systemClock, { renewForMs: 1_000 });
    // The server renews such a lease after some 7 s. What comes sooner is the answer to a new stream.
    const lease = await hold(channel, { ...options, spec: { ...options.spec, ttl: duration(30_000) } });
    await seen('renewed', 8);
    expect(lease.state).toBe('held');
    expect(events.map(({ kind }) => kind)).not.toContain('reopened'); // nothing is wrong
    expect(await lease.release()).toBe(true);
  });

  test('A holder hears that someone who knows the id released its lease', async () => {
    const { address } = await started();
    const { options, events } = observed('released');
    const lease = await hold(channelTo([address]), options);
    const direct = new TestClient(address);
    await direct.release(lease);
    direct.close();
    await eventually(() => lease.signal.aborted, { what: 'the loss', withinMs: 5_000 });
    expect(events.at(-1)).toMatchObject({ kind: 'lost', reason: 2 });
    expect(lease.state).toBe('lost');
  });

  test('A wait that is cancelled leaves nothing in the queue', async () => {
    const { address } = await started();
    const direct = new TestClient(address);
    onTestFinished(() => direct.close());
    await direct.acquire({ resource: 'wanted' });
    const cancel = new AbortController();
    const { options, seen } = observed('wanted', { waitMs: 60_000, signal: cancel.signal });
    const waiting = failure(hold(channelTo([address]), options));
    await seen('queued');
    cancel.abort();
    expect((await waiting).code).toBe(status.CANCELLED);
    expect((await direct.getLock('wanted')).lock?.waiterCount).toBe(0);
  });
});

describe('a channel that is closed', () => {
  test('A channel that is closed ends no lease before its deadline, and throws no unhandled error', {
    timeout: 20_000,
  }, async () => {
    const { address } = await started();
    const channel = channelTo([address]);
    const { options, seen, events } = observed('closed');
    const lease = await hold(channel, options);
    await seen('renewed');
    const [closedMs, remainingMs] = [performance.now(), lease.remainingMs()];
    channel.close();
    expect(lease.state).toBe('held');
    const lostMs = await lossAt(lease);
    expect(lostMs - closedMs).toBeGreaterThan(remainingMs - 50);
    expect(lostMs - closedMs).toBeLessThan(remainingMs + 500);
    expect(events.at(-1)).toEqual({ kind: 'lost', reason: undefined });
  });

  test('A closed channel refuses further calls, and says why', async () => {
    const { address } = await started();
    const channel = channelTo([address]);
    channel.close();
    const error = await failure(hold(channel, observed('closed').options));
    expect([error.code, error.message]).toEqual([status.CANCELLED, 'the channel is closed']);
  });
});

describe('when no lease is to be had', () => {
  test('A contended lock is refused at once, with the reason and its holder', async () => {
    const { address } = await started();
    const channel = channelTo([address]);
    await hold(channel, observed('taken').options);
    const error = await failure(hold(channel, observed('taken').options));
    expect(error).toMatchObject({ code: status.ABORTED, reason: 'LOCK_CONTENDED' });
    expect(error.contention?.holders).toHaveLength(1);
  });

  test('Bad input is refused by the name of the field', async () => {
    const { address } = await started();
    const error = await failure(hold(channelTo([address]), observed('').options));
    expect(error).toMatchObject({ reason: 'INVALID_ARGUMENT', violations: [{ field: 'spec.resource' }] });
  });

  test('A caller hears in time that no server listens', { timeout: 40_000 }, async () => {
    const channel = channelTo([{ host: '127.0.0.1', port: await freePort() }]);
    const startedMs = performance.now();
    const error = await failure(hold(channel, observed('nobody', { waitMs: 1_000 }).options));
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('two instances', () => {
  test('When its stream is cut, a lease goes on with the other instance under the same token', {
    timeout: 90_000,
  }, async () => {
    const { proxy, channel, direct } = await pair();
    const { options, seen } = observed('cut');
    const lease = await hold(channel, options);
    await seen('renewed');
    await proxy.refuse();
    proxy.drop();
    await seen('reopened');
    await seen('renewed', 8); // longer than its TTL
    expect([lease.state, await holder(direct, 'cut')]).toEqual(['held', lease.fencingToken]);
    expect(await lease.release()).toBe(true);
    await proxy.accept();
  });

  test('The client leaves an instance that accepts calls and says nothing', { timeout: 90_000 }, async () => {
    const { proxy, channel, direct } = await pair();
    const { options, seen } = observed('silent');
    const lease = await hold(channel, options);
    proxy.cut();
    await seen('renewed', 8);
    expect([lease.state, await holder(direct, 'silent')]).toEqual(['held', lease.fencingToken]);
    proxy.heal();
    expect(await lease.release()).toBe(true);
  });

  test('Leases move away from an instance that stops before its end, and none is lost', {
    timeout: 90_000,
  }, async () => {
    const { first, channel, direct } = await pair();
    const { options, seen, events } = observed('drained');
    const lease = await hold(channel, options);
    await seen('renewed');
    await first.stop();
    await seen('renewed', 8);
    expect([lease.state, await holder(direct, 'drained')]).toEqual(['held', lease.fencingToken]);
    expect(events.map(({ kind }) => kind)).not.toContain('lost');
    expect(await lease.release()).toBe(true);
  });

  test('A wait keeps its place in the queue when its stream is cut', { timeout: 90_000 }, async () => {
    const { proxy, channel, direct } = await pair();
    const first = await direct.acquire({ resource: 'queue' });
    const { options, seen, events } = observed('queue', { waitMs: 60_000 });
    const waiting = hold(channel, options);
    await seen('queued');
    const behind = direct.acquire(
      { resource: 'queue' },
      { $case: 'waitTimeout', value: duration(60_000) },
      70_000,
    );
    await eventually(async () => (await direct.getLock('queue')).lock?.waiterCount === 2, {
      what: 'two waiters',
      withinMs: 5_000,
    });
    await proxy.refuse();
    proxy.drop();
    await eventually(() => events.filter(({ kind }) => kind === 'queued').length > 1, {
      what: 'its place on the other instance',
      withinMs: 10_000,
    });
    const { resource = '', leaseId = '' } = first.lease ?? {};
    await direct.release({ resource, leaseId });
    const lease = await waiting;
    await lease.release();
    expect((await behind).lease?.fencingToken).toBeGreaterThan(lease.fencingToken);
    await proxy.accept();
  });
});

test('Ten leases stay held under their tokens through a failover of Redis', {
  timeout: 120_000,
}, async () => {
  // Not 1 s, the time between two pings of Sentinel: with 1 s, the node that was just promoted sometimes counts as
  // dead, another one is promoted, and until the first has become its replica, 10 s later, no replica acknowledges a
  // renewal.
  const cluster = await SentinelCluster.start({ masterName: 'client', downAfterMs: 2_000 });
  onTestFinished(() => cluster.stop());
  const environment = { ...clusterEnvironment(cluster, 'client'), LEASEHOLD_REDIS_DURABILITY: 'replicated' };
  const instances = [await started(environment), await started(environment)];
  for (const { store } of instances) {
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 20_000 });
  }
  const channel = channelTo(instances.map(({ address }) => address));
  const leases = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const own = observed(`failover-${i}`);
      const spec = { ...own.options.spec, ttl: duration(15_000) };
      return { ...own, lease: await hold(channel, { ...own.options, spec }) };
    }),
  );
  const old = await cluster.primary();
  await old.process.kill();
  await cluster.waitForNewPrimary(old, 30_000);
  const switched = leases.map(({ events }) => events.length);
  for (const [i, { events }] of leases.entries()) {
    const isRenewed = (): boolean => events.slice(switched[i]).some(({ kind }) => kind === 'renewed');
    await eventually(isRenewed, { what: 'a renewal by the new primary', withinMs: 15_000 });
  }
  expect(leases.map(({ lease }) => lease.state)).toEqual(Array(10).fill('held'));
  expect(await Promise.all(leases.map(({ lease }) => lease.release()))).toEqual(Array(10).fill(true));
});
