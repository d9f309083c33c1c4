// The time of a store in memory: the lease clock, which all deadlines are on, the quarantine, and the tokens, which
// come from the time. All in milliseconds. Knows no lock and no operation.

import type { Clock } from '../../domain/clock.ts';
import { LAPSED_AFTER_ADOPTION_MS, quarantineMs, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import { isOfStream, type LeaseRecord } from './lock-record.ts';

/** What it judges of an attempt without a lease. */
interface Attempt {
  readonly fencingToken: bigint;
  readonly deadlineMs: number;
}

/** The epoch of a lease that a roll call found to be over: it put back a later one that doesn't go with it. */
export const OVERTAKEN = 'o';

/** What the clock judges of a lease. */
type Ends = Pick<LeaseRecord, 'deadlineMs' | 'epoch'>;

export class LeaseClock {
  readonly #clock: Clock;
  readonly #systemMs: () => number;
  readonly #maxTtlMs: number;
  readonly #rollCall: boolean;
  /** The system time of the current command. */
  #wallMs: number;
  #nowMs: number;
  /** Up to where the lease clock has taken the system time. */
  #lastMs: number;
  #token = 0n;
  #reign = 1;
  #quarantineUntilMs = 0;
  #fullUntilMs = 0;
  #floorMs = 0;
  #lapsedBeforeMs = 0;
  /** The same for what was inherited already when the reign before began. */
  #lapsedOlderMs = 0;
  #untakenMs = 0;
  /** The largest token of former reigns. */
  #tokenAtAdoption = 0n;
  /** The same for the reign before. */
  #tokenOlder = 0n;

  /**
   * `systemMs` is the system time, in milliseconds since 1970; it may jump. `rollCall`: leases that a reign lacks may be
   * put back in its quarantine.
   */
  constructor(clock: Clock, systemMs: () => number, maxTtlMs: number, rollCall: boolean) {
    this.#clock = clock;
    this.#systemMs = systemMs;
    this.#maxTtlMs = maxTtlMs;
    this.#rollCall = rollCall;
    this.#wallMs = systemMs();
    this.#lastMs = this.#wallMs;
    this.#nowMs = this.#wallMs;
  }

  /** The lease clock. It stands still during a command. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The system time of the current command, for people. */
  get wallMs(): number {
    return this.#wallMs;
  }

  /** How much of the time before this reign the lease clock did not take: what is put back gets it. */
  get untakenMs(): number {
    return this.#untakenMs;
  }

  /** How many reigns there have been. */
  get reign(): number {
    return this.#reign;
  }

  /** The reign as leases carry it: of the one that granted or last renewed each. */
  get epoch(): string {
    return String(this.#reign);
  }

  /**
   * Moves the lease clock on as far as the system time moved: never back, and at most by the allowance. A system time
   * that lies behind first gives back what was too much: stepped to the upper edge and back, and again under the next
   * primary, the lease clock would else run ahead by twice what a deadline carries. Returns how far the system time
   * moved.
   */
  advance(): number {
    this.#wallMs = this.#systemMs();
    const passedMs = Math.max(this.#wallMs - this.#lastMs, 0);
    this.#nowMs += Math.min(passedMs, SKEW_ALLOWANCE_MS);
    this.#lastMs = Math.max(this.#wallMs, Math.min(this.#lastMs, this.#wallMs + SKEW_ALLOWANCE_MS));
    return passedMs;
  }

  /**
   * Does what an adoption does, which begins the quarantine. The lease clock moves on as in every command: all clocks
   * may have stepped by 100 s, and no holder has heard of that. But what may be renewed is judged by the whole
   * difference, because the former primary may have seen that much time pass.
   */
  beginReign(): void {
    const beforeMs = this.#nowMs;
    this.#floorMs = this.isQuarantine ? this.#quarantineUntilMs : 0;
    this.#lapsedOlderMs = Math.max(this.#lapsedOlderMs, this.#lapsedBeforeMs);
    const passedMs = this.advance();
    this.#untakenMs = passedMs - (this.#nowMs - beforeMs);
    this.#lapsedBeforeMs = beforeMs + passedMs + LAPSED_AFTER_ADOPTION_MS;
    this.#fullUntilMs = this.#nowMs + quarantineMs(this.#maxTtlMs);
    this.#quarantineUntilMs = this.#fullUntilMs;
    this.#tokenOlder = this.#tokenAtAdoption;
    this.#tokenAtAdoption = this.#token;
    this.#reign++;
  }

  /**
   * Ends the quarantine early, as a roll call does in which everybody has answered; but not before the end of one in
   * which the reign began, whose roll call may have lacked an answer.
   */
  endQuarantine(): void {
    const opensMs = Math.max(this.#nowMs, this.#floorMs);
    this.#quarantineUntilMs = Math.min(this.#quarantineUntilMs, opensMs);
  }

  get quarantineUntilMs(): number {
    return this.#quarantineUntilMs;
  }

  get isQuarantine(): boolean {
    return this.#nowMs < this.#quarantineUntilMs;
  }

  /** Whether a lease that doesn't live here may live all the same: who told of it may not have put it back yet. */
  get mayBePutBack(): boolean {
    return this.#rollCall && this.isQuarantine;
  }

  /** 0 outside a quarantine. */
  get quarantineLeftMs(): number {
    return this.leftMs(this.#quarantineUntilMs);
  }

  /** The end of the quarantine as it is without a roll call. */
  get fullUntilMs(): number {
    return this.#fullUntilMs;
  }

  get isFullQuarantine(): boolean {
    return this.#nowMs < this.#fullUntilMs;
  }

  /** From now until that moment; 0 if it has passed. */
  leftMs(untilMs: number): number {
    return Math.max(untilMs - this.#nowMs, 0);
  }

  /** How long ago that was, by the system time, for people. */
  ageMs(wallMs: number): number {
    return Math.max(this.#wallMs - wallMs, 0);
  }

  /** Whether a former reign granted it, and this one has not renewed it. */
  isInherited({ epoch }: Pick<Ends, 'epoch'>): boolean {
    return epoch !== this.epoch;
  }

  /** Whether it takes its resource: until its deadline, even where nothing renews it any more. */
  blocks({ deadlineMs }: Pick<Ends, 'deadlineMs'>): boolean {
    return deadlineMs > this.#nowMs;
  }

  /** An inherited lease near its end at the adoption isn't: the former primary may have given its resource away. */
  isRenewable(lease: Ends): boolean {
    if (!this.blocks(lease) || !this.isInherited(lease)) return this.blocks(lease);
    if (lease.epoch === OVERTAKEN) return false;
    const isOfFormer = Number(lease.epoch) === this.#reign - 1;
    const olderMs = isOfFormer ? 0 : this.#lapsedOlderMs;
    return lease.deadlineMs >= Math.max(this.#lapsedBeforeMs, olderMs);
  }

  /**
   * Whether its acquisition may be told of it, for the first time or again. Before the full end of a quarantine it may
   * not be told of an inherited one, which perhaps nobody was ever told of: another primary may have granted the
   * resource meanwhile, and the first one was chosen again.
   */
  mayTell(lease: LeaseRecord): boolean {
    const isUnproved = this.isInherited(lease) && this.isFullQuarantine;
    return this.isRenewable(lease) && lease.state !== 'revoked' && !this.isQuarantine && !isUnproved;
  }

  /** Whether an attempt without a lease lives. What still has time at the full end was heard of under this reign. */
  isAttemptAlive(attempt: Pick<Attempt, 'fencingToken' | 'deadlineMs'>): boolean {
    const olderMs = attempt.fencingToken > this.#tokenOlder ? 0 : this.#lapsedOlderMs;
    const barMs = Math.max(this.#lapsedBeforeMs, olderMs);
    const isLapsed = attempt.deadlineMs < barMs && this.isUnproved(attempt);
    return this.blocks(attempt) && !isLapsed;
  }

  /** Whether an attempt is of a former reign, and may have been told of to nobody: before the full end. */
  isUnproved({ fencingToken }: Pick<Attempt, 'fencingToken'>): boolean {
    return fencingToken <= this.#tokenAtAdoption && this.isFullQuarantine;
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
   * Whether the holder of a lease that blocks has been told of its end: by an administrator, or by the stream that
   * keeps it, which tells it at the deadline without the skew, or when nothing renews it any more.
   */
  isOver(lease: LeaseRecord): boolean {
    const isKept = lease.state === 'held' && isOfStream(lease.stamp);
    const isAtEnd = this.remainingMs(lease.deadlineMs) <= 0 || !this.isRenewable(lease);
    return lease.state === 'revoked' || (isKept && isAtEnd);
  }

  /** A recorded deadline as answers give it: on the monotonic clock, and for people. */
  asTold(deadlineMs: number): { readonly deadlineMs: number; readonly expiresAtWallMs: number } {
    const remainingMs = this.remainingMs(deadlineMs);
    return {
      deadlineMs: this.#clock.monotonicMs() + remainingMs,
      expiresAtWallMs: this.#wallMs + remainingMs,
    };
  }

  /** No later token is smaller than one that somebody has seen. */
  sawToken(token: bigint): void {
    if (token > this.#token) this.#token = token;
  }

  /** Larger than every earlier one, of leases and of attempts. */
  nextToken(): bigint {
    const fromTime = BigInt(Math.floor(this.#wallMs * 1_000));
    this.#token = fromTime > this.#token ? fromTime : this.#token + 1n;
    return this.#token;
  }
}
