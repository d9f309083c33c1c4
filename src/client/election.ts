// One of many candidates leads: the one that holds the lease on the election's name. Its fencing token is the number of
// the term.

import { acquire } from './acquiring.ts';
import type { Caller } from './client-calls.ts';
import type { Lease } from './lease.ts';
import type { AcquireOptions, LeaseOptions } from './lease-options.ts';
import type { LockHolder } from './lock-view.ts';
import type { Locks } from './locks.ts';
import type { WatchOptions } from './watch-loop.ts';

/** The lease by which this candidate holds the office. */
export type ElectionOptions = Omit<LeaseOptions, 'mode'>;

export type Leader = Pick<LockHolder, 'owner' | 'fencingToken' | 'metadata' | 'acquiredAt'>;

export class Election {
  readonly name: string;
  readonly #caller: Caller;
  readonly #locks: Locks;
  readonly #options: ElectionOptions;

  constructor(name: string, options: ElectionOptions, caller: Caller, locks: Locks) {
    this.name = name;
    this.#options = options;
    this.#caller = caller;
    this.#locks = locks;
  }

  /**
   * Resolves to the term of this candidate when it is elected: lead until `term.signal` aborts; `release()` resigns.
   * Waits for ever unless `waitMs` or `signal` ends the wait. Call it again for the next term.
   */
  campaign(
    options: Pick<AcquireOptions, 'waitMs' | 'timeoutMs' | 'signal' | 'onEvent'> = {},
  ): Promise<Lease> {
    const { waitMs = Number.POSITIVE_INFINITY } = options;
    return acquire(this.#caller, this.name, { ...this.#options, ...options, waitMs });
  }

  /** Yields who leads, now and after each change: `undefined` while there is no leader. */
  async *observe(options: WatchOptions = {}): AsyncGenerator<Leader | undefined, void, undefined> {
    // Undefined until the first leader, or that there is none, has been yielded.
    let told: bigint | undefined | 'nobody';
    for await (const change of this.#locks.watch({ ...options, resources: [this.name] })) {
      if (change.kind !== 'lock') continue;
      const holder = change.lock.holders.find(({ revoked }) => !revoked);
      const term = holder?.fencingToken ?? 'nobody';
      if (term === told) continue;
      told = term;
      yield holder && {
        owner: holder.owner,
        fencingToken: holder.fencingToken,
        metadata: holder.metadata,
        acquiredAt: holder.acquiredAt,
      };
    }
  }
}
