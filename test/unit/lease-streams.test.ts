// Queued streams on a clock that the test moves: what they say while nothing happens, and what is left of them.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished, test } from 'vitest';
import { LIMITS } from '../../src/domain/limits.ts';
import { Acquisitions } from '../../src/service/acquisitions.ts';
import { type CallContext, CallStamps } from '../../src/service/call.ts';
import { type LeaseEvent, LeaseStreams } from '../../src/service/lease-streams.ts';
import { observers } from '../../src/service/lock-observer.ts';
import { RenewalWheel } from '../../src/service/renewal-wheel.ts';
import { leaseRenewals } from '../../src/service/renewals.ts';
import { WaitRoom } from '../../src/service/wait-room.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leaseSpec, MAX_TTL_MS, quietObserver } from '../support/store-harness.ts';

const INSTANCE = 'i1';
const FOREVER = Number.POSITIVE_INFINITY;

/** Bytes that are in use after a collection. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

function rig() {
  const clock = new ManualClock();
  const store = new MemoryStore({
    clock,
    maxTtlMs: MAX_TTL_MS,
    observer: quietObserver,
    instanceId: INSTANCE,
  });
  const common = { store: store.locks, clock, random: () => 0.5, commandTimeoutMs: 1_000 };
  const onDefect = (thrown: unknown): void => {
    throw thrown;
  };
  const wheel = new RenewalWheel({ ...common, renewals: leaseRenewals(store.locks), onDefect });
  const waitRoom = new WaitRoom({ ...common, instanceId: INSTANCE });
  const stamps = new CallStamps(INSTANCE);
  const observer = observers();
  const acquisitions = new Acquisitions({ ...common, waitRoom, observer });
  const keeping = { renewed: () => {}, lost: () => {} };
  const parts = { ...common, acquisitions, observer, keeping, wheel, stamps };
  const streams = new LeaseStreams({ ...parts, maxTtlMs: MAX_TTL_MS });
  onTestFinished(async () => {
    wheel.close();
    waitRoom.close();
    await store.close();
  });
  const context = (ended: AbortSignal): CallContext => {
    const caller = { name: '', role: 'client' } as const;
    return { arrivedAtMs: clock.monotonicMs(), deadlineMs: FOREVER, ended, caller, peer: '' };
  };
  const open = (ended: AbortSignal, heard: (event: LeaseEvent) => void) =>
    streams
      .hold(
        { spec: leaseSpec({ ttlMs: MAX_TTL_MS }), waitMs: FOREVER, renewForMs: FOREVER },
        context(ended),
        (_, event) => heard(event),
      )
      .catch((error: unknown) => error);
  return { clock, store, waitRoom, wheel, streams, context, open };
}

test('a queued stream tells its position at least every 15 s, and a stream with a lease its deadline', async () => {
  const { clock, open } = rig();
  const said: { who: string; atMs: number; kind: string }[] = [];
  const alive = new AbortController();
  for (const who of ['holder', 'waiter']) {
    void open(alive.signal, ({ kind }) => said.push({ who, atMs: clock.monotonicMs(), kind }));
    await clock.pass(10);
  }
  expect(said.map(({ who, kind }) => `${who} ${kind}`)).toEqual(['holder granted', 'waiter queued']);
  await clock.pass(10 * 60_000);
  for (const who of ['holder', 'waiter']) {
    const times = said.filter((each) => each.who === who).map(({ atMs }) => atMs);
    const gaps = times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0));
    expect(Math.max(...gaps), who).toBeLessThanOrEqual(15_000);
    expect(clock.monotonicMs() - (times.at(-1) ?? 0), who).toBeLessThanOrEqual(15_000);
  }
  alive.abort();
});

test('100,000 streams that are opened and cancelled leave no waiter, place, lock, timer or memory', {
  timeout: 60_000,
}, async () => {
  const { clock, store, waitRoom, wheel, open } = rig();
  const holding = new AbortController();
  const holder = open(holding.signal, () => {});
  await clock.pass(10);
  const ownTimers = clock.timers;
  let heapBefore = 0;
  for (let round = 0; round < 500; round++) {
    const cancel = new AbortController();
    let queued = 0;
    const ends = Array.from({ length: 200 }, () =>
      open(cancel.signal, ({ kind }) => {
        if (kind === 'queued') queued++;
      }),
    );
    await clock.pass(0);
    expect(queued).toBe(200);
    cancel.abort();
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ code: 'CANCELLED' });
    expect(waitRoom.size).toBe(0);
    await clock.pass(6_000); // kept places are forgotten after 5 s
    if (round === 100) heapBefore = heapUsed();
  }
  // 80,000 more, and not a hundred bytes of each are left.
  expect(heapUsed() - heapBefore).toBeLessThan(8e6);
  expect(wheel.size).toBe(1);
  expect(clock.timers).toBeLessThanOrEqual(ownTimers);
  holding.abort();
  await holder;
  await clock.pass(2 * MAX_TTL_MS);
  expect([store.locks.size, wheel.size]).toEqual([0, 0]);
});

test('an instance that keeps as many leases as it may lets clients open streams anew for them, and takes no others', async () => {
  const { clock, wheel, streams, context, open } = rig();
  const alive = new AbortController();
  let granted: Extract<LeaseEvent, { kind: 'granted' }> | undefined;
  void open(alive.signal, (event) => {
    if (event.kind === 'granted') granted = event;
  });
  await clock.pass(10);
  if (!granted) throw new Error('a free lock is granted');
  const { lease } = granted.granted;
  const ignored = { renewed() {}, looked() {}, atRisk() {}, ended() {} };
  const common = { resource: 'r', fencingToken: 1n, ttlMs: 0, deadlineMs: FOREVER, minAcks: 0, group: 0 };
  for (let i = 1; i < LIMITS.keptLeasesPerInstance; i++) {
    const stamp = { instanceId: INSTANCE, callNumber: -i };
    const kept = { ...common, leaseId: `l${i}`, stamp, takesOver: false, renewUntilMs: FOREVER };
    wheel.keep(kept, ignored);
  }
  const said: string[] = [];
  const keepAlive = (leases: Parameters<LeaseStreams['keepAlive']>[0]['leases']) =>
    streams
      .keepAlive({ leases, renewForMs: 20_000 }, context(alive.signal), (_, { kind }) => said.push(kind))
      .catch((error: unknown) => error);
  const other = { ...common, leaseId: 'other' };
  expect(await keepAlive([other])).toMatchObject({ code: 'OVERLOADED' });
  void keepAlive([{ ...lease, ttlMs: 0 }]);
  await clock.pass(100);
  expect(said).toEqual(['renewed']);
  expect(await open(alive.signal, () => {})).toMatchObject({ code: 'OVERLOADED' });
  wheel.close();
  alive.abort();
});
