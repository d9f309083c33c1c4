// A bounded table of the heaviest keys of a stream: the Space-Saving sketch of Metwally, Agrawal and El Abbadi
// ("Efficient computation of frequent and top-k elements in data streams", ICDT 2005), with weights in place of counts.
// Knows nothing of locks, and of time only what it is given as a weight.
//
// When the table is full, a new key takes the place of the lightest one, and inherits its weight as its error. Hence:
//
// * what a key really weighs is at most its `weight`, and at least `weight - error`;
// * a key that isn't in the table weighs at most `floor`, which is at most the sum of all weights / capacity.
//
// The lightest key is the root of a heap, so that one addition takes O(log capacity).

export interface Counted<Facts> {
  readonly key: string;
  /** Never less than what was added for the key. */
  readonly weight: number;
  /** By how much `weight` may be too large. */
  readonly error: number;
  /** What has been noted of the key since it came into the table, for the last time. */
  readonly facts: Facts;
}

interface Slot<Facts> extends Counted<Facts> {
  weight: number;
  /** Where it is in the heap. */
  at: number;
}

export class SpaceSaving<Facts> {
  readonly #capacity: number;
  readonly #newFacts: () => Facts;
  readonly #slots = new Map<string, Slot<Facts>>();
  /** No slot is lighter than its parent, which is at half its index. */
  readonly #heap: Slot<Facts>[] = [];

  constructor(capacity: number, newFacts: () => Facts) {
    this.#capacity = capacity;
    this.#newFacts = newFacts;
  }

  /** At most the capacity. */
  get size(): number {
    return this.#heap.length;
  }

  /** What a key that isn't in the table can weigh at most. */
  get floor(): number {
    return this.#heap.length < this.#capacity ? 0 : (this.#heap[0]?.weight ?? 0);
  }

  /** In no order. */
  get entries(): Iterable<Counted<Facts>> {
    return this.#heap;
  }

  get(key: string): Counted<Facts> | undefined {
    return this.#slots.get(key);
  }

  /** Adds a weight, not below 0. The facts that it returns may be written until the next addition. */
  add(key: string, weight: number): Facts {
    let slot = this.#slots.get(key);
    if (slot) {
      slot.weight += weight;
    } else {
      const [lightest] = this.#heap;
      const isFull = lightest !== undefined && this.#heap.length >= this.#capacity;
      const error = isFull ? lightest.weight : 0;
      slot = { key, weight: error + weight, error, facts: this.#newFacts(), at: 0 };
      if (isFull) {
        this.#slots.delete(lightest.key);
        this.#heap[0] = slot;
      } else {
        slot.at = this.#heap.length;
        this.#heap.push(slot);
        this.#rise(slot);
      }
      this.#slots.set(key, slot);
    }
    this.#sink(slot);
    return slot.facts;
  }

  #rise(slot: Slot<Facts>): void {
    for (;;) {
      const parent = this.#heap[Math.floor((slot.at - 1) / 2)];
      if (slot.at === 0 || parent === undefined || parent.weight <= slot.weight) return;
      this.#swap(slot, parent);
    }
  }

  #sink(slot: Slot<Facts>): void {
    for (;;) {
      const left = this.#heap[2 * slot.at + 1];
      const right = this.#heap[2 * slot.at + 2];
      const lighter = right && left && right.weight < left.weight ? right : left;
      if (lighter === undefined || lighter.weight >= slot.weight) return;
      this.#swap(slot, lighter);
    }
  }

  #swap(one: Slot<Facts>, other: Slot<Facts>): void {
    [one.at, other.at] = [other.at, one.at];
    this.#heap[one.at] = one;
    this.#heap[other.at] = other;
  }
}
