// What a check says about a run. A violation is a broken promise. Undecided is what could not be judged (a record too
// long for the search, a run too short for a bound); it never counts as passed.

export interface Violation {
  /** The name of the check, as in the summary. */
  readonly check: string;
  readonly text: string;
  readonly atMs: number;
}

export interface Undecided {
  readonly check: string;
  readonly text: string;
}

export interface Findings {
  readonly violations: readonly Violation[];
  readonly undecided: readonly Undecided[];
  /** What was counted on the way: fenced writes, explained losses, served waits, … */
  readonly counts: Readonly<Record<string, number>>;
}

/** Gathers the findings of one check. */
export class Finder {
  readonly #check: string;
  readonly #violations: Violation[] = [];
  readonly #undecided: Undecided[] = [];
  readonly #counts: Record<string, number> = {};

  constructor(check: string) {
    this.#check = check;
  }

  violation(atMs: number, text: string, check = this.#check): void {
    this.#violations.push({ check, text, atMs });
  }

  undecided(text: string): void {
    this.#undecided.push({ check: this.#check, text });
  }

  count(what: string, by = 1): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + by;
  }

  findings(): Findings {
    return { violations: this.#violations, undecided: this.#undecided, counts: this.#counts };
  }
}

/** A moment as the texts give it. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
