// What a waiting call hears when an administrator revokes its offer before it has confirmed it, and when a newer call
// has taken its place over, and when its instance is no part of the deployment any more.

import { expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { CoordinationError } from '../../src/domain/errors.ts';
import { WaitRoom } from '../../src/service/wait-room.ts';
import type { LockStore, Notice } from '../../src/store/lock-store.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { eventually } from '../support/eventually.ts';
import { inTime, leaseSpec, MAX_TTL_MS, quietObserver } from '../support/store-harness.ts';

const INSTANCE = 'i1';

/** A store whose waiters hear nothing of their grants. */
function withoutOffers(store: LockStore): LockStore {
  const onNotice = (listener: (notice: Notice) => void) =>
    store.onNotice((notice) => notice.kind !== 'offered' && listener(notice));
  return new Proxy(store, {
    get(target, name) {
      if (name === 'onNotice') return onNotice;
      if (name === 'refresh') return async () => [];
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('a wait whose grant is revoked ends as revoked, and its place is gone', async ({ onTestFinished }) => {
  const store = new MemoryStore({
    clock: systemClock,
    maxTtlMs: MAX_TTL_MS,
    observer: quietObserver,
    instanceId: INSTANCE,
  });
  onTestFinished(() => store.close());
  const { locks } = store;
  const room = new WaitRoom({
    store: withoutOffers(locks),
    clock: systemClock,
    random: Math.random,
    instanceId: INSTANCE,
    commandTimeoutMs: 1_000,
  });
  onTestFinished(() => room.close());
  const holder = leaseSpec();
  await locks.acquire(
    { spec: holder, stamp: { instanceId: INSTANCE, callNumber: 2 }, mayWait: false },
    inTime(),
  );
  const waiting = room.wait({
    spec: leaseSpec({ owner: 'waiter' }),
    stamp: { instanceId: INSTANCE, callNumber: 4 },
    untilMs: systemClock.monotonicMs() + 20_000,
    callEndsMs: Number.POSITIVE_INFINITY,
    ended: new AbortController().signal,
    onPosition: () => {},
  });
  const view = () => locks.get(holder.resource, inTime());
  await eventually(async () => (await view()).queueLength === 1, { what: 'a waiter', withinMs: 5_000 });
  await locks.release(holder, inTime());
  expect((await view()).holders).toMatchObject([{ owner: 'waiter' }]);
  const all = { resource: holder.resource, fencingToken: undefined, immediate: false };
  expect(await locks.forceRelease(all, inTime())).toMatchObject({ count: 1, freeInMs: 0 });
  expect(await waiting).toEqual({ kind: 'revoked' });
  expect(await view()).toMatchObject({ holders: [], queueLength: 0 });
});

test('a waiting call whose first answer was lost does not take its place back from a newer call', async ({
  onTestFinished,
}) => {
  const store = new MemoryStore({
    clock: systemClock,
    maxTtlMs: MAX_TTL_MS,
    observer: quietObserver,
    instanceId: INSTANCE,
  });
  onTestFinished(() => store.close());
  const { locks } = store;
  const holder = leaseSpec();
  const holding = { instanceId: INSTANCE, callNumber: 2 };
  await locks.acquire({ spec: holder, stamp: holding, mayWait: false }, inTime());
  const spec = leaseSpec({ owner: 'waiter' });
  const [older, newer] = [
    { instanceId: INSTANCE, callNumber: 4 },
    { instanceId: 'i2', callNumber: 6 },
  ];
  let asked = 0;
  // Queues the older call, loses its answer, and lets the newer call take the place over before the older asks again.
  const acquire: LockStore['acquire'] = async (command, bound) => {
    if (++asked > 1) return locks.acquire(command, bound);
    await locks.acquire(command, bound);
    await locks.acquire({ spec, stamp: newer, mayWait: true }, bound);
    throw new CoordinationError('OUTCOME_UNKNOWN', 'the answer was lost');
  };
  const room = new WaitRoom({
    store: new Proxy(locks, {
      get(target, name) {
        if (name === 'acquire') return acquire;
        if (name === 'onNotice') return () => () => {}; // notices are lost too
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    clock: systemClock,
    random: () => 0,
    instanceId: INSTANCE,
    commandTimeoutMs: 1_000,
  });
  onTestFinished(() => room.close());
  const untilMs = systemClock.monotonicMs() + 5_000;
  const ended = new AbortController().signal;
  const wait = { spec, stamp: older, untilMs, callEndsMs: Number.POSITIVE_INFINITY, ended };
  expect(await room.wait({ ...wait, onPosition: () => {} })).toEqual({ kind: 'moved' });
  // The newer call still waits in that place: what it asks again is answered.
  const again = { spec, stamp: newer, mayWait: true, asksAgain: true };
  expect(await locks.acquire(again, inTime())).toMatchObject({ kind: 'queued', position: 1 });
});

test('a wait ends when its instance is no part of the deployment any more, so that its caller asks another one', async ({
  onTestFinished,
}) => {
  const refuse = async (): Promise<never> => {
    throw new CoordinationError('DEPLOYMENT_MISMATCH', 'the keys in Redis have another layout');
  };
  const store = new MemoryStore({
    clock: systemClock,
    maxTtlMs: MAX_TTL_MS,
    observer: quietObserver,
    instanceId: INSTANCE,
  });
  onTestFinished(() => store.close());
  const { locks } = store;
  locks.acquire = refuse;
  const room = new WaitRoom({
    store: locks,
    clock: systemClock,
    random: Math.random,
    instanceId: INSTANCE,
    commandTimeoutMs: 1_000,
  });
  onTestFinished(() => room.close());
  const waiting = room.wait({
    spec: leaseSpec(),
    stamp: { instanceId: INSTANCE, callNumber: 4 },
    untilMs: Number.POSITIVE_INFINITY,
    callEndsMs: Number.POSITIVE_INFINITY,
    ended: new AbortController().signal,
    onPosition: () => {},
  });
  await expect(waiting).rejects.toMatchObject({ code: 'DEPLOYMENT_MISMATCH' });
});
