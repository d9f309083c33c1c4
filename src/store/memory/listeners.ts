// Who listens to one kind of notice of a store in memory.

export class Listeners<T> {
  readonly #all = new Set<(notice: T) => void>();

  /** Returns the end of it. */
  add(listener: (notice: T) => void): () => void {
    const own = (notice: T): void => listener(notice); // the same one may listen twice
    this.#all.add(own);
    return () => this.#all.delete(own);
  }

  /** Later, as a message from Redis would come: never inside the command that caused it. */
  tell(notice: T): void {
    queueMicrotask(() => this.tellNow(notice));
  }

  tellNow(notice: T): void {
    for (const listener of this.#all) listener(notice);
  }
}
