// When an instance says that calls should be sent to it, by the state of its store.
import { beforeEach, expect, test } from 'vitest';
import { ServerInfoService } from '../../src/service/server-info-service.ts';
import { NO_ROLL_CALL, type Store, type StoreStatus } from '../../src/store/store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const USABLE: StoreStatus = {
  kind: 'redis',
  usable: true,
  mismatch: false,
  reason: '',
  sinceMs: 0,
  reign: 'first',
  epoch: 1,
  quarantineRemainingMs: 0,
  rollCall: { ...NO_ROLL_CALL, enabled: true },
};

let clock: ManualClock;
let status: StoreStatus;
let info: ServerInfoService;

beforeEach(() => {
  clock = new ManualClock();
  status = USABLE;
  const store: Pick<Store, 'status'> = { status: () => status };
  info = new ServerInfoService({
    store: store as Store, // it calls nothing else
    clock,
    version: '1.0.0',
    instanceId: 'a',
    maxTtlMs: 30_000,
    defaultTtlMs: 20_000,
    maxMessageBytes: 1_000_000,
    maxPayloadBytes: 32_768,
    minAcks: 0,
  });
});

function isNewcomer(newcomerRemainingMs: number): StoreStatus {
  const rollCall = { ...USABLE.rollCall, newcomerRemainingMs };
  return { ...USABLE, usable: newcomerRemainingMs === 0, sinceMs: clock.monotonicMs(), rollCall };
}

test('an instance that has just registered is not ready until it answers', () => {
  status = isNewcomer(17_500);
  expect(info.ready()).toBe(false);
  clock.advance(17_500);
  status = isNewcomer(0);
  expect(info.ready()).toBe(true);
});

test('one that has to register again is not ready at once: clients do not retry for so long', () => {
  expect(info.ready()).toBe(true);
  status = { ...USABLE, usable: false, sinceMs: clock.monotonicMs() };
  expect(info.ready()).toBe(true);
  status = isNewcomer(17_500);
  expect(info.ready()).toBe(false);
});
