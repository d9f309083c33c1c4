// What Prometheus scrapes from one instance: calls, store commands, the reign and its quarantine, and what waits or is
// kept alive. Names carry their units. A server of several processes adds supervisor-metrics.ts.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StoreStatus } from '../store/store.ts';

const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What an instance is and how it is doing, read at each scrape. */
export interface ObservedInstance {
  readonly version: string;
  readonly instanceId: string;
  readonly status: () => StoreStatus;
  readonly ready: () => boolean;
}

/** How many of each there are, read at each scrape. */
export interface ObservedCounts {
  readonly waitingCalls: () => number;
  readonly keptLeases: () => number;
  readonly watches: () => number;
  readonly waitingClaims: () => number;
  readonly operationWaits: () => number;
  readonly keptAttempts: () => number;
  readonly suspectedDeadlocks: () => number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<'method' | 'code'>;
  readonly #callSeconds: Histogram<'method'>;
  readonly #commandSeconds: Histogram<'command'>;
  readonly #commands: Counter<'command' | 'outcome'>;

  /** Where several processes are scraped together, the label `worker` of each series is the number of its process. */
  constructor(processNumber?: string) {
    const registers = [this.#registry];
    if (processNumber !== undefined) this.#registry.setDefaultLabels({ worker: processNumber });
    collectDefaultMetrics({ register: this.#registry });
    this.#calls = new Counter({
      name: 'leasehold_calls_total',
      help: 'Finished gRPC calls by method and status code',
      labelNames: ['method', 'code'],
      registers,
    });
    this.#callSeconds = new Histogram({
      name: 'leasehold_call_duration_seconds',
      help: 'From the arrival of a call to its answer',
      labelNames: ['method'],
      buckets: SECONDS,
      registers,
    });
    this.#commands = new Counter({
      name: 'leasehold_store_commands_total',
      help: "Store commands by name and outcome: the script's word, or error",
      labelNames: ['command', 'outcome'],
      registers,
    });
    this.#commandSeconds = new Histogram({
      name: 'leasehold_store_command_duration_seconds',
      help: 'From sending a command to its reply, before it is confirmed',
      labelNames: ['command'],
      buckets: SECONDS,
      registers,
    });
  }

  /** For those who add metrics of their own. */
  get registry(): Registry {
    return this.#registry;
  }

  /** Adds the gauges of the instance and its store. Call it once. */
  observe({ version, instanceId, status, ready }: ObservedInstance): void {
    this.#gauge('leasehold_ready', '1 while calls should be sent here', () => Number(ready()));
    this.#gauge('leasehold_store_usable', '1 while a confirmed primary is in use', () =>
      Number(status().usable),
    );
    this.#gauge('leasehold_reign_epoch', 'How many reigns the deployment has seen', () => status().epoch);
    this.#gauge(
      'leasehold_quarantine_remaining_seconds',
      'Until new grants are possible again; 0 outside a quarantine',
      () => status().quarantineRemainingMs / 1_000,
    );
    new Gauge({
      name: 'leasehold_info',
      help: 'Always 1; its labels say which instance this is',
      labelNames: ['version', 'instance_id', 'store'],
      registers: [this.#registry],
    }).set({ version, instance_id: instanceId, store: status().kind }, 1);
  }

  /** Adds the gauges of what waits and of what is kept alive. Call it once. */
  observeCounts(counts: ObservedCounts): void {
    this.#gauge('leasehold_waiting_calls', 'Calls that wait in a queue for a lock', counts.waitingCalls);
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
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(value());
      },
    });
  }

  callEnded(method: string, code: string, tookMs: number): void {
    this.#calls.inc({ method, code });
    this.#callSeconds.observe({ method }, tookMs / 1_000);
  }

  commandEnded(command: string, outcome: string, tookMs: number): void {
    this.#commands.inc({ command, outcome });
    this.#commandSeconds.observe({ command }, tookMs / 1_000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
