// The search for an order that explains the answers, with the smallest model there is: a register.
import { describe, expect, test } from 'vitest';
import { checkLinearizable, type TimedOp } from '../chaos/checker/linearizability.ts';
import { REGISTER, type RegisterOp } from '../support/chaos-register.ts';

const UNKNOWN = Number.POSITIVE_INFINITY;
const write = (fromMs: number, toMs: number, value: number): TimedOp<RegisterOp> => ({
  ...{ fromMs, toMs },
  op: { kind: 'write', value, isKnown: toMs !== UNKNOWN },
});
const read = (fromMs: number, toMs: number, value: number): TimedOp<RegisterOp> => ({
  ...{ fromMs, toMs },
  op: { kind: 'read', value, isKnown: true },
});
const judge = (...history: TimedOp<RegisterOp>[]) => checkLinearizable(REGISTER, history);

test('an empty history is linearizable', () => {
  expect(judge()).toBe('linearizable');
});

describe('calls one after the other', () => {
  test('a read after the last write shows its value', () => {
    expect(judge(write(0, 1, 1), read(2, 3, 1), write(4, 5, 2), read(6, 7, 2))).toBe('linearizable');
  });

  test('a read never shows an older write, nor one that comes later', () => {
    expect(judge(write(0, 1, 1), write(2, 3, 2), read(4, 5, 1))).toBe('violated');
    expect(judge(read(0, 1, 1), write(2, 3, 1))).toBe('violated');
  });
});

describe('calls that overlap', () => {
  test('calls that overlap may take effect in any order', () => {
    expect(judge(write(0, 9, 1), read(1, 2, 0), read(3, 4, 1))).toBe('linearizable');
    expect(judge(write(0, 9, 1), write(1, 8, 2), read(10, 11, 1))).toBe('linearizable');
  });

  test('calls that overlap take effect in one order, the same for all reads', () => {
    expect(judge(write(0, 9, 1), read(1, 2, 1), read(3, 4, 0))).toBe('violated');
    const both = [write(0, 9, 1), write(0, 9, 2)];
    expect(judge(...both, read(10, 11, 1), read(12, 13, 2))).toBe('violated');
  });

  test('a call that began at the moment when another ended overlaps it', () => {
    expect(judge(write(0, 1, 1), read(1, 2, 0))).toBe('linearizable');
  });
});

describe('an unknown outcome', () => {
  test('a call with an unknown outcome may take effect long after, or never', () => {
    expect(judge(write(0, UNKNOWN, 1), read(1, 2, 0), read(50, 51, 1))).toBe('linearizable');
    expect(judge(write(0, UNKNOWN, 1), read(50, 51, 0))).toBe('linearizable');
  });

  test('a call with an unknown outcome takes effect only once, and not before it began', () => {
    const between = [write(3, 4, 2), read(5, 6, 1)];
    expect(judge(write(0, UNKNOWN, 1), read(1, 2, 1), ...between)).toBe('violated');
    expect(judge(read(0, 1, 1), write(2, UNKNOWN, 1))).toBe('violated');
  });
});

test('a search that passes its bound is undecided, not passed', () => {
  const writes = Array.from({ length: 12 }, (_, value) => write(0, 9, value));
  const history = [...writes, read(10, 11, 99)];
  expect(checkLinearizable(REGISTER, history, { mostVisits: 100 })).toBe('undecided');
  expect(checkLinearizable(REGISTER, history, { mostVisits: 1e9, mostSeen: 100 })).toBe('undecided');
});
