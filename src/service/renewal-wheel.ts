// Renews what this instance keeps for its streams (leases, attempts): one timer for all of them, and one call of the
// store for many that are due at the same moment. Owns when something is renewed, and what becomes of it. How it is
// renewed is in renewals.ts; who hears of it, and how, is the streams' business.
//
//   keep ──▶ due ──renewed──▶ waits a quarter of what is left ──▶ due …
//             │ the store fails, or a roll call goes on and it doesn't know: at risk, tried again soon
//             │ renew_for is over: at risk, and it only looks
//             └ lost, moved, or the deadline passes: ended

import { fullJitterMs } from '../domain/backoff.ts';
import type { Timer } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { StoreBound } from '../store/lock-store.ts';
import { bounded, type CommandTime } from './call.ts';
import { KeptNames } from './kept-names.ts';
import { type Entry, newEntry, type Slot } from './renewal-entry.ts';
import { type RiskReason, riskOf } from './renewal-risks.ts';
import type { Keeper, KeepingEnd, Kept, KeptNews, Renewal, Renewals } from './renewals.ts';

export interface RenewalWheelOptions<K extends Kept, Granted extends { readonly deadlineMs: number }, Loss>
  extends CommandTime {
  readonly renewals: Renewals<K, Granted, Loss>;
  readonly random: () => number;
  /** Called with what nobody expects to be thrown; the renewals are tried again. */
  readonly onDefect: (thrown: unknown) => void;
  /** Called after each success with how long after it was due it was answered. */
  readonly onLag?: (lagMs: number) => void;
}

const SLOT_MS = 50;
/** A group has one in this many slots for itself (a power of two), if they lie close enough for the interval. */
const MOST_SLOTS_APART = 8;
const LARGEST_PART_APART = 1 / 16;
/** At most this many in one call of the store, which runs them in one piece. */
const BATCH = 200;
/** Often enough that a stream is never silent for 15 s, whatever the TTL. */
const LONGEST_INTERVAL_MS = 12_000;
/** What is final is renewed until its end too, but not more and more often. */
const SHORTEST_INTERVAL_MS = 200;
const REPEAT_RISK_MS = 10_000;
/** A look tells the risk again after this. The next one may be far off, and the stream must not be silent for 15 s. */
const REPEAT_OVER_MS = 3_000;
const BACKOFF = { firstMs: 200, mostMs: 2_000 };
/** A roll call takes a second, and many leases may be unknown at once. */
const UNKNOWN_AGAIN_MS = 500;

export class RenewalWheel<K extends Kept, Granted extends { readonly deadlineMs: number }, Loss> {
  readonly #options: RenewalWheelOptions<K, Granted, Loss>;
  readonly #entries = new Map<string, Entry<K, Granted, Loss>>();
  readonly #names = new KeptNames();
  readonly #slots = new Map<number, Slot<K, Granted, Loss>>();
  readonly #stopListening: () => void;
  #timer: Timer | undefined;

  constructor(options: RenewalWheelOptions<K, Granted, Loss>) {
    this.#options = options;
    this.#stopListening = options.renewals.listen((key, news) => this.#heard(key, news));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether it can keep these, too, when it is to keep `most`. What is here already takes no further room. */
  hasRoomFor(kept: readonly K[], most: number): boolean {
    const names = kept.map(this.#options.renewals.nameOf);
    // While the store is away no call hears that it was taken over, and each that follows is one more.
    return this.#names.sizeWith(names) <= most && this.#entries.size + kept.length <= 2 * most;
  }

  /** Keeps it until it ends or the returned function is called; that function doesn't end it. */
  keep(kept: K, keeper: Keeper<Granted, Loss>): () => void {
    const entry = newEntry(this.#options.renewals.keyOf(kept), kept, keeper);
    this.#entries.set(entry.key, entry);
    this.#names.add(this.#options.renewals.nameOf(kept));
    const nowMs = this.#options.clock.monotonicMs();
    entry.dueMs = kept.takesOver ? nowMs : this.#nextMs(entry, nowMs);
    this.#schedule(entry, entry.dueMs);
    return () => this.#forget(entry);
  }

  close(): void {
    this.#stopListening();
    this.#timer?.cancel();
    this.#entries.clear();
    this.#slots.clear();
  }

  // Jittered, so that what was granted together spreads out, and moved back a little to a slot of its group. The
  // messages to the streams of one connection then leave in few pieces, and each piece has its price.
  #nextMs({ deadlineMs, kept }: Entry<K, Granted, Loss>, nowMs: number): number {
    const quarterMs = Math.min((deadlineMs - nowMs) / 4, LONGEST_INTERVAL_MS);
    const intervalMs = Math.max(quarterMs * (0.88 + 0.12 * this.#options.random()), SHORTEST_INTERVAL_MS);
    const slot = Math.ceil((nowMs + intervalMs) / SLOT_MS);
    let apart = MOST_SLOTS_APART;
    while (apart > 1 && apart * SLOT_MS > intervalMs * LARGEST_PART_APART) apart /= 2;
    return (slot - ((slot - kept.group) & (apart - 1))) * SLOT_MS;
  }

  /** At `atMs`, or when its renew_for is over or its deadline passes, if that comes first. */
  #schedule(entry: Entry<K, Granted, Loss>, atMs: number): void {
    this.#unschedule(entry);
    const endMs = entry.onlyLooks ? entry.deadlineMs : Math.min(entry.kept.renewUntilMs, entry.deadlineMs);
    const number = Math.ceil(Math.min(atMs, endMs) / SLOT_MS);
    let slot = this.#slots.get(number);
    if (!slot) {
      slot = { number, entries: new Set() };
      this.#slots.set(number, slot);
    }
    slot.entries.add(entry);
    entry.slot = slot;
    this.#timer ??= this.#options.clock.after(SLOT_MS, () => this.#turn());
  }

  #unschedule(entry: Entry<K, Granted, Loss>): void {
    const { slot } = entry;
    if (!slot) return;
    entry.slot = undefined;
    if (slot.entries.delete(entry) && slot.entries.size === 0) this.#slots.delete(slot.number);
  }

  #forget(entry: Entry<K, Granted, Loss>): boolean {
    if (!entry.isKept) return false;
    entry.isKept = false;
    this.#unschedule(entry);
    this.#names.delete(this.#options.renewals.nameOf(entry.kept));
    return this.#entries.delete(entry.key);
  }

  #end(entry: Entry<K, Granted, Loss>, end: KeepingEnd<Loss>): void {
    if (this.#forget(entry)) entry.keeper.ended(end);
  }

  #lapse(entry: Entry<K, Granted, Loss>, isFinal: boolean): void {
    this.#end(entry, { kind: 'lost', reason: this.#options.renewals.lapsed(isFinal) });
  }

  #turn(): void {
    this.#timer = undefined;
    const nowMs = this.#options.clock.monotonicMs();
    const due: Entry<K, Granted, Loss>[] = [];
    for (const slot of [...this.#slots.values()]) {
      if (slot.number * SLOT_MS > nowMs) continue;
      this.#slots.delete(slot.number);
      for (const entry of slot.entries) {
        entry.slot = undefined;
        if (nowMs >= entry.deadlineMs) this.#lapse(entry, entry.isFinal);
        else if (!entry.isInFlight) due.push(entry);
      }
    }
    // Nothing is renewed after its renew_for, not even by a command that Redis runs late. So the last renewals have a
    // bound of their own, and go out apart: the bound may be too short for the others.
    const { deadlineMs } = bounded(this.#options);
    const mustRunBy = ({ kept }: Entry<K, Granted, Loss>): number =>
      nowMs < kept.renewUntilMs ? Math.min(deadlineMs, kept.renewUntilMs) : deadlineMs;
    for (const [mustRunByMs, together] of Map.groupBy(due, mustRunBy)) {
      // Apart by `minAcks`, so that no renewal fails because another one asks for more replicas.
      for (const [minAcks, alike] of Map.groupBy(together, ({ kept }) => kept.minAcks)) {
        const bound = { deadlineMs: mustRunByMs, minAcks };
        if (alike.length > BATCH) alike.sort((a, b) => a.kept.group - b.kept.group);
        for (let i = 0; i < alike.length; i += BATCH) void this.#renew(alike.slice(i, i + BATCH), bound);
      }
    }
    if (this.#slots.size > 0) this.#timer ??= this.#options.clock.after(SLOT_MS, () => this.#turn());
  }

  async #renew(batch: readonly Entry<K, Granted, Loss>[], bound: StoreBound): Promise<void> {
    const { renewals, clock, commandTimeoutMs, onDefect } = this.#options;
    const { deadlineMs } = bounded(this.#options);
    const nowMs = clock.monotonicMs();
    for (const entry of batch) {
      entry.isInFlight = true;
      if (!entry.onlyLooks && nowMs >= entry.kept.renewUntilMs) {
        entry.onlyLooks = true;
        entry.toldAtRiskMs = undefined;
      }
      if (entry.deadlineMs <= deadlineMs) this.#schedule(entry, entry.deadlineMs);
    }
    // Their ends don't wait for an answer that hangs. Before that they need no slot.
    const hanging = clock.after(commandTimeoutMs, () => {
      for (const entry of batch) if (entry.isKept) this.#schedule(entry, entry.deadlineMs);
    });
    const commands = batch.map(({ kept, takesOver, onlyLooks }) =>
      takesOver === kept.takesOver && !onlyLooks ? kept : { ...kept, takesOver, onlyLooks },
    );
    try {
      const outcomes = await renewals.renew(commands, bound);
      for (const [index, entry] of batch.entries()) this.#answered(entry, outcomes[index]);
    } catch (error) {
      if (!(error instanceof CoordinationError) || error.code === 'INTERNAL') onDefect(error);
      for (const entry of batch) this.#failed(entry, riskOf(error));
    } finally {
      hanging.cancel();
    }
  }

  #answered(entry: Entry<K, Granted, Loss>, outcome: Renewal<Granted, Loss> | undefined): void {
    entry.isInFlight = false;
    if (!entry.isKept) return;
    if (!outcome) throw new Error('a renewal without an outcome');
    const nowMs = this.#options.clock.monotonicMs();
    if (outcome.kind === 'moved') {
      this.#end(entry, outcome);
      return;
    }
    // Nothing that arrives after the deadline revives it: its holder has stopped.
    if (nowMs >= entry.deadlineMs) {
      this.#lapse(entry, entry.isFinal);
      return;
    }
    if (outcome.kind === 'lost') {
      this.#end(entry, outcome);
      return;
    }
    if (outcome.kind === 'unknown') {
      this.#tryAgain(entry, UNKNOWN_AGAIN_MS * (1 + this.#options.random()), 'store-unavailable');
      return;
    }
    // Before the first answer of a take-over the deadline is a guess. From then on, a deadline that was told never
    // comes forward.
    const { granted } = outcome;
    entry.deadlineMs = entry.takesOver ? granted.deadlineMs : Math.max(entry.deadlineMs, granted.deadlineMs);
    if (nowMs >= entry.deadlineMs) {
      this.#lapse(entry, outcome.isFinal);
      return;
    }
    entry.takesOver = false;
    entry.failures = 0;
    if (!entry.onlyLooks) {
      entry.toldAtRiskMs = undefined;
      this.#options.onLag?.(Math.max(nowMs - entry.dueMs, 0));
    }
    entry.dueMs = entry.lookAgain ? nowMs : this.#nextMs(entry, nowMs);
    this.#schedule(entry, entry.dueMs);
    entry.lookAgain = false;
    const isFinalNow = outcome.isFinal && !entry.isFinal;
    entry.isFinal = outcome.isFinal;
    if (entry.onlyLooks) {
      entry.keeper.looked(granted);
      this.#tellAtRisk(entry, 'renew-for', REPEAT_OVER_MS);
      return;
    }
    entry.keeper.renewed(
      granted.deadlineMs === entry.deadlineMs ? granted : { ...granted, deadlineMs: entry.deadlineMs },
    );
    if (isFinalNow) entry.keeper.atRisk('max-hold');
  }

  #failed(entry: Entry<K, Granted, Loss>, reason: RiskReason): void {
    entry.isInFlight = false;
    if (!entry.isKept) return;
    const backoffMs = fullJitterMs(entry.failures++, BACKOFF, this.#options.random);
    this.#tryAgain(entry, Math.max(backoffMs, SLOT_MS), reason);
  }

  #tryAgain(entry: Entry<K, Granted, Loss>, afterMs: number, reason: RiskReason): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#schedule(entry, nowMs + afterMs);
    if (entry.onlyLooks) this.#tellAtRisk(entry, 'renew-for', REPEAT_OVER_MS);
    else if (nowMs < entry.kept.renewUntilMs) this.#tellAtRisk(entry, reason, REPEAT_RISK_MS);
  }

  #tellAtRisk(entry: Entry<K, Granted, Loss>, reason: RiskReason, againAfterMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (entry.toldAtRiskMs !== undefined && nowMs - entry.toldAtRiskMs < againAfterMs) return;
    entry.toldAtRiskMs = nowMs;
    entry.keeper.atRisk(reason);
  }

  // A renewal in flight may have run before the change that the notice tells of, so it is repeated.
  #heard(key: string, news: KeptNews<Loss>): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    if (news.kind !== 'look') this.#end(entry, news);
    else if (entry.isInFlight) entry.lookAgain = true;
    else {
      entry.dueMs = Math.min(entry.dueMs, this.#options.clock.monotonicMs());
      this.#schedule(entry, entry.dueMs);
    }
  }
}
