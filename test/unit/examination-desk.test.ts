// How those who ask for an examination share one.
import { expect, test } from 'vitest';
import type { Examination } from '../../src/doctor/examination.ts';
import { ExaminationDesk } from '../../src/doctor/examination-desk.ts';
import { examinationFromJson, examinationToJson } from '../../src/doctor/examination-json.ts';
import { ManualClock } from '../support/manual-clock.ts';

function examination(tookMs: number): Examination {
  const told = { check: 'memory', subject: 'a:1', seen: 'full', why: 'it is bad', fix: 'make room' };
  return {
    examinedAtMs: Date.parse('2026-11-30T12:00:00.123Z'),
    tookMs,
    deployment: 'a:1: 1 Redis node',
    findings: [
      { ...told, severity: 'error' },
      { check: 'hosts', severity: 'ok', subject: 'deployment', seen: 'fine', why: undefined, fix: undefined },
    ],
  };
}

/** Examinations that end when the test says so, in order. */
function desk(): { desk: ExaminationDesk; clock: ManualClock; begun: PromiseWithResolvers<Examination>[] } {
  const clock = new ManualClock();
  const begun: PromiseWithResolvers<Examination>[] = [];
  const examine = (): Promise<Examination> => {
    const next = Promise.withResolvers<Examination>();
    begun.push(next);
    return next.promise;
  };
  return { desk: new ExaminationDesk(examine, clock), clock, begun };
}

test('all who ask while an examination runs, and for 5 s after it, get that one', async () => {
  const { desk: shared, clock, begun } = desk();
  const asked = [shared.latest(), shared.latest()];
  begun[0]?.resolve(examination(1));
  await Promise.all(asked);
  clock.advance(4_999);
  expect(await shared.latest()).toEqual(examination(1));
  expect(begun).toHaveLength(1);
  clock.advance(1);
  const next = shared.latest();
  begun[1]?.resolve(examination(2));
  expect((await next).tookMs).toBe(2);
});

test('an examination that failed is not kept', async () => {
  const { desk: shared, begun } = desk();
  const failed = shared.latest();
  begun[0]?.reject(new Error('no files'));
  await expect(failed).rejects.toThrow('no files');
  const next = shared.latest();
  begun[1]?.resolve(examination(2));
  expect((await next).tookMs).toBe(2);
});

test('an examination is the same after its way through JSON', () => {
  const text = examinationToJson(examination(7));
  expect(JSON.parse(text)).toMatchObject({
    examined_at: '2026-11-30T12:00:00.123Z',
    took_ms: 7,
    worst: 'error',
  });
  expect(examinationFromJson(text)).toEqual(examination(7));
});

test.each([
  'ok\n',
  '[]',
  'null',
  '{"error":"x"}',
  JSON.stringify({ ...JSON.parse(examinationToJson(examination(1))), examined_at: 'today' }),
  JSON.stringify({
    ...JSON.parse(examinationToJson(examination(1))),
    findings: [{ check: 'a', severity: 'odd' }],
  }),
  JSON.stringify({ ...JSON.parse(examinationToJson(examination(1))), findings: 3 }),
])('what is no examination is not read as one: %s', (text) => {
  expect(examinationFromJson(text)).toBeUndefined();
});
