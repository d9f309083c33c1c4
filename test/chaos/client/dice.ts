// The run's chance, seeded by words: each loop of each client has dice of its own, which throw the same numbers again
// for the same seed. (What a loop does with them also depends on answers and time.)

import { SeededRandom } from '../rig/random.ts';

export class Dice extends SeededRandom {
  constructor(words: string) {
    let hash = 2_166_136_261; // FNV-1a
    for (const byte of Buffer.from(words)) hash = Math.imul(hash ^ byte, 16_777_619);
    super(hash);
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return this.between(0, count - 1);
  }
}
