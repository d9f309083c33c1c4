// What the memory store's plain lists cost: it is what runs without Redis, so a long queue must not stall the process.

import { performance } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import type { LeaseSpec } from '../../src/domain/lock.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { inTime, leaseSpec, quietObserver } from '../support/store-harness.ts';

const TEST_MS = 60_000;
/** It takes a second. When each change looked through the whole queue, it took two minutes. */
const BOUND_MS = 10_000;

test('as many as may wait for one resource are queued and handed it one after another within seconds, watched', {
  timeout: TEST_MS,
}, async () => {
  const instanceId = 'i1';
  const store = new MemoryStore({
    clock: systemClock,
    maxTtlMs: 600_000,
    observer: quietObserver,
    instanceId,
  });
  const { locks } = store;
  let changes = 0;
  locks.watchChanges(() => changes++);
  const waiting: LeaseSpec[] = [];
  const offered: string[] = [];
  locks.onNotice((notice) => {
    if (notice.kind === 'offered') offered.push(notice.acquisition.leaseId);
  });
  const stampOf = (index: number) => ({ instanceId, callNumber: 2 * index });

  const startedMs = performance.now();
  for (let index = 0; index <= LIMITS.waitersPerResource; index++) {
    const spec = leaseSpec({ ttlMs: 600_000 });
    const outcome = await locks.acquire({ spec, stamp: stampOf(index), mayWait: true }, inTime());
    expect(outcome.kind).toBe(index === 0 ? 'granted' : 'queued');
    waiting.push(spec);
  }
  store.tick();
  for (const [index, spec] of waiting.entries()) {
    const confirmed = index > 0 && (await locks.confirm({ spec, stamp: stampOf(index) }, inTime()));
    if (confirmed) expect(confirmed.kind).toBe('granted');
    expect(await locks.release(spec, inTime())).toMatchObject({ kind: 'released' });
  }
  expect(offered).toEqual(waiting.slice(1).map(({ leaseId }) => leaseId));
  expect(changes).toBeGreaterThan(2 * LIMITS.waitersPerResource);
  expect(locks.size).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(BOUND_MS);
  await store.close();
});
