// What is counted while a store has no confirmed primary, changes its reign, or is in a quarantine, on a clock that the
// test moves.

import { Registry } from 'prom-client';
import { beforeEach, expect, test } from 'vitest';
import { SafetyMetrics } from '../../src/admin/safety-metrics.ts';
import {
  NO_ROLL_CALL,
  type RollCallStatus,
  type SentinelCounts,
  type Store,
  type StoreStatus,
} from '../../src/store/store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Labels, MetricSamples } from '../support/metric-samples.ts';

const USABLE: StoreStatus = {
  kind: 'redis',
  usable: true,
  mismatch: false,
  reason: '',
  sinceMs: 0,
  reign: 'first',
  epoch: 1,
  quarantineRemainingMs: 0,
  rollCall: NO_ROLL_CALL,
};
const NO_SESSION: StoreStatus = { ...USABLE, usable: false, reign: '', epoch: 0, reason: 'connecting' };
const ROLL_CALL: RollCallStatus = { ...NO_ROLL_CALL, enabled: true };
const ALL: SentinelCounts = { known: 3, agreeing: 3, needed: 2, agreedAtMs: 1_000 };

let clock: ManualClock;
let status: StoreStatus;
let sentinels: SentinelCounts | undefined;
let quarantineEndsMs: number;
let tell: (status: StoreStatus) => void;
let registry: Registry;
let safety: SafetyMetrics;

beforeEach(() => {
  [clock, status, sentinels, quarantineEndsMs] = [new ManualClock(), NO_SESSION, ALL, 0];
  start();
});

function start(): void {
  registry = new Registry();
  const store: Pick<Store, 'status' | 'sentinels' | 'onStatus'> = {
    status: () => {
      return { ...status, quarantineRemainingMs: Math.max(quarantineEndsMs - clock.monotonicMs(), 0) };
    },
    sentinels: () => sentinels,
    onStatus(listener) {
      tell = listener;
      return () => {};
    },
  };
  safety = new SafetyMetrics(registry, store as Store, clock); // it calls nothing else
}

/** The keeper has another session, or none. */
function becomes(next: StoreStatus): void {
  status = next;
  tell(next);
}

async function seconds(name: string, labels?: Labels): Promise<number> {
  return new MetricSamples(await registry.metrics()).sum(`leasehold_${name}`, labels);
}

const unusable = async (): Promise<Record<string, number>> => ({
  connecting: await seconds('store_unusable_seconds_total', { reason: 'connecting' }),
  unconfirmed: await seconds('store_unusable_seconds_total', { reason: 'unconfirmed' }),
  mismatch: await seconds('store_unusable_seconds_total', { reason: 'mismatch' }),
  newcomer: await seconds('store_unusable_seconds_total', { reason: 'newcomer' }),
});

test('time without a confirmed primary counts by its reason, up to the moment of the scrape', async () => {
  clock.advance(1_000);
  expect(await unusable()).toEqual({ connecting: 1, unconfirmed: 0, mismatch: 0, newcomer: 0 });
  becomes(USABLE);
  clock.advance(60_000);
  expect(await unusable()).toEqual({ connecting: 1, unconfirmed: 0, mismatch: 0, newcomer: 0 });
  // Nobody tells of this: the agreement has grown old.
  status = { ...USABLE, usable: false };
  clock.advance(250);
  clock.advance(2_100);
  expect(await unusable()).toEqual({ connecting: 1, unconfirmed: 2.1, mismatch: 0, newcomer: 0 });
  becomes(USABLE);
  becomes({ ...NO_SESSION, mismatch: true });
  clock.advance(5_000);
  expect(await unusable()).toEqual({ connecting: 1, unconfirmed: 2.1, mismatch: 5, newcomer: 0 });
});

test('a newcomer has a reason of its own, and says how long it will answer nothing', async () => {
  becomes({ ...USABLE, usable: false, rollCall: { ...ROLL_CALL, newcomerRemainingMs: 17_500 } });
  clock.advance(4_000);
  expect(await unusable()).toMatchObject({ newcomer: 4, unconfirmed: 0 });
  expect(await seconds('newcomer_remaining_seconds')).toBe(17.5);
});

test('each end of a quarantine counts once, by how it came', async () => {
  const ends = async (): Promise<readonly number[]> => [
    await seconds('quarantine_ends_total', { how: 'early' }),
    await seconds('quarantine_ends_total', { how: 'full' }),
  ];
  expect(await ends()).toEqual([0, 0]);
  const early = { how: 'early', why: '', tookMs: 612 } as const;
  becomes({ ...USABLE, rollCall: { ...ROLL_CALL, lastEnd: early } });
  clock.advance(60_000);
  becomes({ ...USABLE, rollCall: { ...ROLL_CALL, lastEnd: { ...early } } });
  expect(await ends()).toEqual([1, 0]);
  becomes({ ...USABLE, rollCall: { ...ROLL_CALL, lastEnd: { ...early, tookMs: 580 } } });
  const full = { how: 'full', why: '1 instance did not answer', tookMs: 34_000 } as const;
  status = { ...USABLE, rollCall: { ...ROLL_CALL, lastEnd: full } }; // nobody tells of this one
  expect(await ends()).toEqual([2, 1]);
});

test('what it remembers and has put back, and whom a roll call waits for, is shown as the store tells it', async () => {
  const missing = [{ instanceId: 'b', host: 'node-2', unseenMs: 3_000 }];
  status = {
    ...USABLE,
    rollCall: { ...ROLL_CALL, toldLeases: 12, incomplete: true, putBack: 5, missing, missingCount: 14 },
  };
  expect(await seconds('told_leases')).toBe(12);
  expect(await seconds('told_memory_incomplete')).toBe(1);
  expect(await seconds('roll_call_missing_instances')).toBe(14);
  expect(await seconds('roll_call_leases_put_back_total')).toBe(5);
  status = { ...USABLE, rollCall: { ...ROLL_CALL, putBack: 8 } };
  expect(await seconds('roll_call_leases_put_back_total')).toBe(8);
  expect(await seconds('told_memory_incomplete')).toBe(0);
});

test('without a session it is unconfirmed while too few Sentinels agree on a primary', async () => {
  sentinels = { ...ALL, agreeing: 1 };
  clock.advance(250);
  const before = await unusable();
  clock.advance(3_000);
  expect(await unusable()).toEqual({ ...before, unconfirmed: (before.unconfirmed ?? 0) + 3 });
});

test('an adoption lasts from the end of one session to the next, over every try in between', async () => {
  clock.advance(700);
  becomes(USABLE);
  expect(await seconds('adoption_duration_seconds_count')).toBe(0);
  for (let i = 0; i < 3; i++) {
    becomes(NO_SESSION);
    clock.advance(500);
  }
  becomes({ ...USABLE, reign: 'second', epoch: 2 });
  expect(await seconds('adoption_duration_seconds_count')).toBe(1);
  expect(await seconds('adoption_duration_seconds_sum')).toBe(1.5);
  expect(await seconds('reign_changes_total')).toBe(1);
  becomes(NO_SESSION);
  becomes({ ...USABLE, reign: 'second', epoch: 2 }); // a new connection under the same reign
  expect(await seconds('adoption_duration_seconds_count')).toBe(2);
  expect(await seconds('reign_changes_total')).toBe(1);
});

test('a quarantine counts for as long as it lasts, and no longer', async () => {
  quarantineEndsMs = clock.monotonicMs() + 10_100;
  becomes(USABLE);
  clock.advance(4_000);
  expect(await seconds('quarantine_seconds_total')).toBeCloseTo(4, 6);
  clock.advance(60_000);
  expect(await seconds('quarantine_seconds_total')).toBeCloseTo(10.1, 6);
});

test('before the first agreement, its age is that of the instance', async () => {
  sentinels = { known: 3, agreeing: 0, needed: 2, agreedAtMs: undefined };
  clock.advance(4_000);
  expect(await seconds('confirmation_age_seconds')).toBe(4);
  sentinels = { ...ALL, agreedAtMs: clock.monotonicMs() - 300 };
  expect(await seconds('confirmation_age_seconds')).toBe(0.3);
});

test('where no Sentinel names the primary, nothing is said of Sentinels', async () => {
  expect(await registry.metrics()).toContain('leasehold_sentinels_known 3');
  sentinels = undefined;
  start();
  const text = await registry.metrics();
  expect(text).not.toMatch(/sentinels|confirmation/);
  expect(text).toContain('leasehold_store_usable 0');
});

test('nothing is left of it after its end', () => {
  safety.close();
  clock.advance(10_000);
  expect(clock.timers).toBe(0);
});
