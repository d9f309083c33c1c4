// What the contract allows to be too early: when what blocks a waiter may lapse, when something may become claimable,
// and since when it was. The memory store says the exact moment, Redis a lower bound that it need not keep up to date.

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

/** Fails if Redis says that something could be had for less time than the memory store says. */
export function expectNoShorter(real: unknown, model: unknown, where: string): void {
  const [spans, exact] = [spansIn(real), spansIn(model)];
  expect(spans.length, `spans in ${where}`).toBe(exact.length);
  for (const [index, span] of spans.entries()) {
    expect(span, `a span in ${where}`).toBeGreaterThanOrEqual(exact[index] ?? 0);
  }
}

export function isBound(key: string): boolean {
  return BOUNDS.includes(key);
}

/** Whether it says for how long something could be had. */
export function isSpan(key: string): boolean {
  return key === 'waitedMs';
}

function spansIn(outcome: unknown): number[] {
  if (typeof outcome !== 'object' || outcome === null) return [];
  return Object.entries(outcome).flatMap(([key, value]) =>
    isSpan(key) && typeof value === 'number' ? [value] : spansIn(value),
  );
}

function boundsIn(outcome: unknown): number[] {
  if (typeof outcome !== 'object' || outcome === null) return [];
  // It says when to ask again only where it claimed nothing.
  if ('claimed' in outcome && Array.isArray(outcome.claimed) && outcome.claimed.length > 0) return [];
  return Object.entries(outcome).flatMap(([key, value]) =>
    isBound(key) && typeof value === 'number' ? [value] : boundsIn(value),
  );
}
