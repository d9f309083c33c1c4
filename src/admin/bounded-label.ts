// A label whose values come from callers: the first so many stay themselves, so that no caller can make a scrape grow
// without bound. It never forgets one: a series that came and went would count wrong.

export const OTHER = 'other';

export class BoundedLabel {
  readonly #most: number;
  readonly #known = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  /** The value itself, or `other`. */
  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#most) return OTHER;
    this.#known.add(value);
    return value;
  }
}
