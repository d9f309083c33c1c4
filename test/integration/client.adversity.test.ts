// The client core where something is wrong in more than one place: instances that answer but can't renew, instances
// that die or fall silent while a caller waits, observers that throw. None of it leaves anything behind.

import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { status } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { hold } from '../../src/client/core/hold.ts';
import { release } from '../../src/client/core/release.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import {
  addressOf,
  channelTo,
  directTo,
  failure,
  grants,
  holder,
  observed,
  pair,
  proxyTo,
  started,
  startRedis,
} from '../support/client-rig.ts';
import { CountingClock } from '../support/counting-clock.ts';
import { eventually } from '../support/eventually.ts';
import { keepAlive } from '../support/lease-stream.ts';
import { freePort } from '../support/ports.ts';
import { duration } from '../support/test-instance.ts';

/** Accepts calls and then resets them, as a server does that is being killed. */
async function dyingServer(): Promise<{ readonly address: HostPort; readonly calls: () => number }> {
  let calls = 0;
  const server = createServer();
  server.on('stream', (stream) => {
    calls++;
    stream.on('error', () => undefined);
    stream.close(8); // CANCEL
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const { address, port } = server.address() as AddressInfo; // it listens on TCP
  return { address: { host: address, port }, calls: () => calls };
}

const passed = (ms: number): Promise<unknown> => {
  const sinceMs = performance.now();
  return eventually(() => performance.now() - sinceMs > ms, { what: `${ms} ms`, withinMs: ms + 5_000 });
};

describe('a lease that is held', () => {
  test('A lease that is at risk at the one instance that cannot reach Redis is renewed by the other', {
    timeout: 90_000,
  }, async () => {
    const { redis, environment } = await startRedis();
    const toRedis = await proxyTo(redis.listens);
    const first = await started({
      ...environment,
      LEASEHOLD_REDIS_ADDRESS: `${toRedis.host}:${toRedis.port}`,
    });
    const second = await started(environment);
    for (const instance of [first, second]) await grants(instance);
    const { options, seen } = observed('cut-off');
    const lease = await hold(channelTo([first.address, second.address]), options);
    await seen('renewed');
    await toRedis.refuse();
    toRedis.drop();
    await seen('at-risk');
    await seen('renewed', 8); // longer than its TTL
    expect([lease.state, await holder(directTo(second), 'cut-off')]).toEqual(['held', lease.fencingToken]);
    expect(await lease.release()).toBe(true);
    await toRedis.accept();
  });

  test('An observer that throws costs no lease, and still hears of its end', async () => {
    const instance = await started();
    const lease = await hold(channelTo([instance.address]), {
      ...observed('thrown').options,
      observer: () => {
        throw new Error('the observer is broken');
      },
    });
    await passed(2_000); // several renewals
    expect(lease.state).toBe('held');
    await directTo(instance).release(lease);
    await eventually(() => lease.signal.aborted, { what: 'the loss', withinMs: 5_000 });
    expect(lease.state).toBe('lost');
  });

  test('The client takes back a lease that another call of the same holder took over', async () => {
    const instance = await started();
    const { options, seen, events } = observed('moved');
    const lease = await hold(channelTo([instance.address]), options);
    await seen('renewed');
    const other = keepAlive(directTo(instance), [lease]);
    await other.event('renewed');
    await seen('reopened');
    expect(await other.ended()).toBe('10 MOVED');
    await seen('renewed', events.filter(({ kind }) => kind === 'renewed').length + 2);
    expect(lease.state).toBe('held');
  });

  test('A release on a closed channel ends the lease at once, and fails because no server was asked', async () => {
    const { address } = await started();
    const channel = channelTo([address]);
    const lease = await hold(channel, observed('closed').options);
    channel.close();
    expect((await failure(lease.release())).code).toBe(status.CANCELLED);
    expect([lease.state, lease.signal.aborted]).toEqual(['released', true]);
  });

  test('A call, also a release, goes on to the next server when a dying one resets it', async () => {
    const { address } = await started();
    const dying = await dyingServer();
    const channel = channelTo([dying.address, address]);
    const lease = await hold(channel, observed('reset').options);
    expect(dying.calls()).toBe(1);
    channel.leave(channel.seat); // back to the one that dies
    expect(await lease.release()).toBe(true);
    expect(dying.calls()).toBe(2);
  });
});

describe('a lease that is waited for', () => {
  test('A server that falls silent keeps no caller longer than its wait', { timeout: 30_000 }, async () => {
    const instance = await started();
    await directTo(instance).acquire({ resource: 'silent' });
    const proxy = await proxyTo(instance.address);
    const { options, seen } = observed('silent', { waitMs: 1_500 });
    const startedMs = performance.now();
    const waiting = failure(hold(channelTo([addressOf(proxy)]), options));
    await seen('queued');
    proxy.cut();
    expect((await waiting).code).toBe(status.UNAVAILABLE);
    expect(performance.now() - startedMs).toBeLessThan(1_500 + 3_000 + 1_000 + 1_500);
    proxy.heal();
  });

  test('A wait whose token function throws when its stream is opened anew leaves no waiter behind', async () => {
    const instance = await started();
    const direct = directTo(instance);
    await direct.acquire({ resource: 'unasked' });
    let asked = 0;
    const token = (): string => {
      if (++asked === 2) throw new Error('no token');
      return 'token';
    };
    const { options, seen } = observed('unasked', { waitMs: 60_000, reopenAfterMs: 300 });
    const waiting = hold(channelTo([instance.address], undefined, { token }), options);
    const failed = waiting.catch((error: unknown) => error);
    await seen('queued');
    expect(await failed).toMatchObject({ message: 'no token' });
    await eventually(async () => (await direct.getLock('unasked')).lock?.waiterCount === 0, {
      what: 'the end of the wait',
      withinMs: 10_000,
    });
  });

  test('A queued stream that grows old is reopened, and the wait keeps its place', {
    timeout: 30_000,
  }, async () => {
    const instance = await started();
    const direct = directTo(instance);
    const first = await direct.acquire({ resource: 'old' });
    const { options, seen, events } = observed('old', { waitMs: 60_000, reopenAfterMs: 300 });
    const waiting = hold(channelTo([instance.address]), options);
    await seen('queued');
    const behind = direct.acquire(
      { resource: 'old' },
      { $case: 'waitTimeout', value: duration(20_000) },
      25_000,
    );
    await seen('reopened', 4);
    const { lock } = await direct.getLock('old');
    expect(lock?.waiterCount).toBe(2);
    expect(new Set(events.flatMap((event) => (event.kind === 'queued' ? [event.position] : [])))).toEqual(
      new Set([1]),
    );
    const { resource = '', leaseId = '' } = first.lease ?? {};
    await direct.release({ resource, leaseId });
    const lease = await waiting;
    await lease.release();
    expect((await behind).lease?.fencingToken).toBeGreaterThan(lease.fencingToken);
  });

  test('A grant that arrives after its deadline does not count, and is released', {
    timeout: 30_000,
  }, async () => {
    const instance = await started();
    const proxy = await proxyTo(instance.address);
    const channel = channelTo([addressOf(proxy)]);
    await (await hold(channel, observed('warm').options)).release(); // the connections are open
    proxy.delayMs = 1_200;
    const { options, events } = observed('too-late');
    const error = await failure(
      hold(channel, { ...options, spec: { ...options.spec, ttl: duration(2_000) } }),
    );
    expect(error).toMatchObject({
      code: status.ABORTED,
      message: 'the lease had ended before its grant arrived',
    });
    expect(events.map(({ kind }) => kind)).toEqual(['lost']);
    proxy.delayMs = 0;
    const direct = directTo(instance);
    await eventually(async () => (await holder(direct, 'too-late')) === undefined, {
      what: 'a free resource',
      withinMs: 10_000,
    });
  });

  test('A wait that is given up between two tries ends at once', { timeout: 30_000 }, async () => {
    const channel = channelTo([{ host: '127.0.0.1', port: await freePort() }]);
    const cancel = new AbortController();
    const { options, seen } = observed('nobody', { waitMs: 60_000, signal: cancel.signal });
    const waiting = failure(hold(channel, options));
    await seen('reopened', 3);
    const cancelledMs = performance.now();
    cancel.abort();
    expect((await waiting).code).toBe(status.CANCELLED);
    expect(performance.now() - cancelledMs).toBeLessThan(2_500);
  });

  test('A wait that is given up before it begins asks no server', async () => {
    const dying = await dyingServer();
    const { options } = observed('never', { waitMs: 60_000, signal: AbortSignal.abort() });
    expect((await failure(hold(channelTo([dying.address]), options))).code).toBe(status.CANCELLED);
    expect(dying.calls()).toBe(0);
  });
});

test('No timer is left, however a lease ends', { timeout: 60_000 }, async () => {
  const { proxy, first, second } = await pair();
  const clock = new CountingClock();
  const channel = channelTo([addressOf(proxy), second.address], clock);
  const none = (after: string): Promise<unknown> =>
    eventually(() => clock.timers === 0, { what: `no timer after ${after}`, withinMs: 5_000 });

  const released = await hold(channel, observed('released').options);
  expect((await failure(hold(channel, observed('released').options))).reason).toBe('LOCK_CONTENDED');
  const cancel = new AbortController();
  const queued = observed('released', { waitMs: 60_000, signal: cancel.signal });
  const waiting = failure(hold(channel, queued.options));
  await queued.seen('queued');
  cancel.abort();
  await waiting;
  expect(clock.timers).toBeGreaterThan(0); // the teeth: one is held
  await released.release();
  await none('a release, a refusal and a cancel');

  const moved = observed('broken');
  const broken = await hold(channel, moved.options);
  await proxy.refuse();
  proxy.drop();
  await moved.seen('reopened');
  await moved.seen('renewed', 2);
  await directTo(second).release(broken);
  await eventually(() => broken.state === 'lost', { what: 'the loss', withinMs: 5_000 });
  await none('a break and a loss');

  const closed = await hold(channel, observed('closed').options);
  channel.close();
  await eventually(() => closed.state === 'lost', { what: 'the deadline', withinMs: 10_000 });
  await none('a closed channel');
  await proxy.accept();
  await first.stop();
});

test('A release says whether there was anything to end', async () => {
  const { address } = await started();
  const channel = channelTo([address]);
  const { options } = observed('released');
  await hold(channel, options);
  expect([await release(channel, options.spec), await release(channel, options.spec)]).toEqual([true, false]);
});
