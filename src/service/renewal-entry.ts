// One thing that a renewal wheel keeps, and the moment at which it comes up next. What becomes of it is decided in
// renewal-wheel.ts.

import type { Keeper, Kept } from './renewals.ts';

export interface Entry<K, Granted, Loss> {
  readonly key: string;
  readonly kept: K;
  readonly keeper: Keeper<Granted, Loss>;
  deadlineMs: number;
  /** When it is renewed next, or should have been: a failure doesn't move it. */
  dueMs: number;
  takesOver: boolean;
  isFinal: boolean;
  isInFlight: boolean;
  /** Its renew_for is over: from now on the store is asked how it stands, and renews nothing. */
  onlyLooks: boolean;
  /** Renew it once more as soon as the renewal in flight is answered. */
  lookAgain: boolean;
  failures: number;
  toldAtRiskMs: number | undefined;
  /** The slot in which it waits; undefined while its renewal is in flight. */
  slot: Slot<K, Granted, Loss> | undefined;
  /** False from its end on. */
  isKept: boolean;
}

/** What is due at the same moment. */
export interface Slot<K, Granted, Loss> {
  readonly number: number;
  readonly entries: Set<Entry<K, Granted, Loss>>;
}

export function newEntry<K extends Kept, Granted, Loss>(
  key: string,
  kept: K,
  keeper: Keeper<Granted, Loss>,
): Entry<K, Granted, Loss> {
  return {
    key,
    kept,
    keeper,
    deadlineMs: kept.deadlineMs,
    dueMs: 0,
    takesOver: kept.takesOver,
    isFinal: false,
    isInFlight: false,
    onlyLooks: false,
    lookAgain: false,
    failures: 0,
    toldAtRiskMs: undefined,
    slot: undefined,
    isKept: true,
  };
}
