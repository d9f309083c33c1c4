// Watching locks: where their states and changes come from. The watches themselves are in watch-hub.ts.

import type { LockView } from '../domain/lock.ts';
import type { LockStore } from '../store/lock-store.ts';
import type { CallContext, CommandTime } from './call.ts';
import type { WatchSink } from './watch-call.ts';
import { WatchHub } from './watch-hub.ts';
import type { WatchFilter } from './watch-index.ts';
import type { NamedState, ReadPage } from './watch-source.ts';

export interface LockWatchOptions extends CommandTime {
  readonly store: LockStore;
}

const NOT_FREE = ['held', 'min-hold'] as const;

export class LockWatch {
  readonly #store: LockStore;
  readonly #hub: WatchHub<LockView>;

  constructor({ store, clock, commandTimeoutMs }: LockWatchOptions) {
    this.#store = store;
    this.#hub = new WatchHub({
      source: {
        listen: (listener) =>
          store.watchChanges((notice) =>
            listener(notice.kind === 'changed' ? { kind: 'changed', name: notice.resource } : notice),
          ),
        getMany: async (names, bound) => (await store.getMany(names, bound)).map(named),
      },
      clock,
      commandTimeoutMs,
    });
  }

  /** Open watches. */
  get size(): number {
    return this.#hub.size;
  }

  /**
   * Tells the states of the locks that the filter names, or that begin with its prefix and aren't free; then that the
   * snapshot is complete, and then each change. Throws what WatchHub.watch throws.
   */
  watch(filter: WatchFilter, context: CallContext, sink: WatchSink<LockView>): Promise<never> {
    const prefix = filter.kind === 'prefix' ? filter.prefix : '';
    const readPage: ReadPage<LockView> = async (after, most, bound) => {
      const query = { prefix, owner: '', states: NOT_FREE, after, most };
      const { locks, next } = await this.#store.list(query, bound);
      return { states: locks.map(named), next };
    };
    return this.#hub.watch(filter, readPage, context, sink);
  }

  /** From now on no watch begins here, and open watches end. */
  drain(): void {
    this.#hub.drain();
  }
}

function named(view: LockView): NamedState<LockView> {
  return { name: view.resource, state: view };
}
