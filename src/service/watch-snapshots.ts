// Reads the snapshots that watches begin with, and tells them: page by page, and never many at once. When a snapshot
// begins and is complete is the hub's business (watch-hub.ts).

import { bounded, type CommandTime } from './call.ts';
import type { WatchCall } from './watch-call.ts';
import { type ReadPage, STATES_PER_READ, type WatchPage, type WatchSource } from './watch-source.ts';

export interface WatchSnapshotsOptions<State> extends CommandTime {
  readonly source: WatchSource<State>;
}

/**
 * How many reads for snapshots are in Redis's queue at once. After a failover a thousand watches begin together, and
 * their pages must not stand in front of everybody's grants.
 */
const SNAPSHOT_READS = 4;

export class WatchSnapshots<State> {
  readonly #options: WatchSnapshotsOptions<State>;
  readonly #turns = new Turns(SNAPSHOT_READS);

  constructor(options: WatchSnapshotsOptions<State>) {
    this.#options = options;
  }

  /**
   * Reads page after page and tells them, each with what changed while it was read. The next page is read when the
   * client has read this one: a snapshot of any length takes little memory.
   */
  async tellPages(call: WatchCall<State>, readPage: ReadPage<State>): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined && !call.isOver; ) {
      const from: string = after;
      const page: WatchPage<State> | undefined = await this.#turns.take(async () => {
        return call.isOver ? undefined : readPage(from, STATES_PER_READ, bounded(this.#options));
      });
      if (!page) return;
      for (const { name, state } of page.states) call.tell(name, state);
      // The next pages read what lies behind this one.
      const end = page.next === undefined ? undefined : Buffer.from(page.next);
      const isBehind = (name: string): boolean =>
        end !== undefined && Buffer.compare(Buffer.from(name), end) > 0;
      await this.tellNow(
        call,
        call.takeMissed((name) => !isBehind(name)),
      );
      await call.caughtUp();
      after = page.next;
    }
  }

  /** Reads the states of these names now, and tells them. */
  async tellNow(call: WatchCall<State>, names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length && !call.isOver; from += STATES_PER_READ) {
      const found = await this.#turns.take(async () => {
        return call.isOver
          ? []
          : this.#options.source.getMany(names.slice(from, from + STATES_PER_READ), bounded(this.#options));
      });
      for (const { name, state } of found) call.tell(name, state);
      await call.caughtUp();
    }
  }
}

/** Bounds how many reads go on at once; the rest wait for their turn, first come, first served. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Does the work when it is its turn, and settles as the work does. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
