// What Prometheus scrapes of the locks that one instance serves: how acquisitions and holds ended, how long they took,
// and how renewals keep up. Waits that go on are counted by service/contention/. What all instances together hold is
// read from Redis, and isn't here.

import type { Registry } from 'prom-client';
import type { Acquired, HoldEnded, KeepingObserver, LockObserver } from '../service/lock-observer.ts';
import { LAG_SECONDS } from './buckets.ts';
import { Distribution, Tally } from './tally.ts';

/** At once, or after minutes in the queue. */
const GRANT_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60, 300, 1_800,
];
/** From a moment to a day. */
const HOLD_SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400];
const HANDOVER_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1];
const ENDS = ['released', 'expired', 'forced', 'lost'] as const;
const LOSSES = ['expired', 'revoked', 'max-hold', 'unknown-lease'] as const;

export class LockMetrics implements LockObserver, KeepingObserver {
  readonly #acquires: Tally;
  readonly #grantSeconds: Distribution;
  readonly #holdSeconds: Distribution;
  readonly #handoverSeconds: Distribution;
  readonly #renewalLag: Distribution;
  readonly #losses: Tally;

  constructor(registry: Registry) {
    this.#acquires = new Tally(registry, {
      name: 'leasehold_lock_acquires_total',
      help: 'Acquisitions that ended: granted, or why not',
      labelNames: ['mode', 'outcome'],
    });
    this.#grantSeconds = new Distribution(registry, {
      name: 'leasehold_lock_grant_duration_seconds',
      help: 'From the request to the grant; queued says whether it had to wait',
      labelNames: ['mode', 'queued'],
      buckets: GRANT_SECONDS,
    });
    this.#holdSeconds = new Distribution(registry, {
      name: 'leasehold_lock_hold_duration_seconds',
      help: 'From the grant of a lease to its end: released, expired, forced, or lost',
      labelNames: ['end'],
      buckets: HOLD_SECONDS,
    });
    this.#handoverSeconds = new Distribution(registry, {
      name: 'leasehold_lock_handover_duration_seconds',
      help: 'From the moment a resource became free to the grant to the next waiter',
      buckets: HANDOVER_SECONDS,
    });
    this.#renewalLag = new Distribution(registry, {
      name: 'leasehold_lease_renewal_lag_seconds',
      help: 'How long after it was due the renewal of a kept lease was answered',
      buckets: LAG_SECONDS,
    });
    this.#losses = new Tally(registry, {
      name: 'leasehold_lease_losses_total',
      help: 'Leases that a stream kept and lost',
      labelNames: ['reason'],
    });
    // A rate over a series that appears with its first event misses that event.
    for (const end of ENDS) this.#holdSeconds.of(end);
    for (const reason of LOSSES) this.#losses.of(reason);
  }

  waits(): () => void {
    return () => {};
  }

  acquired({ mode, end, queued, tookMs, handoverMs }: Acquired): void {
    this.#acquires.of(mode, end).add();
    if (end !== 'granted') return;
    this.#grantSeconds.of(mode, queued ? 'true' : 'false').add(tookMs / 1_000);
    if (handoverMs !== undefined) this.#handoverSeconds.of().add(handoverMs / 1_000);
  }

  holdEnded({ end, heldMs }: HoldEnded): void {
    this.#holdSeconds.of(end).add(heldMs / 1_000);
  }

  renewed(lagMs: number): void {
    this.#renewalLag.of().add(lagMs / 1_000);
  }

  lost(reason: Parameters<KeepingObserver['lost']>[0]): void {
    this.#losses.of(reason).add();
  }
}
