// Locks of the TypeScript client, against real servers on both stores: what it holds, what it reports, and how the end
// of the work and the end of the lease go together.
import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type Client,
  ContendedError,
  type LeaseEvent,
  LeaseLostError,
  NotHeldError,
} from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo, collected, proxyTo, refusal, rigOf, started, thrown } from '../support/sdk-rig.ts';
import { STORE_KINDS, startRig } from '../support/store-kinds.ts';

const soon = { withinMs: 10_000, everyMs: 5 };

async function waiters(client: Client, resource: string, count: number): Promise<void> {
  const isSo = async (): Promise<boolean> => (await client.locks.get(resource)).waiterCount === count;
  await eventually(isSo, { what: `${count} waiters`, ...soon });
}

describe.each(STORE_KINDS)('on the %s store', (kind) => {
  test('The streams of a client that releases its leases, completes its operations and closes count as OK, and not as CANCELLED', async () => {
    const rig = await startRig(kind, { LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' });
    onTestFinished(() => rig.stop());
    const client = clientTo(rig.instance.address);
    const held = await client.acquire('counted'); // by Hold
    let renewed = 0;
    const onEvent = ({ kind: event }: LeaseEvent): void => {
      if (event === 'renewed') renewed++;
    };
    const set = await client.acquireMany(['counted:1', 'counted:2'], { onEvent }); // by one KeepAlive
    await eventually(() => renewed >= 2, { what: 'KeepAlive of both', ...soon });
    await Promise.all([held.release(), set.release()]);
    await client.operations.run('counted', 'o', async () => undefined);
    client.close();
    const { host, port } = rig.instance.adminAddress ?? { host: '', port: 0 };
    const streams = async (): Promise<string[]> => {
      const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => /^leasehold_calls_total.*"(Hold|KeepAlive).* [1-9]\d*$/.test(line));
    };
    await eventually(async () => (await streams()).length === 3, {
      what: 'the ends of the streams',
      ...soon,
    });
    expect((await streams()).toSorted()).toEqual([
      'leasehold_calls_total{method="Hold",code="OK"} 1',
      'leasehold_calls_total{method="KeepAlive",code="OK"} 1',
      'leasehold_calls_total{method="KeepAliveOperation",code="OK"} 1',
    ]);
  });

  test('withLock holds the lock while the work runs, returns its value, and releases', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address, { owner: 'billing' });
    const value = await client.withLock(
      'invoice:42',
      async (lease) => {
        lease.assertHeld();
        const lock = await client.locks.get('invoice:42');
        expect(lock).toMatchObject({ state: 'held', waiterCount: 0 });
        expect(lock.holders).toMatchObject([
          {
            owner: 'billing',
            fencingToken: lease.fencingToken,
            metadata: { job: '7' },
            mode: { kind: 'exclusive' },
          },
        ]);
        expect(lease.remainingMs()).toBeGreaterThan(5_000);
        expect(lease.signal.aborted).toBe(false);
        return 'done';
      },
      { ttlMs: 10_000, metadata: { job: '7' } },
    );
    expect(value).toBe('done');
    expect((await client.locks.get('invoice:42')).state).toBe('free');
  });

  test('A taken lock is undefined or an error that names its holder, and its next token is larger', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address, { owner: 'first' });
    const first = await client.acquire('taken');
    expect(await client.tryAcquire('taken')).toBe(undefined);
    const error = await refusal(client.acquire('taken', { waitMs: 300 }));
    expect(error).toBeInstanceOf(ContendedError);
    expect(error).toMatchObject({
      reason: 'LOCK_CONTENDED',
      resource: 'taken',
      holders: [{ owner: 'first' }],
    });
    expect(error.message).toContain('taken is held by first');
    expect([await first.release(), await first.release(), first.state]).toEqual([true, true, 'released']);
    await using second = (await client.tryAcquire('taken')) ?? expect.fail('still taken');
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    expect(() => first.assertHeld()).toThrow(NotHeldError);
    expect(first.signal.reason).toMatchObject({ reason: 'LEASE_LOST' });
  });

  test('The same leaseId is the same acquisition, again, from another client, and by hand', async () => {
    const { instance } = await rigOf(kind);
    const leaseId = randomUUID();
    const first = await clientTo(instance.address).acquire('named', { leaseId, waitMs: 0 });
    const other = clientTo(instance.address);
    const again = await other.locks.acquireUnkept('named', { leaseId, waitMs: 0 });
    expect(again).toMatchObject({ leaseId, fencingToken: first.fencingToken });
    const several = [{ resource: 'named', leaseId }, 'unnamed'];
    await using set = await other.acquireMany(several, { waitMs: 0 });
    expect(set.of('named')).toMatchObject({ leaseId, fencingToken: first.fencingToken });
    expect(set.of('unnamed').leaseId).not.toBe(leaseId);
  });

  test('await using releases the lease', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    {
      await using lease = await client.acquire('using');
      expect((await client.locks.get('using')).holders[0]?.fencingToken).toBe(lease.fencingToken);
    }
    expect((await client.locks.get('using')).state).toBe('free');
  });

  test('Ten withLock calls of one process are served in the order in which they came', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const order: number[] = [];
    let inside = 0;
    const first = await client.acquire('fair');
    const all: Promise<void>[] = [];
    for (let i = 0; i < 10; i++) {
      const work = async (): Promise<void> => {
        expect(++inside).toBe(1);
        order.push(i);
        await client.locks.get('fair');
        inside--;
      };
      all.push(client.withLock('fair', work));
      await waiters(client, 'fair', i + 1);
    }
    await first.release();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('A lease says which limit of permits counted at its grant, where callers name different ones', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const small = await client.acquire('limited', { mode: { permits: 1, limit: 5 } });
    const large = await client.acquire('limited', { mode: { permits: 1, limit: 10 } });
    const [many] = await client.acquireMany(['limited'], { mode: { permits: 1, limit: 7 } });
    const exclusive = await client.acquire('exclusive');
    const limits = [small, large, many, exclusive].map((lease) => lease?.permitsLimit);
    expect(limits).toEqual([5, 5, 5, 0]);
  });

  test('Shared leases are held side by side, and permits up to their limit', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    await using one = await client.acquire('shared', { mode: 'shared' });
    await using two = await client.acquire('shared', { mode: 'shared' });
    expect(two.fencingToken).toBeGreaterThan(one.fencingToken);
    expect(await client.tryAcquire('shared')).toBe(undefined);
    await using three = await client.acquire('permits', { mode: { permits: 3, limit: 4 } });
    expect(three.state).toBe('held');
    expect(await client.tryAcquire('permits', { mode: { permits: 2, limit: 4 } })).toBe(undefined);
    const fourth = await client.tryAcquire('permits', { mode: { permits: 1, limit: 4 } });
    expect(fourth?.state).toBe('held');
    await fourth?.release();
  });

  test('Several locks are acquired all or none, and released together', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const set = await client.acquireMany(['a', { resource: 'b', mode: 'shared' }], { ttlMs: 8_000 });
    expect([...set].map(({ resource, state }) => [resource, state])).toEqual([
      ['a', 'held'],
      ['b', 'held'],
    ]);
    expect(set.remainingMs()).toBeGreaterThan(5_000);
    expect(set.of('b').fencingToken).toBeGreaterThan(0n);
    const error = await refusal(client.acquireMany(['c', 'a'], { waitMs: 0 }));
    expect(error).toMatchObject({ reason: 'LOCK_CONTENDED', resource: 'a' });
    expect((await client.locks.get('c')).state).toBe('free');
    expect(await set.release()).toBe(2);
    expect([set.signal.aborted, set.remainingMs()]).toEqual([true, 0]);
    const value = await client.withLocks(['a', 'b'], (both) => both.leases.length);
    expect(value).toBe(2);
    expect(await collected(client.locks.list())).toEqual([]);
  });

  test('An abort of a wait leaves nothing behind, and rejects with its reason', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const first = await client.acquire('wanted');
    const cancel = new AbortController();
    const reason = new Error('changed my mind');
    const all = [
      client.acquire('wanted', { signal: cancel.signal }),
      client.withLock('wanted', () => expect.fail('it was never held'), { signal: cancel.signal }),
      client.acquireMany(['other', 'wanted'], { signal: cancel.signal }),
    ].map(thrown);
    await waiters(client, 'wanted', 3);
    cancel.abort(reason);
    expect(await Promise.all(all)).toEqual([reason, reason, reason]);
    await waiters(client, 'wanted', 0);
    await eventually(async () => (await client.locks.get('other')).state === 'free', {
      what: 'other free',
      ...soon,
    });
    expect(first.state).toBe('held');
    await first.release();
    expect(await collected(client.locks.list())).toEqual([]);
    expect(await thrown(client.acquire('wanted', { signal: cancel.signal }))).toBe(reason);
  });

  test('An abort at any moment of an acquisition leaves nothing behind', { timeout: 30_000 }, async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    for (let i = 0; i < 30; i++) {
      const signal = AbortSignal.timeout(1 + (i % 10));
      const lease = await client.acquire(`race-${i}`, { signal }).catch(() => undefined);
      await lease?.release();
    }
    const isEmpty = async (): Promise<boolean> => (await collected(client.locks.list())).length === 0;
    await eventually(isEmpty, { what: 'no lock left', ...soon });
  });

  test('minHoldMs keeps a lock taken after its release, and maxHoldMs ends a lease', {
    timeout: 30_000,
  }, async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    await client.withLock('cron', () => {}, { minHoldMs: 60_000 });
    expect(await client.locks.get('cron')).toMatchObject({ state: 'min-hold', holders: [] });
    expect(await client.tryAcquire('cron')).toBe(undefined);
    const bounded = await client.acquire('bounded', { maxHoldMs: 2_000, ttlMs: 4_000 });
    await eventually(() => bounded.signal.aborted, { what: 'its end', ...soon });
    expect(bounded.loss).toBeInstanceOf(LeaseLostError);
  });

  test('The work and its caller hear that an administrator force-released the lease', async () => {
    const { instance } = await rigOf(kind);
    const admin = clientTo(instance.address);
    expect((await refusal(admin.locks.forceRelease('x'))).name).toBe('PermissionDeniedError');
    const open = await started({
      LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
    });
    const client = clientTo(open.address);
    const events: LeaseEvent['kind'][] = [];
    const work = client.withLock(
      'force-released',
      async (lease) => {
        const lost = new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
        const { fencingToken } = lease;
        const told = await client.locks.forceRelease('force-released', { fencingToken, immediate: true });
        expect(told).toMatchObject({ releasedCount: 1 });
        await lost;
        expect(() => lease.assertHeld()).toThrow(LeaseLostError);
        return 'too late';
      },
      { onEvent: ({ kind: told }) => events.push(told) },
    );
    expect(await refusal(work)).toMatchObject({ name: 'LeaseLostError', loss: 'force-released' });
    expect(events).toEqual(['granted', 'lost']);
  });
});

test('A time that is not finite is refused here, but a wait for ever is not', async () => {
  const { address } = await started();
  const client = clientTo(address);
  for (const ttlMs of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(await refusal(client.acquire('x', { ttlMs }))).toMatchObject({ name: 'InvalidArgumentError' });
  }
  const waitMs = Number.POSITIVE_INFINITY;
  await client.withLock('x', () => {}, { waitMs });
  await client.withLocks(['x', 'y'], () => {}, { waitMs });
  expect(await client.locks.release(await client.locks.acquireUnkept('x', { waitMs }))).toBe(true);
});

test('A grant that is on its way when the caller aborts is released at once, and does not stay for its TTL', async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  const [cut, direct] = [clientTo({ host: proxy.host, port: proxy.port }), clientTo(address)];
  await cut.serverInfo(); // connected
  await cut.withLock('warm', () => {}); // the connection for streams too
  const cancel = new AbortController();
  const reason = new Error('changed my mind');
  proxy.holdReplies();
  const all = [
    cut.acquire('one', { signal: cancel.signal }),
    cut.acquireMany(['two', 'three'], { signal: cancel.signal }),
    cut.locks.acquireUnkept('four', { signal: cancel.signal }),
  ].map(thrown);
  const taken = async (): Promise<number> => (await collected(direct.locks.list())).length;
  await eventually(async () => (await taken()) === 4, { what: 'four grants', ...soon });
  cancel.abort(reason);
  expect(await Promise.all(all)).toEqual([reason, reason, reason]);
  await eventually(async () => (await taken()) === 0, { what: 'nothing left', withinMs: 8_000 });
  proxy.heal();
});

test('acquireMany leaves nothing behind when its first answer is lost and its second try is refused', async () => {
  const { address } = await started({ LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true' });
  const proxy = await proxyTo(address);
  const [cut, direct] = [clientTo({ host: proxy.host, port: proxy.port }), clientTo(address)];
  await cut.serverInfo(); // connected
  proxy.holdReplies();
  const many = refusal(cut.acquireMany(['a', 'b'], { waitMs: 0 }));
  const taken = async (): Promise<number> => (await collected(direct.locks.list())).length;
  await eventually(async () => (await taken()) === 2, { what: 'two grants', ...soon });
  await direct.locks.forceRelease('b', { immediate: true });
  await using other = await direct.acquire('b');
  proxy.drop();
  proxy.heal();
  expect(await many).toBeInstanceOf(ContendedError);
  expect((await direct.locks.get('a')).state).toBe('free');
  expect(other.state).toBe('held');
});

describe('the error of the work', () => {
  test('The caller gets the error of the work, also when the release fails', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const own = new Error('mine');
    const events: LeaseEvent['kind'][] = [];
    const work = client.withLock(
      'masked',
      async () => {
        await proxy.refuse();
        proxy.drop();
        throw own;
      },
      { onEvent: ({ kind }) => events.push(kind) },
    );
    const startedMs = performance.now();
    expect(await thrown(work)).toBe(own);
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    await eventually(() => events.includes('release-failed'), { what: 'release-failed', withinMs: 15_000 });
    await proxy.accept();
  });

  test('await using passes on the error of the work, and makes no SuppressedError of it', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const own = new Error('mine');
    const work = async (): Promise<void> => {
      await using _lease = await client.acquire('masked');
      await proxy.refuse();
      proxy.drop();
      throw own;
    };
    expect(await thrown(work())).toBe(own);
    await proxy.accept();
  });

  test('The caller gets the value of the work, also when the release then fails', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const work = client.withLock('value', async () => {
      await proxy.refuse();
      proxy.drop();
      return 7;
    });
    expect(await work).toBe(7);
    await proxy.accept();
  });

  test('An observer that throws costs no lease', async () => {
    const { address } = await started();
    const onEvent = (): void => {
      throw new Error('an observer');
    };
    expect(await clientTo(address).withLock('observed', () => 1, { onEvent })).toBe(1);
  });
});

test('A lease that no process keeps is renewed and released by its id', async () => {
  const { address } = await started();
  const client = clientTo(address);
  const lease = await client.locks.acquireUnkept('by-hand', { ttlMs: 5_000 });
  expect(await client.locks.checkFencingToken('by-hand', lease.fencingToken)).toBe(true);
  const renewed = await clientTo(address).locks.renew(lease, { ttlMs: 20_000 });
  expect(renewed.remainingMs).toBeGreaterThan(15_000);
  expect(renewed.fencingToken).toBe(lease.fencingToken);
  expect(await client.locks.release(lease)).toBe(true);
  expect(await client.locks.release(lease)).toBe(false);
  expect(await refusal(client.locks.renew(lease))).toMatchObject({
    name: 'NotHeldError',
    reason: 'LEASE_LOST',
  });
  expect(await client.locks.checkFencingToken('by-hand', lease.fencingToken)).toBe(false);
});
