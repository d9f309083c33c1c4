// All watches of one kind of thing on this instance. Each begins with a snapshot of its own; then one read of what has
// changed serves all watches that it concerns. The hub reads nothing and costs nothing while nobody watches. What is
// watched, and how it is read, is in lock-watch.ts and operation-watch.ts.
//
// Of each thing, what is told later is never older than what was told before. That rests on three rules:
//
// * The hub hears changes before the first read of a snapshot. The other way round, a change between that read and the
//   first change that is heard would never be told: a lock that was released meanwhile would look held for ever.
// * What changes while a page is read is read again after that page is told: nobody knows whether the page shows it
//   before the change or after.
// * A watch hears only from batches that began after its snapshot. An earlier batch may have read a state before the
//   snapshot did, waited for the Sentinels' confirmation, and come back after the snapshot.

import { pause, type Timer, within } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import { bounded, type CallContext, type CommandTime } from './call.ts';
import { cancelled, draining } from './refusals.ts';
import { WatchCall, type WatchSink } from './watch-call.ts';
import { type WatchFilter, WatchIndex } from './watch-index.ts';
import { WatchSnapshots } from './watch-snapshots.ts';
import {
  type NamedState,
  type ReadPage,
  STATES_PER_READ,
  type WatchNotice,
  type WatchSource,
} from './watch-source.ts';

export interface WatchHubOptions<State> extends CommandTime {
  readonly source: WatchSource<State>;
}

/** A change is read at once. Those within this time after a read are read together; states in between are left out. */
const COALESCE_MS = 50;
const RETRY_MS = 200;
const LOOK_MS = 500;
/** Watches end when changes could not be heard or read for this long: nobody knows what is true meanwhile. */
const INTERRUPT_AFTER_MS = 10_000;
const RETRY_WATCH_MS = 500;

export class WatchHub<State> {
  readonly #options: WatchHubOptions<State>;
  readonly #calls = new Set<WatchCall<State>>();
  /** The watches whose snapshot is being read. */
  readonly #reading = new Set<WatchCall<State>>();
  /** The watches whose snapshot is complete. */
  readonly #live = new WatchIndex<WatchCall<State>>();
  /** Names that changed and are to be read for the live watches. */
  readonly #changed = new Set<string>();
  readonly #untilListening = new Set<() => void>();
  readonly #snapshots: WatchSnapshots<State>;
  #unsubscribe = (): void => {};
  #nextLook: Timer | undefined;
  #isListening = false;
  #deafSinceMs: number | undefined;
  #failingSinceMs: number | undefined;
  #batch = 0;
  #isBusy = false;
  #draining = false;

  constructor(options: WatchHubOptions<State>) {
    this.#options = options;
    this.#snapshots = new WatchSnapshots(options);
  }

  /** Open watches. */
  get size(): number {
    return this.#calls.size;
  }

  /**
   * Tells the states that the filter means (those with a prefix page by page, as `readPage` reads them), then that the
   * snapshot is complete, and then each change. Never resolves: throws WATCH_INTERRUPTED, WATCHER_TOO_SLOW, OVERLOADED,
   * DRAINING, CANCELLED, and what the source throws during the snapshot.
   */
  async watch(
    filter: WatchFilter,
    readPage: ReadPage<State>,
    { ended }: CallContext,
    sink: WatchSink<State>,
  ): Promise<never> {
    if (this.#draining) throw draining();
    if (this.#calls.size >= LIMITS.watchesPerInstance) {
      throw new CoordinationError('OVERLOADED', 'too many watches on this instance', {
        retryAfterMs: RETRY_WATCH_MS,
      });
    }
    const call = new WatchCall<State>(filter, sink, this.#options.clock);
    const cancel = (): void => call.end(cancelled());
    ended.addEventListener('abort', cancel, { once: true });
    this.#enter(call);
    try {
      if (ended.aborted) cancel();
      this.#begin(call, readPage).catch((error: unknown) => call.end(error));
      return await call.ended;
    } finally {
      ended.removeEventListener('abort', cancel);
      this.#leave(call);
    }
  }

  /** From now on no watch begins here, and open watches end. */
  drain(): void {
    this.#draining = true;
    for (const call of this.#calls) call.end(draining());
  }

  #enter(call: WatchCall<State>): void {
    this.#calls.add(call);
    if (this.#calls.size > 1) return;
    this.#deafSinceMs = this.#options.clock.monotonicMs();
    this.#unsubscribe = this.#options.source.listen((notice) => this.#heard(notice));
    this.#lookAgain();
  }

  #leave(call: WatchCall<State>): void {
    this.#calls.delete(call);
    this.#reading.delete(call);
    this.#live.remove(call, call.filter);
    if (this.#calls.size > 0) return;
    this.#unsubscribe();
    this.#nextLook?.cancel();
    this.#isListening = false;
    this.#failingSinceMs = undefined;
    this.#changed.clear();
  }

  // ---- The beginning of a watch.

  async #begin(call: WatchCall<State>, readPage: ReadPage<State>): Promise<void> {
    await this.#listening();
    if (call.isOver) return;
    this.#reading.add(call);
    if (call.filter.kind === 'names') await this.#snapshots.tellNow(call, call.filter.names);
    else await this.#snapshots.tellPages(call, readPage);
    if (call.isOver) return;
    call.completeSnapshot();
    this.#reading.delete(call);
    call.liveFrom = this.#batch + 1;
    this.#live.add(call, call.filter);
    for (const name of call.takeMissed()) this.#change(name);
  }

  async #listening(): Promise<void> {
    if (this.#isListening) return;
    const { clock, commandTimeoutMs } = this.#options;
    let resume = (): void => {};
    const listening = new Promise<void>((resolve) => {
      resume = resolve;
    });
    this.#untilListening.add(resume);
    const late = (): Error =>
      new CoordinationError('REDIS_UNAVAILABLE', 'changes cannot be watched now; nothing was changed');
    try {
      await within(clock, commandTimeoutMs, listening, late);
    } finally {
      this.#untilListening.delete(resume);
    }
  }

  // ---- What follows.

  #heard(notice: WatchNotice): void {
    switch (notice.kind) {
      case 'changed':
        for (const call of this.#reading) if (call.concerns(notice.name)) call.miss(notice.name);
        this.#change(notice.name);
        if (this.#changed.size > LIMITS.unreadChanges) this.#interrupt('more changed than could be read');
        break;
      case 'deaf':
        this.#isListening = false;
        this.#deafSinceMs ??= this.#options.clock.monotonicMs();
        break;
      case 'listening':
        this.#isListening = true;
        this.#deafSinceMs = undefined;
        if (notice.missed) this.#missed();
        for (const resume of this.#untilListening) resume();
    }
  }

  #change(name: string): void {
    if (!this.#live.concerns(name)) return;
    this.#changed.add(name);
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#readChanged();
  }

  /**
   * Nobody knows any more what has changed. All names of a watch by names are read again. A watch by prefix may have
   * told its client of things that are gone since: the client must begin again, with a snapshot that says what exists.
   */
  #missed(): void {
    this.#changed.clear();
    for (const call of this.#calls) {
      const isReading = this.#reading.has(call);
      if (!isReading && call.liveFrom === Number.POSITIVE_INFINITY) continue; // has read nothing yet
      if (call.filter.kind === 'prefix') call.end(interrupted('changes may have been missed'));
      else for (const name of call.filter.names) isReading ? call.miss(name) : this.#change(name);
    }
  }

  #interrupt(why: string): void {
    this.#changed.clear();
    for (const call of this.#calls) call.end(interrupted(why));
  }

  async #readChanged(): Promise<void> {
    const { source, clock } = this.#options;
    await Promise.resolve(); // what is heard in the same step, after a gap or in one piece from Redis, is read together
    while (this.#changed.size > 0) {
      const names = this.#takeBatch();
      const batch = ++this.#batch;
      try {
        const found = await source.getMany(names, bounded(this.#options));
        this.#failingSinceMs = undefined;
        for (const one of found) this.#tellLive(one, batch);
        if (this.#changed.size < STATES_PER_READ) await pause(clock, COALESCE_MS);
      } catch {
        this.#failingSinceMs ??= clock.monotonicMs();
        for (const name of names) this.#changed.add(name);
        await pause(clock, RETRY_MS);
      }
    }
    this.#failingSinceMs = undefined;
    this.#isBusy = false;
  }

  #takeBatch(): string[] {
    const names: string[] = [];
    for (const name of this.#changed) {
      this.#changed.delete(name);
      names.push(name);
      if (names.length === STATES_PER_READ) break;
    }
    return names;
  }

  #tellLive({ name, state }: NamedState<State>, batch: number): void {
    for (const call of this.#live.of(name)) {
      if (call.liveFrom <= batch) call.tell(name, state);
    }
  }

  #lookAgain(): void {
    const { clock } = this.#options;
    this.#nextLook = clock.after(LOOK_MS, () => {
      const never = Number.POSITIVE_INFINITY;
      const troubleSinceMs = Math.min(this.#deafSinceMs ?? never, this.#failingSinceMs ?? never);
      const isTooLong = clock.monotonicMs() - troubleSinceMs >= INTERRUPT_AFTER_MS;
      if (isTooLong) this.#interrupt('the store could not be watched for a while');
      const isCalm = troubleSinceMs === never;
      for (const call of this.#calls) call.look(isCalm);
      // A watch that ended leaves a moment later, and the last one to leave cancels this timer.
      this.#lookAgain();
    });
  }
}

function interrupted(why: string): CoordinationError {
  return new CoordinationError('WATCH_INTERRUPTED', `${why}: watch again, from a new snapshot`, {
    retryAfterMs: RETRY_WATCH_MS,
  });
}
