// The listeners to one kind of notice of a store in memory. Owns when they hear; what they hear is the caller's.

export class Listeners<T> {
  readonly #all = new Set<(notice: T) => void>();

  /** Returns the unsubscriber. */
  add(listener: (notice: T) => void): () => void {
    const own = (notice: T): void => listener(notice); // the same function may listen twice
    this.#all.add(own);
    return () => this.#all.delete(own);
  }

  /** Tells them later, as a message from Redis would come: never inside the command that caused it. */
  tell(notice: T): void {
    queueMicrotask(() => this.tellNow(notice));
  }

  tellNow(notice: T): void {
    for (const listener of this.#all) listener(notice);
  }
}
