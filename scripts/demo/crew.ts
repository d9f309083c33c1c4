// The workers of the demo, who contend for one lease, with their records. Owns who gets a long job; what happens to
// them is the acts' matter.
import { eventually } from '../../test/support/eventually.ts';
import type { TestClient } from '../../test/support/test-instance.ts';
import { TTL_MS } from './demo-deployment.ts';
import type { Timeline } from './demo-timeline.ts';
import { Worker } from './demo-worker.ts';
import { type Belief, Journal } from './journal.ts';
import type { OutageNotes } from './outage-notes.ts';
import { between } from './spans-of-time.ts';

const RESOURCE = 'nightly-billing';
const WORKERS = 4;
const SHORT_JOB_MS = [300, 900] as const;
/** Longer than a failover. */
export const LONG_JOB_MS = 15_000;
const WITHIN_MS = 30_000;

export class Crew {
  readonly journal = new Journal();
  readonly names: readonly string[];
  readonly #workers: readonly Worker[];
  readonly #timeline: Timeline;
  #longJobBegins: ((belief: Belief) => void) | undefined;

  constructor(clients: readonly TestClient[], timeline: Timeline, notes: OutageNotes, stopping: AbortSignal) {
    this.#timeline = timeline;
    this.#workers = Array.from({ length: WORKERS }, (_, index) => {
      const options = {
        name: `worker-${index + 1}`,
        clients,
        resource: RESOURCE,
        ttlMs: TTL_MS,
        journal: this.journal,
        signal: stopping,
        nextJobMs: () => this.#nextJobMs(),
        observer: {
          granted: ({ name }: Worker, { token }: Belief, validForMs: number) =>
            timeline.say(
              name,
              `holds it: token ${token}, valid for ${(validForMs / 1_000).toFixed(1)} s`,
              'green',
            ),
          renewed: ({ name }: Worker, token: bigint) => timeline.say(name, `renewed: token ${token}`),
          ended: ({ name }: Worker, { fromMs, untilMs = fromMs }: Belief, why: string) =>
            timeline.say(name, `${why}, after ${((untilMs - fromMs) / 1_000).toFixed(1)} s`),
          unavailable: ({ name }: Worker, rpc: string, reason: string) => notes.heard(name, rpc, reason),
        },
      };
      return new Worker(options, index);
    });
    this.names = this.#workers.map(({ name }) => name);
  }

  /** Ends when the workers were told to stop. */
  async run(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.run()));
  }

  /** The next one who gets the lease has a long job. Returns when it has begun. */
  longJob(): Promise<Belief> {
    return new Promise((resolve) => {
      this.#longJobBegins = resolve;
    });
  }

  grants(count: number, afterMs: number): Promise<unknown> {
    const { beliefs } = this.journal;
    return eventually(() => beliefs.filter(({ fromMs }) => fromMs > afterMs).length >= count, {
      what: `${count} grants`,
      withinMs: WITHIN_MS,
    });
  }

  #nextJobMs(): number {
    const belief = this.journal.beliefs.at(-1);
    const begins = this.#longJobBegins;
    if (!begins || !belief) return between(...SHORT_JOB_MS);
    this.#longJobBegins = undefined;
    this.#timeline.say(belief.worker, `begins a job of ${LONG_JOB_MS / 1_000} s`, 'bold');
    begins(belief);
    return LONG_JOB_MS;
  }
}
