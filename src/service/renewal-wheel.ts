// Renews the leases that this instance keeps for its streams: one timer for all of them, and one call of the store for
// many that are due in the same moment. Owns when a lease is renewed, and what became of it; who is told of it, and
// how, is the streams' business.
//
//   keep ──▶ due ──renewed──▶ waits a quarter of what is left ──▶ due …
//             │ the store fails: at risk, tried again soon
//             └ lost, moved, released, or the deadline passes: ended

import { fullJitterMs } from '../domain/backoff.ts';
import type { Clock, Timer } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { CallStamp, Lease, RenewOutcome } from '../domain/lock.ts';
import type { AcquisitionRef, LockStore, Notice } from '../store/lock-store.ts';

export interface RenewalWheelOptions {
  readonly store: LockStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly commandTimeoutMs: number;
  /** Something was thrown that nobody expects; the leases are tried again. */
  readonly onDefect: (thrown: unknown) => void;
}

export interface KeptLease extends AcquisitionRef {
  readonly fencingToken: bigint;
  /** The call that keeps it. */
  readonly stamp: CallStamp;
  /** What renewals give; 0: that of the grant. */
  readonly ttlMs: number;
  /** On the monotonic clock; later than the true one where it isn't known yet. */
  readonly deadlineMs: number;
  /** So many replicas must have a renewal before it counts; 0: the server's minimum. */
  readonly minAcks: number;
  /** It is kept by another call until now: renewed at once, under the new stamp. */
  readonly takesOver: boolean;
}

export type RiskReason = 'store-unavailable' | 'primary-unconfirmed' | 'durability-unmet' | 'max-hold';
export type LossReason = 'expired' | 'released' | 'force-released' | 'max-hold' | 'unknown-lease';
export type KeepingEnd =
  | { readonly kind: 'lost'; readonly reason: LossReason }
  /** A newer call speaks for it. */
  | { readonly kind: 'moved' };

/** Who hears what becomes of a lease. */
export interface LeaseKeeper {
  renewed(lease: Lease): void;
  /** The deadline last told stands. At the first failure, and now and then while it lasts. */
  atRisk(reason: RiskReason): void;
  /** Nothing follows. */
  ended(end: KeepingEnd): void;
}

interface Entry {
  readonly lease: KeptLease;
  readonly keeper: LeaseKeeper;
  deadlineMs: number;
  takesOver: boolean;
  isFinal: boolean;
  isInFlight: boolean;
  failures: number;
  toldAtRiskMs: number | undefined;
  /** The slot that it waits in. */
  slot: number;
}

const SLOT_MS = 50;
/** Leases in one call of the store: it runs them in one piece. */
const BATCH = 200;
/** Often enough that a stream is never silent for 15 s, whatever its lease's TTL. */
const LONGEST_INTERVAL_MS = 12_000;
/** A final lease is looked at until its end, but not ever more often. */
const SHORTEST_INTERVAL_MS = 200;
const REPEAT_RISK_MS = 10_000;
const BACKOFF = { firstMs: 200, mostMs: 2_000 };

export class RenewalWheel {
  readonly #options: RenewalWheelOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #slots = new Map<number, Set<Entry>>();
  readonly #stopListening: () => void;
  #timer: Timer | undefined;

  constructor(options: RenewalWheelOptions) {
    this.#options = options;
    this.#stopListening = options.store.onNotice((notice) => this.#heard(notice));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Keeps a lease until it ends or the returned function is called, which leaves the lease as it is. */
  keep(lease: KeptLease, keeper: LeaseKeeper): () => void {
    const entry: Entry = {
      lease,
      keeper,
      deadlineMs: lease.deadlineMs,
      takesOver: lease.takesOver,
      isFinal: false,
      isInFlight: false,
      failures: 0,
      toldAtRiskMs: undefined,
      slot: -1,
    };
    this.#entries.set(keyOf(lease, lease.stamp.call), entry);
    const nowMs = this.#options.clock.monotonicMs();
    this.#schedule(entry, lease.takesOver ? nowMs : nowMs + this.#intervalMs(entry, nowMs));
    return () => this.#forget(entry);
  }

  close(): void {
    this.#stopListening();
    this.#timer?.cancel();
    this.#entries.clear();
    this.#slots.clear();
  }

  // Jittered, so that leases that were granted together spread out.
  #intervalMs({ deadlineMs }: Entry, nowMs: number): number {
    const quarterMs = Math.min((deadlineMs - nowMs) / 4, LONGEST_INTERVAL_MS);
    return Math.max(quarterMs * (0.85 + 0.15 * this.#options.random()), SHORTEST_INTERVAL_MS);
  }

  /** At `atMs`, or when its deadline has passed if that comes first. */
  #schedule(entry: Entry, atMs: number): void {
    this.#unschedule(entry);
    entry.slot = Math.ceil(Math.min(atMs, entry.deadlineMs) / SLOT_MS);
    const slot = this.#slots.get(entry.slot) ?? new Set<Entry>();
    this.#slots.set(entry.slot, slot.add(entry));
    this.#timer ??= this.#options.clock.after(SLOT_MS, () => this.#turn());
  }

  #unschedule(entry: Entry): void {
    const slot = this.#slots.get(entry.slot);
    if (slot?.delete(entry) && slot.size === 0) this.#slots.delete(entry.slot);
  }

  #forget(entry: Entry): boolean {
    const key = keyOf(entry.lease, entry.lease.stamp.call);
    if (this.#entries.get(key) !== entry) return false;
    this.#unschedule(entry);
    return this.#entries.delete(key);
  }

  #end(entry: Entry, end: KeepingEnd): void {
    if (this.#forget(entry)) entry.keeper.ended(end);
  }

  #turn(): void {
    this.#timer = undefined;
    const nowMs = this.#options.clock.monotonicMs();
    const due: Entry[] = [];
    for (const [number, slot] of [...this.#slots]) {
      if (number * SLOT_MS > nowMs) continue;
      for (const entry of [...slot]) {
        if (nowMs >= entry.deadlineMs) {
          this.#end(entry, { kind: 'lost', reason: entry.isFinal ? 'max-hold' : 'expired' });
        } else if (!entry.isInFlight) {
          due.push(entry);
        }
      }
    }
    // Apart, so that nobody's renewal fails because another one asks for more replicas.
    for (const [minAcks, alike] of Map.groupBy(due, ({ lease }) => lease.minAcks)) {
      for (let i = 0; i < alike.length; i += BATCH) void this.#renew(alike.slice(i, i + BATCH), minAcks);
    }
    if (this.#slots.size > 0) this.#timer ??= this.#options.clock.after(SLOT_MS, () => this.#turn());
  }

  async #renew(batch: readonly Entry[], minAcks: number): Promise<void> {
    const { store, clock, commandTimeoutMs } = this.#options;
    for (const entry of batch) {
      entry.isInFlight = true;
      this.#schedule(entry, entry.deadlineMs); // its end is not to wait for the answer
    }
    const commands = batch.map(({ lease, takesOver }) => ({ ...lease, takesOver }));
    try {
      const deadlineMs = clock.monotonicMs() + commandTimeoutMs;
      const outcomes = await store.renew(commands, { deadlineMs, minAcks });
      for (const [index, entry] of batch.entries()) this.#answered(entry, outcomes[index]);
    } catch (error) {
      if (!(error instanceof CoordinationError) || error.code === 'INTERNAL') this.#options.onDefect(error);
      for (const entry of batch) this.#failed(entry, riskOf(error));
    }
  }

  #answered(entry: Entry, outcome: RenewOutcome | undefined): void {
    entry.isInFlight = false;
    if (!outcome || !this.#isKept(entry)) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (outcome.kind === 'moved') {
      this.#end(entry, outcome);
      return;
    }
    if (outcome.kind === 'revoked') {
      this.#end(entry, { kind: 'lost', reason: 'force-released' });
      return;
    }
    // Nothing that arrives after the deadline revives a lease: its holder has stopped.
    const expired = nowMs >= entry.deadlineMs;
    if (outcome.kind === 'lost' || expired) {
      const late = entry.isFinal ? 'max-hold' : 'expired';
      this.#end(entry, { kind: 'lost', reason: expired ? late : 'unknown-lease' });
      return;
    }
    // Before the first answer of a take-over it is only a guess; from then on none that was told comes forward.
    entry.deadlineMs = entry.takesOver
      ? outcome.lease.deadlineMs
      : Math.max(entry.deadlineMs, outcome.lease.deadlineMs);
    if (nowMs >= entry.deadlineMs) {
      this.#end(entry, { kind: 'lost', reason: outcome.isFinal ? 'max-hold' : 'expired' });
      return;
    }
    entry.takesOver = false;
    entry.failures = 0;
    entry.toldAtRiskMs = undefined;
    this.#schedule(entry, nowMs + this.#intervalMs(entry, nowMs));
    entry.keeper.renewed({ ...outcome.lease, deadlineMs: entry.deadlineMs });
    if (outcome.isFinal && !entry.isFinal) entry.keeper.atRisk('max-hold');
    entry.isFinal = outcome.isFinal;
  }

  #failed(entry: Entry, reason: RiskReason): void {
    entry.isInFlight = false;
    if (!this.#isKept(entry)) return;
    const nowMs = this.#options.clock.monotonicMs();
    const backoffMs = fullJitterMs(entry.failures++, BACKOFF, this.#options.random);
    this.#schedule(entry, nowMs + Math.max(backoffMs, SLOT_MS));
    if (entry.toldAtRiskMs !== undefined && nowMs - entry.toldAtRiskMs < REPEAT_RISK_MS) return;
    entry.toldAtRiskMs = nowMs;
    entry.keeper.atRisk(reason);
  }

  #isKept(entry: Entry): boolean {
    return this.#entries.get(keyOf(entry.lease, entry.lease.stamp.call)) === entry;
  }

  #heard(notice: Notice): void {
    const end = endOf(notice);
    if (!end || !('waiter' in notice)) return;
    const entry = this.#entries.get(keyOf(notice.waiter, notice.call));
    if (entry) this.#end(entry, end);
  }
}

function endOf({ kind }: Notice): KeepingEnd | undefined {
  switch (kind) {
    case 'moved':
      return { kind };
    case 'released':
      return { kind: 'lost', reason: 'released' };
    case 'revoked':
      return { kind: 'lost', reason: 'force-released' };
    default:
      return undefined;
  }
}

function keyOf({ resource, leaseId }: AcquisitionRef, call: number): string {
  return `${call} ${leaseId} ${resource}`;
}

function riskOf(error: unknown): RiskReason {
  const code = error instanceof CoordinationError ? error.code : undefined;
  if (code === 'PRIMARY_UNCONFIRMED') return 'primary-unconfirmed';
  return code === 'DURABILITY_UNMET' ? 'durability-unmet' : 'store-unavailable';
}
