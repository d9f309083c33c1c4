// Calls that wait for an operation to finish. They read its record when they come and when the store says that it
// changed, many records in one call of the store. Nobody polls.

import { LIMITS } from '../domain/limits.ts';
import { isFinal, nameOf, type Operation, type OperationKey } from '../domain/operation.ts';
import type { OperationNotice, OperationStore } from '../store/operation-store.ts';
import { bounded, type CallContext, type CommandTime, isPassing, waitEndsMs } from './call.ts';
import { Linger } from './linger.ts';
import { operationNotFound } from './operation-refusals.ts';
import { cancelled, draining, overloaded } from './refusals.ts';

export interface OperationWaitsOptions extends CommandTime {
  readonly store: OperationStore;
}

interface Wait {
  /** The first reading that begins after the call came: what an earlier one read may be older than the call. */
  readonly fromReading: number;
  readonly end: PromiseWithResolvers<Operation | 'time over'>;
}

interface Watched {
  readonly key: OperationKey;
  readonly waits: Set<Wait>;
}

const READ_AT_ONCE = 100;
const RETRY_MS = 500;

export class OperationWaits {
  readonly #options: OperationWaitsOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #toRead = new Set<string>();
  readonly #notices: Linger;
  #size = 0;
  #readings = 0;
  #isReading = false;
  #draining = false;

  constructor(options: OperationWaitsOptions) {
    this.#options = options;
    this.#notices = new Linger(options.clock, () =>
      options.store.watchChanges((notice) => this.#heard(notice)),
    );
  }

  /** Calls that wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Resolves with the operation when it is finished, or as it is when `waitMs` is over. Throws OPERATION_NOT_FOUND
   * (also when the operation is removed meanwhile), DRAINING, OVERLOADED, CANCELLED, and what the store throws when the
   * time is over.
   */
  async wait(key: OperationKey, waitMs: number, context: CallContext): Promise<Operation> {
    if (this.#draining) throw draining();
    const { clock } = this.#options;
    const untilMs = waitEndsMs(context, waitMs);
    if (untilMs <= clock.monotonicMs()) return this.#readOnce(key, context);
    if (this.#size >= LIMITS.waitsPerInstance) {
      throw overloaded('too many calls wait on this instance');
    }
    const finished = await this.#untilFinished(key, untilMs, context.ended);
    return finished === 'time over' ? this.#readOnce(key, context) : finished;
  }

  /** Ends all waits. */
  drain(): void {
    this.#draining = true;
    for (const { waits } of this.#watched.values()) for (const { end } of waits) end.reject(draining());
  }

  close(): void {
    this.#notices.close();
  }

  async #readOnce(key: OperationKey, context: CallContext): Promise<Operation> {
    const [operation] = await this.#options.store.getMany([key], bounded(this.#options, context));
    if (!operation) throw operationNotFound();
    return operation;
  }

  async #untilFinished(
    key: OperationKey,
    untilMs: number,
    ended: AbortSignal,
  ): Promise<Operation | 'time over'> {
    const { clock } = this.#options;
    const name = nameOf(key);
    const watched = this.#watched.get(name) ?? { key, waits: new Set<Wait>() };
    const wait: Wait = { fromReading: this.#readings + 1, end: Promise.withResolvers() };
    this.#watched.set(name, watched);
    watched.waits.add(wait);
    this.#size++;
    const leave = this.#notices.join(); // before it reads, so that it misses no end between the two
    const cancel = (): void => wait.end.reject(cancelled());
    ended.addEventListener('abort', cancel, { once: true });
    const timeOver = clock.after(untilMs - clock.monotonicMs(), () => wait.end.resolve('time over'));
    this.#read(name);
    try {
      if (ended.aborted) cancel();
      return await wait.end.promise;
    } finally {
      timeOver.cancel();
      ended.removeEventListener('abort', cancel);
      leave();
      this.#size--;
      watched.waits.delete(wait);
      if (watched.waits.size === 0 && this.#watched.get(name) === watched) this.#watched.delete(name);
    }
  }

  #heard(notice: OperationNotice): void {
    if (notice.kind === 'changed') {
      const name = nameOf(notice);
      if (this.#watched.has(name)) this.#read(name);
    } else if (notice.kind === 'resync') {
      for (const name of this.#watched.keys()) this.#read(name);
    }
  }

  #read(name: string): void {
    this.#toRead.add(name);
    if (!this.#isReading) void this.#readAll();
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    await Promise.resolve(); // calls that come at the same moment share one read
    while (this.#toRead.size > 0) {
      const names = [...this.#toRead].slice(0, READ_AT_ONCE);
      for (const name of names) this.#toRead.delete(name);
      await this.#readSome(names);
    }
    this.#isReading = false;
  }

  async #readSome(names: readonly string[]): Promise<void> {
    const { store, clock } = this.#options;
    const watched = names.map((name) => this.#watched.get(name)).filter((one) => one !== undefined);
    if (watched.length === 0) return;
    const reading = ++this.#readings;
    const keys = watched.map(({ key }) => key);
    try {
      const found = await store.getMany(keys, bounded(this.#options));
      for (const [index, { waits }] of watched.entries()) this.#tell(waits, reading, found[index]);
    } catch (error) {
      // A waiting call sits out what passes. If it doesn't pass, the last reading, when the time is over, says what is
      // wrong.
      if (isPassing(error)) clock.after(RETRY_MS, () => this.#readAgain(names));
      else for (const { waits } of watched) for (const { end } of waits) end.reject(error);
    }
  }

  #readAgain(names: readonly string[]): void {
    for (const name of names) if (this.#watched.has(name)) this.#read(name);
  }

  #tell(waits: ReadonlySet<Wait>, reading: number, operation: Operation | undefined): void {
    for (const { fromReading, end } of waits) {
      if (reading < fromReading) continue;
      if (!operation) end.reject(operationNotFound());
      else if (isFinal(operation.state)) end.resolve(operation);
    }
  }
}
