// What Prometheus scrapes of the ground that an instance stands on: whether it has a confirmed primary, and how long it
// had none and why; reigns, adoptions, quarantines and roll calls; and how the Sentinels stand. Looks at the store's
// status now and then, since the time without a confirmed primary begins and ends with no event.

import type { Registry } from 'prom-client';
import type { Clock, Timer } from '../domain/clock.ts';
import type { Store, StoreStatus } from '../store/store.ts';
import { readGauge } from './read-gauge.ts';
import { RollCallMetrics } from './roll-call-metrics.ts';
import { Distribution, Tally } from './tally.ts';

const LOOK_EVERY_MS = 250;
const ADOPTION_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const REASONS = ['connecting', 'unconfirmed', 'mismatch', 'newcomer'] as const;

type Reason = (typeof REASONS)[number];

/** How it stood at one look, which counts until the next one. */
interface Look {
  readonly atMs: number;
  /** Undefined: a confirmed primary is in use. */
  readonly unusableFor: Reason | undefined;
  readonly quarantineLeftMs: number;
}

export class SafetyMetrics {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #registry: Registry;
  readonly #unusableSeconds: Tally;
  readonly #quarantineSeconds: Tally;
  readonly #reignChanges: Tally;
  readonly #adoptionSeconds: Distribution;
  readonly #rollCall: RollCallMetrics;
  readonly #startedMs: number;
  readonly #stopListening: () => void;
  #reign = '';
  /** When the last session ended; undefined while there is one, and before the first. */
  #withoutSinceMs: number | undefined;
  #last: Look;
  #timer: Timer;

  constructor(registry: Registry, store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#registry = registry;
    this.#startedMs = clock.monotonicMs();
    this.#gauge('leasehold_store_usable', '1 while a confirmed primary is in use', () => {
      this.#look(); // first, so that the counters of the same scrape are up to date
      return Number(store.status().usable);
    });
    this.#unusableSeconds = new Tally(registry, {
      name: 'leasehold_store_unusable_seconds_total',
      help: 'Time without an answer for callers: connecting, unconfirmed, mismatch, newcomer',
      labelNames: ['reason'],
    });
    for (const reason of REASONS) this.#unusableSeconds.of(reason);
    this.#quarantineSeconds = new Tally(registry, {
      name: 'leasehold_quarantine_seconds_total',
      help: 'Time in which this instance could grant nothing new because of a quarantine',
    });
    this.#reignChanges = new Tally(registry, {
      name: 'leasehold_reign_changes_total',
      help: 'Reigns that this instance has come under since its first',
    });
    this.#adoptionSeconds = new Distribution(registry, {
      name: 'leasehold_adoption_duration_seconds',
      help: 'From the loss of one session with a primary to the next',
      buckets: ADOPTION_SECONDS,
    });
    this.#gauge(
      'leasehold_reign_epoch',
      'How many reigns the deployment has seen',
      () => store.status().epoch,
    );
    this.#gauge(
      'leasehold_quarantine_remaining_seconds',
      'Until new grants are possible again; 0 outside a quarantine',
      () => store.status().quarantineRemainingMs / 1_000,
    );
    this.#rollCall = new RollCallMetrics(registry, () => store.status().rollCall);
    if (store.sentinels()) this.#addSentinels();
    const status = store.status();
    this.#last = this.#lookAt(status);
    this.#noteReign(status);
    this.#stopListening = store.onStatus((now) => {
      this.#look();
      this.#noteReign(now);
    });
    this.#timer = this.#lookAgain();
  }

  close(): void {
    this.#timer.cancel();
    this.#stopListening();
  }

  #addSentinels(): void {
    const sentinels = () => this.#store.sentinels();
    this.#gauge(
      'leasehold_sentinels_known',
      'Sentinels that exist, as far as this instance has heard',
      () => sentinels()?.known ?? 0,
    );
    this.#gauge(
      'leasehold_sentinels_agreeing',
      'Sentinels that lately named the primary that is in use',
      () => sentinels()?.agreeing ?? 0,
    );
    this.#gauge(
      'leasehold_sentinels_needed',
      'Sentinels that must agree: the majority of those that exist',
      () => sentinels()?.needed ?? 0,
    );
    this.#gauge(
      'leasehold_confirmation_age_seconds',
      'Age of the newest agreement of a majority on the primary in use',
      () => (this.#clock.monotonicMs() - (sentinels()?.agreedAtMs ?? this.#startedMs)) / 1_000,
    );
  }

  #lookAgain(): Timer {
    return this.#clock.after(LOOK_EVERY_MS, () => {
      this.#look();
      this.#timer = this.#lookAgain();
    });
  }

  #look(): void {
    const { atMs, unusableFor, quarantineLeftMs } = this.#last;
    const status = this.#store.status();
    this.#rollCall.look(status.rollCall);
    this.#last = this.#lookAt(status);
    const passedMs = this.#last.atMs - atMs;
    if (unusableFor) this.#unusableSeconds.of(unusableFor).add(passedMs / 1_000);
    this.#quarantineSeconds.of().add(Math.min(passedMs, quarantineLeftMs) / 1_000);
  }

  #lookAt(status: StoreStatus): Look {
    return {
      atMs: this.#clock.monotonicMs(),
      unusableFor: status.usable ? undefined : this.#reasonOf(status),
      quarantineLeftMs: status.quarantineRemainingMs,
    };
  }

  #reasonOf({ mismatch, reign, rollCall }: StoreStatus): Reason {
    if (mismatch) return 'mismatch';
    if (rollCall.newcomerRemainingMs > 0) return 'newcomer';
    const sentinels = this.#store.sentinels();
    const isUnconfirmed = reign !== '' || (sentinels && sentinels.agreeing < sentinels.needed);
    return isUnconfirmed ? 'unconfirmed' : 'connecting';
  }

  #noteReign({ reign }: StoreStatus): void {
    const nowMs = this.#clock.monotonicMs();
    if (reign === '') {
      if (this.#reign !== '') this.#withoutSinceMs ??= nowMs;
      return;
    }
    if (this.#withoutSinceMs !== undefined) {
      this.#adoptionSeconds.of().add((nowMs - this.#withoutSinceMs) / 1_000);
      this.#withoutSinceMs = undefined;
    }
    if (this.#reign !== '' && this.#reign !== reign) this.#reignChanges.of().add();
    this.#reign = reign;
  }

  #gauge(name: string, help: string, value: () => number): void {
    readGauge(this.#registry, name, help, value);
  }
}
