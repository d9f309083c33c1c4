// What this instance sees of a quarantine: until when it lasts, who has not answered its roll call, and how and why it
// ended. Reads what ticks and answers say of it; decides nothing.

import type { Clock } from '../../domain/clock.ts';
import type { MissingInstance, QuarantineEnd, StoreObserver } from '../store.ts';
import type { Reply } from './evaluate-script.ts';
import { milliseconds } from './lock-replies.ts';

export interface QuarantineWatchOptions {
  readonly clock: Clock;
  readonly observer: StoreObserver;
  /** How long one lasts that nothing ends early. */
  readonly quarantineMs: number;
  /** How old the data may be after a fresh answer. */
  readonly freshWithinMs: number;
  readonly hasRollCall: boolean;
}

const MISSING_WORDS = 3;
/** Of the instances that did not answer, so many are named where it is said why a quarantine did not end early. */
const NAMED = 3;
const SHORT_ID = 4;

export class QuarantineWatch {
  readonly #options: QuarantineWatchOptions;
  #endsMs = 0;
  #fullEndsMs = 0;
  #isRunning = false;
  #wasFresh = false;
  #missing: readonly MissingInstance[] = [];
  #missingCount = 0;
  #lastEnd: QuarantineEnd | undefined;

  constructor(options: QuarantineWatchOptions) {
    this.#options = options;
  }

  get remainingMs(): number {
    return Math.max(0, this.#endsMs - this.#options.clock.monotonicMs());
  }

  get fullRemainingMs(): number {
    return Math.max(0, this.#fullEndsMs - this.#options.clock.monotonicMs());
  }

  get missing(): readonly MissingInstance[] {
    return this.#missing;
  }

  get missingCount(): number {
    return this.#missingCount;
  }

  get lastEnd(): QuarantineEnd | undefined {
    return this.#lastEnd;
  }

  /** A reign was joined whose quarantine lasts so long, as counted from `atMs`. */
  joined(leftMs: number, atMs: number): void {
    this.#endsMs = atMs + leftMs;
    if (leftMs === 0) return;
    this.#isRunning = true;
    this.#fullEndsMs = Math.max(this.#endsMs, this.#fullEndsMs);
    this.#forget();
  }

  /** What the reply to this instance's answer says: it may have ended the quarantine. The next tick tells how. */
  answered([, , , left]: Reply): void {
    this.#endsMs = this.#options.clock.monotonicMs() + milliseconds(left);
  }

  /** What a tick said. Returns whether the quarantine ended. */
  ticked(reply: Reply): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const [, , left, , , fullLeft = '0', fresh, owing = '0', ...flat] = reply;
    this.#endsMs = nowMs + milliseconds(left);
    const fullLeftMs = milliseconds(fullLeft);
    this.#fullEndsMs = nowMs + fullLeftMs;
    if (milliseconds(left) > 0) {
      this.#isRunning = true;
      this.#wasFresh = fresh === '1';
      this.#missingCount = Number(owing);
      this.#missing = missingIn(flat);
      return false;
    }
    if (!this.#isRunning) return false;
    this.#isRunning = false;
    this.#end(fullLeftMs);
    this.#forget();
    return true;
  }

  #end(fullLeftMs: number): void {
    const { observer, quarantineMs } = this.#options;
    const isEarly = fullLeftMs > 0;
    const tookMs = Math.max(0, quarantineMs - fullLeftMs);
    const why = isEarly ? '' : this.#why();
    this.#lastEnd = { how: isEarly ? 'early' : 'full', why, tookMs };
    const facts = { tookMs: Math.round(tookMs), ...(why === '' ? {} : { why }) };
    observer.event('info', isEarly ? 'the quarantine ended early' : 'the quarantine is over', facts);
  }

  #why(): string {
    const { hasRollCall, freshWithinMs } = this.#options;
    if (!hasRollCall) return 'there is no roll call';
    if (this.#missingCount > 0) return describeMissing(this.#missing, this.#missingCount);
    if (!this.#wasFresh) return `its data were older than ${freshWithinMs / 1_000} s, or nobody could tell`;
    return 'it came too soon after the failover before it, or after the registry began';
  }

  #forget(): void {
    this.#missing = [];
    this.#missingCount = 0;
    this.#wasFresh = false;
  }
}

function missingIn(flat: readonly string[]): readonly MissingInstance[] {
  const missing: MissingInstance[] = [];
  for (let at = 0; at + MISSING_WORDS <= flat.length; at += MISSING_WORDS) {
    const [instanceId = '', host = '', unseen] = flat.slice(at, at + MISSING_WORDS);
    missing.push({ instanceId, host, unseenMs: milliseconds(unseen) });
  }
  return missing;
}

function describeMissing(missing: readonly MissingInstance[], count: number): string {
  const named = missing
    .slice(0, NAMED)
    .map(({ host, instanceId }) => `${host} (${instanceId.slice(0, SHORT_ID)}…)`);
  const more = count > named.length ? ', …' : '';
  const who = count === 1 ? '1 instance has not answered' : `${count} instances have not answered`;
  return named.length === 0 ? who : `${who}: ${named.join(', ')}${more}`;
}
