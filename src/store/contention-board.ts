// Where the instances of a deployment leave what they know of contention for each other: one text each, which no store
// reads. It takes no part in the path of locks: nothing depends on it, and losing it costs nothing. Conformance:
// test/conformance/contention-board.suite.ts. The methods throw what those of the lock store throw.

import type { StoreBound } from './lock-store.ts';

/** What an instance has left. */
export interface BoardText {
  readonly instanceId: string;
  /** By the store's wall clock, in milliseconds since 1970. */
  readonly writtenWallMs: number;
  readonly text: string;
}

export interface BoardView {
  /** The store's wall clock, in milliseconds since 1970. */
  readonly nowWallMs: number;
  /** In no order. */
  readonly texts: readonly BoardText[];
}

/** A text that its instance hasn't written again for so long is ignored, and removed by those who come across it. */
export const TEXT_KEPT_MS = 60_000;

export interface ContentionBoard {
  /** Leaves this instance's text in place of the one before; '' takes it away. */
  write(text: string, bound: StoreBound): Promise<void>;

  /** The texts of all instances that have written lately, this one among them. */
  read(bound: StoreBound): Promise<BoardView>;
}
