// AcquireMany and CheckFencingToken over a real gRPC channel, on both stores.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

function waiting(ms: number) {
  return { $case: 'waitTimeout' as const, value: duration(ms) };
}

describe.each(STORE_KINDS)('several locks at once, %s store', (kind) => {
  let rig: Rig;

  beforeEach(async () => {
    rig = await startRig(kind);
  });
  afterEach(() => rig.stop());

  const state = async (resource: string) => {
    const { lock } = await rig.client.getLock(resource);
    return { owners: lock?.holders.map(({ owner }) => owner), waiting: lock?.waiterCount };
  };

  test('several locks are granted together, in the order of the request', async () => {
    const specs = ['b', 'a', 'c'].map((resource) => ({ resource, owner: 'me' }));
    const { leases } = await rig.client.acquireMany(specs);
    expect(leases.map(({ resource }) => resource)).toEqual(['b', 'a', 'c']);
    for (const { resource, fencingToken } of leases) {
      expect(await state(resource)).toEqual({ owners: ['me'], waiting: 0 });
      expect((await rig.client.checkFencingToken(resource, fencingToken)).valid).toBe(true);
      expect((await rig.client.checkFencingToken(resource, fencingToken + 1n)).valid).toBe(false);
    }
  });

  test('none of several locks is granted when one is taken, and the answer names it', async () => {
    await rig.client.acquire({ resource: 'b', owner: 'other' });
    const specs = ['a', 'b', 'c'].map((resource) => ({ resource, owner: 'me', minHold: duration(60_000) }));
    await expect(rig.client.acquireMany(specs)).rejects.toMatchObject({
      reason: 'LOCK_CONTENDED',
      contention: { resource: 'b', holders: [{ owner: 'other' }] },
    });
    expect(await state('a')).toEqual({ owners: [], waiting: 0 });
    expect(await state('c')).toEqual({ owners: [], waiting: 0 });
    // Nobody was told of it, so not even its min_hold is left.
    expect((await rig.client.acquire({ resource: 'a' })).lease?.fencingToken).toBeGreaterThan(0n);
  });

  test('several locks that are asked for again with the same ids are the same leases', async () => {
    const specs = ['a', 'b'].map((resource) => ({ resource, leaseId: randomUUID() }));
    const first = await rig.client.acquireMany(specs);
    const second = await rig.client.acquireMany(specs);
    const tokens = (response: typeof first) => response.leases.map(({ fencingToken }) => fencingToken);
    expect(tokens(second)).toEqual(tokens(first));
  });

  test('a first try for several locks that runs late gives back nothing that the second was told of', async () => {
    const specs = ['a', 'b'].map((resource) => ({ resource, leaseId: randomUUID(), owner: 'me' }));
    const { leases } = await rig.client.acquireMany(specs);
    const b = { resource: 'b', leaseId: specs[1]?.leaseId ?? '' };
    expect(await rig.client.release(b)).toEqual({ released: true });
    await rig.client.acquire({ resource: 'b', owner: 'other' });
    // A server that was frozen wakes up, and runs what its socket still held.
    await expect(rig.client.acquireMany(specs)).rejects.toMatchObject({ reason: 'LOCK_CONTENDED' });
    expect(await state('a')).toEqual({ owners: ['me'], waiting: 0 });
    const token = leases[0]?.fencingToken ?? 0n;
    expect((await rig.client.checkFencingToken('a', token)).valid).toBe(true);
  });

  test('an older call for several locks gives back nothing that a newer one holds', async () => {
    const blocker = await rig.client.acquire({ resource: 'b' });
    const specs = ['a', 'b'].map((resource) => ({ resource, leaseId: randomUUID(), owner: 'me' }));
    const former = rig.client.acquireMany(specs, waiting(5_000));
    former.catch(() => {});
    await eventually(async () => (await state('b')).waiting === 1, { what: 'a waiter', withinMs: 5_000 });
    const newer = rig.client.acquireMany(specs, waiting(10_000));
    await expect(former).rejects.toMatchObject({ reason: 'MOVED' });
    expect(await state('a')).toEqual({ owners: ['me'], waiting: 0 });
    await rig.client.release({ resource: 'b', leaseId: blocker.lease?.leaseId ?? '' });
    expect((await newer).leases).toHaveLength(2);
    expect(await state('b')).toEqual({ owners: ['me'], waiting: 0 });
  });

  test('a call that waits for several locks keeps alive those that it has', { timeout: 15_000 }, async () => {
    const blocker = await rig.client.acquire({ resource: 'b', ttl: duration(20_000) });
    const specs = ['a', 'b'].map((resource) => ({ resource, owner: 'me', ttl: duration(1_000) }));
    const many = rig.client.acquireMany(specs, waiting(12_000));
    // Longer than the lease on `a` lives without a renewal.
    const sinceMs = performance.now();
    await eventually(() => performance.now() > sinceMs + 4_000, { what: 'some time', withinMs: 10_000 });
    expect(await state('a')).toEqual({ owners: ['me'], waiting: 0 });
    await rig.client.release({ resource: 'b', leaseId: blocker.lease?.leaseId ?? '' });
    const { leases } = await many;
    for (const { resource, fencingToken } of leases) {
      expect((await rig.client.checkFencingToken(resource, fencingToken)).valid).toBe(true);
    }
  });

  test('two callers that ask for several locks in opposite orders both get an answer', async () => {
    const ids = ['a', 'b', 'c', 'd'];
    const rounds = Array.from({ length: 10 }, async (_, round) => {
      const resources = round % 2 === 0 ? ids : ids.toReversed();
      const { leases } = await rig.client.acquireMany(
        resources.map((resource) => ({ resource, owner: `caller-${round}` })),
        waiting(15_000),
      );
      for (const { resource, leaseId } of leases) await rig.client.release({ resource, leaseId });
    });
    await Promise.all(rounds);
    for (const resource of ids) expect(await state(resource)).toEqual({ owners: [], waiting: 0 });
  });

  test.each([
    ['none', [], 'specs'],
    ['too many', Array.from({ length: 33 }, (_, n) => ({ resource: `r${n}` })), 'specs'],
    ['one resource twice', [{ resource: 'a' }, { resource: 'a' }], 'specs[1].resource'],
    ['a bad name', [{ resource: 'a' }, { resource: '' }], 'specs[1].resource'],
    ['a bad id', [{ resource: 'a', leaseId: 'x' }], 'specs[0].lease_id'],
  ])(
    'a request for several locks with %s is refused with the name of the field',
    async (_name, specs, field) => {
      await expect(rig.client.acquireMany(specs)).rejects.toMatchObject({
        reason: 'INVALID_ARGUMENT',
        violations: [{ field }],
      });
    },
  );
});
