// What Prometheus scrapes of locks by the first segment of their names: off unless the operator says which character
// ends it, because names can be secret. A name without that character would be shown as a whole, so it counts as
// `other`, and so do the groups beyond the first hundred: callers choose names, and each label value is kept for ever.

import type { Registry } from 'prom-client';
import type { Clock } from '../domain/clock.ts';
import type { Acquired, HoldEnded, LockObserver } from '../service/lock-observer.ts';
import { BoundedLabel, OTHER } from './bounded-label.ts';
import { Tally } from './tally.ts';

export interface GroupMetricsOptions {
  readonly registry: Registry;
  /** One character. */
  readonly separator: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export const MOST_GROUPS = 100;

export class GroupMetrics implements LockObserver {
  readonly #separator: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #groups = new BoundedLabel(MOST_GROUPS);
  readonly #acquires: Tally;
  readonly #waitSeconds: Tally;
  readonly #holdSeconds: Tally;

  constructor({ registry, separator, clock }: GroupMetricsOptions) {
    this.#separator = separator;
    this.#clock = clock;
    this.#acquires = new Tally(registry, {
      name: 'leasehold_group_acquires_total',
      help: 'Acquisitions that ended',
      labelNames: ['group', 'outcome'],
    });
    this.#waitSeconds = new Tally(registry, {
      name: 'leasehold_group_wait_seconds_total',
      help: 'Time that calls have waited',
      labelNames: ['group'],
    });
    this.#holdSeconds = new Tally(registry, {
      name: 'leasehold_group_hold_seconds_total',
      help: 'Time that leases were held',
      labelNames: ['group'],
    });
  }

  waits(resource: string): () => void {
    const startedMs = this.#clock.monotonicMs();
    return () => {
      const waitedMs = this.#clock.monotonicMs() - startedMs;
      this.#waitSeconds.of(this.#groupOf(resource)).add(waitedMs / 1_000);
    };
  }

  acquired({ resource, end }: Acquired): void {
    this.#acquires.of(this.#groupOf(resource), end).add();
  }

  holdEnded({ resource, heldMs }: HoldEnded): void {
    this.#holdSeconds.of(this.#groupOf(resource)).add(heldMs / 1_000);
  }

  #groupOf(resource: string): string {
    const end = resource.indexOf(this.#separator);
    return end <= 0 ? OTHER : this.#groups.of(resource.slice(0, end));
  }
}
