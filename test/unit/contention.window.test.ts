// What one instance counts of contention, and what is left of it in the reports that instances pass on.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ListContendedLocksResponse } from '../../generated/leasehold/v1/lock_service.ts';
import {
  decodeReport,
  encodeReport,
  type InstanceReport,
  MOST_REPORTED,
  merged,
  REPORT_BYTES,
} from '../../src/service/contention/contention-report.ts';
import { ContentionWindow } from '../../src/service/contention/contention-window.ts';
import { encodeContendedLocks } from '../../src/transport/encode-contention.ts';
import { ManualClock } from '../support/manual-clock.ts';

function windowOf(capacity?: number) {
  const clock = new ManualClock();
  const window = new ContentionWindow(clock, capacity);
  return { clock, window, begin: (resource: string) => window.begin(resource, 'owner', 'lease') };
}

test('The window tells how long calls waited for a resource, how many, and the longest wait', () => {
  const { clock, window, begin } = windowOf();
  const [first, second] = [begin('hot'), begin('hot')];
  clock.advance(3_000);
  first();
  clock.advance(1_000);
  second();
  const third = begin('warm');
  clock.advance(500);
  window.held('hot', 700);
  window.held('never-waited-for', 60_000);
  expect(window.summary(10)).toEqual({
    windowMs: 4_500,
    restMs: 0,
    contended: [
      {
        resource: 'hot',
        waitMs: 7_000,
        errorMs: 0,
        waits: 2,
        longestWaitMs: 4_000,
        holds: 1,
        holdMs: 700,
      },
      {
        resource: 'warm',
        waitMs: 500,
        errorMs: 0,
        waits: 1,
        longestWaitMs: 500,
        holds: 0,
        holdMs: 0,
      },
    ],
  });
  third();
  third(); // a second time: it has ended
  expect(window.waitCount).toBe(0);
  expect(window.summary(1)).toMatchObject({ contended: [{ resource: 'hot' }], restMs: 7_000 });
});

test('A wait that goes on counts in each minute, and what is older than the window is forgotten', () => {
  const { clock, window, begin } = windowOf();
  const end = begin('slow');
  for (let minute = 0; minute < 20; minute++) {
    clock.advance(60_000);
    begin('tick')();
  }
  const [slow] = window.summary(1)?.contended ?? [];
  expect(slow).toMatchObject({ resource: 'slow', waits: 1, longestWaitMs: 20 * 60_000 });
  expect(slow?.waitMs).toBeGreaterThanOrEqual(5 * 60_000);
  expect(slow?.waitMs).toBeLessThanOrEqual(7 * 60_000);
  end();
  clock.advance(7 * 60_000);
  expect(window.summary(1)).toBeUndefined();
});

test('A resource that is only held is forgotten with its last wait, however often it is held', () => {
  const { clock, window, begin } = windowOf();
  const end = begin('once-contended');
  clock.advance(2_000);
  end();
  for (let minute = 0; minute < 20; minute++) {
    window.held('once-contended', 100);
    clock.advance(60_000);
    if (minute === 3) expect(window.summary(1)?.contended).toMatchObject([{ waits: 1, holds: 4 }]);
  }
  expect(window.summary(1)).toBeUndefined();
});

test('The window and its error hold against exact times, for calls that begin and end in any order', () => {
  const steps = fc.array(
    fc.record({
      resource: fc.integer({ min: 0, max: 9 }).map(String),
      ends: fc.boolean(),
      ms: fc.integer({ min: 0, max: 9_000 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 12 }), (all, capacity) => {
      const { clock, window, begin } = windowOf(capacity);
      const open: { resource: string; startedMs: number; end: () => void }[] = [];
      const exact = new Map<string, number>();
      const waited = (resource: string, startedMs: number) =>
        exact.set(resource, (exact.get(resource) ?? 0) + clock.monotonicMs() - startedMs);
      let elapsedMs = 0;
      for (const { resource, ends, ms } of all) {
        if (elapsedMs + ms > 290_000) break; // all within one window
        elapsedMs += ms;
        clock.advance(ms);
        if (!ends) open.push({ resource, startedMs: clock.monotonicMs(), end: begin(resource) });
        const [ended] = ends ? open.splice(Number(resource) % Math.max(open.length, 1), 1) : [];
        if (ended) {
          waited(ended.resource, ended.startedMs);
          ended.end();
        }
      }
      for (const { resource, startedMs } of open) waited(resource, startedMs);
      const summary = window.summary(100);
      const told = new Map(summary?.contended.map((one) => [one.resource, one]));
      for (const [resource, waitMs] of exact) {
        const one = told.get(resource);
        expect(waitMs).toBeLessThanOrEqual((one?.waitMs ?? summary?.restMs ?? 0) + 1e-6);
        if (one) expect(waitMs).toBeGreaterThanOrEqual(one.waitMs - one.errorMs - 1e-6);
      }
      if (capacity >= 10) expect(summary?.contended.every(({ errorMs }) => errorMs === 0) ?? true).toBe(true);
    }),
  );
});

test('One hot resource among 100,000 others is found, and the report stays small', () => {
  const { clock, window, begin } = windowOf();
  for (let i = 0; i < 100_000; i++) {
    const ends = [begin(`resource/${i}`)];
    if (i % 100 === 0) ends.push(begin('hot'));
    clock.advance(1);
    for (const end of ends) end();
  }
  const summary = window.summary(MOST_REPORTED.contended);
  const [first, second] = summary?.contended ?? [];
  expect(summary?.contended).toHaveLength(100);
  expect(first).toMatchObject({ resource: 'hot', errorMs: expect.any(Number) });
  expect((first?.waitMs ?? 0) - (first?.errorMs ?? 0)).toBeGreaterThan(second?.waitMs ?? 0);
  expect(
    encodeReport({ ...summary, waits: [], leavesOutWaits: false } as InstanceReport).length,
  ).toBeLessThan(10_000);
});

const contended = (resource: string, waitMs: number, errorMs = 0) => ({
  resource,
  waitMs,
  errorMs,
  waits: 1,
  longestWaitMs: waitMs,
  holds: 2,
  holdMs: 30,
});

const FREE = {
  holders: [],
  holderCount: 0,
  permitsHeld: 0,
  permitsLimit: 0,
  waiters: [],
  queueLength: 0,
  minHoldRemainingMs: 0,
};

test('A report reads as it was written, and one of another form is left out', () => {
  const report: InstanceReport = {
    windowMs: 60_000,
    restMs: 5,
    contended: [contended('a/"é"\u2028', 100, 3)],
    waits: [{ resource: 'b', owner: 'me', leaseIdHash: '0123456789ab', waitedMs: 12_000 }],
    leavesOutWaits: true,
  };
  expect(decodeReport(encodeReport(report))).toEqual(report);
  for (const text of ['', '{}', '[2,1,1,0,[],[]]', '[1,"x",1,0,[],[]]', '[1,1,1,0,{},[]]', 'null']) {
    expect(decodeReport(text)).toBeUndefined();
  }
  const odd = decodeReport('[1,1,1,0,[["a",1],["b",1,0,1,1,0,"x"],7],[["b","me"],["c","me","h",-1]]]');
  expect(odd).toMatchObject({ contended: [], waits: [] });
});

test('Whatever stands on the board in the form of a report, it can be answered with', () => {
  const oddNumber = fc.constantFrom(0, 1, 1.5, -1, 2 ** 53, 1e15, 1e300, Number.MAX_VALUE);
  const number = fc.oneof(fc.nat(), oddNumber, fc.double({ noNaN: true, noDefaultInfinity: true }));
  const name = fc.oneof(fc.constantFrom('', 'a', '\ud800', 'x'.repeat(600)), fc.string());
  const field = fc.oneof({ weight: 9, arbitrary: number }, { weight: 1, arbitrary: fc.anything() });
  const contendedFields = fc.tuple(name, ...Array.from({ length: 6 }, () => field));
  const waitFields = fc.tuple(name, name, name, field);
  const parts = fc.tuple(
    fc.constant(1),
    field,
    field,
    field,
    fc.array(contendedFields),
    fc.array(waitFields),
  );
  fc.assert(
    fc.property(parts, (written) => {
      const report = decodeReport(
        JSON.stringify(written, (_, value) => (typeof value === 'bigint' ? 7 : value)),
      );
      const { contended: all, windowMs } = merged(report ? [report, report] : [], 100);
      for (const { resource } of all) expect(resource).toMatch(/^.{1,512}$/su); // what Redis can be asked about
      const locks = all.map((one) => ({ ...one, lock: { ...FREE, resource: one.resource } }));
      const coverage = { instances: 2, oldestReportMs: 0 };
      ListContendedLocksResponse.encode(encodeContendedLocks({ locks, windowMs, coverage })).finish();
    }),
  );
  const waits = Array.from({ length: 100_000 }, () => ['r', 'me', 'h', 1]);
  expect(decodeReport(JSON.stringify([1, 1, 1, 0, [], waits]))).toMatchObject({ leavesOutWaits: true });
  expect(decodeReport(JSON.stringify([1, 1, 1, 0, [], waits]))?.waits).toHaveLength(MOST_REPORTED.waits);
});

test('A report with the longest names keeps its bound, and says what it leaves out', () => {
  const name = (index: number) => `${index}/${'é'.repeat(250)}`;
  const report: InstanceReport = {
    windowMs: 1,
    restMs: 0,
    contended: Array.from({ length: 100 }, (_, index) => contended(name(index), 1_000 - index)),
    waits: Array.from({ length: 300 }, (_, index) => ({
      resource: name(index),
      owner: 'o'.repeat(256),
      leaseIdHash: '0123456789ab',
      waitedMs: 1,
    })),
    leavesOutWaits: false,
  };
  const text = encodeReport(report);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(REPORT_BYTES);
  const read = decodeReport(text);
  const told = read?.contended.length ?? 0;
  expect(told).toBeGreaterThan(30);
  expect(read?.restMs).toBe(1_000 - told);
  expect(read?.leavesOutWaits).toBe(true);
});

test('The reports of several instances add up, with what each may have left out as the error', () => {
  const one = { windowMs: 300_000, restMs: 10, contended: [contended('a', 100), contended('b', 50, 5)] };
  const two = { windowMs: 60_000, restMs: 0, contended: [contended('a', 30)] };
  const three = { windowMs: 1_000, restMs: 4, contended: [contended('c', 500)] };
  expect(merged([one, two, three], 2)).toEqual({
    windowMs: 300_000,
    restMs: 14,
    contended: [
      { ...contended('c', 510, 10), longestWaitMs: 500 },
      { ...contended('a', 134, 4), longestWaitMs: 100, waits: 2, holds: 4, holdMs: 60 },
    ],
  });
  expect(merged([], 5)).toEqual({ windowMs: 0, restMs: 0, contended: [] });
});
