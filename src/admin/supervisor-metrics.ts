// What Prometheus scrapes where several server processes serve: what the supervisor says about itself and about them,
// and what each of them says. The label `worker` is the number of a server process, or "supervisor".

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { mergeExpositions } from './merge-expositions.ts';

export interface ObservedProcesses {
  /** Which server processes serve; each of the configured ones has an entry. */
  readonly serving: () => readonly { readonly number: number; readonly serving: boolean }[];
  /** The texts of the server processes that answered in time. */
  readonly texts: () => Promise<readonly string[]>;
}

export class SupervisorMetrics {
  readonly #registry = new Registry();
  readonly #ends: Counter<'worker'>;
  readonly #observed: ObservedProcesses;

  constructor(observed: ObservedProcesses) {
    this.#observed = observed;
    const registers = [this.#registry];
    this.#registry.setDefaultLabels({ worker: 'supervisor' });
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: 'leasehold_worker_up',
      help: '1 while the worker serves; 0 while it starts, and until another takes its place',
      labelNames: ['worker'],
      registers,
      collect() {
        for (const { number, serving } of observed.serving()) this.set({ worker: number }, Number(serving));
      },
    });
    this.#ends = new Counter({
      name: 'leasehold_worker_ends_total',
      help: 'How often the worker has ended without having been asked to by the supervisor',
      labelNames: ['worker'],
      registers,
    });
    for (const { number } of observed.serving()) this.#ends.inc({ worker: number }, 0);
  }

  processEnded(number: number): void {
    this.#ends.inc({ worker: number });
  }

  /** For those who add series of their own. */
  get registry(): Registry {
    return this.#registry;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    return mergeExpositions([await this.#registry.metrics(), ...(await this.#observed.texts())]);
  }
}
