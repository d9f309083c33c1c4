// What this instance has told of attempts, so that nobody starts their operations again while they may run: one entry
// for each, with a lease and without, noted before the answer leaves. A part of told memory (told-memory.ts), which has
// the bound and what is beyond it. Owns how answers about one attempt are merged.
//
// Every heartbeat comes through here. An entry takes some 250 bytes.

import { type Cut, knows, movesOn, type ToldAt } from './told-cut.ts';
import { ToldSweep } from './told-sweep.ts';

/** What an answer tells of an attempt. */
export interface AttemptTold extends ToldAt {
  /** Of its operation: "resource TAB operation_id". */
  readonly name: string;
  readonly claimId: string;
  readonly token: number;
  readonly isExclusive: boolean;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
}

/** What is remembered of an attempt. Only ToldAttempts changes it. */
export type ToldAttempt = AttemptTold;

type Entry = { -readonly [field in keyof AttemptTold]: AttemptTold[field] } & {
  readonly key: string;
  /** It ended here, or another attempt has its claim: nothing is noted of it any more. */
  isOver: boolean;
};

export interface ToldAttemptsOptions {
  readonly monotonicMs: () => number;
  /** Whether one more can be remembered. */
  readonly hasRoom: () => boolean;
  /** This is told, and can't be remembered. */
  readonly drop: (told: AttemptTold) => void;
}

export class ToldAttempts {
  readonly #options: ToldAttemptsOptions;
  readonly #attempts = new Map<string, Entry>();
  readonly #sweep = new ToldSweep(this.#attempts);
  #largestToken = 0;

  constructor(options: ToldAttemptsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Of all attempts that were told, also of those that another instance started. */
  get largestToken(): number {
    return this.#largestToken;
  }

  /** What is remembered of the attempt with this token; undefined: nothing. */
  find(name: string, claimId: string, token: number): ToldAttempt | undefined {
    const known = this.#attempts.get(keyOf(name, claimId));
    return known?.token === token ? known : undefined;
  }

  /** Notes an answer that is about to leave. Answers overtake each other: the later deadline counts. */
  note(told: AttemptTold): void {
    if (told.token > this.#largestToken) this.#largestToken = told.token;
    const key = keyOf(told.name, told.claimId);
    const known = this.#attempts.get(key);
    if (known?.token === told.token) {
      this.renewed(known, told);
      return;
    }
    // Tokens grow: the attempt with the smaller one is over, whichever answer comes first.
    if (known && known.token > told.token) return;
    if (!known && !this.#options.hasRoom()) {
      this.#options.drop(told);
      return;
    }
    if (known) known.isOver = true;
    this.#attempts.set(key, { ...told, key, isOver: false });
  }

  /** Notes a sign of life of what `find` gave when it was asked for. */
  renewed(
    attempt: ToldAttempt,
    { deadlineMs, reign, clockUs }: ToldAt & { readonly deadlineMs: number },
  ): void {
    const entry = attempt as Entry; // made here
    // The interleaving: a heartbeat, then the completion, and the heartbeat's answer comes last.
    if (entry.isOver) return;
    if (deadlineMs > entry.deadlineMs) entry.deadlineMs = deadlineMs;
    if (entry.reign !== reign || clockUs > entry.clockUs) {
      entry.reign = reign;
      entry.clockUs = clockUs;
    }
    if (this.#attempts.get(entry.key) === entry) return;
    // It was swept while this was under way.
    const { name, claimId, token, isExclusive } = entry;
    this.note({ name, claimId, token, isExclusive, deadlineMs: entry.deadlineMs, reign, clockUs });
  }

  /** The answer that is about to leave says that the attempt of `find` is over. */
  isOver(attempt: ToldAttempt): void {
    const entry = attempt as Entry; // made here
    entry.isOver = true;
    this.#forget(entry);
  }

  /** What data of this origin cannot know and may still run. Looks at each only when it is asked for. */
  *unknownTo(cut: Cut): Generator<ToldAttempt> {
    for (const entry of this.#attempts.values()) {
      if (entry.deadlineMs > this.#options.monotonicMs() && !knows(cut, entry)) yield entry;
    }
  }

  /** The data of a reign have it since then; as `movesOn` says it. */
  putBack(attempt: ToldAttempt, saidUs: number, since: ToldAt): void {
    movesOn(attempt as Entry, saidUs, since); // made here
  }

  /** Forgets what is over, of the next `most`; without a number, of a part of all. */
  sweep(most?: number): void {
    const nowMs = this.#options.monotonicMs();
    this.#sweep.look((entry) => {
      if (entry.deadlineMs <= nowMs) this.#forget(entry);
    }, most);
  }

  #forget(entry: Entry): void {
    if (this.#attempts.get(entry.key) === entry) this.#attempts.delete(entry.key);
  }
}

function keyOf(name: string, claimId: string): string {
  return `${claimId} ${name}`;
}
