// Prints the demo: aligned lines with the time and the speaker, and the picture of who held the lease when. It uses
// colour on a terminal only. What is worth a line is decided elsewhere.
import { styleText } from 'node:util';
import type { Belief } from './journal.ts';

type Style = Parameters<typeof styleText>[0];

const PICTURE_COLUMNS = 84;

export interface Picture {
  readonly holders: readonly string[];
  readonly beliefs: readonly Belief[];
  readonly newLocksMs: readonly number[];
  /** In the order of their moments. */
  readonly marks: readonly { readonly letter: string; readonly atMs: number | undefined }[];
  readonly fromMs: number;
  readonly untilMs: number;
}

export class Timeline {
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  say(who: string, text: string, style: Style = 'reset'): void {
    const time = `${((performance.now() - this.#startMs) / 1_000).toFixed(2)} s`;
    console.log(`${styled('dim', time.padStart(8))}  ${who.padEnd(9)} ${styled(style, text)}`);
  }

  /**
   * Draws one row per holder, a row with the moments at which new locks were granted, and a row that marks moments;
   * from `fromMs` on the left to `untilMs` on the right.
   */
  picture({ holders, beliefs, newLocksMs, marks, fromMs, untilMs }: Picture): void {
    const column = (ms: number): number =>
      Math.max(0, Math.floor(((ms - fromMs) / (untilMs - fromMs)) * (PICTURE_COLUMNS - 1)));
    for (const worker of holders) {
      const row = Array<string>(PICTURE_COLUMNS).fill('·');
      for (const belief of beliefs.filter((each) => each.worker === worker))
        row.fill(
          '█',
          column(belief.fromMs),
          Math.max(column(belief.untilMs ?? untilMs), column(belief.fromMs) + 1),
        );
      console.log(`  ${worker.padEnd(9)} ${row.join('')}`);
    }
    const granted = Array<string>(PICTURE_COLUMNS).fill('·');
    for (const ms of newLocksMs) if (ms >= fromMs) granted[column(ms)] = '▪';
    console.log(`  ${'new locks'.padEnd(9)} ${granted.join('')}`);
    console.log(`  ${''.padEnd(9)} ${markRow(marks, column)}`);
  }
}

/** Marks that would fall into one column stand side by side, in the order in which they are given. */
function markRow(marks: Picture['marks'], column: (ms: number) => number): string {
  const row = Array<string>(PICTURE_COLUMNS).fill(' ');
  let next = 0;
  for (const { letter, atMs } of marks) {
    if (atMs === undefined) continue;
    const at = Math.max(column(atMs), next);
    row[at] = letter;
    next = at + 1;
  }
  return row.join('').trimEnd();
}

export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
