// What Prometheus scrapes of the operations that this instance serves: begins, claims, ends, retries, and how long they
// waited and ran. What all instances together have is read from Redis, and isn't here.

import type { Registry } from 'prom-client';
import type { OperationEnd, OperationObserver } from '../service/operation-observer.ts';
import type { TakenOver } from '../store/operation-store.ts';
import { BoundedLabel } from './bounded-label.ts';
import { LAG_SECONDS } from './buckets.ts';
import { Distribution, Tally } from './tally.ts';

/** Operations run for seconds or for days. */
const LONG_SECONDS = [0.05, 0.25, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];
const MOST_TYPES = 50;

export class OperationMetrics implements OperationObserver {
  readonly #types = new BoundedLabel(MOST_TYPES);
  readonly #begins: Tally;
  readonly #claims: Tally;
  readonly #ends: Tally;
  readonly #retries: Tally;
  readonly #pendingSeconds: Distribution;
  readonly #runSeconds: Distribution;
  readonly #heartbeatLag: Distribution;

  constructor(registry: Registry) {
    this.#begins = new Tally(registry, {
      name: 'leasehold_operation_begins_total',
      help: 'BeginOperation calls: created, existing, or refused',
      labelNames: ['type', 'outcome'],
    });
    this.#claims = new Tally(registry, {
      name: 'leasehold_operation_claims_total',
      help: 'Claimed operations: pending, or stale when a former worker was interrupted',
      labelNames: ['type', 'kind'],
    });
    this.#ends = new Tally(registry, {
      name: 'leasehold_operation_ends_total',
      help: 'Operations that ended, by their final state',
      labelNames: ['type', 'state'],
    });
    this.#retries = new Tally(registry, {
      name: 'leasehold_operation_retries_total',
      help: 'Attempts that were given back to be tried again, and RetryOperation calls',
      labelNames: ['type'],
    });
    this.#pendingSeconds = new Distribution(registry, {
      name: 'leasehold_operation_pending_duration_seconds',
      help: 'From the moment an operation became claimable to its claim',
      labelNames: ['type'],
      buckets: LONG_SECONDS,
    });
    this.#runSeconds = new Distribution(registry, {
      name: 'leasehold_operation_run_duration_seconds',
      help: 'From the start of an attempt to its end',
      labelNames: ['type'],
      buckets: LONG_SECONDS,
    });
    this.#heartbeatLag = new Distribution(registry, {
      name: 'leasehold_operation_heartbeat_lag_seconds',
      help: 'How long after it was due the heartbeat of a kept attempt was answered',
      buckets: LAG_SECONDS,
    });
  }

  begun(type: string, outcome: 'created' | 'existing' | 'refused'): void {
    this.#begins.of(this.#types.of(type), outcome).add();
  }

  taken(type: string, { was, waitedMs }: TakenOver): void {
    const bounded = this.#types.of(type);
    this.#claims.of(bounded, was).add();
    this.#pendingSeconds.of(bounded).add(waitedMs / 1_000);
  }

  ran(type: string, ranMs: number): void {
    this.#runSeconds.of(this.#types.of(type)).add(ranMs / 1_000);
  }

  ended(type: string, state: OperationEnd): void {
    this.#ends.of(this.#types.of(type), state).add();
  }

  retried(type: string): void {
    this.#retries.of(this.#types.of(type)).add();
  }

  heartbeatAnswered(lagMs: number): void {
    this.#heartbeatLag.of().add(lagMs / 1_000);
  }
}
