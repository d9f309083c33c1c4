// One open watch: what its client is told and how it reads, and its end, exactly once. What to tell it, and when, is
// decided in watch-hub.ts. A client that doesn't read costs a bounded amount of memory: of each name only the newest
// state waits for it, of all names at most LIMITS.unreadPerWatch, and nothing for long.

import type { Clock } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type { WatchFilter } from './watch-index.ts';

export type WatchEvent<State> =
  | { readonly kind: 'state'; readonly name: string; readonly state: State }
  | { readonly kind: 'snapshot-complete' }
  | { readonly kind: 'heartbeat' };

/** How the client of a stream reads. */
export interface Flow {
  /** Messages that wait until the client reads. */
  readonly unsent: number;
  /** How many messages were passed on to the client's connection: grows while the client reads. */
  readonly passedOn: number;
  /** Resolves when none wait and the last was passed on. */
  emptied(): Promise<void>;
  /** Drops the messages that wait. */
  discard(): void;
}

/** The way to the client of a watch. */
export interface WatchSink<State> {
  readonly flow: Flow;
  /** How many places of LIMITS.unreadPerWatch one event takes while it waits. */
  readonly weight: number;
  /**
   * Sends it, now or when the client has read what came before. A newer state takes the place of an unsent one of the
   * same name.
   */
  tell(event: WatchEvent<State>): void;
}

/** Together with the time that the hub bears trouble (watch-hub.ts), a stream is silent for 15 s at most. */
const HEARTBEAT_MS = 4_000;
const STALLED_AFTER_MS = 30_000;

export class WatchCall<State> {
  readonly filter: WatchFilter;
  /** Rejects at the end, with its reason. */
  readonly ended: Promise<never>;
  /** The first batch of reads that the client may hear from; Infinity during the snapshot. */
  liveFrom = Number.POSITIVE_INFINITY;
  readonly #sink: WatchSink<State>;
  readonly #clock: Clock;
  /** Names that changed while the snapshot was read: their states in the snapshot may be older. */
  readonly #missed = new Set<string>();
  #end: (reason: unknown) => void = () => {};
  #isOver = false;
  #toldAtMs: number;
  #passedOn = 0;
  #readAtMs: number;

  constructor(filter: WatchFilter, sink: WatchSink<State>, clock: Clock) {
    this.filter = filter;
    this.#sink = sink;
    this.#clock = clock;
    this.#toldAtMs = clock.monotonicMs();
    this.#readAtMs = this.#toldAtMs;
    this.ended = new Promise((_, reject) => {
      this.#end = reject;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  concerns(name: string): boolean {
    const { filter } = this;
    return filter.kind === 'prefix' ? name.startsWith(filter.prefix) : filter.names.includes(name);
  }

  /** Notes a change during the snapshot. */
  miss(name: string): void {
    this.#missed.add(name);
    if (this.#missed.size > LIMITS.unreadPerWatch) this.end(tooSlow('more changed than the client has read'));
  }

  /** The missed names that `counts` accepts; the rest is forgotten. */
  takeMissed(counts: (name: string) => boolean = () => true): string[] {
    const missed = [...this.#missed].filter(counts);
    this.#missed.clear();
    return missed;
  }

  tell(name: string, state: State): void {
    this.#tell({ kind: 'state', name, state });
    const { flow, weight } = this.#sink;
    if (flow.unsent * weight > LIMITS.unreadPerWatch)
      this.end(tooSlow('more changed than the client has read'));
  }

  completeSnapshot(): void {
    this.#tell({ kind: 'snapshot-complete' });
  }

  /** Resolves when the client has read what it was told; rejects when the watch ends. */
  async caughtUp(): Promise<void> {
    await Promise.race([this.#sink.flow.emptied(), this.ended]);
  }

  /** To be called now and then. `isCalm`: changes are heard and read, so silence means that nothing changes. */
  look(isCalm: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const { passedOn, unsent } = this.#sink.flow;
    if (passedOn !== this.#passedOn || unsent === 0) this.#readAtMs = nowMs;
    this.#passedOn = passedOn;
    if (nowMs - this.#readAtMs >= STALLED_AFTER_MS) {
      this.end(tooSlow(`the client has read nothing for ${STALLED_AFTER_MS / 1_000} s`));
    } else if (isCalm && unsent === 0 && nowMs - this.#toldAtMs >= HEARTBEAT_MS) {
      this.#tell({ kind: 'heartbeat' });
    }
  }

  /** The first end counts. The client won't get what it has not read by now: its next watch begins with a snapshot. */
  end(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.flow.discard();
    this.#end(reason);
  }

  #tell(event: WatchEvent<State>): void {
    if (this.#isOver) return;
    this.#toldAtMs = this.#clock.monotonicMs();
    this.#sink.tell(event);
  }
}

function tooSlow(what: string): CoordinationError {
  return new CoordinationError('WATCHER_TOO_SLOW', `the watch was ended: ${what}`);
}
