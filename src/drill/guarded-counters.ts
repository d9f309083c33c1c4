// What the locks of a drill protect: a counter for each resource, which checks the promises as a careful database
// would. It refuses a write with an older fencing token; it finds two holders of one resource at the same time, and
// tokens that didn't grow. All holders are in this process, so one clock judges all of them.

import type { CanaryRecord } from './canary-record.ts';

export interface Holding {
  read(): number;
  /** Sets the counter to one more than what was read; false if it refuses, since it has seen a larger token. */
  write(read: number): boolean;
  /** It holds the resource no longer, or is about to give it back. */
  end(): void;
}

interface Counter {
  token: bigint;
  value: number;
  holder: { readonly owner: string; readonly holds: () => boolean } | undefined;
}

export class GuardedCounters {
  /** How many grants it has judged. */
  grants = 0;
  readonly #record: Pick<CanaryRecord, 'violated'>;
  readonly #counters = new Map<string, Counter>();

  constructor(record: Pick<CanaryRecord, 'violated'>) {
    this.#record = record;
  }

  /** @param holds whether the holder may still act, by its own deadline. */
  granted(resource: string, token: bigint, owner: string, holds: () => boolean): Holding {
    const counter = this.#counters.get(resource) ?? { token: 0n, value: 0, holder: undefined };
    this.#counters.set(resource, counter);
    this.grants++;
    const other = counter.holder;
    if (other?.holds()) {
      this.#record.violated(`${resource}: ${owner} was granted it while ${other.owner} held it`);
    }
    if (token <= counter.token) {
      this.#record.violated(`${resource}: the token ${token} came after ${counter.token}`);
    } else {
      counter.token = token;
    }
    let hasEnded = false;
    const holder = { owner, holds: () => !hasEnded && holds() };
    counter.holder = holder;
    return {
      read: () => counter.value,
      write: (read) => {
        if (token < counter.token) return false;
        if (counter.value !== read) {
          this.#record.violated(`${resource}: it changed between the read and the write of ${owner}`);
        }
        counter.value = read + 1;
        return true;
      },
      end: () => {
        hasEnded = true;
        if (counter.holder === holder) counter.holder = undefined;
      },
    };
  }

  /** How many writes all counters have taken. */
  get writes(): number {
    return [...this.#counters.values()].reduce((sum, { value }) => sum + value, 0);
  }
}
