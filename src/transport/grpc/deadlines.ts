// Which calls end when. Calls whose deadlines are close to each other share a timer: a timer of its own for each call
// would cost more than all else that its deadline does.

import type { Clock, Timer } from '../../domain/clock.ts';

const SLOT_MS = 20;

interface Expiring {
  /** Its deadline has passed. */
  expire(): void;
}

/** The calls that end together. */
interface Slot {
  readonly number: number;
  readonly calls: Set<Expiring>;
  readonly timer: Timer;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #slots = new Map<number, Slot>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Ends the call 20 to 40 ms after its time, unless it is removed before: a handler that looks at the deadline itself
   * can say more, and comes first.
   */
  add(call: Expiring, timeoutMs: number): Slot {
    const number = Math.ceil((this.#clock.monotonicMs() + timeoutMs) / SLOT_MS) + 1;
    const slot = this.#slots.get(number) ?? this.#open(number);
    slot.calls.add(call);
    return slot;
  }

  remove(call: Expiring, slot: Slot): void {
    slot.calls.delete(call);
    if (slot.calls.size > 0) return;
    slot.timer.cancel();
    this.#slots.delete(slot.number);
  }

  #open(number: number): Slot {
    const fire = (): void => {
      this.#slots.delete(number);
      for (const call of slot.calls) call.expire();
    };
    const timer = this.#clock.after(number * SLOT_MS - this.#clock.monotonicMs(), fire);
    const slot: Slot = { number, calls: new Set(), timer };
    this.#slots.set(number, slot);
    return slot;
  }
}
