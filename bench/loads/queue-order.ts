// Knows in which order callers stand in a queue, and counts grants to a caller while another stood before it.

export class QueueOrder {
  /** A Set keeps the order in which its members came. */
  #standing = new Set<string>();
  #outOfOrder = 0;

  get outOfOrder(): number {
    return this.#outOfOrder;
  }

  /** Adds a caller at the tail. */
  queued(leaseId: string): void {
    this.#standing.add(leaseId);
  }

  /** The real order, first to last. Callers that aren't named stay behind them. */
  expect(leaseIds: readonly string[]): void {
    this.#standing = new Set([...leaseIds, ...this.#standing]);
  }

  granted(leaseId: string): void {
    const [first] = this.#standing;
    if (first !== leaseId) this.#outOfOrder++;
    this.#standing.delete(leaseId);
  }
}
