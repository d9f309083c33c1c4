// What the process that supervises the workers says of itself and of them, beside what they say. Its own series have
// the label worker="supervisor"; those of a worker have the worker's number.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { mergeExpositions } from './merge-expositions.ts';

export interface ObservedWorkers {
  /** Which worker serves; each of the configured ones has an entry. */
  readonly serving: () => readonly { readonly worker: number; readonly serving: boolean }[];
  /** The texts of the workers that answered in time. */
  readonly texts: () => Promise<readonly string[]>;
}

export class SupervisorMetrics {
  readonly #registry = new Registry();
  readonly #ends: Counter<'worker'>;
  readonly #observed: ObservedWorkers;

  constructor(observed: ObservedWorkers) {
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
        for (const { worker, serving } of observed.serving()) this.set({ worker }, Number(serving));
      },
    });
    this.#ends = new Counter({
      name: 'leasehold_worker_ends_total',
      help: 'How often the worker has ended without having been asked to by the supervisor',
      labelNames: ['worker'],
      registers,
    });
    for (const { worker } of observed.serving()) this.#ends.inc({ worker }, 0);
  }

  workerEnded(worker: number): void {
    this.#ends.inc({ worker });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    return mergeExpositions([await this.#registry.metrics(), ...(await this.#observed.texts())]);
  }
}
