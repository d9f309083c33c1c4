// Counts what the whole deployment has in Redis, on the primary: locks, leases and waiters at once, operations in
// steps. Owns what was counted last; what is asked is in store/redis/deployment-counts.ts.

import type { NodeLines } from '../deployment/node-lines.ts';
import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { countLocks, type LockCounts } from '../store/redis/deployment-counts.ts';
import type { Keys } from '../store/redis/keys.ts';
import type { Read } from './collectors.ts';
import { LatestReading } from './member.ts';
import { type Census, OperationCensus } from './operation-census.ts';

export class CountsReader {
  readonly #lines: NodeLines;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #census: OperationCensus;
  readonly #locks = new LatestReading<LockCounts>();
  readonly #operations = new LatestReading<Census>();
  #isBusy = false;

  constructor(lines: NodeLines, keys: Keys, clock: Clock) {
    this.#lines = lines;
    this.#keys = keys;
    this.#clock = clock;
    this.#census = new OperationCensus({ keys });
  }

  get locks(): LockCounts | undefined {
    return this.#locks.value;
  }

  get operations(): Census | undefined {
    return this.#operations.value;
  }

  /** Never rejects. Resolves with undefined if it still counts. */
  async read(primary: HostPort | undefined): Promise<Read | undefined> {
    if (this.#isBusy) return undefined;
    this.#isBusy = true;
    const askedMs = this.#clock.monotonicMs();
    let reason: string | undefined;
    try {
      if (!primary) throw new Error('no Sentinel names a primary');
      const ask = (command: string, ...args: (string | number)[]): Promise<unknown> =>
        this.#lines.ask(primary, command, ...args);
      this.#locks.succeeded(await countLocks(ask, this.#keys));
      const census = await this.#census.read(ask);
      if (census) this.#operations.succeeded(census);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      this.#locks.failed();
      this.#operations.failed();
    }
    this.#isBusy = false;
    const target = primary ? formatHostPort(primary) : 'primary';
    return { collector: 'counts', target, tookMs: this.#clock.monotonicMs() - askedMs, reason };
  }
}
