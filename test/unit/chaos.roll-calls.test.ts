// The checks of roll calls: when a quarantine may end early, who may still answer then, and what must be known.
import { describe, expect, test } from 'vitest';
import { checkKeptLeases } from '../chaos/checker/kept-leases.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import { checkRollCalls } from '../chaos/checker/roll-calls.ts';
import type { Event, SeenRegistry } from '../chaos/history.ts';
import { beliefEnded, believed, looked, reign, runBegan, seenRegistry } from '../support/chaos-events.ts';

const on = runBegan({ rollCall: true });
const FULL = { fullUntil: 20_000 };

describe('an early end', () => {
  const judged = (change: Partial<SeenRegistry> = {}, terms = on) =>
    checkRollCalls(
      new Run([
        terms,
        seenRegistry(9, { quarantineUntil: 20_000 }),
        seenRegistry(10, { ...FULL, ...change }),
      ]),
    );
  const texts = (change: Partial<SeenRegistry>, terms = on): string =>
    judged(change, terms)
      .violations.map(({ text }) => text)
      .join();

  test('an early end is allowed when all instances have answered and one answer was fresh', () => {
    const { violations, counts } = judged();
    expect(violations).toEqual([]);
    expect(counts['early ends']).toBe(1);
  });

  test('an early end is a violation while an instance has not answered', () => {
    expect(texts({ entries: { x: '1', y: '0' } })).toContain('though y had not answered');
    expect(texts({ entries: {} })).toContain('though nobody was registered');
  });

  test('an early end is a violation without a fresh answer', () => {
    expect(texts({ isFresh: false })).toContain('though no answer was fresh');
  });

  test('an early end is a violation before the end of the quarantine that the adoption found', () => {
    expect(texts({ floor: 15_000 })).toContain('the quarantine of the reign before');
    expect(texts({ floor: 15_000, quarantineUntil: 15_000 })).toBe('');
  });

  test('an early end is a violation where roll calls are off', () => {
    expect(texts({}, runBegan())).toContain('no roll calls');
  });

  test('a full quarantine, and what a replica shows, is no early end', () => {
    expect(judged({ quarantineUntil: 20_000, entries: {} }).counts['early ends']).toBe(0);
    expect(judged({ role: 'slave', entries: {} }).counts['early ends']).toBe(0);
  });
});

describe('an older reign', () => {
  const early = seenRegistry(10, { ...FULL, reign: '2:b' });
  const judged = (...events: Event[]) => checkRollCalls(new Run([on, early, ...events])).violations;

  test('nobody serves under an older reign after an early end', () => {
    expect(judged(reign(12, '1:a'))).toMatchObject([
      { atMs: 12_000, text: expect.stringContaining('server-1') },
    ]);
  });

  test('an account of a moment before is no violation, and neither is one who may tell nothing', () => {
    expect(judged(reign(10.5, '1:a'))).toEqual([]);
    expect(judged(reign(12, '1:a', { serving: false }))).toEqual([]);
    expect(judged(reign(12, '1:a', { newcomerMs: 500 }))).toEqual([]);
    expect(judged(reign(12, '2:b'), reign(13, '3:a'))).toEqual([]);
  });
});

describe('a lease that is believed in', () => {
  const early = (change: Partial<SeenRegistry> = {}) => seenRegistry(10, { ...FULL, ...change });
  const under = [reign(9, '1:a'), reign(30, '1:a')];
  const judged = (...events: Event[]) => checkKeptLeases(new Run([on, ...under, ...events]));

  test('a lease that is believed in must be known after an early end', () => {
    expect(judged(believed(1, 20, 7), early(), ...looked(11, 7)).violations).toEqual([]);
    const { violations } = judged(believed(1, 20, 7), early(), ...looked(11));
    expect(violations.map(({ text }) => text)).toEqual([expect.stringContaining("doesn't know token 7")]);
  });

  test('a lease that ended before the look, or began after the early end, may be unknown', () => {
    expect(judged(believed(1, 10.5, 7), early(), ...looked(11)).violations).toEqual([]);
    expect(judged(believed(1, 20, 7), beliefEnded(10.5, 7), early(), ...looked(11)).violations).toEqual([]);
    expect(judged(believed(10.2, 20, 7), early(), ...looked(11)).violations).toEqual([]);
  });

  test('a lease is not looked for in the answers of a server under another reign', () => {
    const { violations } = judged(believed(1, 20, 7), reign(10.5, '0:z'), early(), ...looked(11));
    expect(violations).toEqual([]);
  });

  test('a lease may be unknown when the next reign has begun', () => {
    const next = seenRegistry(10.9, { reign: '2:b', quarantineUntil: 30_000, fullUntil: 30_000 });
    expect(judged(believed(1, 20, 7), early(), next, ...looked(11)).violations).toEqual([]);
  });

  test('a lease must not be lost before its deadline after an early end', () => {
    const lost = (why: string, until = 20) =>
      judged(believed(1, until, 7), early(), beliefEnded(13, 7, why)).violations.map(({ text }) => text);
    expect(lost('lost:LEASE_LOST')).toEqual([expect.stringContaining('client-7 lost token 7')]);
    expect(lost('lost:UNKNOWN_LEASE')).toHaveLength(1);
    expect(lost('lost:FORCE_RELEASED')).toEqual([]);
    expect(lost('released')).toEqual([]);
    expect(lost('lost:LEASE_LOST', 13.2)).toEqual([]);
  });

  test('an attempt may run out on its stream before the deadline that an update told, and is counted', () => {
    const attempt = { ...believed(1, 20, 7), of: 'attempt' as const };
    const lost = (why: string) =>
      judged(believed(1, 20, 7), attempt, early(), ...looked(11, 7), beliefEnded(13, 7, why));
    expect(lost('lost:EXPIRED').violations).toEqual([]);
    expect(lost('lost:EXPIRED').counts).toMatchObject({ 'attempts that ran out on their stream': 1 });
    expect(lost('lost:LEASE_LOST').violations).toHaveLength(1);
    const { violations } = judged(believed(1, 20, 7), early(), beliefEnded(13, 7, 'lost:EXPIRED'));
    expect(violations).toHaveLength(1);
  });

  test('a lease that the lapsed rule bars may be lost, and is counted', () => {
    const barred = early({ lapsedBefore: 23_000 });
    const { violations, counts } = judged(believed(1, 20, 7), barred, beliefEnded(13, 7, 'lost:LEASE_LOST'));
    expect(violations).toEqual([]);
    expect(counts).toMatchObject({ 'losses by the lapsed rule': 1, 'holders who lost a lease': 1 });
  });
});
