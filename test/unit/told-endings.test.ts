// Which releases an instance remembers, on a clock of the test.
import { describe, expect, test } from 'vitest';
import type { Cut } from '../../src/store/redis/told-cut.ts';
import { type ToldEnding, ToldEndings } from '../../src/store/redis/told-endings.ts';

const NONE: Cut = { fromReign: '', fromClockUs: 0, ownReign: '' };
const REIGN = '7:abc:4:on';

function endings({ most = 100 }: { readonly most?: number } = {}) {
  const clock = { nowMs: 1_000 };
  const told = new ToldEndings({ most, keptMs: 34_000, monotonicMs: () => clock.nowMs });
  const unknown = (cut: Partial<Cut> = {}) => [...told.unknownTo({ ...NONE, ...cut })];
  return { clock, told, unknown };
}

function ending(given: Partial<ToldEnding> = {}): ToldEnding {
  return { resource: 'invoice:42', leaseId: 'l1', token: 500, reign: REIGN, clockUs: 40_000_000, ...given };
}

describe('told endings', () => {
  test('data know a release that was told under the reign that they come from, by a script below the cut', () => {
    const { told, unknown } = endings();
    told.note(ending());
    expect(unknown({ fromReign: REIGN, fromClockUs: 40_000_001 })).toEqual([]);
    expect(unknown({ fromReign: REIGN, fromClockUs: 40_000_000 })).toMatchObject([ending()]);
    expect(unknown({ fromReign: '6:abc:4:on', fromClockUs: 99_000_000 })).toHaveLength(1);
    expect(unknown({ ownReign: REIGN })).toEqual([]);
  });

  test('what was repeated is known to data of the reign in which it was, from that script on', () => {
    const { told, unknown } = endings();
    told.note(ending());
    const next = '8:def:4:on';
    for (const one of unknown()) told.repeated(one, next, 50_000_000);
    expect(unknown({ fromReign: next, fromClockUs: 50_000_001 })).toEqual([]);
    expect(unknown({ fromReign: REIGN, fromClockUs: 99_000_000 })).toHaveLength(1);
  });

  test('a release is forgotten when its lease would have lapsed', () => {
    const { clock, told, unknown } = endings();
    told.note(ending());
    clock.nowMs += 20_000;
    told.note(ending({ token: 600 }));
    clock.nowMs += 13_999;
    expect(unknown()).toHaveLength(2);
    clock.nowMs += 1;
    expect(unknown()).toMatchObject([{ token: 600 }]);
    expect(told.size).toBe(1);
  });

  test('of more releases than are remembered, the oldest go', () => {
    const { told, unknown } = endings({ most: 3_000 });
    for (let token = 1; token <= 10_000; token++) told.note(ending({ token }));
    expect(told.size).toBe(3_000);
    expect(unknown().map(({ token }) => token)).toEqual(Array.from({ length: 3_000 }, (_, at) => 7_001 + at));
  });
});
