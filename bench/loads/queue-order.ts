// In which order callers stand in a queue, and how many were granted before another who stood before them.

export class QueueOrder {
  /** Sets keep the order in which their members came. */
  #standing = new Set<string>();
  #outOfOrder = 0;

  get outOfOrder(): number {
    return this.#outOfOrder;
  }

  /** At the tail. */
  queued(leaseId: string): void {
    this.#standing.add(leaseId);
  }

  /** How they really stand, first to last. Those that aren't named keep standing behind them. */
  expect(leaseIds: readonly string[]): void {
    this.#standing = new Set([...leaseIds, ...this.#standing]);
  }

  granted(leaseId: string): void {
    const [first] = this.#standing;
    if (first !== leaseId) this.#outOfOrder++;
    this.#standing.delete(leaseId);
  }
}
