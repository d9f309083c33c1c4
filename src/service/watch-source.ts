// Where the watched states and their changes come from: what lock-watch.ts and operation-watch.ts give to watch-hub.ts.

import type { StoreBound } from '../store/lock-store.ts';

/** What a source tells of changes. */
export type WatchNotice =
  | { readonly kind: 'changed'; readonly name: string }
  /** From now on changes are heard. `missed`: earlier changes may have been missed. */
  | { readonly kind: 'listening'; readonly missed: boolean }
  /** From now on changes may not be heard. */
  | { readonly kind: 'deaf' };

export interface NamedState<State> {
  readonly name: string;
  readonly state: State;
}

/** A page in the order of the names' bytes, and the name behind which the next page begins. */
export interface WatchPage<State> {
  readonly states: readonly NamedState<State>[];
  readonly next: string | undefined;
}

/** Reads one page of a snapshot, from behind the name `after`; '': the first page. */
export type ReadPage<State> = (after: string, most: number, bound: StoreBound) => Promise<WatchPage<State>>;

/** Where the states and their changes come from. */
export interface WatchSource<State> {
  /** Returns the unsubscriber. */
  listen(listener: (notice: WatchNotice) => void): () => void;
  getMany(names: readonly string[], bound: StoreBound): Promise<readonly NamedState<State>[]>;
}

/** The most states in one read. */
export const STATES_PER_READ = 100;
