// What Prometheus scrapes from one instance: owns the registry, and what is said of the instance as a whole. Each part
// adds its own (call-metrics.ts, store-metrics.ts, lock-metrics.ts, safety-metrics.ts). Names carry their units. A
// server of several processes adds supervisor-metrics.ts.

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { CallMetrics } from './call-metrics.ts';
import { readGauge } from './read-gauge.ts';
import { StoreMetrics } from './store-metrics.ts';

/** What an instance is and how it is doing, read at each scrape. */
export interface ObservedInstance {
  readonly version: string;
  readonly instanceId: string;
  readonly store: string;
  readonly ready: () => boolean;
}

/** How many of each there are, read at each scrape. */
export interface ObservedCounts {
  readonly waitingCalls: () => number;
  readonly oldestWaitMs: () => number;
  readonly keptLeases: () => number;
  readonly watches: () => number;
  readonly waitingClaims: () => number;
  readonly operationWaits: () => number;
  readonly keptAttempts: () => number;
  readonly suspectedDeadlocks: () => number;
}

export class Metrics {
  readonly calls: CallMetrics;
  readonly store: StoreMetrics;
  readonly #registry = new Registry();

  /** Where several processes are scraped together, the label `worker` of each series is the number of its process. */
  constructor(processNumber?: string) {
    if (processNumber !== undefined) this.#registry.setDefaultLabels({ worker: processNumber });
    collectDefaultMetrics({ register: this.#registry });
    this.calls = new CallMetrics(this.#registry);
    this.store = new StoreMetrics(this.#registry);
  }

  /** For those who add metrics of their own. */
  get registry(): Registry {
    return this.#registry;
  }

  /** Adds the gauges of the instance. Call it once. */
  observe({ version, instanceId, store, ready }: ObservedInstance): void {
    this.#gauge('leasehold_ready', '1 while calls should be sent here', () => Number(ready()));
    new Gauge({
      name: 'leasehold_info',
      help: 'Always 1; its labels say which instance this is',
      labelNames: ['version', 'instance_id', 'store'],
      registers: [this.#registry],
    }).set({ version, instance_id: instanceId, store }, 1);
  }

  /** Adds the gauge of the clients' connections. Call it once. */
  observeConnections(connections: () => number): void {
    this.#gauge('leasehold_connections', 'Open connections of clients', connections);
  }

  /** Adds the gauges of what waits and of what is kept alive. Call it once. */
  observeCounts(counts: ObservedCounts): void {
    this.#gauge('leasehold_waiting_calls', 'Calls that wait in a queue for a lock', counts.waitingCalls);
    this.#gauge(
      'leasehold_oldest_wait_seconds',
      'How long the call that has waited longest on this instance has waited; 0 if none waits',
      () => counts.oldestWaitMs() / 1_000,
    );
    this.#gauge('leasehold_kept_leases', 'Leases that are renewed for open streams', counts.keptLeases);
    this.#gauge('leasehold_watches', 'Open watches', counts.watches);
    this.#gauge('leasehold_waiting_claims', 'Claims that wait for work', counts.waitingClaims);
    this.#gauge('leasehold_operation_waits', 'Calls that wait for an operation', counts.operationWaits);
    this.#gauge(
      'leasehold_kept_attempts',
      'Attempts that are kept alive for open streams',
      counts.keptAttempts,
    );
    this.#gauge(
      'leasehold_suspected_deadlocks',
      'Circles of owners each of which holds what the next one waits for',
      counts.suspectedDeadlocks,
    );
  }

  #gauge(name: string, help: string, value: () => number): void {
    readGauge(this.#registry, name, help, value);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
