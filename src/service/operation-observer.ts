// What the operation services tell of their work while they work, for metrics. The instance whose command made an event
// tells it, once; a repeat of a call tells nothing again. Listeners only count: they never wait or throw. (Which
// operations became dead is told by the store: StoreObserver.)

import type { TakenOver } from '../store/operation-store.ts';

/** How an operation ends. */
export type OperationEnd = 'succeeded' | 'failed' | 'cancelled' | 'dead';

export interface OperationObserver {
  /** A BeginOperation was answered: it recorded an operation, found one, or failed. */
  begun(type: string, outcome: 'created' | 'existing' | 'refused'): void;
  /** An attempt took over what waited for one, or what a former worker left. */
  taken(type: string, taken: TakenOver): void;
  /** A worker ended its attempt, in whichever way, or gave it back. (Nobody knows when a silent one ended.) */
  ran(type: string, ranMs: number): void;
  ended(type: string, state: OperationEnd): void;
  /** It is pending again: an attempt was given back, or somebody asked to try it again. */
  retried(type: string): void;
}
