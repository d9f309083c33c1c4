// The time of a store in memory: the lease clock, which all deadlines are on, the quarantine, and the tokens, which
// come from the time. All in milliseconds. Knows no lock and no operation.

import type { Clock } from '../../domain/clock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import { isOfStream, type LeaseRecord } from './lock-record.ts';

export class LeaseClock {
  readonly #clock: Clock;
  readonly #systemMs: () => number;
  readonly #maxTtlMs: number;
  #nowMs: number;
  #lastMs: number;
  #token = 0n;
  #quarantineUntilMs = 0;
  #lapsedBeforeMs = 0;

  /** `systemMs` is the system time, in milliseconds since 1970; it may jump. */
  constructor(clock: Clock, systemMs: () => number, maxTtlMs: number) {
    this.#clock = clock;
    this.#systemMs = systemMs;
    this.#maxTtlMs = maxTtlMs;
    this.#lastMs = systemMs();
    this.#nowMs = this.#lastMs;
  }

  /** The lease clock. It stands still during a command. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The system time of the current command, for people. */
  get wallMs(): number {
    return this.#lastMs;
  }

  /** Moves the lease clock on as far as the system time moved: never back, and at most by the allowance. */
  advance(): void {
    this.#moveOn(SKEW_ALLOWANCE_MS);
  }

  /** Does what an adoption does: takes all the time that has passed, and begins the quarantine. */
  beginReign(): void {
    this.#moveOn(Number.POSITIVE_INFINITY);
    this.#quarantineUntilMs = Math.max(this.#quarantineUntilMs, this.#nowMs + quarantineMs(this.#maxTtlMs));
    this.#lapsedBeforeMs = this.#nowMs + LAPSED_AFTER_ADOPTION_MS;
  }

  #moveOn(mostMs: number): void {
    const systemMs = this.#systemMs();
    this.#nowMs += Math.min(Math.max(systemMs - this.#lastMs, 0), mostMs);
    this.#lastMs = systemMs;
  }

  get quarantineUntilMs(): number {
    return this.#quarantineUntilMs;
  }

  get isQuarantine(): boolean {
    return this.#nowMs < this.#quarantineUntilMs;
  }

  /** 0 outside a quarantine. */
  get quarantineLeftMs(): number {
    return this.leftMs(this.#quarantineUntilMs);
  }

  /** From now until that moment; 0 if it has passed. */
  leftMs(untilMs: number): number {
    return Math.max(untilMs - this.#nowMs, 0);
  }

  /** How long ago that was, by the system time, for people. */
  ageMs(wallMs: number): number {
    return Math.max(this.#lastMs - wallMs, 0);
  }

  /** Whether the last adoption ended what has this deadline, although it hasn't passed yet. */
  endsByAdoption(deadlineMs: number): boolean {
    return deadlineMs < this.#lapsedBeforeMs;
  }

  isAlive({ deadlineMs }: { readonly deadlineMs: number }): boolean {
    return deadlineMs > this.#nowMs && !this.endsByAdoption(deadlineMs);
  }

  /** The recorded deadline of what gets `ttlMs` now: later than its holder is told. */
  deadlineAfter(ttlMs: number): number {
    return this.#nowMs + Math.min(ttlMs, this.#maxTtlMs) + SKEW_ALLOWANCE_MS;
  }

  /** How long a holder may rely on a recorded deadline. Below 0 when that time is over. */
  remainingMs(deadlineMs: number): number {
    return deadlineMs - SKEW_ALLOWANCE_MS - this.#nowMs;
  }

  /**
   * Whether the holder of a live lease has been told of its end: by an administrator, or by the stream that keeps it,
   * which tells it at the deadline without the skew.
   */
  isOver({ state, stamp, deadlineMs }: LeaseRecord): boolean {
    const isKept = state === 'held' && isOfStream(stamp);
    return state === 'revoked' || (isKept && this.remainingMs(deadlineMs) <= 0);
  }

  /** A recorded deadline as answers give it: on the monotonic clock, and for people. */
  asTold(deadlineMs: number): { readonly deadlineMs: number; readonly expiresAtWallMs: number } {
    const remainingMs = this.remainingMs(deadlineMs);
    return {
      deadlineMs: this.#clock.monotonicMs() + remainingMs,
      expiresAtWallMs: this.#lastMs + remainingMs,
    };
  }

  /** Larger than every earlier one, of leases and of attempts. */
  nextToken(): bigint {
    const fromTime = BigInt(Math.floor(this.#lastMs * 1_000));
    this.#token = fromTime > this.#token ? fromTime : this.#token + 1n;
    return this.#token;
  }
}
