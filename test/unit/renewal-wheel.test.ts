// The renewal wheel under a clock that the test moves and a store that answers as the test says: when leases are
// renewed, how they are batched, and what their keepers are told.

import { beforeEach, describe, expect, test } from 'vitest';
import { CoordinationError } from '../../src/domain/errors.ts';
import type { Lease, RenewOutcome } from '../../src/domain/lock.ts';
import type { LeaseLoss } from '../../src/domain/losses.ts';
import { RenewalWheel } from '../../src/service/renewal-wheel.ts';
import {
  attemptRenewals,
  type KeepingEnd,
  type KeptLease,
  leaseRenewals,
} from '../../src/service/renewals.ts';
import type { LockStore, Notice, RenewCommand, StoreBound } from '../../src/store/lock-store.ts';
import type {
  AttemptNotice,
  HeartbeatCommand,
  HeartbeatOutcome,
  OperationStore,
} from '../../src/store/operation-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const TTL_MS = 20_000;
const INSTANCE = 'i1';

type Answer = (command: RenewCommand) => RenewOutcome;

interface Told {
  readonly atMs: number;
  readonly what: string;
  readonly deadlineMs?: number;
}

let clock: ManualClock;
let batches: (readonly RenewCommand[])[];
let bounds: StoreBound[];
let answer: Answer | (() => Promise<never>);
let notify: (notice: Notice) => void;
let defects: unknown[];
let lags: number[];
let random: () => number;
let wheel: RenewalWheel<KeptLease, Lease, LeaseLoss>;

function renewed(
  { resource, leaseId, fencingToken }: RenewCommand,
  ttlMs = TTL_MS,
  isFinal = false,
): RenewOutcome {
  const deadlineMs = clock.monotonicMs() + ttlMs;
  return {
    kind: 'renewed',
    lease: { resource, leaseId, fencingToken, deadlineMs, expiresAtWallMs: 0 },
    isFinal,
  };
}

const unavailable = async (): Promise<never> => {
  throw new CoordinationError('REDIS_UNAVAILABLE', 'away');
};

/** A roll call may put it back. */
const unknown = (): RenewOutcome => ({ kind: 'unknown' });

beforeEach(() => {
  clock = new ManualClock();
  batches = [];
  bounds = [];
  defects = [];
  lags = [];
  answer = renewed;
  random = () => 0.5;
  const store: Pick<LockStore, 'renew' | 'onNotice'> = {
    async renew(commands, bound) {
      batches.push(commands);
      bounds.push(bound);
      const outcomes: RenewOutcome[] = [];
      for (const command of commands) outcomes.push(await answer(command));
      return outcomes;
    },
    onNotice(listener) {
      notify = listener;
      return () => {};
    },
  };
  wheel = new RenewalWheel({
    renewals: leaseRenewals(store as LockStore), // they call nothing else
    clock,
    random: () => random(),
    commandTimeoutMs: 1_000,
    onDefect: (thrown) => defects.push(thrown),
    onLag: (lagMs) => lags.push(lagMs),
  });
});

function keep(overrides: Partial<KeptLease> = {}): { told: Told[]; stop: () => void; lease: KeptLease } {
  const told: Told[] = [];
  const lease: KeptLease = {
    resource: 'r',
    leaseId: 'l',
    fencingToken: 1n,
    stamp: { instanceId: INSTANCE, callNumber: 1 },
    ttlMs: TTL_MS,
    deadlineMs: clock.monotonicMs() + TTL_MS,
    minAcks: 0,
    takesOver: false,
    renewUntilMs: Number.POSITIVE_INFINITY,
    group: 0,
    ...overrides,
  };
  const say = (what: string, deadlineMs?: number): void => {
    told.push({ atMs: clock.monotonicMs(), what, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
  };
  const stop = wheel.keep(lease, {
    renewed: ({ deadlineMs }) => say('renewed', deadlineMs),
    looked: () => {},
    atRisk: (reason) => say(`at risk: ${reason}`),
    ended: (end: KeepingEnd<LeaseLoss>) => say(end.kind === 'lost' ? `lost: ${end.reason}` : end.kind),
  });
  return { told, stop, lease };
}

const whats = (told: readonly Told[]): string[] => told.map(({ what }) => what);

test('What is kept here and taken over takes no room of its own, unless no call hears of that for long', () => {
  const stampOf = (callNumber: number) => ({ instanceId: INSTANCE, callNumber });
  const first = keep({ leaseId: 'a' });
  const second = keep({ leaseId: 'b' });
  const [{ lease }, { lease: other }] = [first, second];
  const added = { ...lease, leaseId: 'c' };
  expect(wheel.hasRoomFor([lease, other], 2)).toBe(true);
  expect(wheel.hasRoomFor([lease, added], 2)).toBe(false);
  expect(wheel.hasRoomFor([lease, added], 3)).toBe(true);
  const { stop } = keep({ ...lease, stamp: stampOf(2) });
  keep({ ...lease, stamp: stampOf(3) });
  expect(wheel.hasRoomFor([lease], 2)).toBe(false);
  stop();
  expect(wheel.hasRoomFor([lease], 2)).toBe(true);
  for (const each of [first, second]) each.stop();
  expect(wheel.hasRoomFor([lease, added], 2)).toBe(true); // the third call keeps it
  expect(wheel.hasRoomFor([added, other], 2)).toBe(false);
});

describe('renewals', () => {
  test('a lease is renewed after about a quarter of its TTL, each time with a later deadline', async () => {
    const startMs = clock.monotonicMs();
    const { told } = keep();
    await clock.pass(21_000);
    expect(whats(told)).toEqual(Array(4).fill('renewed'));
    const [first, second] = told;
    expect((first?.atMs ?? 0) - startMs).toBeGreaterThan(4_000);
    expect((first?.atMs ?? 0) - startMs).toBeLessThan(5_100);
    expect(second?.deadlineMs).toBeGreaterThan(first?.deadlineMs ?? Number.POSITIVE_INFINITY);
  });

  test('The lag of a renewal counts from the moment at which it was due, over the failures before its success', async () => {
    keep();
    await clock.pass(5_100);
    expect(lags).toHaveLength(1);
    expect(lags[0]).toBeLessThan(50);
    answer = unavailable;
    await clock.pass(9_000);
    expect(lags).toHaveLength(1);
    answer = renewed;
    await clock.pass(3_000);
    expect(lags[1]).toBeGreaterThan(3_500);
    expect(lags[1]).toBeLessThan(8_000);
    await clock.pass(5_100);
    expect(lags[2]).toBeLessThan(50);
  });

  test('a long TTL is renewed often enough that the stream is never silent for 15 s', async () => {
    answer = (command) => renewed(command, 600_000);
    const { told } = keep({ deadlineMs: clock.monotonicMs() + 600_000 });
    await clock.pass(60_000);
    const times = [1_000, ...told.map(({ atMs }) => atMs)];
    const gaps = times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0));
    expect(told.length).toBeGreaterThan(3);
    expect(Math.max(...gaps)).toBeLessThan(15_000);
  });

  test('a renewal carries token, stamp and TTL; a take-over goes out at once, and only once', async () => {
    const { lease } = keep({ takesOver: true, ttlMs: 0 });
    await clock.pass(60);
    expect(batches[0]).toMatchObject([{ ...lease, takesOver: true }]);
    await clock.pass(6_000);
    expect(batches[1]).toMatchObject([{ fencingToken: 1n, stamp: lease.stamp, ttlMs: 0, takesOver: false }]);
  });

  test('the renewals of many leases go out together, with one timer', async () => {
    for (let i = 0; i < 1_000; i++) keep({ resource: `r${i}` });
    expect(clock.timers).toBe(1);
    await clock.pass(6_000);
    expect(batches.flat()).toHaveLength(1_000);
    expect(batches).toHaveLength(5);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(200);
  });

  test('renewals of one connection go out together, apart from those of another, although all are spread', async () => {
    const spread = 100;
    let next = 0;
    random = () => (next++ % spread) / spread;
    const ttlMs = 30_000;
    for (let i = 0; i < 2 * spread; i++) {
      const group = Math.floor(i / spread);
      keep({ resource: `${group}/${i}`, ttlMs, group, deadlineMs: clock.monotonicMs() + ttlMs });
    }
    await clock.pass(7_600);
    expect(batches.flat()).toHaveLength(2 * spread);
    for (const batch of batches) expect(new Set(batch.map(({ resource }) => resource[0])).size).toBe(1);
    // A group has a turn of 50 ms in 400 ms; 100 different times in 0.9 s would need all of them.
    expect(batches.length).toBeLessThanOrEqual(8);
    expect(batches.length).toBeGreaterThan(2);
  });

  test('a renewal never tells an earlier deadline than before', async () => {
    const { told } = keep();
    await clock.pass(5_100);
    answer = (command) => renewed(command, 3_000);
    await clock.pass(5_000);
    const [first, second] = told;
    expect(second?.deadlineMs).toBe(first?.deadlineMs);
  });

  test('renewals stop when the stream ends, and the wheel stands still', async () => {
    const { told, stop } = keep();
    stop();
    await clock.pass(60_000);
    expect(told).toEqual([]);
    expect(batches).toEqual([]);
    expect([wheel.size, clock.timers]).toEqual([0, 0]);
  });

  test('an answer that arrives after the end of the stream is told to nobody', async () => {
    const { told, stop } = keep();
    const late = Promise.withResolvers<never>();
    answer = () => late.promise;
    await clock.pass(5_100);
    expect(batches).toHaveLength(1);
    stop();
    late.reject(new CoordinationError('OUTCOME_UNKNOWN', 'late'));
    await clock.pass(30_000);
    expect(told).toEqual([]);
  });
});

describe('ends', () => {
  test.each([
    ['lost', 'lost: unknown-lease'],
    ['moved', 'moved'],
    ['revoked', 'lost: revoked'],
  ] as const)('a lease ends as %s when the store says so', async (kind, what) => {
    answer = () => ({ kind });
    const { told } = keep();
    await clock.pass(60_000);
    expect(whats(told)).toEqual([what]);
    expect(wheel.size).toBe(0);
  });

  test('a notice ends a lease at once, but only if it is about the call that keeps it', async () => {
    const acquisition = { resource: 'r', leaseId: 'l' };
    const [older, newer] = [keep(), keep({ stamp: { instanceId: INSTANCE, callNumber: 3 } })];
    notify({ kind: 'moved', acquisition, callNumber: 1 });
    notify({ kind: 'moved', acquisition, callNumber: 5 });
    notify({ kind: 'resync' });
    expect([whats(older.told), whats(newer.told)]).toEqual([['moved'], []]);
    notify({ kind: 'released', acquisition, callNumber: 3 });
    expect(whats(newer.told)).toEqual(['lost: released']);
    const taken = keep();
    notify({ kind: 'revoked', acquisition, callNumber: 1 });
    expect(whats(taken.told)).toEqual(['lost: revoked']);
  });

  test('at the end of its max_hold a lease is at_risk once it is final, and lost at its deadline', async () => {
    const endMs = clock.monotonicMs() + 6_000;
    answer = (command) => renewed(command, endMs - clock.monotonicMs(), true);
    const { told } = keep({ deadlineMs: clock.monotonicMs() + 2_000 });
    await clock.pass(10_000);
    expect(whats(told).filter((what) => what !== 'renewed')).toEqual(['at risk: max-hold', 'lost: max-hold']);
    expect(told.at(-1)?.atMs).toBeGreaterThanOrEqual(endMs);
    expect(told.at(-1)?.atMs).toBeLessThan(endMs + 100);
    expect(batches.length).toBeLessThan(40);
  });
});

describe('a store that fails', () => {
  test('while the store fails, a lease is at_risk once, tried again soon, and lost when its deadline has passed', async () => {
    const startMs = clock.monotonicMs();
    answer = unavailable;
    const { told } = keep();
    await clock.pass(19_900);
    expect(whats(told)).toEqual(['at risk: store-unavailable', 'at risk: store-unavailable']); // each 10 s
    expect(batches.length).toBeGreaterThan(8);
    await clock.pass(200);
    expect(whats(told).at(-1)).toBe('lost: expired');
    expect((told.at(-1)?.atMs ?? 0) - startMs).toBeGreaterThanOrEqual(TTL_MS);
  });

  test('while a roll call may put a lease back, it is at_risk and asked for twice in about 1.5 s, and not lost', async () => {
    const { told } = keep();
    answer = unknown;
    await clock.pass(9_000);
    expect(whats(told)).toEqual(['at risk: store-unavailable']);
    expect(batches.length).toBeGreaterThan(4);
    expect(batches.length).toBeLessThan(9);
    answer = renewed;
    await clock.pass(1_000);
    expect(whats(told).at(-1)).toBe('renewed');
  });

  test('a lease that nobody puts back is lost at its deadline, also for a stream that looks', async () => {
    const startMs = clock.monotonicMs();
    answer = unknown;
    const kept = [
      keep({ leaseId: 'renewed' }),
      keep({ leaseId: 'taken', takesOver: true }),
      keep({ leaseId: 'looked-at', renewUntilMs: startMs + 6_000 }),
    ];
    await clock.pass(TTL_MS - 100);
    for (const { told } of kept) expect(whats(told).filter((what) => what.startsWith('lost'))).toEqual([]);
    await clock.pass(200);
    for (const { told } of kept) expect(whats(told).at(-1)).toBe('lost: expired');
  });

  test('when the store is back in time, the lease is renewed, and the next danger is told again', async () => {
    const { told } = keep();
    for (let danger = 0; danger < 2; danger++) {
      answer = async () => {
        throw new CoordinationError('PRIMARY_UNCONFIRMED', 'no majority');
      };
      await clock.pass(7_000);
      answer = renewed;
      await clock.pass(2_500);
    }
    const all = whats(told);
    expect(all.filter((what) => what === 'at risk: primary-unconfirmed')).toHaveLength(2);
    expect(all.filter((what) => what.startsWith('lost'))).toEqual([]);
    expect(all.at(-1)).toBe('renewed');
  });

  test('a renewal whose answer hangs does not delay the end of the lease, and does not revive it', async () => {
    const hanging = Promise.withResolvers<never>();
    answer = () => hanging.promise;
    const { told } = keep();
    await clock.pass(TTL_MS + 100);
    expect(whats(told)).toEqual(['lost: expired']);
    expect(batches).toHaveLength(1);
    hanging.reject(new CoordinationError('OUTCOME_UNKNOWN', 'late'));
    await clock.pass(5_000);
    expect(whats(told)).toEqual(['lost: expired']);
  });

  test('a take-over is repeated as a take-over until it is answered', async () => {
    answer = unavailable;
    keep({ takesOver: true });
    await clock.pass(1_000);
    answer = renewed;
    await clock.pass(10_000);
    const flags = batches.flat().map(({ takesOver }) => takesOver);
    expect(flags.lastIndexOf(true)).toBeGreaterThan(0);
    expect(flags.at(-1)).toBe(false);
    expect(flags.indexOf(false)).toBe(flags.lastIndexOf(true) + 1);
  });

  test('a defect is reported, and the lease is tried again', async () => {
    answer = async () => {
      answer = renewed;
      throw new TypeError('a defect');
    };
    const { told } = keep();
    await clock.pass(6_000);
    expect(defects).toHaveLength(1);
    expect(whats(told)).toEqual(['at risk: store-unavailable', 'renewed']);
  });
});

describe('renew_for', () => {
  let deadlineMs: number;
  let startMs: number;

  /** As the stores do: a look shows the deadline and leaves it. */
  const asStoresDo = (ttlMs: number) => (command: RenewCommand) => {
    if (!command.onlyLooks) deadlineMs = clock.monotonicMs() + ttlMs;
    return renewed(command, deadlineMs - clock.monotonicMs());
  };

  function keepFor(renewForMs: number, ttlMs: number, overrides: Partial<KeptLease> = {}) {
    startMs = clock.monotonicMs();
    deadlineMs = startMs + ttlMs;
    answer = asStoresDo(ttlMs);
    return keep({ ttlMs, deadlineMs, renewUntilMs: startMs + renewForMs, ...overrides });
  }

  const renewals = (): RenewCommand[] => batches.flat().filter(({ onlyLooks }) => !onlyLooks);

  test.each([
    [4_000, 6_000],
    [20_000, 20_000],
    [1_000, 60_000],
    [60_000, 1_000],
    [20_000, 600_000],
  ])(
    'with a renew_for of %i ms, a lease of %i ms ends at most both together later',
    async (renewForMs, ttlMs) => {
      const { told } = keepFor(renewForMs, ttlMs);
      await clock.pass(renewForMs + ttlMs + 100);
      const { what, atMs } = told.at(-1) ?? { what: 'nothing', atMs: 0 };
      expect(what).toBe('lost: expired');
      expect(deadlineMs).toBeLessThanOrEqual(startMs + renewForMs + ttlMs);
      expect(atMs).toBeGreaterThanOrEqual(deadlineMs);
      expect(atMs).toBeLessThanOrEqual(startMs + renewForMs + ttlMs + 50);
      // A client that asks anew only at the end finds most of the TTL left.
      expect(deadlineMs).toBeGreaterThanOrEqual(startMs + renewForMs + 0.7 * ttlMs);
      expect(wheel.size).toBe(0);
    },
  );

  test('when its renew_for is over a lease is at_risk at once, and again, so that its stream is never silent for 15 s', async () => {
    const { told } = keepFor(20_000, 120_000);
    await clock.pass(20_100);
    expect(whats(told).at(-1)).toBe('at risk: renew-for');
    expect(told.at(-1)?.atMs).toBeGreaterThanOrEqual(startMs + 20_000);
    await clock.pass(130_000);
    const after = told.filter(({ atMs }) => atMs >= startMs + 20_000);
    expect(new Set(whats(after.slice(0, -1)))).toEqual(new Set(['at risk: renew-for']));
    expect(whats(after).at(-1)).toBe('lost: expired');
    const times = [startMs, ...told.map(({ atMs }) => atMs)];
    expect(Math.max(...times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0)))).toBeLessThan(15_000);
  });

  test('a renewal that is on its way when renew_for ends cannot run later than that', async () => {
    keepFor(5_000, 20_000);
    keep({ resource: 'other', ttlMs: 20_000 });
    await clock.pass(5_100);
    const sent = batches.map((batch, i) => ({ batch, deadlineMs: bounds[i]?.deadlineMs ?? 0 }));
    const last = sent.filter(({ batch }) => batch.some((one) => one.resource === 'r' && !one.onlyLooks));
    expect(last).toHaveLength(1);
    expect(last[0]?.deadlineMs).toBe(startMs + 5_000);
    // It goes out apart, so that its short time is no matter of the others.
    expect(last[0]?.batch).toHaveLength(1);
    expect(sent.find(({ batch }) => batch[0]?.resource === 'other')?.deadlineMs).toBeGreaterThan(
      startMs + 5_100,
    );
  });

  test('a store that fails until renew_for is over renews nothing when it is back', async () => {
    const { told } = keepFor(5_000, 20_000);
    answer = unavailable;
    await clock.pass(7_000);
    expect(whats(told)).toEqual(['at risk: store-unavailable', 'at risk: renew-for']);
    const tries = renewals().length;
    answer = asStoresDo(20_000);
    await clock.pass(20_000);
    expect(renewals()).toHaveLength(tries);
    expect(whats(told)).not.toContain('renewed');
    expect(told.at(-1)?.what).toBe('lost: expired');
    expect(deadlineMs).toBe(startMs + 20_000);
  });

  test('a take-over that no store answered before renew_for was over takes nothing over', async () => {
    const { told } = keepFor(5_000, 20_000, { takesOver: true });
    answer = unavailable;
    await clock.pass(5_500);
    answer = ({ takesOver, onlyLooks }) => (takesOver && !onlyLooks ? { kind: 'lost' } : { kind: 'moved' });
    await clock.pass(3_000);
    expect(whats(told).at(-1)).toBe('moved');
    expect(wheel.size).toBe(0);
  });

  test.each([
    ['moved', 'moved'],
    ['revoked', 'lost: revoked'],
    ['lost', 'lost: unknown-lease'],
  ] as const)('a lease whose renew_for is over still learns that it is %s, by a look', async (kind, what) => {
    const { told } = keepFor(5_000, 20_000);
    await clock.pass(6_000);
    answer = () => ({ kind });
    await clock.pass(20_000);
    expect(whats(told).at(-1)).toBe(what);
    expect(batches.flat().at(-1)).toMatchObject({ onlyLooks: true });
  });

  test('a notice ends a lease whose renew_for is over at once', async () => {
    const { told } = keepFor(5_000, 20_000);
    await clock.pass(6_000);
    notify({ kind: 'moved', acquisition: { resource: 'r', leaseId: 'l' }, callNumber: 1 });
    expect(whats(told).at(-1)).toBe('moved');
  });
});

describe('attempts', () => {
  const attempt = { resource: 'r', operationId: 'o', claimId: 'c', fencingToken: 1n };
  const stamp = { instanceId: INSTANCE, callNumber: 1 };
  let beats: (readonly HeartbeatCommand[])[];
  let beat: () => Promise<HeartbeatOutcome>;
  let tell: (notice: AttemptNotice) => void;

  const alive = (cancelReason?: string): HeartbeatOutcome => {
    const deadlineMs = clock.monotonicMs() + TTL_MS;
    const { claimId, fencingToken } = attempt;
    const living = { number: 1, claimId, fencingToken, deadlineMs, lease: undefined };
    return { kind: 'renewed', attempt: living, isFinal: false, cancelReason };
  };

  function keepAttempt(renewUntilMs = Number.POSITIVE_INFINITY): string[] {
    const store: Pick<OperationStore, 'heartbeat' | 'onAttemptNotice'> = {
      async heartbeat(commands) {
        beats.push(commands);
        return [await beat()];
      },
      onAttemptNotice(listener) {
        tell = listener;
        return () => {};
      },
    };
    const attempts = new RenewalWheel({
      renewals: attemptRenewals(store as OperationStore), // they call nothing else
      clock,
      random: () => 0.5,
      commandTimeoutMs: 1_000,
      onDefect: (thrown) => defects.push(thrown),
    });
    const told: string[] = [];
    attempts.keep(
      {
        ...attempt,
        stamp,
        deadlineMs: clock.monotonicMs() + TTL_MS,
        minAcks: 0,
        takesOver: true,
        renewUntilMs,
        group: 0,
      },
      {
        renewed: ({ cancelReason }) => told.push(cancelReason ?? 'renewed'),
        looked: ({ cancelReason }) => cancelReason && told.push(`looked: ${cancelReason}`),
        atRisk: (reason) => told.push(`at risk: ${reason}`),
        ended: (end) => told.push(end.kind === 'lost' ? `lost: ${end.reason}` : end.kind),
      },
    );
    return told;
  }

  beforeEach(() => {
    beats = [];
    beat = async () => alive();
  });

  test("an attempt is renewed at once when the store says 'look' to the call that keeps it", async () => {
    const told = keepAttempt();
    await clock.pass(120);
    expect([told, beats.flat()]).toMatchObject([['renewed'], [{ ...attempt, stamp, takesOver: true }]]);
    beat = async () => alive('too late');
    tell({ kind: 'look', ...attempt, callNumber: 3 });
    await clock.pass(120);
    expect(beats).toHaveLength(1);
    tell({ kind: 'look', ...attempt, callNumber: 1 });
    await clock.pass(120);
    expect(told).toEqual(['renewed', 'too late']);
  });

  test("an attempt is renewed once more when 'look' comes while a heartbeat is on its way", async () => {
    const onItsWay = Promise.withResolvers<HeartbeatOutcome>();
    beat = () => onItsWay.promise;
    const told = keepAttempt();
    await clock.pass(120);
    tell({ kind: 'look', ...attempt, callNumber: 1 });
    beat = async () => alive('too late');
    onItsWay.resolve(alive()); // read before someone asked to cancel
    await clock.pass(0);
    await clock.pass(120);
    expect(told).toEqual(['renewed', 'too late']);
    await clock.pass(1_000);
    expect(beats).toHaveLength(2);
  });

  test("'look' says what has become of an attempt whose renew_for is over, and is no heartbeat", async () => {
    const told = keepAttempt(clock.monotonicMs() + 3_000);
    await clock.pass(3_200);
    expect(told).toEqual(['renewed', 'at risk: renew-for']);
    beat = async () => alive('too late');
    tell({ kind: 'look', ...attempt, callNumber: 1 });
    await clock.pass(120);
    expect(told.at(-1)).toBe('looked: too late');
    beat = async () => ({ kind: 'lost', reason: 'finished' });
    tell({ kind: 'look', ...attempt, callNumber: 1 });
    await clock.pass(120);
    expect(told.at(-1)).toBe('lost: finished');
    expect(beats.flat().map(({ onlyLooks }) => onlyLooks ?? false)).toEqual([false, true, true, true]);
  });

  test("an attempt ends when the store says so, with the store's reason", async () => {
    beat = async () => ({ kind: 'lost', reason: 'superseded' });
    const told = keepAttempt();
    await clock.pass(120);
    expect(told).toEqual(['lost: superseded']);
  });
});
