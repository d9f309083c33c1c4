// The newest releases that this instance has told, so that it can repeat those that a new primary lacks: there the
// lease's record would block its resource until its deadline. That costs time and no promise, so the oldest may go
// where there are too many. Owns which are remembered and for how long. What a release changes in told memory is in
// told-answers.ts, and when they are asked for in roll-call.ts.
//
// A note takes 0.3 to 1 us. A release takes some 240 bytes, with its lease_id and a resource's name of 30 characters:
// 15 MB for the 62,500 that an instance remembers by default, which are 12 s of 5,000 releases a second.

import { type Cut, knows, type ToldAt } from './told-cut.ts';

export interface ToldEnding extends ToldAt {
  readonly resource: string;
  readonly leaseId: string;
  /** Of the lease that ended, which nobody has again. */
  readonly token: number;
}

type Entry = { -readonly [field in keyof ToldEnding]: ToldEnding[field] } & { readonly atMs: number };

export interface ToldEndingsOptions {
  readonly most: number;
  /** How long one is remembered: until the lease would have lapsed anyway. */
  readonly keptMs: number;
  readonly monotonicMs: () => number;
}

/** Forgotten entries before the first one that are worth a copy of the rest. */
const FEWEST_FORGOTTEN = 1_000;

export class ToldEndings {
  readonly #options: ToldEndingsOptions;
  /** In the order in which they were told. */
  #entries: Entry[] = [];
  /** Those before it are forgotten. */
  #first = 0;

  constructor(options: ToldEndingsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.length - this.#first;
  }

  note({ resource, leaseId, token, reign, clockUs }: ToldEnding): void {
    const atMs = this.#options.monotonicMs();
    this.#entries.push({ resource, leaseId, token, reign, clockUs, atMs });
    if (this.size > this.#options.most) this.#first++;
    this.#compact();
  }

  /** What data of this origin cannot know, as of now. */
  unknownTo(cut: Cut): readonly ToldEnding[] {
    this.sweep();
    return this.#entries.slice(this.#first).filter((entry) => !knows(cut, entry));
  }

  /** The data of `reign` know it since a script with this lease clock. */
  repeated(ending: ToldEnding, reign: string, clockUs: number): void {
    const entry = ending as Entry; // made here
    entry.reign = reign;
    entry.clockUs = clockUs;
  }

  /** Forgets what is over. */
  sweep(): void {
    const overMs = this.#options.monotonicMs() - this.#options.keptMs;
    while ((this.#entries[this.#first]?.atMs ?? Number.POSITIVE_INFINITY) <= overMs) this.#first++;
    this.#compact();
  }

  #compact(): void {
    if (this.#first < FEWEST_FORGOTTEN || this.#first < this.size) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
