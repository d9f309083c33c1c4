// The verdict on a whole run: that every check takes part, the figures, the summary, and how a recorded run is read.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { CHECK_NAMES, checkHistory } from '../chaos/checker/check-history.ts';
import { readHistory } from '../chaos/checker/read-history.ts';
import { quantiles } from '../chaos/checker/run-figures.ts';
import { report } from '../chaos/checker/verdict-report.ts';
import type { Event } from '../chaos/history.ts';
import {
  acquire,
  believed,
  call,
  fault,
  leftovers,
  lockAsked,
  looked,
  operationCall,
  queued,
  reign,
  runBegan,
  seenRegistry,
  written,
} from '../support/chaos-events.ts';

const get = (at: number, shown: string): Event[] => operationCall('GetOperation', at, at + 1, shown);
const update = (at: number, shown: string): Event[] =>
  operationCall('UpdateOperation', at, at + 1, shown, { claimId: 'a', requestId: 'q' });
const overtaken = [
  ...acquire(1, 8, 11, { call: 'client-1/1', by: 'client-1', asked: lockAsked('lease-1') }),
  queued(2, 'client-1/1'),
  ...acquire(3, 7, 10),
];

const BROKEN: readonly (readonly [check: string, events: readonly Event[]])[] = [
  ['guarded writes', [written(1, 7), written(2, 5)]],
  ['tokens', [...acquire(1, 2, 8), ...acquire(4, 5, 7)]],
  ['beliefs', [believed(1, 5, 1), believed(4, 9, 2)]],
  ['leaders', [believed(1, 5, 1, { resource: 'leader' }), believed(4, 9, 2, { resource: 'leader' })]],
  ['attempts', [believed(1, 5, 1, { of: 'attempt' }), believed(4, 9, 2, { of: 'attempt' })]],
  [
    'token answers',
    [
      believed(1, 9, 7),
      ...call('CheckFencingToken', 2, 3, { asked: lockAsked('x', { token: '6' }), said: { valid: true } }),
    ],
  ],
  [
    'ghosts',
    [
      ...call('Acquire', 1, 2, { asked: lockAsked('x') }),
      ...call('Release', 4, 5, { asked: lockAsked('x') }),
      ...[6, 8].map((at): Event => {
        const who = { server: 'server-1', resource: 'r', leaseHash: leaseIdHash('x'), token: '1' };
        return { kind: 'seen-held', atMs: at * 1_000, askedMs: at * 1_000, ...who };
      }),
    ],
  ],
  ['acknowledged operations', [...get(1, 'PENDING 3 0'), ...get(3, 'PENDING 2 0')]],
  ['order of operations', [...get(1, 'PENDING 1 0')]],
  ['retries', [...update(1, 'RUNNING 2 1'), ...update(3, 'RUNNING 3 1')]],
  ['call deadlines', call('Acquire', 1, 9, { deadlineMs: 6_000 })],
  [
    'waits',
    [...call('Hold', 1, 40, { call: 'client-1/1', asked: lockAsked('lease-1') }), queued(2, 'client-1/1')],
  ],
  ['progress', [...fault(5, 10, ['node-1']), ...acquire(45, 46, 0), reign(99, 'b')]],
  ['queue order', overtaken],
  ['roll call', [seenRegistry(10, { fullUntil: 20_000, entries: { x: '0' } })]],
  [
    'kept leases',
    [
      ...[believed(1, 20, 7), seenRegistry(10, { fullUntil: 20_000 }), reign(9, '1:a'), reign(19, '1:a')],
      ...looked(11),
    ],
  ],
  ['leaks', [leftovers({ watches: 1 })]],
];

test.each(BROKEN)('the verdict has the violations of the check %s', (name, events) => {
  const { violations } = checkHistory([runBegan(), ...events]);
  expect(violations.map(({ check }) => check)).toContain(name);
});

test('a verdict can be limited to some checks', () => {
  const events = [believed(1, 5, 1), believed(4, 9, 2), written(1, 7), written(2, 5)];
  const found = (only?: readonly string[]) => checkHistory(events, only).violations.map(({ check }) => check);
  expect(found()).toEqual(['guarded writes', 'beliefs']);
  expect(found(['beliefs', 'waits'])).toEqual(['beliefs']);
  // The same check finds these under another name.
  expect(found(['leaders'])).toEqual([]);
});

test('every check has an example here', () => {
  expect(CHECK_NAMES.toSorted()).toEqual([...new Set(BROKEN.map(([check]) => check))].toSorted());
});

test('a verdict lists violations in the order in which they happened', () => {
  const { violations } = checkHistory([written(8, 7), written(9, 5), believed(1, 5, 1), believed(4, 9, 2)]);
  expect(violations.map(({ atMs }) => atMs)).toEqual([4_000, 9_000]);
});

test('a violation after a fault beyond the stated bounds is counted, but does not fail the run', () => {
  const bounds = fault(3, 4, ['node-1'], {
    fault: 'clock-step',
    beyondBounds: 'two steps in the life of a lease',
  });
  const { violations, figures } = checkHistory([written(1, 7), written(2, 5), ...bounds, written(5, 6)]);
  expect(violations.map(({ atMs }) => atMs)).toEqual([2_000]);
  expect(figures.counts['breaches beyond the stated bounds']).toBe(1);
});

describe('figures', () => {
  const { figures } = checkHistory([
    ...[runBegan({ seed: 7 }), reign(0, 'a'), ...fault(20, 30, ['node-1']), reign(23, 'b')],
    ...fault(10, 11, ['client-4'], { step: 'kill-client' }),
    ...[believed(1, 6, 5), believed(2, 7, 5), believed(24, 29, 5), ...acquire(34, 35, 6)],
    ...call('Renew', 1, 2, { asked: lockAsked('lease-5'), outcome: 'unknown' }),
    ...call('Renew', 3, Number.POSITIVE_INFINITY, { asked: lockAsked('lease-5') }),
    ...call('Acquire', 40, 41, { asked: lockAsked('lease-8', { resource: 's' }), outcome: 'failed' }),
  ]);

  test('the figures count calls by outcome and rpc, faults by kind, and reigns', () => {
    expect(figures).toMatchObject({ seed: 7, mode: 'safety', mutant: '', lengthMs: 41_000, reigns: 2 });
    expect(figures.calls).toEqual({ ok: 1, failed: 1, unknown: 2 });
    expect(figures.callsByRpc.Renew).toEqual({ ok: 0, failed: 0, unknown: 2 });
    expect(figures.faults).toEqual({ kill: 1, 'kill-client': 1 });
  });

  test('the figures give the time from the fault to the first renewal and the first grant of the new reign', () => {
    expect(figures.recovery.renewals).toEqual({ count: 1, p50Ms: 4_000, p99Ms: 4_000, maxMs: 4_000 });
    expect(figures.recovery.grants.maxMs).toBe(15_000);
  });

  test('the figures give the time without grants and without renewals', () => {
    // From 1 s to 35 s and from 35 s to 40 s; from 2 s to 24 s and from 24 s to 40 s.
    expect(figures.withoutGrantsMs).toBe(39_000);
    expect(figures.withoutRenewalsMs).toBe(38_000);
  });

  test('the quantiles are times that were measured', () => {
    const times = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(quantiles(times)).toEqual({ count: 100, p50Ms: 50, p99Ms: 99, maxMs: 100 });
    expect(quantiles([])).toEqual({ count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  });
});

test('the summary lists violations from the beginning of the run, at most ten of each check', () => {
  const events = [runBegan(), ...Array.from({ length: 13 }, (_, index) => written(20 + index, 50 - index))];
  const text = report(checkHistory(events), 10_000);
  expect(text).toContain('violations 12\n  guarded writes, at 11.000 s: r took a write of client-49');
  expect(text.match(/guarded writes, at/g)).toHaveLength(10);
  expect(text).toContain('guarded writes: 2 more');
});

describe('a recorded run', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'leasehold-history-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const lines = (...events: Event[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

  test('a recorded run is read from all files, in the order of the events', () => {
    writeFileSync(join(folder, 'b.jsonl'), lines(written(1, 5), written(3, 7)));
    writeFileSync(join(folder, 'a.jsonl'), lines(written(2, 6)));
    writeFileSync(join(folder, 'server-1.log'), 'not a history\n');
    expect(readHistory(folder).map(({ atMs }) => atMs)).toEqual([1_000, 2_000, 3_000]);
  });

  test('a line that a process was writing when it was killed is left out', () => {
    writeFileSync(join(folder, 'a.jsonl'), `${lines(written(2, 6))}{"kind":"wri`);
    expect(readHistory(folder)).toHaveLength(1);
  });

  test('a recorded run with a line that is no event is refused, and the error names the file and line', () => {
    writeFileSync(join(folder, 'a.jsonl'), `${lines(written(2, 6))}{"kind":"wri\n`);
    expect(() => readHistory(folder)).toThrow('a.jsonl:2 is no event');
    writeFileSync(join(folder, 'a.jsonl'), '{"atMs":1}\n');
    expect(() => readHistory(folder)).toThrow('a.jsonl:1 is no event');
  });
});
