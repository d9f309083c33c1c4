// When an instance looks for suspected deadlocks by itself, what it counts, and what it says.
import { expect, test } from 'vitest';
import { ContentionWindow } from '../../src/service/contention/contention-window.ts';
import { DeadlockWatch, LONG_WAIT_MS, LOOK_FROM_MS } from '../../src/service/contention/deadlock-watch.ts';
import type { Deadlock } from '../../src/service/contention/wait-graph.ts';
import { ManualClock } from '../support/manual-clock.ts';

const NOW_MS = 1_700_000_000_000;
const member = (owner: string, holds: string, waitsFor: string, waitedMs = LONG_WAIT_MS) => ({
  owner,
  holds,
  waitsFor,
  sinceWallMs: NOW_MS - waitedMs,
  fencingToken: 1n,
  leaseIdHash: holds,
});
const FIRST: Deadlock = [member('alice', 'a', 'b'), member('bob', 'b', 'a')];
const SECOND: Deadlock = [member('carol', 'c', 'd'), member('dave', 'd', 'c')];
const LATER_MS = 15_000;

function rig() {
  const clock = new ManualClock();
  const window = new ContentionWindow(clock);
  const state = { found: [] as Deadlock[], looks: 0, isAway: false, said: [] as Deadlock[] };
  const watch = new DeadlockWatch({
    window,
    clock,
    random: () => 0,
    search: async () => {
      state.looks++;
      if (state.isAway) throw new Error('away');
      const coverage = { instances: 1, oldestReportMs: 0 };
      return { deadlocks: state.found, nowWallMs: NOW_MS, isPartial: false, coverage };
    },
    onDeadlock: (deadlock) => state.said.push(deadlock),
  });
  const begin = () => {
    const end = window.begin('r', 'me', 'lease');
    watch.wake();
    return end;
  };
  return { clock, state, watch, begin };
}

test('An instance looks for deadlocks only while one of its calls waits long', async () => {
  const { clock, state, begin } = rig();
  for (let i = 0; i < 20; i++) {
    const end = begin();
    await clock.pass(LOOK_FROM_MS / 2);
    end();
  }
  await clock.pass(60_000);
  expect(state.looks).toBe(0);
  expect(clock.timers).toBe(0);
  const end = begin();
  await clock.pass(LOOK_FROM_MS);
  expect(state.looks).toBe(1);
  await clock.pass(LATER_MS);
  expect(state.looks).toBe(2);
  end();
  await clock.pass(LATER_MS);
  expect(state.looks).toBe(2);
});

test('A deadlock is said once, as long as it lasts, and counted at each look', async () => {
  const { clock, state, watch, begin } = rig();
  const end = begin();
  state.found = [FIRST];
  await clock.pass(LOOK_FROM_MS + LATER_MS);
  state.found = [FIRST, SECOND];
  await clock.pass(LATER_MS);
  expect(state.said).toEqual([FIRST, SECOND]);
  expect(watch.count).toBe(2);
  state.found = [SECOND];
  await clock.pass(LATER_MS);
  expect(watch.count).toBe(1);
  state.found = [FIRST];
  await clock.pass(LATER_MS); // it was gone meanwhile, so this is another one
  expect(state.said).toEqual([FIRST, SECOND, FIRST]);
  end();
  expect(watch.count).toBe(0);
});

test('A circle with a short wait is neither counted nor said: among busy processes they come and go', async () => {
  const { clock, state, watch, begin } = rig();
  begin();
  state.found = [[member('pid1@host', 'a', 'b'), member('pid2@host', 'b', 'a', LONG_WAIT_MS - 1)]];
  await clock.pass(LOOK_FROM_MS);
  expect(state.looks).toBe(1);
  expect([watch.count, state.said]).toEqual([0, []]);
});

test('While the store is away the last count stands, and the next look is in time', async () => {
  const { clock, state, watch, begin } = rig();
  begin();
  state.found = [FIRST];
  await clock.pass(LOOK_FROM_MS);
  state.isAway = true;
  await clock.pass(LATER_MS);
  expect(watch.count).toBe(1);
  state.isAway = false;
  state.found = [];
  await clock.pass(LATER_MS);
  expect(watch.count).toBe(0);
});

test('After its end an instance looks no more', async () => {
  const { clock, state, watch, begin } = rig();
  begin();
  watch.close();
  begin();
  await clock.pass(60_000);
  expect(state.looks).toBe(0);
});
