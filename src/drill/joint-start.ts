// The beginning and the end of what several holders of a part have in common: all begin at once, and after the end none
// of them begins any more.

export class JointStart {
  readonly #stopping = new AbortController();
  #starting: Promise<unknown> = Promise.resolve();

  /** Aborts when the part is to end. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Rejects with the first one that fails. */
  async start(count: number, begin: (index: number) => Promise<void>): Promise<void> {
    const all = Array.from({ length: count }, (_, index) => begin(index));
    this.#starting = Promise.allSettled(all);
    await Promise.all(all);
  }

  /** Resolves when all have begun, or failed to. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#starting;
  }
}
