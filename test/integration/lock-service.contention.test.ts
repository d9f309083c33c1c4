// ListContendedLocks and ListSuspectedDeadlocks as callers see them, on both stores. How they work over several
// instances is in contention.two-instances.test.ts.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from '../support/eventually.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

describe.each(STORE_KINDS)('contention: %s', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
  });
  afterAll(() => rig?.stop());

  const wait = { $case: 'waitTimeout', value: duration(20_000) } as const;

  async function queued(resource: string, owner: string) {
    const before = (await rig.client.getLock(resource)).lock?.waiterCount ?? 0;
    const leaseId = randomUUID();
    const granted = rig.client.acquire({ resource, owner, leaseId }, wait).catch(() => undefined);
    await eventually(async () => ((await rig.client.getLock(resource)).lock?.waiterCount ?? 0) > before, {
      what: 'a waiter',
      withinMs: 5_000,
    });
    return { granted, leaseId, resource };
  }

  test('A server on which nobody has waited has no contended locks and no deadlocks', async () => {
    await rig.client.acquire({ resource: 'free', owner: 'me' });
    const contended = await rig.client.listContendedLocks();
    expect(contended).toMatchObject({ locks: [], window: { seconds: 0n } });
    expect(contended.coverage).toMatchObject({ serverCount: 1, oldestReport: { seconds: 0n } });
    expect(await rig.client.listSuspectedDeadlocks()).toMatchObject({ deadlocks: [], partial: false });
  });

  test('A contended lock tells its waits and the holds that ended since calls first waited', async () => {
    const holder = { resource: 'hot', leaseId: randomUUID(), owner: 'first' };
    await rig.client.acquire(holder);
    const second = await queued('hot', 'second');
    await rig.client.release(holder);
    await second.granted;
    await rig.client.release(second);
    const { locks } = await rig.client.listContendedLocks();
    const [hot] = locks;
    expect(hot).toMatchObject({ waitCount: 1n, holdCount: 2n, waitError: undefined });
    expect(hot?.lock).toMatchObject({ resource: 'hot', waiterCount: 0, holders: [] });
    expect(hot?.totalWait).toEqual(hot?.longestWait);
  });

  test('A deadlock is reported at once on the server that has both waits', async () => {
    await rig.client.acquire({ resource: 'a', owner: 'alice' });
    await rig.client.acquire({ resource: 'b', owner: 'bob' });
    const alice = await queued('b', 'alice');
    expect((await rig.client.listSuspectedDeadlocks()).deadlocks).toEqual([]);
    await queued('a', 'bob');
    const { deadlocks } = await rig.client.listSuspectedDeadlocks();
    expect(deadlocks.map(({ members }) => members)).toMatchObject([
      [
        { owner: 'alice', heldResource: 'a', awaitedResource: 'b' },
        { owner: 'bob', heldResource: 'b', awaitedResource: 'a' },
      ],
    ]);
    await rig.client.release(alice);
    expect((await rig.client.listSuspectedDeadlocks()).deadlocks).toEqual([]);
  });

  test('Owners that are empty, and an owner that waits for itself, are in no deadlock', async () => {
    for (const resource of ['n/a', 'n/b', 'self']) {
      await rig.client.acquire({ resource, owner: resource === 'self' ? 'pid@host' : '' });
    }
    await queued('n/a', '');
    await queued('n/b', '');
    await queued('self', 'pid@host');
    expect((await rig.client.listSuspectedDeadlocks()).deadlocks).toEqual([]);
  });

  test('A limit above the most means the most, and a negative one is refused with its name', async () => {
    expect((await rig.client.listContendedLocks(1_000_000)).locks.length).toBeGreaterThan(3);
    expect((await rig.client.listContendedLocks(2)).locks).toHaveLength(2);
    const error = await rig.client.listContendedLocks(-1).catch((thrown: unknown) => thrown);
    if (!(error instanceof CallError)) throw new Error('was not refused');
    expect(error.reason).toBe('INVALID_ARGUMENT');
    expect(error.violations).toMatchObject([{ field: 'limit', description: 'must not be negative, is -1' }]);
  });
});

test('Metrics show the first segment of names where that is wanted, and otherwise no part of a name', async () => {
  for (const environment of [{ LEASEHOLD_MONITORING_GROUP_BY: '/' }, {}] as Record<string, string>[]) {
    const instance = await startInstance(environment);
    const client = new TestClient(instance.address);
    try {
      for (const resource of ['team/secret', 'secret']) {
        const lease = { resource, leaseId: randomUUID() };
        await client.acquire(lease);
        await client.release(lease);
      }
      const text = await instance.metricsText();
      expect(text).not.toContain('secret');
      const groups = [...text.matchAll(/^leasehold_group_acquires_total\{(.*)\} (\d+)$/gm)];
      expect(groups.map(([, labels, count]) => `${labels} ${count}`)).toEqual(
        'LEASEHOLD_MONITORING_GROUP_BY' in environment
          ? ['group="team",outcome="granted" 1', 'group="other",outcome="granted" 1']
          : [],
      );
      expect(text.includes('leasehold_group_hold_seconds_total{group="team"}')).toBe(groups.length > 0);
    } finally {
      client.close();
      await instance.stop();
    }
  }
});
