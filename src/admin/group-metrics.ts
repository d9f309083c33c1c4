// What Prometheus scrapes of locks by the first segment of their names: off unless the operator says which character
// ends it, because names can be secret. A name without that character would be shown as a whole, so it counts as
// `other`, and so do the groups beyond the first hundred: callers choose names, and each label value is kept for ever.

import { Counter, type Registry } from 'prom-client';
import type { Clock } from '../domain/clock.ts';
import type { Acquired, HoldEnded, LockObserver } from '../service/lock-observer.ts';

export interface GroupMetricsOptions {
  readonly registry: Registry;
  /** One character. */
  readonly separator: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export const MOST_GROUPS = 100;
const OTHER = 'other';

export class GroupMetrics implements LockObserver {
  readonly #separator: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #groups = new Set<string>();
  readonly #acquires: Counter<'group' | 'outcome'>;
  readonly #waitSeconds: Counter<'group'>;
  readonly #holdSeconds: Counter<'group'>;

  constructor({ registry, separator, clock }: GroupMetricsOptions) {
    this.#separator = separator;
    this.#clock = clock;
    const registers = [registry];
    this.#acquires = new Counter({
      name: 'leasehold_group_acquires_total',
      help: 'Acquisitions that ended',
      labelNames: ['group', 'outcome'],
      registers,
    });
    this.#waitSeconds = new Counter({
      name: 'leasehold_group_wait_seconds_total',
      help: 'Time that calls have waited',
      labelNames: ['group'],
      registers,
    });
    this.#holdSeconds = new Counter({
      name: 'leasehold_group_hold_seconds_total',
      help: 'Time that leases were held',
      labelNames: ['group'],
      registers,
    });
  }

  waits(resource: string): () => void {
    const startedMs = this.#clock.monotonicMs();
    return () => {
      const waitedMs = this.#clock.monotonicMs() - startedMs;
      this.#waitSeconds.inc({ group: this.#groupOf(resource) }, waitedMs / 1_000);
    };
  }

  acquired({ resource, end }: Acquired): void {
    this.#acquires.inc({ group: this.#groupOf(resource), outcome: end });
  }

  holdEnded({ resource, heldMs }: HoldEnded): void {
    this.#holdSeconds.inc({ group: this.#groupOf(resource) }, Math.max(0, heldMs) / 1_000);
  }

  #groupOf(resource: string): string {
    const end = resource.indexOf(this.#separator);
    if (end <= 0) return OTHER;
    const group = resource.slice(0, end);
    if (this.#groups.has(group)) return group;
    if (this.#groups.size >= MOST_GROUPS) return OTHER;
    this.#groups.add(group);
    return group;
  }
}
