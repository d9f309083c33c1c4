// What this instance has told of leases, so that it can put back what a new primary doesn't know: one entry for each,
// noted before the answer leaves. Owns how answers about one lease are merged, the bound, and what a reign's data
// cannot know. Decides nothing of when it is asked (roll-call.ts), and reads of a lease's text only its numbers.
//
// This lies on the path of every grant and renewal. With 100,000 leases remembered, a note takes 1 to 2 us, mostly of
// reading memory, and a lease takes some 350 bytes (with an owner, two pairs of metadata, and a name of 30 characters).

import { ToldAttempts } from './told-attempts.ts';
import { type Cut, knows, movesOn, type ToldAt } from './told-cut.ts';
import { ceilingOf, stampOf, type Told } from './told-lease.ts';
import { ToldSweep } from './told-sweep.ts';

/** What is remembered of a lease. Only ToldMemory changes it. */
export interface ToldLease {
  /** "lease_id resource": the resource may hold spaces. */
  readonly key: string;
  readonly token: number;
  readonly text: string;
  readonly about: string;
  /** These three on the monotonic clock. */
  readonly deadlineMs: number;
  /** Infinity: none. */
  readonly ceilingMs: number;
  readonly holdMs: number;
  /** Whose data have it, since which lease clock: an answer to a roll call moves both on. */
  readonly reign: string;
  readonly clockUs: number;
  /** Under which reign, and at which lease clock it was told last. Of two instances' records the later is newer. */
  readonly toldReign: string;
  readonly toldClockUs: number;
}

type Entry = {
  -readonly [field in keyof ToldLease]: ToldLease[field];
} & {
  /** It is in the map. A renewal may bring back what was swept while it was under way. */
  isKept: boolean;
  /** It ended here, or another lease has its id: nothing is noted of it any more under that reign. */
  isOver: boolean;
  overUnder: string;
};

const OVER_MS = Number.NEGATIVE_INFINITY;
/** Entries that a note looks at when there is no room for it. */
const SWEPT_FOR_ROOM = 16;

export class ToldMemory {
  /** They count for the bound, too. */
  readonly attempts: ToldAttempts;
  readonly #options: { readonly maxLeases: number; readonly monotonicMs: () => number };
  readonly #leases = new Map<string, Entry>();
  readonly #sweep = new ToldSweep(this.#leases);
  #reign = '';
  #largestToken = 0;
  /** The latest end of what was told and not noted, and under which reign: '' for several. */
  #dropped = { untilMs: OVER_MS, reign: '', clockUs: 0 };

  constructor(options: { readonly maxLeases: number; readonly monotonicMs: () => number }) {
    this.#options = options;
    this.attempts = new ToldAttempts({
      monotonicMs: options.monotonicMs,
      hasRoom: () => this.#hasRoom(),
      drop: ({ deadlineMs, reign, clockUs }) => this.#drop(deadlineMs, reign, clockUs),
    });
  }

  /** Of all leases and attempts that were told. */
  get largestToken(): number {
    return Math.max(this.#largestToken, this.attempts.largestToken);
  }

  /** Of leases. */
  get size(): number {
    return this.#leases.size;
  }

  /** Until when something may be valid that was told and is not remembered; in the past if there is nothing. */
  get incompleteUntilMs(): number {
    return this.#dropped.untilMs;
  }

  /** What is remembered of the lease with this token; undefined: nothing. */
  find(resource: string, leaseId: string, token: number): ToldLease | undefined {
    const known = this.#leases.get(keyOf(resource, leaseId));
    return known && known.token === token && !known.isOver ? known : undefined;
  }

  /** From here on, nothing is told of another reign than this one. */
  enters(reign: string): void {
    this.#reign = reign;
  }

  /**
   * Notes an answer that is about to leave. Answers overtake each other, so each field becomes the larger one: a repeat
   * is answered before the confirmation that carries the min_hold, or a renewal before the grant.
   */
  note(told: Told): void {
    const key = keyOf(told.resource, told.leaseId);
    const token = Number(told.text.slice(0, told.text.indexOf(' ')));
    if (token > this.#largestToken) this.#largestToken = token;
    const known = this.#leases.get(key);
    if (known && known.token === token) {
      this.#merge(known, told);
      return;
    }
    // Tokens grow: the lease with the smaller one is over, whichever answer comes first. Its min_hold may go on.
    if (known && known.token > token && !endedBefore(known, told.reign)) {
      known.holdMs = Math.max(known.holdMs, told.holdMs);
      return;
    }
    if (!known && !this.#hasRoom()) {
      this.#drop(Math.max(told.deadlineMs, told.holdMs), told.reign, told.clockUs);
      return;
    }
    if (known) Object.assign(known, { isOver: true, overUnder: told.reign, isKept: false });
    this.#leases.set(key, {
      key,
      token,
      text: told.text,
      about: told.about,
      deadlineMs: told.deadlineMs,
      ceilingMs: ceilingOf(told),
      holdMs: Math.max(told.holdMs, known ? known.holdMs : 0),
      reign: told.reign,
      clockUs: told.clockUs,
      toldReign: told.reign,
      toldClockUs: told.clockUs,
      isKept: true,
      isOver: false,
      overUnder: '',
    });
  }

  /** Notes a renewal of what `find` gave when it was asked for. */
  renewed(lease: ToldLease, deadlineMs: number, reign: string, clockUs: number): void {
    const entry = lease as Entry; // made here
    // The interleaving: renewed, released, and the renewal's answer comes last. Nothing of it is left to tell.
    if (endedBefore(entry, reign)) entry.isOver = false;
    if (entry.isOver) return;
    if (deadlineMs > entry.deadlineMs) entry.deadlineMs = deadlineMs;
    // An equal clock too: it stands still where Redis's TIME has stepped back, and a roll call may have set this one.
    if (entry.reign !== reign || clockUs >= entry.clockUs) {
      entry.reign = entry.toldReign = reign;
      entry.clockUs = entry.toldClockUs = clockUs;
    }
    if (entry.isKept) return;
    const other = this.#leases.get(entry.key);
    if (other && other.token === entry.token) {
      this.renewed(other, deadlineMs, reign, clockUs);
    } else if (other) {
      return; // a newer lease of this id
    } else if (this.#hasRoom()) {
      entry.isKept = true;
      this.#leases.set(entry.key, entry);
    } else {
      this.#drop(entry.deadlineMs, reign, clockUs);
    }
  }

  /**
   * The lease with this token ended, and those before it. One with a larger token was granted after that, although its
   * answer came before. Instead of a token it may be the TIME of a script that found none: tokens are never smaller
   * than the TIME of their grant.
   */
  ended(resource: string, leaseId: string, token: number): void {
    const known = this.#leases.get(keyOf(resource, leaseId));
    if (known && known.token <= token) this.#end(known);
  }

  /** An administrator took it away: until its deadline it only keeps others out. `stamp`: the call that it had then. */
  revoked(resource: string, leaseId: string, stamp: string): void {
    const known = this.#leases.get(keyOf(resource, leaseId));
    if (known && stampOf(known.text) === stamp) this.isRevoked(known);
  }

  /** The same of what `find` gave. */
  isRevoked(lease: ToldLease): void {
    const entry = lease as Entry; // made here
    entry.text = entry.text.replace(/^((?:\S+ ){7})\S+/, '$1revoked');
  }

  /** A stream's lease was released by somebody else. */
  released(resource: string, leaseId: string, stamp: string): void {
    const known = this.#leases.get(keyOf(resource, leaseId));
    // A message has no token. The lease that this id has now may be another one, granted after that: its call is newer.
    if (known && stampOf(known.text) === stamp) this.#end(known);
  }

  /** What data of this origin cannot know and may still be valid. Looks at each only when it is asked for. */
  *unknownTo(cut: Cut): Generator<ToldLease> {
    for (const entry of this.#leases.values()) {
      const nowMs = this.#options.monotonicMs();
      if ((entry.deadlineMs > nowMs || entry.holdMs > nowMs) && !knows(cut, entry)) yield entry;
    }
  }

  /** Whether all that was told and may still be valid is remembered, or known to data of this origin. */
  isCompleteFor(cut: Cut): boolean {
    return this.#dropped.untilMs <= this.#options.monotonicMs() || knows(cut, this.#dropped);
  }

  /** The data of a reign have it since then; as `movesOn` says it. */
  putBack(lease: ToldLease, saidUs: number, since: ToldAt): void {
    movesOn(lease as Entry, saidUs, since); // made here
  }

  /** Forgets some of what is over: a part at a time, so that a hundred thousand leases cost no pause. */
  sweep(): void {
    this.#sweepSome();
  }

  #sweepSome(most?: number): void {
    const nowMs = this.#options.monotonicMs();
    this.#sweep.look((entry) => {
      if (entry.deadlineMs <= nowMs && entry.holdMs <= nowMs) this.#forget(entry);
    }, most);
    this.attempts.sweep(most);
  }

  #hasRoom(): boolean {
    const { maxLeases } = this.#options;
    if (this.#leases.size + this.attempts.size < maxLeases) return true;
    this.#sweepSome(SWEPT_FOR_ROOM);
    return this.#leases.size + this.attempts.size < maxLeases;
  }

  #drop(endMs: number, reign: string, clockUs: number): void {
    const { untilMs, reign: former, clockUs: formerUs } = this.#dropped;
    const isOver = untilMs <= this.#options.monotonicMs();
    this.#dropped = {
      untilMs: Math.max(untilMs, endMs),
      reign: isOver || former === reign ? reign : '',
      clockUs: isOver ? clockUs : Math.max(formerUs, clockUs),
    };
  }

  #merge(entry: Entry, told: Told): void {
    if (told.holdMs > entry.holdMs) entry.holdMs = told.holdMs;
    if (endedBefore(entry, told.reign)) entry.isOver = false;
    if (entry.isOver) return;
    if (told.deadlineMs > entry.deadlineMs) entry.deadlineMs = told.deadlineMs;
    entry.ceilingMs = Math.max(entry.ceilingMs, ceilingOf(told));
    if (entry.reign === told.reign && told.clockUs < entry.clockUs) return;
    entry.text = told.text;
    entry.about = told.about;
    entry.reign = entry.toldReign = told.reign;
    entry.clockUs = entry.toldClockUs = told.clockUs;
  }

  #end(entry: Entry): void {
    entry.isOver = true;
    entry.overUnder = this.#reign;
    entry.deadlineMs = OVER_MS;
    if (entry.holdMs <= this.#options.monotonicMs()) this.#forget(entry);
  }

  #forget(entry: Entry): void {
    entry.isKept = false;
    if (this.#leases.get(entry.key) === entry) this.#leases.delete(entry.key);
  }
}

function keyOf(resource: string, leaseId: string): string {
  return `${leaseId} ${resource}`;
}

/**
 * Whether it ended under another reign than this one, whose data may lack that. The interleaving: granted, released
 * while its min_hold runs, and a primary takes over that lacks the release. The holder renews there, and is told so:
 * the next primary must not forget it.
 */
function endedBefore({ isOver, overUnder }: Entry, reign: string): boolean {
  return isOver && overUnder !== reign;
}
