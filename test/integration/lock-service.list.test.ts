// ListLocks as callers see it, on both stores: pages, filters, and which calls a page token is good for.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lock, LockState } from '../../generated/leasehold/v1/lock.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from '../support/eventually.ts';
import { type Rig, STORE_KINDS, singleRedis, startRig } from '../support/store-kinds.ts';
import { startInstance, TestClient } from '../support/test-instance.ts';

describe.each(STORE_KINDS)('ListLocks: %s', (kind) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await startRig(kind);
    for (let i = 0; i < 7; i++) {
      await rig.client.acquire({ resource: `a/${i}`, owner: i < 3 ? 'me' : 'you' });
    }
    await rig.client.acquire({ resource: 'b', owner: 'me' });
    const kept = { resource: 'c', leaseId: randomUUID() };
    await rig.client.acquire({ ...kept, minHold: { seconds: 600n, nanos: 0 } });
    await rig.client.release(kept);
  });
  afterAll(() => rig?.stop());

  type Filter = Parameters<TestClient['listLocks']>[0];

  async function pages(filter: Filter): Promise<Lock[][]> {
    const found: Lock[][] = [];
    for (let pageToken = ''; ; ) {
      const { locks, nextPageToken } = await rig.client.listLocks({ ...filter, pageToken });
      found.push(locks);
      if (nextPageToken === '') return found;
      pageToken = nextPageToken;
    }
  }
  const names = async (filter: Filter) => (await pages(filter)).flat().map(({ resource }) => resource);

  async function refused(filter: Filter): Promise<CallError> {
    const error = await rig.client.listLocks(filter).catch((thrown: unknown) => thrown);
    if (!(error instanceof CallError)) throw new Error('was not refused');
    return error;
  }

  test('a list tells every lock that is not free, page by page', async () => {
    const all = ['a/0', 'a/1', 'a/2', 'a/3', 'a/4', 'a/5', 'a/6', 'b', 'c'];
    expect(await names({})).toEqual(all);
    expect((await pages({ pageSize: 4 })).map(({ length }) => length)).toEqual([4, 4, 1]);
    expect(await names({ pageSize: 4 })).toEqual(all);
    const { locks } = await rig.client.listLocks({ resourcePrefix: 'b' });
    const { lock } = await rig.client.getLock('b');
    const [listed] = locks;
    expect({ ...listed, holders: [] }).toEqual({ ...lock, holders: [] });
    expect(listed?.holders[0]).toMatchObject({ owner: 'me', fencingToken: lock?.holders[0]?.fencingToken });
  });

  test('a list filters by the beginning of names, the owner and the state', async () => {
    expect(await names({ resourcePrefix: 'a/', pageSize: 2 })).toHaveLength(7);
    expect(await names({ owner: 'me' })).toEqual(['a/0', 'a/1', 'a/2', 'b']);
    expect(await names({ owner: 'me', resourcePrefix: 'a', pageSize: 1 })).toEqual(['a/0', 'a/1', 'a/2']);
    expect(await names({ states: [LockState.LOCK_STATE_MIN_HOLD] })).toEqual(['c']);
    expect(await names({ states: [LockState.LOCK_STATE_HELD], owner: 'nobody' })).toEqual([]);
    expect(await names({ states: [LockState.LOCK_STATE_FREE] })).toEqual([]);
    const both = [LockState.LOCK_STATE_FREE, LockState.LOCK_STATE_MIN_HOLD];
    expect(await names({ states: both })).toEqual(['c']);
  });

  test('a list takes a page size above the maximum as the maximum, and says both sizes', async () => {
    expect(await names({ pageSize: 1_000_000 })).toHaveLength(9);
    const { info } = await rig.client.getServerInfo();
    expect(info?.limits).toMatchObject({ maxPageSize: 500, defaultPageSize: 100 });
  });

  test.each([
    ['page_size', { pageSize: -1 }],
    ['states[1]', { states: [LockState.LOCK_STATE_HELD, LockState.LOCK_STATE_UNSPECIFIED] }],
    ['states[0]', { states: [77 as LockState] }], // what a newer client may send
    ['resource_prefix', { resourcePrefix: 'x'.repeat(513) }],
    ['resource_prefix', { resourcePrefix: 'a\n' }],
    ['owner', { owner: 'x'.repeat(257) }],
  ])('a list with a wrong %s is refused with the name of the field', async (field, filter) => {
    const error = await refused(filter);
    expect(error.reason).toBe('INVALID_ARGUMENT');
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
  });

  test('a page token is accepted only for its own filters, whole and unchanged', async () => {
    const filter = { resourcePrefix: 'a', owner: 'you', states: [LockState.LOCK_STATE_HELD] };
    const { nextPageToken } = await rig.client.listLocks({ ...filter, pageSize: 1 });
    expect(nextPageToken).toMatch(/^[\w-]+$/);
    const { locks } = await rig.client.listLocks({ ...filter, pageSize: 3, pageToken: nextPageToken });
    expect(locks.map(({ resource }) => resource)).toEqual(['a/4', 'a/5', 'a/6']);
    const flipped = `${nextPageToken.startsWith('A') ? 'B' : 'A'}${nextPageToken.slice(1)}`;
    const wrong: Filter[] = [
      { ...filter, pageToken: flipped },
      { ...filter, pageToken: nextPageToken.slice(0, -2) },
      { ...filter, pageToken: `${nextPageToken}AA` },
      { ...filter, pageToken: `${nextPageToken}=` },
      { ...filter, pageToken: 'x' },
      { ...filter, pageToken: nextPageToken, owner: '' },
      { ...filter, pageToken: nextPageToken, resourcePrefix: '' },
      { ...filter, pageToken: nextPageToken, states: [] },
    ];
    for (const request of wrong) {
      const error = await refused(request);
      expect(error.violations).toEqual([
        {
          field: 'page_token',
          description: 'must be the next_page_token of the previous page, with the same filters',
          reason: '',
          localizedMessage: undefined,
        },
      ]);
    }
  });
});

test('a page token is good on every instance of the deployment', async () => {
  const rig = await startRig('redis');
  const { redis, client } = rig;
  if (!redis) throw new Error('no Redis');
  const other = await startInstance(singleRedis(redis));
  const elsewhere = new TestClient(other.address);
  try {
    for (const resource of ['a', 'b', 'c']) await client.acquire({ resource });
    const { nextPageToken } = await client.listLocks({ pageSize: 1 });
    await eventually(() => other.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
    const { locks } = await elsewhere.listLocks({ pageToken: nextPageToken });
    expect(locks.map(({ resource }) => resource)).toEqual(['b', 'c']);
  } finally {
    elsewhere.close();
    await other.stop();
    await rig.stop();
  }
});
