// What Prometheus scrapes of the gRPC calls of one instance: how many, how they ended, how long they took, and what is
// open now.

import { Gauge, type Registry } from 'prom-client';
import { CALL_SECONDS } from './buckets.ts';
import { Distribution, Tally } from './tally.ts';

export class CallMetrics {
  readonly #calls: Tally;
  readonly #seconds: Distribution;
  readonly #shed: Tally;
  readonly #openStreams = new Map<string, number>();

  constructor(registry: Registry) {
    this.#calls = new Tally(registry, {
      name: 'leasehold_calls_total',
      help: 'Finished gRPC calls by method and status code',
      labelNames: ['method', 'code'],
    });
    this.#seconds = new Distribution(registry, {
      name: 'leasehold_call_duration_seconds',
      help: 'From the arrival of a call to its answer',
      labelNames: ['method'],
      buckets: CALL_SECONDS,
    });
    this.#shed = new Tally(registry, {
      name: 'leasehold_calls_shed_total',
      help: 'Calls that were refused unread because there were too many; they are not among the finished ones',
      labelNames: ['method'],
    });
    const open = this.#openStreams;
    new Gauge({
      name: 'leasehold_open_streams',
      help: 'Streams that are open now',
      labelNames: ['method'],
      registers: [registry],
      collect() {
        for (const [method, count] of open) this.set({ method }, count);
      },
    });
  }

  /** A rate over a series that appears with its first event misses that event, and one defect is worth an alarm. */
  serves(method: string): void {
    this.#calls.of(method, 'INTERNAL');
  }

  callEnded(method: string, code: string, tookMs: number): void {
    this.#calls.of(method, code).add();
    this.#seconds.of(method).add(tookMs / 1_000);
  }

  canBeShed(method: string): void {
    this.#shed.of(method);
  }

  shed(method: string): void {
    this.#shed.of(method).add();
  }

  streamBegan(method: string): void {
    this.#openStreams.set(method, (this.#openStreams.get(method) ?? 0) + 1);
  }

  streamEnded(method: string): void {
    this.#openStreams.set(method, (this.#openStreams.get(method) ?? 0) - 1);
  }
}
