// What an instance remembers of the leases that it told, on a clock of the test.
import { describe, expect, test } from 'vitest';
import type { Cut } from '../../src/store/redis/told-cut.ts';
import type { Told } from '../../src/store/redis/told-lease.ts';
import { ToldMemory } from '../../src/store/redis/told-memory.ts';

const NONE: Cut = { fromReign: '', fromClockUs: 0, ownReign: '' };
const REIGN = '7:abc:4:on';

function memory({ maxLeases = 100 }: { readonly maxLeases?: number } = {}) {
  const clock = { nowMs: 1_000 };
  const told = new ToldMemory({ maxLeases, monotonicMs: () => clock.nowMs });
  told.enters(REIGN);
  const unknown = (cut: Partial<Cut> = {}) => [...told.unknownTo({ ...NONE, ...cut })];
  return { clock, told, unknown };
}

function text(token: number, { ceilingUs = 0, stamp = 'i1/4' } = {}): string {
  return `${token} 99000000 20000000 ${ceilingUs} = ${stamp} exclusive held 3`;
}

function lease(given: Partial<Told> = {}): Told {
  return {
    resource: 'invoice:42',
    leaseId: 'l1',
    text: text(500),
    about: '["billing",[]]',
    askedAtMs: 1_000,
    deadlineMs: 21_000,
    holdMs: 0,
    reign: REIGN,
    clockUs: 40_000_000,
    ...given,
  };
}

describe('told memory', () => {
  test('what was told is unknown to data of another origin until its deadline', () => {
    const { clock, told, unknown } = memory();
    told.note(lease());
    expect(unknown()).toMatchObject([{ key: 'l1 invoice:42', token: 500, deadlineMs: 21_000 }]);
    clock.nowMs = 21_000;
    expect(unknown()).toEqual([]);
  });

  test('data know what was told under the reign that they come from, by a script below the cut', () => {
    const { told, unknown } = memory();
    told.note(lease());
    expect(unknown({ fromReign: REIGN, fromClockUs: 40_000_001 })).toEqual([]);
    expect(unknown({ fromReign: REIGN, fromClockUs: 40_000_000 })).toHaveLength(1);
    expect(unknown({ fromReign: '6:abc:4:on', fromClockUs: 99_000_000 })).toHaveLength(1);
    expect(unknown({ ownReign: REIGN })).toEqual([]);
  });

  test('the later deadline of two answers counts, whichever comes first', () => {
    const { told, unknown } = memory();
    told.note(lease({ deadlineMs: 30_000, clockUs: 50_000_000, text: text(500, { stamp: 'i1/6' }) }));
    told.note(lease({ deadlineMs: 21_000, clockUs: 40_000_000 }));
    expect(unknown()).toMatchObject([
      { deadlineMs: 30_000, clockUs: 50_000_000, text: text(500, { stamp: 'i1/6' }) },
    ]);
  });

  test('a min_hold that an older answer carries is kept', () => {
    const { told, unknown } = memory();
    told.note(lease({ clockUs: 50_000_000 })); // the repeat
    told.note(lease({ clockUs: 40_000_000, holdMs: 9_000 })); // the confirmation
    expect(unknown()).toMatchObject([{ holdMs: 9_000, clockUs: 50_000_000 }]);
  });

  test('the larger token of an id counts, and the min_hold of the smaller one goes on', () => {
    const { told, unknown } = memory();
    told.note(lease({ holdMs: 9_000 }));
    told.note(lease({ text: text(600) }));
    told.note(lease({ deadlineMs: 90_000 })); // an answer of the former one that comes late
    expect(unknown()).toMatchObject([{ token: 600, deadlineMs: 21_000, holdMs: 9_000 }]);
    expect(told.find('invoice:42', 'l1', 500)).toBeUndefined();
  });

  test('the end of a max_hold is counted from when Redis was asked', () => {
    const { told, unknown } = memory();
    told.note(lease({ text: text(500, { ceilingUs: 52_000_000 }) }));
    told.note(lease({ leaseId: 'l2' }));
    expect(unknown()).toMatchObject([
      { ceilingMs: 1_000 + 12_000 - 2_000 },
      { ceilingMs: Number.POSITIVE_INFINITY },
    ]);
  });

  test('a renewal moves the deadline and the lease clock, and never back', () => {
    const { told, unknown } = memory();
    told.note(lease());
    const known = told.find('invoice:42', 'l1', 500);
    if (!known) throw new Error('not known');
    told.renewed(known, 31_000, REIGN, 50_000_000);
    told.renewed(known, 26_000, REIGN, 45_000_000);
    expect(unknown()).toMatchObject([{ deadlineMs: 31_000, clockUs: 50_000_000 }]);
    told.renewed(known, 32_000, '8:abc:4:on', 10); // another reign has another clock
    expect(unknown()).toMatchObject([{ deadlineMs: 32_000, reign: '8:abc:4:on', clockUs: 10 }]);
  });

  test('a renewal whose answer comes behind that of the release brings nothing back', () => {
    const { told, unknown } = memory();
    told.note(lease());
    const known = told.find('invoice:42', 'l1', 500);
    if (!known) throw new Error('not known');
    told.ended('invoice:42', 'l1', 700);
    told.renewed(known, 31_000, REIGN, 50_000_000);
    expect(unknown()).toEqual([]);
    expect(told.size).toBe(0);
  });

  test('a renewal that was under way while its lease was swept is noted', () => {
    const { clock, told, unknown } = memory();
    told.note(lease());
    const known = told.find('invoice:42', 'l1', 500);
    if (!known) throw new Error('not known');
    clock.nowMs = 21_500;
    told.sweep();
    expect(told.size).toBe(0);
    told.renewed(known, 41_000, REIGN, 50_000_000);
    expect(unknown()).toMatchObject([{ deadlineMs: 41_000 }]);
  });

  test('a release ends no lease that was granted after it', () => {
    const { told, unknown } = memory();
    told.note(lease({ text: text(600) }));
    told.ended('invoice:42', 'l1', 599);
    expect(unknown()).toHaveLength(1);
    told.ended('invoice:42', 'l1', 600);
    expect(unknown()).toEqual([]);
  });

  test('a min_hold goes on without its lease', () => {
    const { clock, told, unknown } = memory();
    told.note(lease({ holdMs: 9_000 }));
    told.ended('invoice:42', 'l1', 700);
    expect(unknown()).toMatchObject([{ deadlineMs: Number.NEGATIVE_INFINITY, holdMs: 9_000 }]);
    expect(told.find('invoice:42', 'l1', 500)).toBeUndefined();
    clock.nowMs = 9_000;
    told.sweep();
    expect(told.size).toBe(0);
  });

  test('a lease that ended, and that is told of under the next reign, is noted again', () => {
    const next = { reign: '8:def:4:on', clockUs: 12_000_000 };
    const { told, unknown } = memory();
    told.note(lease({ holdMs: 9_000 }));
    const known = told.find('invoice:42', 'l1', 500);
    if (!known) throw new Error('not known');
    told.ended('invoice:42', 'l1', 700);
    told.note(lease({ deadlineMs: 30_000 })); // an answer that comes late
    expect(unknown()).toMatchObject([{ deadlineMs: Number.NEGATIVE_INFINITY }]);
    told.enters(next.reign);
    told.note(lease({ ...next, deadlineMs: 31_000 }));
    expect(unknown()).toMatchObject([{ token: 500, deadlineMs: 31_000, holdMs: 9_000 }]);
    told.renewed(known, 32_000, next.reign, next.clockUs);
    expect(unknown()).toMatchObject([{ deadlineMs: 32_000 }]);
  });

  test('a lease of an id whose newer one ended is noted where the next primary has the older one', () => {
    const next = { reign: '8:def:4:on', clockUs: 12_000_000 };
    const { told, unknown } = memory();
    told.note(lease({ holdMs: 9_000, text: text(600) }));
    told.ended('invoice:42', 'l1', 700);
    told.note(lease());
    expect(unknown()).toMatchObject([{ token: 600 }]);
    told.enters(next.reign);
    told.note(lease(next));
    expect(unknown()).toMatchObject([{ token: 500, deadlineMs: 21_000, holdMs: 9_000 }]);
  });

  test('a message ends or revokes the lease whose call it names, and no later one of its id', () => {
    const { told, unknown } = memory();
    told.note(lease({ text: text(500, { stamp: 'i1/6' }) }));
    told.released('invoice:42', 'l1', 'i1/4');
    told.revoked('invoice:42', 'l1', 'i1/4');
    expect(unknown()).toMatchObject([{ text: text(500, { stamp: 'i1/6' }) }]);
    told.revoked('invoice:42', 'l1', 'i1/6');
    expect(unknown()[0]?.text).toBe('500 99000000 20000000 0 = i1/6 exclusive revoked 3');
    told.released('invoice:42', 'l1', 'i1/6');
    expect(unknown()).toEqual([]);
  });

  test('what was put back is known from then on, unless more was told meanwhile', () => {
    const { told, unknown } = memory();
    told.note(lease());
    told.note(lease({ leaseId: 'l2' }));
    const [first, second] = unknown();
    if (!first || !second) throw new Error('not known');
    told.renewed(second, 31_000, '8:def:4:on', 12_000_000);
    told.putBack(first, 40_000_000, { reign: '8:def:4:on', clockUs: 11_000_000 });
    told.putBack(second, 40_000_000, { reign: '8:def:4:on', clockUs: 11_000_000 });
    expect(unknown({ fromReign: '8:def:4:on', fromClockUs: 11_500_000 })).toMatchObject([
      { key: 'l2 invoice:42' },
    ]);
  });

  test('a renewal after it was put back is what was told last, also where the lease clock stood still', () => {
    const { told, unknown } = memory();
    told.note(lease());
    const [known] = unknown();
    if (!known) throw new Error('not known');
    told.putBack(known, 40_000_000, { reign: '8:def:4:on', clockUs: 11_000_000 });
    expect(unknown()).toMatchObject([{ toldReign: REIGN, toldClockUs: 40_000_000 }]);
    told.renewed(known, 31_000, '8:def:4:on', 11_000_000);
    expect(unknown()).toMatchObject([{ toldReign: '8:def:4:on', toldClockUs: 11_000_000 }]);
  });

  test('what finds no room makes the memory incomplete until that is over', () => {
    const { clock, told } = memory({ maxLeases: 1 });
    told.note(lease({ deadlineMs: 50_000 }));
    expect(told.isCompleteFor(NONE)).toBe(true);
    told.note(lease({ leaseId: 'l2', deadlineMs: 21_000, holdMs: 25_000 }));
    expect(told.isCompleteFor(NONE)).toBe(false);
    expect(told.isCompleteFor({ ...NONE, fromReign: REIGN, fromClockUs: 40_000_001 })).toBe(true);
    told.note(lease({ leaseId: 'l3', deadlineMs: 22_000, reign: '8:def:4:on', clockUs: 1 }));
    expect(told.isCompleteFor({ ...NONE, fromReign: REIGN, fromClockUs: 40_000_001 })).toBe(false);
    clock.nowMs = 25_000;
    expect(told.isCompleteFor(NONE)).toBe(true);
  });

  test('what is over makes room for what is told', () => {
    const { clock, told, unknown } = memory({ maxLeases: 1 });
    told.note(lease());
    clock.nowMs = 22_000;
    told.note(lease({ leaseId: 'l2', deadlineMs: 42_000 }));
    expect(unknown()).toMatchObject([{ key: 'l2 invoice:42' }]);
    expect(told.isCompleteFor(NONE)).toBe(true);
  });

  test('sweeps forget all that is over, a part at a time', () => {
    const { clock, told } = memory({ maxLeases: 50_000 });
    for (let i = 0; i < 30_000; i++) told.note(lease({ leaseId: `l${i}` }));
    told.note(lease({ leaseId: 'long', deadlineMs: 90_000 }));
    clock.nowMs = 22_000;
    told.sweep();
    expect(told.size).toBeGreaterThan(20_000);
    for (let sweeps = 0; sweeps < 40; sweeps++) told.sweep();
    expect(told.size).toBe(1);
  });
});
