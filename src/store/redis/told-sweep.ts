// Looks at what is remembered in turn, a part at a time, so that a hundred thousand entries cost no pause. Owns where
// the next look begins; when an entry is over, those decide who remember it.

/** Entries that one sweep looks at: a part of all, so that what is over goes within some 20 sweeps. */
const SWEPT_PART = 20;
const LEAST_SWEPT = 1_000;
const MOST_SWEPT = 20_000;

export class ToldSweep<Entry> {
  readonly #entries: ReadonlyMap<string, Entry>;
  #rest: Iterator<Entry> | undefined;

  constructor(entries: ReadonlyMap<string, Entry>) {
    this.#entries = entries;
  }

  /** Looks at the next `most` of them, at most to the last. `look` may remove the entry. */
  look(look: (entry: Entry) => void, most = this.#part()): void {
    for (let looked = 0; looked < most; looked++) {
      this.#rest ??= this.#entries.values();
      const { done, value } = this.#rest.next();
      if (done) {
        this.#rest = undefined;
        return;
      }
      look(value);
    }
  }

  #part(): number {
    return Math.min(Math.max(LEAST_SWEPT, Math.ceil(this.#entries.size / SWEPT_PART)), MOST_SWEPT);
  }
}
