// When a server process that takes the place of another takes connections.
import { expect, test } from 'vitest';
import { storeAnswers } from '../../src/server/store-answers.ts';
import { NO_ROLL_CALL, type StoreStatus } from '../../src/store/store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const AWAY: StoreStatus = {
  kind: 'redis',
  usable: false,
  mismatch: false,
  reason: 'connecting',
  sinceMs: 0,
  reign: '',
  epoch: 0,
  quarantineRemainingMs: 0,
  rollCall: NO_ROLL_CALL,
};

function rig() {
  const clock = new ManualClock();
  const state = { status: AWAY, takesConnections: false };
  void storeAnswers({ status: () => state.status }, clock).then(() => {
    state.takesConnections = true;
  });
  return { clock, state };
}

test('it takes connections as soon as its store is usable', async () => {
  const { clock, state } = rig();
  await clock.pass(1_000);
  expect(state.takesConnections).toBe(false);
  state.status = { ...AWAY, usable: true };
  await clock.pass(100);
  expect(state.takesConnections).toBe(true);
});

test('a newcomer takes none until it answers: the others behind the port do', async () => {
  const { clock, state } = rig();
  state.status = { ...AWAY, rollCall: { ...NO_ROLL_CALL, enabled: true, newcomerRemainingMs: 17_500 } };
  await clock.pass(17_400);
  expect(state.takesConnections).toBe(false);
  state.status = { ...AWAY, usable: true };
  await clock.pass(100);
  expect(state.takesConnections).toBe(true);
});

test('without a primary it takes them after 3 s: the others have none either', async () => {
  const { clock, state } = rig();
  await clock.pass(2_900);
  expect(state.takesConnections).toBe(false);
  await clock.pass(200);
  expect(state.takesConnections).toBe(true);
});
