// The plans of chaos runs: the same seed gives the same run, and a random plan stays within the stated bounds.

import { describe, expect, test } from 'vitest';
import { CATALOGUE, faultNamed } from '../chaos/rig/faults/catalogue.ts';
import { planFor } from '../chaos/rig/plan-for.ts';
import { SETTLE_MS } from '../chaos/rig/planner.ts';

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);
const MINUTES = 10;

function safety(seed: number, minAcks = 1) {
  return planFor({ seed, minutes: MINUTES, mode: 'safety', minAcks });
}

describe('a plan', () => {
  test('a plan is the same for the same seed, and differs for another', () => {
    expect(safety(7)).toEqual(safety(7));
    expect(safety(7)).not.toEqual(safety(8));
  });

  test('a plan heals each fault, and leaves time for recovery', () => {
    for (const { steps } of SEEDS.map((seed) => safety(seed))) {
      expect(steps.length).toBeGreaterThan(30);
      const ends = steps.map(({ atMs, forMs = Number.NaN }) => atMs + forMs);
      expect(Math.max(...ends)).toBeLessThanOrEqual(MINUTES * 60_000 - SETTLE_MS);
    }
  });

  test('a plan has one fault at a time that replaces the primary, while other faults overlap', () => {
    for (const { steps } of SEEDS.map((seed) => safety(seed))) {
      const inLane = steps.filter(({ fault }) => faultNamed(fault).lane === 'failover');
      const overlaps = inLane.filter(({ atMs }, index) => {
        const before = inLane[index - 1];
        return before !== undefined && before.atMs + (before.forMs ?? 0) > atMs;
      });
      expect(overlaps).toEqual([]);
    }
  });

  test('a plan draws every fault within the stated bounds, and none beyond them', () => {
    const drawn = new Set(SEEDS.flatMap((seed) => safety(seed).steps.map(({ fault }) => fault)));
    const within = CATALOGUE.filter(
      ({ beyondBounds, onlyPlanned }) => beyondBounds === undefined && !onlyPlanned,
    );
    expect([...drawn].sort()).toEqual(within.map(({ name }) => name).sort());
  });

  test('in about half of the plans no server dies, so that roll calls end most quarantines', () => {
    const living = SEEDS.filter(
      (seed) => !safety(seed).steps.some(({ fault }) => faultNamed(fault).endsServer),
    );
    expect(living.length).toBeGreaterThan(SEEDS.length / 3);
    expect(living.length).toBeLessThan((SEEDS.length * 2) / 3);
  });

  test('a plan has no fault that may lose grants while the clocks are behind the tokens', () => {
    for (const { steps } of SEEDS.map((seed) => safety(seed))) {
      const back = steps.filter(({ options }) => Number(options?.ms ?? 0) <= -60_000);
      const after = back.flatMap(({ atMs }) =>
        steps.filter((step) => step.atMs > atMs && step.atMs < atMs + 60_000),
      );
      expect(after.filter(({ fault }) => faultNamed(fault).mayLose?.(1))).toEqual([]);
    }
  });

  test('a plan for liveness has one fault that stays', () => {
    const names = SEEDS.map((seed) => {
      const { steps } = planFor({ seed, minutes: 2, mode: 'liveness' });
      expect(steps).toHaveLength(1);
      expect(steps[0]).not.toHaveProperty('forMs');
      return steps[0]?.fault;
    });
    expect(new Set(names).size).toBeGreaterThan(5);
  });

  test('a plan can be made of named faults, and an unknown name is refused', () => {
    const named = planFor({ seed: 3, minutes: 3, mode: 'safety', plan: 'kill-primary+step-one-clock' });
    expect(new Set(named.steps.map(({ fault }) => fault))).toEqual(
      new Set(['kill-primary', 'step-one-clock']),
    );
    expect(() => planFor({ seed: 3, minutes: 3, mode: 'safety', plan: 'kill-everybody' })).toThrow(
      'kill-everybody',
    );
  });

  test('the catalogue names no fault twice', () => {
    expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(CATALOGUE.length);
  });
});
