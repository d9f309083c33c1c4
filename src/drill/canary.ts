// The load of a drill as a whole: what callers of a deployment do, in small, under names of its own.

import { aborted, type Clock, within } from '../domain/clock.ts';
import { CanaryOperations, type FailoverSpan, type OperationCounts } from './canary-operations.ts';
import type { CanaryPart, CanarySurroundings } from './canary-part.ts';
import { ContendedQueues } from './contended-queues.ts';
import type { LoadSize } from './drill-plan.ts';
import { GrantProbes } from './grant-probes.ts';
import { RenewingHolders } from './renewing-holders.ts';
import { StreamHolders } from './stream-holders.ts';

/** What is left at the servers, by the drill's own books. */
export interface Left {
  readonly leases: number;
  readonly operations: number;
}

export class LoadNotRunningError extends Error {
  override readonly name = 'LoadNotRunningError';
  constructor(withinMs: number) {
    super(`the load of the drill does not run after ${withinMs / 1_000} s, so no failover was caused`);
  }
}

const STARTS_WITHIN_MS = 30_000;
/** For calls that are under way when the time is up. */
const SPARE_MS = 5_000;

export class Canary {
  readonly #clock: Clock;
  readonly #parts: readonly CanaryPart[];
  readonly #operations: CanaryOperations;

  constructor(around: CanarySurroundings, size: LoadSize, timeToLiveMs: number) {
    const byStream = Math.ceil(size.holders / 2);
    this.#clock = around.clock;
    this.#operations = new CanaryOperations(around, size.operations, timeToLiveMs);
    this.#parts = [
      new StreamHolders(around, byStream),
      new RenewingHolders(around, size.holders - byStream),
      new ContendedQueues(around, size.queues),
      this.#operations,
      new GrantProbes(around, size.acquiresPerSecond),
    ];
  }

  /**
   * Resolves when everything runs; rejects with what a server says, when that takes too long, or when the signal
   * aborts.
   */
  async start(signal: AbortSignal): Promise<void> {
    const started = Promise.all(this.#parts.map((part) => part.start()));
    const late = (): Error => new LoadNotRunningError(STARTS_WITHIN_MS);
    await Promise.race([within(this.#clock, STARTS_WITHIN_MS, started, late), aborted(signal)]);
    signal.throwIfAborted();
  }

  finish(withinMs: number, failover: FailoverSpan, signal: AbortSignal): Promise<void> {
    return this.#operations.finish(withinMs, failover, signal);
  }

  /** Takes back everything that a server can be told of within this time. Never rejects. */
  async stop(withinMs: number): Promise<void> {
    const stopped = Promise.allSettled(this.#parts.map((part) => part.stop(withinMs)));
    await within(this.#clock, withinMs + SPARE_MS, stopped, () => new Error('late')).catch(() => {});
  }

  left(): Left {
    const all = this.#parts.map((part) => part.left());
    return {
      leases: all.reduce((sum, { leases }) => sum + leases, 0),
      operations: all.reduce((sum, { operations }) => sum + operations, 0),
    };
  }

  operations(): OperationCounts {
    return this.#operations.counts();
  }
}
