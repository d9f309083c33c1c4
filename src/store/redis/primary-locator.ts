// Who says which node is the primary: a majority of the Sentinels (sentinel-watch.ts), or the configuration
// alone.

import type { Clock } from '../../domain/clock.ts';
import { formatHostPort, type HostPort } from '../../domain/host-port.ts';
import type { SentinelCounts } from '../store.ts';

/** A primary and the config epoch under which it was named. */
export interface NamedPrimary {
  readonly address: HostPort;
  /** Sentinel's `config-epoch`; '0' without Sentinel. */
  readonly configEpoch: string;
  /** Both in one string, for comparison. */
  readonly key: string;
}

export function namedPrimary(address: HostPort, configEpoch: string): NamedPrimary {
  return { address, configEpoch, key: `${formatHostPort(address)} epoch ${configEpoch}` };
}

/** One moment on two clocks: that of this process, and the system's. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface PrimaryLocator {
  /** Whether Sentinels name the primary: then it can change, and every answer rests on what they say. */
  readonly hasSentinels: boolean;

  /**
   * The primary that answers name to questions asked at or after `askedSinceMs` on the monotonic clock.
   */
  named(askedSinceMs: number): NamedPrimary | undefined;

  /**
   * Waits, asking meanwhile, until `named` answers something that matches; undefined when `deadlineMs` comes
   * first.
   */
  awaitNamed(
    askedSinceMs: () => number,
    matches: (named: NamedPrimary) => boolean,
    deadlineMs: number,
  ): Promise<NamedPrimary | undefined>;

  /**
   * When the oldest question of the newest majority was asked, if that names this primary under this epoch.
   */
  agreedAt(primary: NamedPrimary): Moment | undefined;

  /** Calls back after each answer of a Sentinel. Returns the unsubscriber. */
  onAnswer(listener: () => void): () => void;

  /** Sentinel's `down-after-milliseconds`, once known. */
  readonly downAfterMs: number | undefined;

  /**
   * How the Sentinels stand to the primary in use, or, when none is, to the one that most of them name. Undefined
   * without Sentinels.
   */
  sentinels(inUse: NamedPrimary | undefined): SentinelCounts | undefined;

  /** For people. */
  describe(): string;

  close(): void;
}

/** One Redis at one address, with nobody to ask. */
export class FixedPrimary implements PrimaryLocator {
  readonly hasSentinels = false;
  readonly downAfterMs = undefined;
  readonly #named: NamedPrimary;
  readonly #clock: Clock;

  constructor(address: HostPort, clock: Clock) {
    this.#named = namedPrimary(address, '0');
    this.#clock = clock;
  }

  named(): NamedPrimary {
    return this.#named;
  }

  async awaitNamed(): Promise<NamedPrimary> {
    return this.#named;
  }

  agreedAt(): Moment {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() };
  }

  onAnswer(): () => void {
    return () => {};
  }

  sentinels(): undefined {}

  describe(): string {
    return 'one address, no Sentinels';
  }

  close(): void {}
}
