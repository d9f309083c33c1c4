// One waiting call, from its first question to its end: asks the store for its place, confirms what it is offered, asks
// again when the store may have forgotten it, and leaves the queue when the call ends. It takes one step at a time;
// what arrives meanwhile waits in the inbox.
//
//   ask ──granted──▶ end
//    │ queued              offered: confirm ──granted──▶ end
//    └──▶ idle ──────────▶                  └─gone──▶ ask
//          ▲  │ resync, every RE_ASK_MS, an error: ask
//          └──┘ time over: one last try · call ended, draining: leave, place kept · moved, released, revoked: end

import { fullJitterMs } from '../domain/backoff.ts';
import { pause, type Timer } from '../domain/clock.ts';
import { CoordinationError, type ErrorCode } from '../domain/errors.ts';
import type { AcquireOutcome, CallStamp, Granted, LeaseSpec } from '../domain/lock.ts';
import type { Trace } from '../domain/trace.ts';
import { durabilityOf, type LockStore, type StoreBound } from '../store/lock-store.ts';
import { bounded, type CommandTime, isPassing } from './call.ts';

/** How a wait ended. */
export type WaitEnd =
  | Granted
  /** The time was over; this is what the last try answered. */
  | {
      readonly kind: 'refused';
      readonly outcome: Exclude<AcquireOutcome, { kind: 'granted' | 'queued' | 'moved' }>;
    }
  | { readonly kind: 'moved' | 'released' | 'revoked' | 'cancelled' | 'draining' };

export interface WaitingCallOptions extends CommandTime {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  readonly store: LockStore;
  readonly random: () => number;
  /** When to give up, on the monotonic clock; Infinity for never. */
  readonly untilMs: number;
  /** The client's own deadline, on the monotonic clock; Infinity when it set none. */
  readonly callEndsMs: number;
  /** Called with the position in the queue, from 1, each time the store says it. */
  readonly onPosition: (position: number) => void;
  /** Undefined unless the call is traced. */
  readonly trace?: Trace | undefined;
}

type Event = 'ask' | 'offered' | 'time over' | 'moved' | 'released' | 'revoked' | 'cancelled' | 'draining';

/** The store keeps a place this long for the same lease id after its call has ended. */
export const KEEP_PLACE_MS = 5_000;
/** A call asks again now and then: its position changes, and the store may have forgotten it. */
const RE_ASK_MS = 10_000;
const BACKOFF = { firstMs: 50, mostMs: 1_000 };
/** After these the store may have done what it was asked. */
const UNKNOWN_OUTCOMES: readonly ErrorCode[] = ['OUTCOME_UNKNOWN', 'PRIMARY_UNCONFIRMED', 'DURABILITY_UNMET'];
/** A little later than the deadline that blocks the call: clocks are read at different moments. */
const AFTER_DEADLINE_MS = 2;

export class WaitingCall {
  readonly #options: WaitingCallOptions;
  readonly #inbox = new Set<Event>();
  #wake: (() => void) | undefined;
  #blocked: Timer | undefined;
  #hasAsked = false;
  #position = 0;

  constructor(options: WaitingCallOptions) {
    this.#options = options;
  }

  get stamp(): CallStamp {
    return this.#options.stamp;
  }

  /** Something happened that the call has to act on. */
  tell(event: Event): void {
    this.#inbox.add(event);
    this.#wake?.();
  }

  /**
   * The call is next in line, and what blocks it may lapse in `blockedForMs`. Nothing else would notice that at once.
   */
  nextInLine(blockedForMs: number): void {
    const { clock, store, spec } = this.#options;
    this.#isAt(1);
    this.#blocked?.cancel();
    this.#blocked = clock.after(blockedForMs + AFTER_DEADLINE_MS, () => {
      // If this fails, the ticks that every instance sends find the lapse a little later.
      store.advance(spec.resource, this.#bound()).catch(() => {});
    });
  }

  /** Throws what the store throws when the time is over, and at once what no wait can cure (INTERNAL). */
  async run(): Promise<WaitEnd> {
    const { clock, untilMs } = this.#options;
    const timeOver = Number.isFinite(untilMs)
      ? clock.after(untilMs - clock.monotonicMs(), () => this.tell('time over'))
      : undefined;
    let reAsk: Timer | undefined;
    try {
      this.tell('ask');
      for (;;) {
        const event = await this.#next();
        reAsk?.cancel();
        const end = await this.#act(event);
        if (end?.kind === 'granted') this.#options.trace?.event('granted');
        if (end) return end;
        reAsk = clock.after(RE_ASK_MS, () => this.tell('ask'));
      }
    } finally {
      reAsk?.cancel();
      timeOver?.cancel();
      this.#blocked?.cancel();
    }
  }

  async #next(): Promise<Event> {
    for (;;) {
      // What ends the wait goes before what continues it.
      for (const event of [
        'moved',
        'released',
        'revoked',
        'cancelled',
        'draining',
        'time over',
        'offered',
        'ask',
      ] as const) {
        if (this.#inbox.delete(event)) return event;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async #act(event: Event): Promise<WaitEnd | undefined> {
    switch (event) {
      case 'ask':
        return this.#ask();
      case 'offered':
        return this.#confirm();
      case 'time over':
        return this.#tryOnce();
      case 'cancelled':
      case 'draining':
        this.#leave();
        return { kind: event };
      case 'moved':
      case 'released':
      case 'revoked':
        return { kind: event };
    }
  }

  async #ask(): Promise<WaitEnd | undefined> {
    const { store, spec, stamp } = this.#options;
    let asksAgain = this.#hasAsked;
    this.#hasAsked = true;
    const outcome = await this.#untilAnswered(async () => {
      try {
        return await store.acquire({ spec, stamp, mayWait: true, asksAgain }, this.#bound());
      } catch (error) {
        // The store queues this call and the answer is lost, a newer call takes the place over on another instance, and
        // the notice of that is lost too. Asked as if for the first time, the store would give the place back to this
        // call. (Where nothing was done, the record may bear the stamp of an older call, and this is the newer one.)
        if (error instanceof CoordinationError && UNKNOWN_OUTCOMES.includes(error.code)) asksAgain = true;
        throw error;
      }
    });
    switch (outcome?.kind) {
      case undefined: // something more urgent came
        return undefined;
      case 'granted':
        return outcome;
      case 'queued':
        if (outcome.position === 1) this.nextInLine(outcome.blockedForMs);
        else this.#isAt(outcome.position);
        return undefined;
      case 'moved':
        return { kind: 'moved' };
      case 'reused':
      case 'revoked':
      case 'full':
        return { kind: 'refused', outcome };
      default: // not queued, although it may wait: it was put aside at this very moment
        this.#options.clock.after(BACKOFF.firstMs, () => this.tell('ask'));
        return undefined;
    }
  }

  async #confirm(): Promise<WaitEnd | undefined> {
    const { store, spec, stamp } = this.#options;
    try {
      const outcome = await store.confirm({ spec, stamp }, this.#bound());
      if (outcome.kind === 'granted') return outcome;
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    // Lapsed, or unknown. Asking again is the same acquisition, and finds the lease if there is one.
    this.tell('ask');
    return undefined;
  }

  // To ask without waiting takes the call out of the queue, and may even succeed.
  async #tryOnce(): Promise<WaitEnd> {
    const { store, spec, stamp } = this.#options;
    const outcome = await store.acquire(
      { spec, stamp, mayWait: false, asksAgain: this.#hasAsked },
      this.#bound(),
    );
    return endOfTry(outcome);
  }

  // The call has ended, so nobody waits for this. If it fails, the store forgets the waiter by itself.
  #leave(): void {
    const { store, spec, stamp } = this.#options;
    const { resource, leaseId } = spec;
    const command = { resource, leaseId, stamp, keepPlaceMs: KEEP_PLACE_MS };
    store.leave(command, bounded(this.#options)).catch(() => {});
  }

  /** Repeats an attempt that fails in passing, until it succeeds or something other than "ask" is in the inbox. */
  async #untilAnswered<T>(attempt: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
      const { clock, random } = this.#options;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      if (![...this.#inbox].some((event) => event !== 'ask')) {
        await pause(clock, fullJitterMs(tries, BACKOFF, random), woken.signal);
      }
      this.#wake = undefined;
      if ([...this.#inbox].some((event) => event !== 'ask')) {
        this.tell('ask');
        return undefined;
      }
    }
  }

  #bound(): StoreBound {
    const { spec, callEndsMs, trace } = this.#options;
    return { ...bounded(this.#options, { deadlineMs: callEndsMs, trace }), ...durabilityOf(spec) };
  }

  #isAt(position: number): void {
    if (position !== this.#position) this.#options.trace?.event('queued', { position });
    this.#position = position;
    this.#options.onPosition(position);
  }
}

/** What the answer to a try that may not wait means as an end. */
export function endOfTry(outcome: AcquireOutcome): WaitEnd {
  if (outcome.kind === 'granted' || outcome.kind === 'moved') return outcome;
  if (outcome.kind === 'queued') throw new Error('queued without waiting');
  return { kind: 'refused', outcome };
}
