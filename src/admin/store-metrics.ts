// What Prometheus scrapes of the commands that one instance sends to its store, and of what holds their answers back.
// Whether the store can be used at all is in safety-metrics.ts.

import type { Registry } from 'prom-client';
import { CALL_SECONDS } from './buckets.ts';
import { Distribution, Tally } from './tally.ts';

const COMMANDS = [1, 2, 4, 8, 16, 32, 64];
const ANSWERS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

export class StoreMetrics {
  readonly #commands: Tally;
  readonly #commandSeconds: Distribution;
  readonly #batch: Distribution;
  readonly #commitBatch: Distribution;
  readonly #commitSeconds: Distribution;

  constructor(registry: Registry) {
    this.#commands = new Tally(registry, {
      name: 'leasehold_store_commands_total',
      help: "Store commands by name and outcome: the script's word, or error",
      labelNames: ['command', 'outcome'],
    });
    this.#commandSeconds = new Distribution(registry, {
      name: 'leasehold_store_command_duration_seconds',
      help: 'From a command to its reply, before it is confirmed',
      labelNames: ['command'],
      buckets: CALL_SECONDS,
    });
    this.#batch = new Distribution(registry, {
      name: 'leasehold_store_batch_size',
      help: 'Commands that went to Redis in one call',
      buckets: COMMANDS,
    });
    this.#commitBatch = new Distribution(registry, {
      name: 'leasehold_commit_batch_size',
      help: 'Answers that one WAIT for replicas lets pass together',
      buckets: ANSWERS,
    });
    this.#commitSeconds = new Distribution(registry, {
      name: 'leasehold_commit_duration_seconds',
      help: 'From the mark behind a batch of answers until enough replicas have it',
      buckets: CALL_SECONDS,
    });
  }

  commandEnded(command: string, outcome: string, tookMs: number): void {
    this.#commands.of(command, outcome).add();
    this.#commandSeconds.of(command).add(tookMs / 1_000);
  }

  batchSent(commands: number): void {
    this.#batch.of().add(commands);
  }

  committed(answers: number, tookMs: number): void {
    this.#commitBatch.of().add(answers);
    this.#commitSeconds.of().add(tookMs / 1_000);
  }
}
