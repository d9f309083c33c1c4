// What Prometheus scrapes of the operations that this instance serves: begins, claims, ends, retries, and how long they
// waited and ran. What all instances together have is read from Redis, and isn't here.

import { Counter, Histogram, type Registry } from 'prom-client';
import type { OperationEnd, OperationObserver } from '../service/operation-observer.ts';
import type { TakenOver } from '../store/operation-store.ts';
import { BoundedLabel } from './bounded-label.ts';

/** Operations run for seconds or for days. */
const LONG_SECONDS = [0.05, 0.25, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];
const LAG_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const MOST_TYPES = 50;

export class OperationMetrics implements OperationObserver {
  readonly #types = new BoundedLabel(MOST_TYPES);
  readonly #begins: Counter<'type' | 'outcome'>;
  readonly #claims: Counter<'type' | 'kind'>;
  readonly #ends: Counter<'type' | 'state'>;
  readonly #retries: Counter<'type'>;
  readonly #pendingSeconds: Histogram<'type'>;
  readonly #runSeconds: Histogram<'type'>;
  readonly #heartbeatLag: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#begins = new Counter({
      name: 'leasehold_operation_begins_total',
      help: 'BeginOperation calls: created, existing, or refused',
      labelNames: ['type', 'outcome'],
      registers,
    });
    this.#claims = new Counter({
      name: 'leasehold_operation_claims_total',
      help: 'Claimed operations: pending, or stale when a former worker was interrupted',
      labelNames: ['type', 'kind'],
      registers,
    });
    this.#ends = new Counter({
      name: 'leasehold_operation_ends_total',
      help: 'Operations that ended, by their final state',
      labelNames: ['type', 'state'],
      registers,
    });
    this.#retries = new Counter({
      name: 'leasehold_operation_retries_total',
      help: 'Attempts that were given back to be tried again, and RetryOperation calls',
      labelNames: ['type'],
      registers,
    });
    this.#pendingSeconds = new Histogram({
      name: 'leasehold_operation_pending_duration_seconds',
      help: 'From the moment an operation became claimable to its claim',
      labelNames: ['type'],
      buckets: LONG_SECONDS,
      registers,
    });
    this.#runSeconds = new Histogram({
      name: 'leasehold_operation_run_duration_seconds',
      help: 'From the start of an attempt to its end',
      labelNames: ['type'],
      buckets: LONG_SECONDS,
      registers,
    });
    this.#heartbeatLag = new Histogram({
      name: 'leasehold_operation_heartbeat_lag_seconds',
      help: 'How long after it was due the heartbeat of a kept attempt was answered',
      buckets: LAG_SECONDS,
      registers,
    });
  }

  begun(type: string, outcome: 'created' | 'existing' | 'refused'): void {
    this.#begins.inc({ type: this.#types.of(type), outcome });
  }

  taken(type: string, { was, waitedMs }: TakenOver): void {
    const bounded = this.#types.of(type);
    this.#claims.inc({ type: bounded, kind: was });
    this.#pendingSeconds.observe({ type: bounded }, waitedMs / 1_000);
  }

  ran(type: string, ranMs: number): void {
    this.#runSeconds.observe({ type: this.#types.of(type) }, ranMs / 1_000);
  }

  ended(type: string, state: OperationEnd): void {
    this.#ends.inc({ type: this.#types.of(type), state });
  }

  retried(type: string): void {
    this.#retries.inc({ type: this.#types.of(type) });
  }

  heartbeatAnswered(lagMs: number): void {
    this.#heartbeatLag.observe(lagMs / 1_000);
  }
}
