// The deadline rule: until when a holder may act, whatever it has heard or not. Every lease in an answer says how
// long it is valid from the moment in which the server received the call; so, from just before the call was sent, it
// is valid at least that long. A message that was delayed or kept back on its way then stretches nothing, and no
// clocks are compared.
//
// The interleaving that counting from receipt would break: `renewed` is sent, waits 15 s in a proxy, and arrives; the
// lease has lapsed and is somebody else's, and its former holder believes in 15 s more.

import type { Clock, Timer } from '../../domain/clock.ts';

/** When a call was sent, on both clocks. */
export interface SentAt {
  readonly sentAtMs: number;
  readonly sentAtWallMs: number;
}

export interface LeaseDeadlineOptions {
  readonly clock: Clock;
  /** Called once, when the deadline has passed. */
  readonly onPassed: () => void;
}

const SMALLEST_MARGIN_MS = 200;
/** Clocks of a machine run apart by less than this part of the time that they measure. */
const DRIFT = 0.001;
/** How often it is looked at besides: a suspended machine's monotonic clock, and its timers, may have stood still. */
const LOOK_MS = 1_000;

export class LeaseDeadline {
  readonly #clock: Clock;
  readonly #onPassed: () => void;
  #deadlineMs = Number.NEGATIVE_INFINITY;
  #wallDeadlineMs = Number.NEGATIVE_INFINITY;
  #ttlMs = 0;
  #timer: Timer | undefined;
  #isOver = false;

  constructor({ clock, onPassed }: LeaseDeadlineOptions) {
    this.#clock = clock;
    this.#onPassed = onPassed;
  }

  /** The most that was left when an answer arrived, in milliseconds: at most the TTL. */
  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** 0 when it is over. By the clocks, also where no timer has had its turn. */
  remainingMs(): number {
    if (this.#isOver) return 0;
    const left = this.#deadlineMs - this.#clock.monotonicMs();
    return Math.max(0, Math.min(left, this.#wallDeadlineMs - this.#clock.wallMs()));
  }

  /**
   * Takes what a server said about a call: it never brings the deadline forward, and nothing that arrives after it
   * revives the lease. `ttlMs`: the TTL that renewals give. Says whether the lease is held.
   */
  extend({ sentAtMs, sentAtWallMs }: SentAt, validForMs: number, ttlMs: number): boolean {
    const isFirst = this.#deadlineMs === Number.NEGATIVE_INFINITY;
    if (this.#isOver || (!isFirst && this.remainingMs() === 0)) return this.#pass();
    const validMs = validForMs * (1 - DRIFT) - Math.max(SMALLEST_MARGIN_MS, ttlMs / 20);
    if (sentAtMs + validMs > this.#deadlineMs) {
      this.#deadlineMs = sentAtMs + validMs;
      this.#wallDeadlineMs = Math.max(this.#wallDeadlineMs, sentAtWallMs + validMs);
    }
    if (this.remainingMs() === 0) return this.#pass();
    this.#look();
    return true;
  }

  /** As `extend`, by what the answers themselves say of the TTL. */
  answered(sent: SentAt, validForMs: number): boolean {
    this.#ttlMs = Math.max(this.#ttlMs, validForMs - (this.#clock.monotonicMs() - sent.sentAtMs));
    return this.extend(sent, validForMs, this.#ttlMs);
  }

  /** Nothing is called any more. */
  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer?.cancel();
    const leftMs = this.remainingMs();
    if (leftMs === 0) {
      this.#pass();
      return;
    }
    this.#timer = this.#clock.after(Math.min(leftMs, LOOK_MS), () => this.#look());
  }

  #pass(): false {
    if (!this.#isOver) {
      this.end();
      this.#onPassed();
    }
    return false;
  }
}
