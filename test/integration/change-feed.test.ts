// How an instance on Redis knows that it hears of changes: what the conformance suite can't show, since a store in
// memory never misses anything.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChangeNotice } from '../../src/store/lock-store.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { redisHarness, startHarnessRedis } from '../support/redis-harness.ts';
import { inTime, leaseSpec, storeOptions } from '../support/store-harness.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

test('a pause longer than what was asked ahead may have missed changes', async () => {
  const h = await redisHarness(redis);
  const notices: ChangeNotice[] = [];
  const gaps = () => notices.filter((notice) => notice.kind === 'listening' && notice.missed).length;
  const stop = h.locks.watchChanges((notice) => notices.push(notice));
  try {
    await eventually(() => gaps() === 1, { what: 'that changes are heard', withinMs: 5_000, everyMs: 2 });
    await h.pass(11_000); // on the lease clock, and at once: nobody has asked again
    await h.locks.acquire(
      { spec: leaseSpec(), stamp: { instanceId: 'i', callNumber: 2 }, mayWait: false },
      inTime(),
    );
    await eventually(() => gaps() === 2, { what: 'that something was missed', withinMs: 5_000 });
    expect(notices).not.toContainEqual({ kind: 'changed', resource: 'invoice:42' });
    await h.pass(5_000);
    await h.locks.acquire(
      { spec: leaseSpec({ resource: 'r' }), stamp: { instanceId: 'i', callNumber: 4 }, mayWait: false },
      inTime(),
    );
    await eventually(() => notices.some((notice) => notice.kind === 'changed' && notice.resource === 'r'), {
      what: 'a change',
      withinMs: 5_000,
    });
  } finally {
    stop();
    await h.close();
  }
});

test('an instance that does not hear its own mark says that it is deaf', { timeout: 30_000 }, async () => {
  const MARK = "'mark ' .. mark";
  const scripts = loadScripts((source, name) => {
    if (name !== 'watch-changes') return source;
    if (!source.includes(MARK)) throw new Error('the mark is gone');
    return source.replace(MARK, `redis.call('EXISTS', meta .. ':mute') == 1 and 'lost' or ${MARK}`);
  });
  const client = redis.client();
  const store = new RedisStore(
    storeOptions(redis.listens, { keyPrefix: 'mute:', instanceId: 'feed', scripts }),
  );
  const kinds: string[] = [];
  const stop = store.locks.watchChanges(({ kind }) => {
    kinds.push(kind);
  });
  const has = (...expected: string[]) => expected.every((kind, index) => kinds[index] === kind);
  try {
    await eventually(() => has('listening'), { what: 'that changes are heard', withinMs: 10_000 });
    await client.set('mute:{0}:meta:mute', '1');
    await eventually(() => has('listening', 'deaf'), { what: 'that it is deaf', withinMs: 10_000 });
    const listener = (): Promise<unknown> => client.call('CLIENT', 'LIST', 'TYPE', 'pubsub');
    const before = String(await listener());
    await eventually(async () => String(await listener()) !== before, {
      what: 'another connection',
      withinMs: 10_000,
    });
    expect(kinds).toEqual(['listening', 'deaf']);
    await client.del('mute:{0}:meta:mute');
    await eventually(() => has('listening', 'deaf', 'listening'), {
      what: 'that changes are heard again',
      withinMs: 10_000,
    });
  } finally {
    stop();
    await store.close();
    client.disconnect();
  }
});
