// Leaves this instance's report on the board now and then, as long as there is something to tell. An instance on which
// nobody waits writes nothing. A report that can't be written is dropped: the next one has it all.

import type { Clock, Timer } from '../../domain/clock.ts';
import type { StoreBound } from '../../store/lock-store.ts';
import { encodeReport } from './contention-report.ts';
import { ownReport, type ReportsOptions } from './deployment-reports.ts';

export interface ReportWriterOptions extends ReportsOptions {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly boundOf: () => StoreBound;
}

/** While calls wait here, or have since the last report. */
export const REPORT_EVERY_MS = 5_000;
/** While all that there is to tell is what was. Below the time for which the board keeps it. */
const REPEAT_EVERY_MS = 30_000;
/** Instances that were started together don't write together. */
const JITTER = 0.2;
/** The end of an instance waits no longer than this for its report to be taken away. */
const TAKE_AWAY_WITHIN_MS = 1_000;

export class ReportWriter {
  readonly #options: ReportWriterOptions;
  #timer: Timer | undefined;
  #isQuiet = true;
  #hasNews = false;
  #isOnBoard = false;
  #isClosed = false;

  constructor(options: ReportWriterOptions) {
    this.#options = options;
  }

  /** A call begins to wait. Costs next to nothing when the next report is due soon anyway. */
  wake(): void {
    this.#hasNews = true;
    if (this.#isQuiet) this.#writeAfter(REPORT_EVERY_MS);
  }

  /** Takes the report away, so that nobody counts a stopped instance. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    if (!this.#isOnBoard) return;
    const { board, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + TAKE_AWAY_WITHIN_MS;
    await board.write('', { deadlineMs }).catch(() => {});
  }

  #writeAfter(ms: number): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#options;
    this.#timer?.cancel();
    this.#isQuiet = ms > REPORT_EVERY_MS;
    this.#timer = clock.after(ms * (1 - JITTER * random()), () => void this.#write());
  }

  async #write(): Promise<void> {
    const { board, boundOf, window } = this.#options;
    this.#hasNews = false;
    this.#isQuiet = false;
    const report = ownReport(this.#options);
    try {
      if (report) this.#isOnBoard = true;
      if (this.#isOnBoard) await board.write(report ? encodeReport(report) : '', boundOf());
      if (!report) this.#isOnBoard = false;
    } catch {
      // The store is away, or full.
    }
    if (this.#hasNews || window.waitCount > 0) this.#writeAfter(REPORT_EVERY_MS);
    else if (this.#isOnBoard) this.#writeAfter(REPEAT_EVERY_MS);
    else this.#isQuiet = true;
  }
}
