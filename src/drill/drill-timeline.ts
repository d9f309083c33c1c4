// What happened in a drill, in order: what the drill did, what Sentinels said, what servers and callers saw.

import type { Clock } from '../domain/clock.ts';

export interface TimelineEvent {
  /** Milliseconds on the monotonic clock of this process. */
  readonly atMs: number;
  /** `drill`, `sentinel`, `callers`, or the address of a server. */
  readonly who: string;
  readonly what: string;
}

export class DrillTimeline {
  readonly events: TimelineEvent[] = [];
  readonly #clock: Clock;
  readonly #told: (event: TimelineEvent) => void;

  constructor(clock: Clock, told: (event: TimelineEvent) => void) {
    this.#clock = clock;
    this.#told = told;
  }

  say(who: string, what: string): void {
    const event = { atMs: this.#clock.monotonicMs(), who, what };
    this.events.push(event);
    this.#told(event);
  }
}
