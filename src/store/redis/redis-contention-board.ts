// The contention board on Redis: a hash with one field for each instance. The scripts say what is too old.

import type { BoardView, ContentionBoard } from '../contention-board.ts';
import type { StoreBound } from '../lock-store.ts';
import type { CommandLane } from './command-lane.ts';
import { milliseconds } from './lock-replies.ts';

export interface RedisContentionBoardOptions {
  readonly lane: CommandLane;
  readonly instanceId: string;
}

const FIELDS = 3;

export class RedisContentionBoard implements ContentionBoard {
  readonly #options: RedisContentionBoardOptions;

  constructor(options: RedisContentionBoardOptions) {
    this.#options = options;
  }

  async write(text: string, bound: StoreBound): Promise<void> {
    const { lane, instanceId } = this.#options;
    await lane.run('write-contention', [instanceId, text], bound);
  }

  async read(bound: StoreBound): Promise<BoardView> {
    const { lane } = this.#options;
    const { reply } = await lane.run('read-contention', [], bound);
    const [word, now, ...flat] = reply;
    if (word !== 'board') throw new Error(`read-contention: unexpected reply ${word}`);
    const texts = [];
    for (let at = 0; at < flat.length; at += FIELDS) {
      const [instanceId = '', written, text = ''] = flat.slice(at, at + FIELDS);
      texts.push({ instanceId, writtenWallMs: milliseconds(written), text });
    }
    return { nowWallMs: milliseconds(now), texts };
  }
}
