// The store in this process's memory: the embedded default and the test double of client code. Nothing of it is shared
// with other processes or survives this one. Owns the ticking and the status; the locks are in memory-lock-store.ts.

import type { Clock } from '../../domain/clock.ts';
import { TICK_MS } from '../../domain/safety.ts';
import { NO_ROLL_CALL, type Store, type StoreObserver, type StoreStatus } from '../store.ts';
import { LeaseClock } from './lease-clock.ts';
import { LockTable } from './lock-table.ts';
import { MemoryContentionBoard } from './memory-contention-board.ts';
import { MemoryLockStore } from './memory-lock-store.ts';
import { MemoryOperationStore } from './memory-operation-store.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  readonly observer: StoreObserver;
  readonly instanceId: string;
  /**
   * The system time that tokens and the lease clock are made from, in milliseconds. By default it advances with the
   * monotonic clock, so that no step of the system clock is ever seen.
   */
  readonly systemMs?: () => number;
  /** For tests, which play the roll call: false by default. */
  readonly rollCall?: boolean;
}

export class MemoryStore implements Store {
  readonly locks: MemoryLockStore;
  readonly operations: MemoryOperationStore;
  readonly contention: MemoryContentionBoard;
  /** What it holds of locks, and its time: for tests of what befalls data. */
  readonly table: LockTable;
  readonly #leaseClock: LeaseClock;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #listeners = new Set<(status: StoreStatus) => void>();
  #closed = false;

  constructor(options: MemoryStoreOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    const offsetMs = clock.wallMs() - this.#startedMs;
    const systemMs = options.systemMs ?? (() => clock.monotonicMs() + offsetMs);
    this.#leaseClock = new LeaseClock(clock, systemMs, options.maxTtlMs, options.rollCall ?? false);
    this.table = new LockTable({ ...options, leaseClock: this.#leaseClock });
    this.locks = new MemoryLockStore({ ...options, table: this.table });
    this.operations = new MemoryOperationStore({ ...options, locks: this.table });
    this.contention = new MemoryContentionBoard({ ...options, table: this.table });
    this.#tickAgain();
  }

  get expiredLeases(): number {
    return this.table.expiredLeases;
  }

  /** What happens once a second: the lease clock advances, and what is due by itself is done. */
  tick(): void {
    this.#leaseClock.advance();
    this.table.tick();
    this.operations.sweep(); // after the locks: an attempt whose lease has just lapsed is stale
  }

  /** What happens at a failover: a new reign with its quarantine. For tests of code that must live through one. */
  beginReign(): void {
    this.#leaseClock.beginReign();
    for (const listener of this.#listeners) listener(this.status());
  }

  status(): StoreStatus {
    return {
      kind: 'memory',
      usable: !this.#closed,
      mismatch: false,
      reason: this.#closed ? 'closed' : '',
      sinceMs: this.#startedMs,
      reign: `memory:${this.#leaseClock.reign}`,
      epoch: this.#leaseClock.reign,
      quarantineRemainingMs: this.#leaseClock.quarantineLeftMs,
      rollCall: NO_ROLL_CALL,
    };
  }

  sentinels(): undefined {}

  onStatus(listener: (status: StoreStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #tickAgain(): void {
    this.#clock.after(TICK_MS, () => {
      if (this.#closed) return;
      this.tick();
      this.#tickAgain();
    });
  }
}
