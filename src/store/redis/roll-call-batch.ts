// What one call of an answer to a roll call carries: leases that are put back and releases that are repeated, as
// lua/answer-roll-call.lua reads them, and which of what was told that was. Owns how large a call may be.

import { microseconds } from './lock-arguments.ts';
import { configEpochOf } from './reign.ts';
import type { ToldEnding } from './told-endings.ts';
import type { ToldLease } from './told-memory.ts';

/** One call takes Redis some 3 ms. */
const BATCH_LEASES = 200;
const BATCH_LENGTH = 200_000;

export class RollCallBatch {
  readonly args: string[] = [];
  readonly said: { readonly lease: ToldLease; readonly saidUs: number }[] = [];
  readonly endings: ToldEnding[] = [];
  #length = 0;

  get isFull(): boolean {
    return this.said.length + this.endings.length >= BATCH_LEASES || this.#length >= BATCH_LENGTH;
  }

  /** Spans, not deadlines: the script counts them from its own clock. */
  add(lease: ToldLease, nowMs: number): void {
    const { key, text, about, deadlineMs, ceilingMs, holdMs, clockUs, toldReign, toldClockUs } = lease;
    const space = key.indexOf(' ');
    const left = microseconds(Math.max(0, deadlineMs - nowMs));
    // 0 says that there is no bound.
    const ceilingLeft =
      ceilingMs === Number.POSITIVE_INFINITY ? '0' : microseconds(Math.max(1, ceilingMs - nowMs));
    const holdLeft = microseconds(Math.max(0, holdMs - nowMs));
    const spans = `${left} ${ceilingLeft} ${holdLeft} ${configEpochOf(toldReign)} ${toldClockUs}`;
    this.args.push(key.slice(space + 1), key.slice(0, space), text, about, spans);
    this.said.push({ lease, saidUs: clockUs });
    this.#length += key.length + text.length + about.length + spans.length;
  }

  addEnding(ending: ToldEnding): void {
    const { resource, leaseId, token } = ending;
    this.args.push(resource, leaseId, `released ${token}`, '', '');
    this.endings.push(ending);
    this.#length += resource.length + leaseId.length;
  }
}
