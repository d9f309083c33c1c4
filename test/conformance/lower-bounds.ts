// What the contract allows to be too low: when what blocks a waiter may lapse, and when something may become claimable.
// The memory store says the exact moment, Redis a lower bound that it need not keep up to date.

import { expect } from 'vitest';

const BOUNDS = ['blockedForMs', 'askAgainInMs'];

/** Fails if a bound of Redis's is later than the moment that the memory store names: somebody would sleep too long. */
export function expectNoLater(real: unknown, model: unknown, where: string): void {
  const [bounds, moments] = [boundsIn(real), boundsIn(model)];
  expect(bounds.length, `bounds in ${where}`).toBe(moments.length);
  for (const [index, bound] of bounds.entries()) {
    expect(bound, `a bound in ${where}`).toBeLessThanOrEqual(moments[index] ?? 0);
  }
}

export function isBound(key: string): boolean {
  return BOUNDS.includes(key);
}

function boundsIn(outcome: unknown): number[] {
  if (typeof outcome !== 'object' || outcome === null) return [];
  // It says when to ask again only where it claimed nothing.
  if ('claimed' in outcome && Array.isArray(outcome.claimed) && outcome.claimed.length > 0) return [];
  return Object.entries(outcome).flatMap(([key, value]) =>
    isBound(key) && typeof value === 'number' ? [value] : boundsIn(value),
  );
}
