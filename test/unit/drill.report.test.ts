// What a drill concludes from its records: the numbers, the verdict, the text and the picture.
import { expect, test } from 'vitest';
import { CanaryRecord, longestGap, MOST_RECORDS, percentile } from '../../src/drill/canary-record.ts';
import { drillPicture } from '../../src/drill/drill-picture.ts';
import type { DrillPlan } from '../../src/drill/drill-plan.ts';
import { type DrillFindings, reportOf } from '../../src/drill/drill-report.ts';
import { drillText } from '../../src/drill/drill-text.ts';
import { ManualClock } from '../support/manual-clock.ts';

const PLAN: DrillPlan = {
  cause: 'trigger',
  prefix: 'leasehold-drill/',
  beforeMs: 10_000,
  withinMs: 60_000,
  afterMs: 10_000,
  ttlMs: 20_000,
  restMs: undefined,
  accepted: [],
  load: { holders: 4, acquiresPerSecond: 10, queues: 1, operations: 1 },
  allowed: { withoutRenewalsMs: 5_000, withoutGrantsMs: undefined, lost: 0 },
};

/** A load that runs from 0 to 60 s, without renewals from 10 to 13 s and without grants from 10 to 40 s. */
function findings(change: (record: CanaryRecord) => void = () => {}): DrillFindings {
  const clock = new ManualClock();
  const record = new CanaryRecord(clock);
  const startMs = clock.monotonicMs();
  for (let second = 0; second <= 60; second += 0.5) {
    const sentAtMs = startMs + second * 1_000;
    const isOut = (untilS: number): boolean => second > 10 && second < untilS;
    const sample = (kind: 'renew' | 'acquire', moments: number[], failure: string | undefined): void => {
      const tookMs = 1 + (second % 2);
      record.samples.push({ kind, sentAtMs, tookMs, failure });
      if (failure === undefined) moments.push(sentAtMs + tookMs);
    };
    sample('renew', record.renewals, isOut(13) ? 'REDIS_UNAVAILABLE' : undefined);
    sample('acquire', record.grants, isOut(40) ? 'QUARANTINE' : undefined);
  }
  change(record);
  const at = (second: number): number => startMs + second * 1_000;
  return {
    plan: PLAN,
    deployment: '<main> & "co"',
    startedAt: new Date(0),
    formerPrimary: '10.0.0.1:6379',
    newPrimary: '10.0.0.2:6379',
    quarantineMs: 24_000,
    hasRollCall: false,
    quarantineEnd: undefined,
    heldLeases: 4,
    operations: { begun: 9, lost: 0, forgotten: 2, takenOver: 1 },
    grantsJudged: 61,
    guardedWrites: 30,
    record,
    marks: { readyMs: at(0), begunMs: at(10.2), switchedMs: at(12), grantsBackMs: at(40), endMs: at(60) },
    events: [
      { atMs: at(0), who: 'drill', what: 'before' },
      { atMs: at(12), who: 'sentinel', what: '+switch-master' },
    ],
    troubles: [],
  };
}

test('The longest pause begins with the last moment before the span, and an end without moments counts', () => {
  expect(longestGap([1, 2, 10, 11], 3, 12)).toEqual({ fromMs: 2, untilMs: 10 });
  expect(longestGap([1, 2, 4, 5], 3, 20)).toEqual({ fromMs: 5, untilMs: 20 });
  expect(longestGap([], 3, 20)).toEqual({ fromMs: 3, untilMs: 20 });
  expect(percentile([], 0.5)).toBeUndefined();
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(percentile([3, 1, 2], 0.99)).toBe(3);
});

test('A drill that waits long for a failover keeps the newest records, and not all of them', () => {
  const clock = new ManualClock();
  const record = new CanaryRecord(clock);
  for (let call = 0; call <= MOST_RECORDS; call++) record.answered('renew', clock.monotonicMs() - call);
  for (const { length } of [record.samples, record.renewals]) expect(length).toBe(MOST_RECORDS / 2 + 1);
  expect(record.samples.at(-1)?.tookMs).toBe(MOST_RECORDS);
});

test('A drill within what is allowed passes, and its times run from the last success to the next one', () => {
  const report = reportOf(findings());
  expect(report).toMatchObject({
    passed: true,
    complaints: [],
    withoutRenewalsMs: 3_001,
    withoutGrantsMs: 30_000,
    allowed: { withoutGrantsMs: 44_000 },
    leases: { held: 4, kept: 4, lost: 0 },
    operations: { begun: 9, kept: 7, lost: 0, forgotten: 2, takenOver: 1 },
  });
  const renewals = report.latencies.filter(({ kind }) => kind === 'renew');
  expect(renewals).toEqual([
    { kind: 'renew', phase: 'before', count: 21, failed: 0, p50Ms: 1.5, p99Ms: 2.5 },
    { kind: 'renew', phase: 'during', count: 54, failed: 5, p50Ms: 2, p99Ms: 2.5 },
    { kind: 'renew', phase: 'after', count: 41, failed: 0, p50Ms: 1.5, p99Ms: 2.5 },
  ]);
  expect(report.timeline.map(({ atMs, what }) => `${atMs} ${what}`)).toEqual([
    '-199 the last renewal before the longest pause',
    '-199 the last new grant before the longest pause',
    '302 REDIS_UNAVAILABLE, 5 times in 2.0 s',
    '302 QUARANTINE, 59 times in 29.0 s',
    '1800 +switch-master',
    '2802 renewals are back',
    '29801 new grants are back',
  ]);
});

test.each([
  [
    'a lost lease',
    (record: CanaryRecord) => record.lost('lease', 'a', 'deadline'),
    /^1 lease or operation lost/,
  ],
  ['a violation', (record: CanaryRecord) => record.violated('two at once'), /^1 violation of the promises/],
  [
    'renewals that stay away too long',
    (record: CanaryRecord) => record.renewals.splice(21, record.renewals.length),
    /50\.0 s without renewals, and 5\.0 s are allowed/,
  ],
  [
    'grants that stay away too long',
    (record: CanaryRecord) => record.grants.splice(21, 40),
    /50\.0 s without new grants, and 44\.0 s are allowed/,
  ],
])('%s fails the drill', (_what, change, complaint) => {
  const report = reportOf(findings((record) => void change(record)));
  expect(report.passed).toBe(false);
  expect(report.complaints).toEqual([expect.stringMatching(complaint)]);
  expect(drillText(report)).toMatch(/\nNOT passed: .+\n$/);
});

test('A failover that did not happen fails the drill, and the text says why', () => {
  const report = reportOf({ ...findings(), newPrimary: undefined, troubles: ['no failover happened: why'] });
  expect(report.passed).toBe(false);
  expect(drillText(report)).toContain('NOT passed: no failover happened: why.');
  expect(drillText(report)).toContain('no other primary was named');
});

test('The text shows each number beside what is allowed, and lists at most ten losses', () => {
  const many = findings((record) => {
    for (let i = 1; i <= 12; i++) record.lost('lease', `name-${i}`, 'deadline');
  });
  const text = drillText(reportOf(many));
  expect(text).toMatch(/time without renewals +3\.0 s {3}\(5\.0 s allowed\)\n/);
  expect(text).toMatch(/time without new grants +30\.0 s {3}\(44\.0 s allowed\)\n/);
  expect(text).toMatch(/lost: lease name-10 \(deadline\)\n +and 2 more \(--json has all\)\n/);
  expect(text).not.toContain('name-11');
  expect(text).toMatch(
    /operations kept +7 of 9, 1 of them by another worker\n +forgotten +2, recorded while/,
  );
});

test('The columns of the table stay apart, however many calls failed and however long they took', () => {
  const found = findings((record) => {
    const sentAtMs = new ManualClock().monotonicMs() + 20_000;
    record.samples.push({ kind: 'acquire', sentAtMs, tookMs: 1_234_567, failure: undefined });
    for (let call = 0; call < 1_000_000; call += 1_000)
      record.samples.push({ kind: 'acquire', sentAtMs, tookMs: 1, failure: 'QUARANTINE' });
  });
  const lines = drillText(reportOf(found)).split('\n');
  const head = lines.find((line) => line.includes('p50 / p99')) ?? '';
  const acquires = lines.find((line) => line.startsWith('  acquire')) ?? '';
  expect(acquires).toMatch(
    / {2}acquire +[\d.]+ \/ [\d.]+ {2,}[\d.]+ \/ 1234567, \d{4} failed {2,}[\d.]+ \/ [\d.]+$/,
  );
  for (const phase of ['before', 'during', 'after']) {
    const column = head.indexOf(phase);
    expect(acquires.slice(column - 2, column + 1)).toMatch(/^ {2}\d$/);
  }
});

test('The picture is well-formed XML, whatever the deployment is called', () => {
  const found = findings();
  const svg = drillPicture(reportOf(found), found.record, found.marks);
  const open: string[] = [];
  let rest = svg;
  for (const [all, closing, name = '', attributes = '', self] of svg.matchAll(
    /<(\/?)([a-z]+)((?: [\w:-]+="[^"<>&]*")*) ?(\/?)>/g,
  )) {
    rest = rest.replace(all, '');
    const names = [...attributes.matchAll(/ ([\w:-]+)=/g)].map(([, attribute]) => attribute);
    expect(new Set(names).size).toBe(names.length);
    if (closing) expect(open.pop()).toBe(name);
    else if (!self) open.push(name);
  }
  expect(open).toEqual([]);
  expect(rest.replaceAll(/&#\d+;/g, '')).not.toMatch(/[<>&]/);
  expect(svg).toContain('none for 30.0 s');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('With a roll call a quarantine that lasts its whole time fails the drill, which tells why', () => {
  const quarantineEnd = { how: 'full', why: 'b on node-2 did not answer', tookMs: 24_000 } as const;
  const full = reportOf({ ...findings(), hasRollCall: true, quarantineEnd });
  expect(full.complaints).toContain(
    'the roll call did not end the quarantine early: b on node-2 did not answer',
  );
  expect(full.allowed.withoutGrantsMs).toBe(20_000);
  expect(drillText(full)).toContain('24.0 s, its whole time: b on node-2 did not answer');
  const early = { how: 'early', why: '', tookMs: 612 } as const;
  const text = drillText(reportOf({ ...findings(), hasRollCall: true, quarantineEnd: early }));
  expect(text).toContain('0.6 s, ended early by the roll call');
  expect(text).not.toContain('did not end the quarantine early');
});
