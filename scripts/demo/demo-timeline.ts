// Prints the demo: aligned lines with the time and the speaker, and the picture of who held the lease when. It uses
// colour on a terminal only. What is worth a line is decided elsewhere.
import { styleText } from 'node:util';
import type { Belief } from './journal.ts';

type Style = Parameters<typeof styleText>[0];

const PICTURE_COLUMNS = 84;

export class Timeline {
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  say(who: string, text: string, style: Style = 'reset'): void {
    const time = `${((performance.now() - this.#startMs) / 1_000).toFixed(2)} s`;
    console.log(`${styled('dim', time.padStart(8))}  ${who.padEnd(9)} ${styled(style, text)}`);
  }

  /** Draws one row per worker and a row that marks moments; `untilMs` is the right end. */
  picture(
    workers: readonly string[],
    beliefs: readonly Belief[],
    marks: readonly { readonly letter: string; readonly atMs: number | undefined }[],
    untilMs: number,
  ): void {
    const column = (ms: number): number =>
      Math.floor(((ms - this.#startMs) / (untilMs - this.#startMs)) * (PICTURE_COLUMNS - 1));
    for (const worker of workers) {
      const row = Array<string>(PICTURE_COLUMNS).fill('·');
      for (const belief of beliefs.filter((each) => each.worker === worker))
        row.fill(
          '█',
          column(belief.fromMs),
          Math.max(column(belief.untilMs ?? untilMs), column(belief.fromMs) + 1),
        );
      console.log(`  ${worker.padEnd(9)} ${row.join('')}`);
    }
    const row = Array<string>(PICTURE_COLUMNS).fill(' ');
    for (const { letter, atMs } of marks) if (atMs !== undefined) row[column(atMs)] = letter;
    console.log(`  ${''.padEnd(9)} ${row.join('').trimEnd()}`);
  }
}

export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
