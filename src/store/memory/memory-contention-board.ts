// The contention board of the embedded store: its only instance reads what it has written itself.

import type { BoardView, ContentionBoard } from '../contention-board.ts';
import { TEXT_KEPT_MS } from '../contention-board.ts';
import type { StoreBound } from '../lock-store.ts';
import type { LockTable } from './lock-table.ts';

export class MemoryContentionBoard implements ContentionBoard {
  readonly #instanceId: string;
  readonly #table: LockTable;
  #text = '';
  #writtenWallMs = 0;

  constructor({ instanceId, table }: { readonly instanceId: string; readonly table: LockTable }) {
    this.#instanceId = instanceId;
    this.#table = table;
  }

  write(text: string, bound: StoreBound): Promise<void> {
    return this.#table.run('write-contention', bound, () => {
      this.#text = text;
      this.#writtenWallMs = this.#table.clock.wallMs;
    });
  }

  read(bound: StoreBound): Promise<BoardView> {
    return this.#table.run('read-contention', bound, () => {
      const nowWallMs = this.#table.clock.wallMs;
      const isKept = this.#text !== '' && Math.abs(nowWallMs - this.#writtenWallMs) <= TEXT_KEPT_MS;
      const own = { instanceId: this.#instanceId, writtenWallMs: this.#writtenWallMs, text: this.#text };
      return { nowWallMs, texts: isKept ? [own] : [] };
    });
  }
}
