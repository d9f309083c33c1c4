// One command of a store in memory: refused when nobody waits for it any more, decided at once, and counted.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import type { StoreBound } from '../lock-store.ts';
import type { StoreObserver } from '../store.ts';
import type { LockTable } from './lock-table.ts';

export interface CommandOptions {
  readonly clock: Clock;
  readonly observer: StoreObserver;
}

/** Advances the lease clock before `decide`. Throws DEADLINE_EXCEEDED. */
export async function runCommand<T>(
  { clock, observer }: CommandOptions,
  table: LockTable,
  name: string,
  bound: StoreBound,
  decide: () => T,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  if (startedMs >= bound.deadlineMs) {
    throw new CoordinationError('DEADLINE_EXCEEDED', 'no time left to decide');
  }
  table.advance();
  const outcome = decide();
  const word =
    typeof outcome === 'object' && outcome !== null && 'kind' in outcome ? String(outcome.kind) : 'ok';
  observer.commandEnded(name, word, clock.monotonicMs() - startedMs);
  return outcome;
}
