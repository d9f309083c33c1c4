// What an instance keeps, by name: once, however many calls keep it. While one takes it over from another, there are
// two.
//
// Counted by calls, an instance that is full would refuse every stream that is opened anew for what it keeps itself,
// and all of that would be lost when its renew_for is over.

export class KeptNames {
  readonly #callsOf = new Map<string, number>();

  /** How many names there would be with these. */
  sizeWith(names: readonly string[]): number {
    return this.#callsOf.size + names.filter((name) => !this.#callsOf.has(name)).length;
  }

  /** One more call keeps it. */
  add(name: string): void {
    this.#callsOf.set(name, (this.#callsOf.get(name) ?? 0) + 1);
  }

  /** A call keeps it no more. */
  delete(name: string): void {
    const calls = this.#callsOf.get(name) ?? 0;
    if (calls > 1) this.#callsOf.set(name, calls - 1);
    else this.#callsOf.delete(name);
  }
}
