// What a holder believes, as lines of the history: from the moment when it looked until its deadline, and that it has
// stopped. The deadlines themselves are the client core's business.

import { LeaseDeadline, type SentAt } from '../../../src/client/core/lease-deadline.ts';
import { nowMs } from '../history.ts';
import { historyClock } from './chaos-client.ts';
import type { BeliefName, Recorder } from './recorder.ts';

/** A look takes no time. A look that did was interrupted, and doesn't say when its answer was true. */
const LOOK_WITHIN_MS = 1;

export interface Look {
  readonly atMs: number;
  /** `atMs` when the belief is over. */
  readonly untilMs: number;
}

/** Until when a holder may act, on the history's clock. */
export function lookAt(remainingMs: () => number): Look {
  for (;;) {
    const atMs = nowMs();
    const untilMs = atMs + remainingMs();
    if (nowMs() - atMs <= LOOK_WITHIN_MS) return { atMs, untilMs };
  }
}

export class Belief {
  readonly name: BeliefName;
  readonly #recorder: Recorder;
  readonly #remainingMs: () => number;
  #isOver = false;
  #wasHeld = false;

  constructor(recorder: Recorder, name: BeliefName, remainingMs: () => number) {
    this.#recorder = recorder;
    this.name = name;
    this.#remainingMs = remainingMs;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Until when its holder may act. */
  look(): Look {
    return lookAt(() => (this.#isOver ? 0 : this.#remainingMs()));
  }

  /** Records the grant, or an extension, as it is now. */
  extended(): void {
    const { atMs, untilMs } = this.look();
    if (untilMs <= atMs) return;
    this.#wasHeld = true;
    this.#recorder.believed(this.name, atMs, untilMs);
  }

  /** To be called when its holder has stopped acting, and before it says so to anybody. */
  ended(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#wasHeld) this.#recorder.beliefEnded(this.name, why);
  }
}

/** A belief that answers to calls extend, by the deadline rule. */
export class AnsweredBelief extends Belief {
  readonly #deadline: LeaseDeadline;
  readonly #ttlMs: number;

  constructor(recorder: Recorder, name: BeliefName, ttlMs: number) {
    const deadline = new LeaseDeadline({ clock: historyClock, onPassed: () => this.ended('deadline') });
    super(recorder, name, () => deadline.remainingMs());
    this.#deadline = deadline;
    this.#ttlMs = ttlMs;
  }

  heard(sent: SentAt, validForMs: number): void {
    if (this.#deadline.extend(sent, validForMs, this.#ttlMs)) this.extended();
  }

  override ended(why: string): void {
    super.ended(why);
    this.#deadline.end();
  }
}
