// When an instance tells the others of contention, and when it says nothing.
import { expect, test } from 'vitest';
import { decodeReport } from '../../src/service/contention/contention-report.ts';
import { ContentionWindow } from '../../src/service/contention/contention-window.ts';
import { ReportWriter } from '../../src/service/contention/report-writer.ts';
import { ManualClock } from '../support/manual-clock.ts';

function rig() {
  const clock = new ManualClock();
  const window = new ContentionWindow(clock);
  const written: string[] = [];
  const state = { isAway: false };
  const board = {
    write: async (text: string) => {
      if (state.isAway) throw new Error('away');
      written.push(text);
    },
    read: async () => ({ nowWallMs: 0, texts: [] }),
  };
  const boundOf = () => ({ deadlineMs: clock.monotonicMs() + 1_000 });
  const writer = new ReportWriter({ window, board, instanceId: 'i', clock, random: () => 0, boundOf });
  const begin = (owner = 'me') => {
    const end = window.begin('r', owner, `lease of ${owner}`);
    writer.wake();
    return end;
  };
  return { clock, written, state, writer, begin };
}

test('An instance on which nobody waits writes nothing', async () => {
  const { clock, written, writer } = rig();
  await clock.pass(600_000);
  await writer.close();
  expect(written).toEqual([]);
  expect(clock.timers).toBe(0);
});

test('A wait is reported every 5 s, then what is left of it every 30 s, and taken away when it is forgotten', async () => {
  const { clock, written, begin } = rig();
  const end = begin();
  await clock.pass(20_000);
  expect(written).toHaveLength(4);
  expect(decodeReport(written[3] ?? '')?.waits).toEqual([
    { resource: 'r', owner: 'me', leaseIdHash: expect.stringMatching(/^[0-9a-f]{12}$/), waitedMs: 20_000 },
  ]);
  end();
  await clock.pass(35_000); // one that is due in 5 s, and one 30 s later
  expect(written).toHaveLength(6);
  expect(decodeReport(written[5] ?? '')).toMatchObject({
    waits: [],
    contended: [{ waitMs: 20_000, waits: 1 }],
  });
  await clock.pass(10 * 60_000);
  expect(written.at(-1)).toBe('');
  expect(clock.timers).toBe(0);
});

test('A wait that begins between two late reports is reported within 5 s', async () => {
  const { clock, written, begin } = rig();
  begin()();
  await clock.pass(12_000);
  const before = written.length;
  begin('later');
  await clock.pass(5_000);
  expect(written).toHaveLength(before + 1);
  expect(decodeReport(written.at(-1) ?? '')?.waits).toMatchObject([{ owner: 'later' }]);
});

test('Waits without an owner are counted, and not named', async () => {
  const { clock, written, begin } = rig();
  begin('');
  await clock.pass(5_000);
  expect(decodeReport(written[0] ?? '')).toMatchObject({ waits: [], contended: [{ waits: 1 }] });
});

test('While the store is away nothing piles up, and the report comes when it is back', async () => {
  const { clock, written, state, begin } = rig();
  state.isAway = true;
  begin();
  await clock.pass(60_000);
  expect(clock.timers).toBe(1);
  state.isAway = false;
  await clock.pass(5_000);
  expect(written).toHaveLength(1);
});

test('An instance takes its report away when it stops, once, and reports no more', async () => {
  const { clock, written, writer, begin } = rig();
  begin();
  await clock.pass(5_000);
  await writer.close();
  begin();
  await clock.pass(60_000);
  expect(written).toHaveLength(2);
  expect(written[1]).toBe('');
});
