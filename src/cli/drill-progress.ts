// What a drill shows while it runs, on stderr: a line for each event, and on a terminal a line at the bottom that says
// which phase it is in and for how long.

import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { Clock, Timer } from '../domain/clock.ts';
import type { TimelineEvent } from '../drill/drill-timeline.ts';
import { printable } from './text.ts';

const STDERR = 2;
const EVERY_MS = 250;
/** Back to the first column, and clear to the end of the line. */
const CLEAR = '\r\u001b[K';

export class DrillProgress {
  readonly #clock: Clock;
  readonly #hasStatus = isatty(STDERR);
  #startMs: number;
  #phase: (() => string) | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  begin(phase: () => string): void {
    this.#startMs = this.#clock.monotonicMs();
    this.#phase = phase;
    this.#draw();
  }

  tell({ atMs, who, what }: TimelineEvent): void {
    const time = `${((atMs - this.#startMs) / 1_000).toFixed(1)} s`;
    this.#write(`${this.#hasStatus ? CLEAR : ''}${time.padStart(8)}  ${printable(`${who}  ${what}`)}\n`);
  }

  /** A second call does nothing. */
  end(): void {
    this.#timer?.cancel();
    if (this.#phase && this.#hasStatus) this.#write(CLEAR);
    this.#phase = undefined;
  }

  #draw(): void {
    if (!this.#phase || !this.#hasStatus) return;
    const seconds = ((this.#clock.monotonicMs() - this.#startMs) / 1_000).toFixed(0);
    this.#write(`${CLEAR}${seconds.padStart(6)} s  ${this.#phase()}`);
    this.#timer = this.#clock.after(EVERY_MS, () => this.#draw());
  }

  #write(text: string): void {
    try {
      writeSync(STDERR, text);
    } catch {
      // Nobody reads it.
    }
  }
}
