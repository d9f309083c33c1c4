// The part of a drill's load that holds leases by stream, as most applications do: the servers renew them.

import type { Lease } from '../client/client.ts';
import { type CanaryPart, type CanarySurroundings, OWNER } from './canary-part.ts';
import { JointStart } from './joint-start.ts';

export class StreamHolders implements CanaryPart {
  readonly #around: CanarySurroundings;
  readonly #count: number;
  readonly #leases: Lease[] = [];
  readonly #joint = new JointStart();

  constructor(around: CanarySurroundings, count: number) {
    this.#around = around;
    this.#count = count;
  }

  start(): Promise<void> {
    return this.#joint.start(this.#count, (index) => this.#hold(index));
  }

  async stop(): Promise<void> {
    await this.#joint.stop();
    // One that no server hears of ends with its time to live.
    await Promise.allSettled(this.#leases.map((lease) => lease.release()));
  }

  left(): { readonly leases: number; readonly operations: number } {
    return { leases: this.#leases.filter(({ state }) => state === 'held').length, operations: 0 };
  }

  async #hold(index: number): Promise<void> {
    const { clientOf, record, counters, prefix, ttlMs } = this.#around;
    const { signal } = this.#joint;
    const resource = `${prefix}stream-${index + 1}`;
    const lease = await clientOf(index).acquire(resource, {
      ttlMs,
      owner: OWNER,
      signal,
      onEvent: (event) => {
        if (event.kind === 'renewed') record.renewedByStream();
        if (event.kind === 'lost' && !signal.aborted) record.lost('lease', resource, event.error.loss);
      },
    });
    this.#leases.push(lease);
    counters.granted(resource, lease.fencingToken, resource, () => lease.remainingMs() > 0);
  }
}
