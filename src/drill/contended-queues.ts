// The part of a drill's load that waits: several callers in front of each resource, who take turns. Each turn adds to a
// counter that checks tokens and overlaps; hand-overs from one caller to the next are measured.

import type { Lease } from '../client/client.ts';
import { pause } from '../domain/clock.ts';
import { type CanaryPart, type CanarySurroundings, OWNER } from './canary-part.ts';
import { CALLERS_PER_QUEUE } from './drill-plan.ts';

const HOLD_MS = 150;
const WRITES = 3;
const AFTER_TROUBLE_MS = 200;

interface Queue {
  readonly resource: string;
  /** When a holder called release, if that was the last thing that happened to the resource. */
  releasedAtMs: number | undefined;
}

export class ContendedQueues implements CanaryPart {
  readonly #around: CanarySurroundings;
  readonly #queues: readonly Queue[];
  readonly #stopping = new AbortController();
  readonly #callers: Promise<void>[] = [];
  #held = 0;
  /** When those leases end whose release failed. */
  readonly #unreleasedUntilMs: number[] = [];

  constructor(around: CanarySurroundings, count: number) {
    this.#around = around;
    this.#queues = Array.from({ length: count }, (_, index) => ({
      resource: `${around.prefix}queue-${index + 1}`,
      releasedAtMs: undefined,
    }));
  }

  async start(): Promise<void> {
    const first: Promise<void>[] = [];
    for (const [index, queue] of this.#queues.entries()) {
      for (let caller = 0; caller < CALLERS_PER_QUEUE; caller++) {
        const number = index * CALLERS_PER_QUEUE + caller;
        // The first turn shows that it works; the later ones may meet an outage.
        const turn = this.#turn(queue, number);
        first.push(turn);
        this.#callers.push(
          turn.then(
            () => this.#takeTurns(queue, number),
            () => undefined,
          ),
        );
      }
    }
    await Promise.all(first);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#callers);
  }

  left(): { readonly leases: number; readonly operations: number } {
    const nowMs = this.#around.clock.monotonicMs();
    const unreleased = this.#unreleasedUntilMs.filter((atMs) => atMs > nowMs).length;
    return { leases: this.#held + unreleased, operations: 0 };
  }

  async #takeTurns(queue: Queue, caller: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#turn(queue, caller);
      } catch {
        await pause(this.#around.clock, AFTER_TROUBLE_MS, signal);
      }
    }
  }

  async #turn(queue: Queue, caller: number): Promise<void> {
    const { clientOf, clock, record, counters, ttlMs } = this.#around;
    const { signal } = this.#stopping;
    const { resource } = queue;
    const owner = `${OWNER} ${caller + 1}`;
    const lease = await clientOf(caller).acquire(resource, {
      ttlMs,
      owner,
      signal,
      waitMs: Number.POSITIVE_INFINITY,
    });
    this.#held++;
    const holding = counters.granted(
      resource,
      lease.fencingToken,
      owner,
      () => lease.state === 'held' && lease.remainingMs() > 0,
    );
    if (queue.releasedAtMs !== undefined) record.answered('hand-over', queue.releasedAtMs);
    queue.releasedAtMs = undefined;
    try {
      for (let write = 0; write < WRITES && !signal.aborted && lease.state === 'held'; write++) {
        const read = holding.read();
        await pause(clock, HOLD_MS / WRITES, signal);
        if (lease.state === 'held') holding.write(read);
      }
    } finally {
      holding.end();
      await this.#release(queue, lease);
    }
  }

  async #release(queue: Queue, lease: Lease): Promise<void> {
    const { clock } = this.#around;
    const isHeld = lease.state === 'held';
    const nowMs = clock.monotonicMs();
    const untilMs = isHeld ? nowMs + lease.remainingMs() : nowMs;
    queue.releasedAtMs = isHeld ? nowMs : undefined;
    try {
      await lease.release();
    } catch {
      queue.releasedAtMs = undefined; // The next one has to wait for the deadline, which is no hand-over.
      this.#unreleasedUntilMs.push(untilMs);
    } finally {
      this.#held--;
    }
  }
}
