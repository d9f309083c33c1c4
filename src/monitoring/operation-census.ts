// Counts the deployment's operations by type and state, a bounded number of records at each poll: a thousand are
// counted at once, more take several polls, and the last complete count stays until then. Owns where it has got to.

import {
  type Ask,
  type CountedOperations,
  countOperations,
  oldestClaimable,
} from '../store/redis/deployment-counts.ts';
import type { Keys } from '../store/redis/keys.ts';

export interface OperationCount {
  readonly type: string;
  readonly state: string;
  readonly count: number;
}

export interface Census {
  readonly counts: readonly OperationCount[];
  /** In seconds, by type. */
  readonly oldestPending: ReadonlyMap<string, number>;
}

/** Finished operations that need nobody are left out: they are as many as their retention makes them. */
const STATES = ['pending', 'running', 'dead'] as const;
const OTHER = 'other';
/** Types with a name of their own. */
const MOST_TYPES = 50;
/** Of those beyond, how many are looked at for the oldest operation. */
const MOST_TYPES_ASKED = 200;

export interface CensusOptions {
  readonly keys: Keys;
  /** Of one script. */
  readonly recordsPerPage?: number;
  readonly pagesPerPoll?: number;
}

export class OperationCensus {
  readonly #options: Required<CensusOptions>;
  /** Of the pass that is under way. */
  #after: string | undefined;
  #passing = new Map<string, Map<string, number>>();
  /** Of the last complete pass: counts by type, and state. */
  #counted: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined;
  /** The types that have a name of their own, so that a type never changes between its name and `other`. */
  readonly #named = new Set<string>();

  constructor({ keys, recordsPerPage = 200, pagesPerPoll = 5 }: CensusOptions) {
    this.#options = { keys, recordsPerPage, pagesPerPoll };
  }

  /** Looks on. Resolves with undefined while the first pass isn't complete. */
  async read(ask: Ask): Promise<Census | undefined> {
    const { keys, recordsPerPage, pagesPerPoll } = this.#options;
    for (let page = 0; page < pagesPerPoll; page++) {
      const { counts, next } = await countOperations(ask, keys, this.#after, recordsPerPage);
      this.#add(counts);
      this.#after = next;
      if (next !== undefined) continue;
      this.#complete();
      break;
    }
    if (!this.#counted) return undefined;
    const types = [...this.#counted.keys()].slice(0, MOST_TYPES_ASKED);
    const oldest = await oldestClaimable(ask, keys, types);
    const oldestPending = new Map<string, number>();
    types.forEach((type, index) => {
      const label = this.#labelOf(type);
      oldestPending.set(label, Math.max(oldestPending.get(label) ?? 0, oldest[index] ?? 0));
    });
    return { counts: this.#counts(this.#counted), oldestPending };
  }

  #add(counts: readonly CountedOperations[]): void {
    for (const { type, state, count } of counts) {
      const states = this.#passing.get(type) ?? new Map<string, number>();
      this.#passing.set(type, states);
      states.set(state, (states.get(state) ?? 0) + count);
    }
  }

  #complete(): void {
    this.#counted = this.#passing;
    this.#passing = new Map();
    for (const type of this.#named) if (!this.#counted.has(type)) this.#named.delete(type);
    for (const type of this.#counted.keys()) if (this.#named.size < MOST_TYPES) this.#named.add(type);
  }

  #counts(counted: ReadonlyMap<string, ReadonlyMap<string, number>>): readonly OperationCount[] {
    const byLabel = new Map<string, Map<string, number>>();
    for (const [type, states] of counted) {
      const label = this.#labelOf(type);
      const sums = byLabel.get(label) ?? new Map<string, number>();
      byLabel.set(label, sums);
      for (const state of STATES) sums.set(state, (sums.get(state) ?? 0) + (states.get(state) ?? 0));
    }
    return [...byLabel].flatMap(([type, sums]) =>
      [...sums].map(([state, count]): OperationCount => ({ type, state, count })),
    );
  }

  #labelOf(type: string): string {
    return this.#named.has(type) ? type : OTHER;
  }
}
