// What the claims that wait on this instance wait for. Owns when the store is to be asked again for each interest; who
// asks then, and what becomes of the answer, is in claim-room.ts.

import type { Clock, Timer } from '../domain/clock.ts';
import type { ClaimCommand, OperationNotice } from '../store/operation-store.ts';

/** Callers who can take each other's place: what one doesn't find, the others don't find either. */
export interface Interest {
  readonly name: string;
  readonly types: ReadonlySet<string>;
  callers: number;
  /** There may be something to claim. */
  isDue: boolean;
  /** What kept operations from being claimed when the store was last asked. */
  blockedOn: ReadonlySet<string>;
  timer: { readonly atMs: number; readonly handle: Timer } | undefined;
}

/** A notice can be lost without a visible gap. */
const ASK_AT_LEAST_EVERY_MS = 30_000;
export const ASK_AT_MOST_EVERY_MS = 20;

export class ClaimInterests {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  readonly #byName = new Map<string, Interest>();

  /** `onDue` is called when the time of an interest has come, not when a notice makes one due. */
  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** The interest of one more caller, until it leaves. */
  join({ types, resourcePrefix }: ClaimCommand): Interest {
    const name = [resourcePrefix, ...types.toSorted()].join('\n');
    let interest = this.#byName.get(name);
    if (!interest) {
      interest = {
        name,
        types: new Set(types),
        callers: 0,
        isDue: false,
        blockedOn: new Set(),
        timer: undefined,
      };
      this.#byName.set(name, interest);
    }
    interest.callers++;
    return interest;
  }

  leave(interest: Interest): void {
    if (--interest.callers > 0) return;
    interest.timer?.handle.cancel();
    this.#byName.delete(interest.name);
  }

  /** Makes due what the notice concerns. */
  heard(notice: OperationNotice): void {
    for (const interest of this.#byName.values()) {
      const concerns =
        notice.kind === 'resync' ||
        (notice.kind === 'claimable' && interest.types.has(notice.type)) ||
        (notice.kind === 'lock-changed' && interest.blockedOn.has(notice.resource));
      if (concerns) interest.isDue = true;
    }
  }

  /** Makes it due after `delayMs`, within the bounds, if that is sooner than before. */
  dueIn(interest: Interest, delayMs: number): void {
    if (interest.callers === 0) return;
    const waitMs = Math.min(Math.max(delayMs, ASK_AT_MOST_EVERY_MS), ASK_AT_LEAST_EVERY_MS);
    const atMs = this.#clock.monotonicMs() + waitMs;
    if (interest.timer && interest.timer.atMs <= atMs) return;
    interest.timer?.handle.cancel();
    const handle = this.#clock.after(waitMs, () => {
      interest.timer = undefined;
      interest.isDue = true;
      this.#onDue();
    });
    interest.timer = { atMs, handle };
  }

  close(): void {
    for (const { timer } of this.#byName.values()) timer?.handle.cancel();
  }
}
