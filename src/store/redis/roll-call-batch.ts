// The leases that one call of an answer to the roll call carries, as answer-roll-call.lua reads them.

import { microseconds } from './lock-arguments.ts';
import { configEpochOf } from './reign.ts';
import type { ToldLease } from './told-memory.ts';

/** One call takes no longer than a millisecond or two of Redis. */
const BATCH_LEASES = 200;
const BATCH_LENGTH = 200_000;

export class RollCallBatch {
  readonly args: string[] = [];
  readonly said: { readonly lease: ToldLease; readonly saidUs: number }[] = [];
  #length = 0;

  get isFull(): boolean {
    return this.said.length >= BATCH_LEASES || this.#length >= BATCH_LENGTH;
  }

  /** Spans, not deadlines: the script counts them from its own clock. */
  add(lease: ToldLease, nowMs: number): void {
    const { key, text, about, deadlineMs, ceilingMs, holdMs, clockUs, reign } = lease;
    const space = key.indexOf(' ');
    const left = microseconds(Math.max(0, deadlineMs - nowMs));
    // 0 says that there is no bound.
    const ceilingLeft =
      ceilingMs === Number.POSITIVE_INFINITY ? '0' : microseconds(Math.max(1, ceilingMs - nowMs));
    const holdLeft = microseconds(Math.max(0, holdMs - nowMs));
    const spans = `${left} ${ceilingLeft} ${holdLeft} ${configEpochOf(reign)} ${clockUs}`;
    this.args.push(key.slice(space + 1), key.slice(0, space), text, about, spans);
    this.said.push({ lease, saidUs: clockUs });
    this.#length += key.length + text.length + about.length + spans.length;
  }
}
