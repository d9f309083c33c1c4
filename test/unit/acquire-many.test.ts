// AcquireMany, when one of the leases can't be had: it gives back what it was granted itself, and nothing that another
// call may have told its caller of. On the store in memory.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { CoordinationError } from '../../src/domain/errors.ts';
import type { CallStamp, LeaseSpec } from '../../src/domain/lock.ts';
import { acquireMany } from '../../src/service/acquire-many.ts';
import { memoryHarness } from '../support/memory-harness.ts';
import { inTime, leaseSpec, type StoreHarness } from '../support/store-harness.ts';

const FIRST_TRY: CallStamp = { instanceId: 'frozen', callNumber: 2 };
const SECOND_TRY: CallStamp = { instanceId: 'awake', callNumber: 2 };

let h: StoreHarness;
let specs: readonly LeaseSpec[];

beforeEach(async () => {
  h = await memoryHarness();
  specs = ['a', 'b', 'c'].map((resource) => leaseSpec({ resource, owner: 'me', minHoldMs: 5_000 }));
});
afterEach(() => h.close());

/** Runs it as the service does, without waiting; `answers` can come between the store and its answer. */
function many(stamp: CallStamp, answers: (spec: LeaseSpec) => void = () => {}) {
  return acquireMany({
    specs,
    stamp,
    store: h.locks,
    clock: systemClock,
    bounded: inTime,
    acquire: async (spec) => {
      const outcome = await h.locks.acquire({ spec, stamp, mayWait: false }, inTime());
      answers(spec);
      if (outcome.kind !== 'granted') throw new CoordinationError('LOCK_CONTENDED', 'refused');
      return outcome;
    },
  });
}

const owners = async () => {
  const views = await h.locks.getMany(['a', 'b', 'c'], inTime());
  return views.map(({ holders }) => holders.map(({ owner }) => owner).join());
};

test('an AcquireMany that fails gives back what it was granted, with its min_hold', async () => {
  await h.locks.acquire(
    { spec: leaseSpec({ resource: 'c', owner: 'other' }), stamp: SECOND_TRY, mayWait: false },
    inTime(),
  );
  await expect(many(FIRST_TRY)).rejects.toMatchObject({ code: 'LOCK_CONTENDED' });
  expect(await owners()).toEqual(['', '', 'other']);
  const [a] = await h.locks.getMany(['a'], inTime());
  expect(a?.minHoldRemainingMs).toBe(0);
});

test('it does not give back what another call with the same ids was told of, but gives back what is new beside it', async () => {
  const [, b] = specs;
  if (!b) throw new Error('no b');
  await h.locks.acquire({ spec: b, stamp: SECOND_TRY, mayWait: false }, inTime());
  await h.locks.acquire(
    { spec: leaseSpec({ resource: 'c', owner: 'other' }), stamp: SECOND_TRY, mayWait: false },
    inTime(),
  );
  await expect(many(FIRST_TRY)).rejects.toMatchObject({ code: 'LOCK_CONTENDED' });
  expect(await owners()).toEqual(['', 'me', 'other']);
});

test('it does not give back a lease whose answer was lost, since that may not be new', async () => {
  await many(SECOND_TRY);
  const lost = many(FIRST_TRY, ({ resource }) => {
    if (resource === 'b') throw new CoordinationError('OUTCOME_UNKNOWN', 'the reply was lost');
  });
  await expect(lost).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  expect(await owners()).toEqual(['me', 'me', 'me']);
});

test('it leaves its place in a queue, and gives back an offer that it did not confirm', async () => {
  const other = leaseSpec({ resource: 'b', owner: 'other' });
  await h.locks.acquire({ spec: other, stamp: SECOND_TRY, mayWait: false }, inTime());
  const handedOver = acquireMany({
    specs,
    stamp: FIRST_TRY,
    store: h.locks,
    clock: systemClock,
    bounded: inTime,
    acquire: async (spec) => {
      const outcome = await h.locks.acquire({ spec, stamp: FIRST_TRY, mayWait: true }, inTime());
      if (outcome.kind === 'granted') return outcome;
      await h.locks.release(other, inTime());
      expect(await owners()).toEqual(['me', 'me', '']);
      throw new CoordinationError('CANCELLED', 'the call has ended');
    },
  });
  await expect(handedOver).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await owners()).toEqual(['', '', '']);
});
