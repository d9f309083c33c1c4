// Watching operations: where their states and changes come from, and which of them a client is told. The watches
// themselves are in watch-hub.ts.

import { keyOfName, nameOf, type Operation, type OperationKey } from '../domain/operation.ts';
import { fits, type OperationFilter } from '../domain/operation-filter.ts';
import type { OperationStore } from '../store/operation-store.ts';
import type { CallContext, CommandTime } from './call.ts';
import type { WatchEvent, WatchSink } from './watch-call.ts';
import { type NamedState, type ReadPage, WatchHub } from './watch-hub.ts';

export interface OperationWatchOptions extends CommandTime {
  readonly store: OperationStore;
}

/** What is true of one operation now. */
export type OperationNews =
  | { readonly kind: 'record'; readonly operation: Operation }
  | ({ readonly kind: 'removed' } & OperationKey);

/** A record with payloads takes the room of so many, so that a client that reads slowly can't hold all memory. */
const WEIGHT_OF_PAYLOADS = 10;

export class OperationWatch {
  readonly #store: OperationStore;
  readonly #hub: WatchHub<OperationNews>;

  constructor({ store, clock, commandTimeoutMs }: OperationWatchOptions) {
    this.#store = store;
    this.#hub = new WatchHub({
      source: {
        listen: (listener) =>
          store.watchChanges((notice) => {
            if (notice.kind === 'changed') listener({ kind: 'changed', name: nameOf(notice) });
            else if (notice.kind === 'resync') listener({ kind: 'listening', missed: true });
            else if (notice.kind === 'deaf') listener(notice);
          }),
        async getMany(names, bound) {
          const keys = names.map(keyOfName);
          const found = await store.getMany(keys, bound);
          return keys.map((key, index) => {
            const operation = found[index];
            return { name: nameOf(key), state: operation ? record(operation) : { kind: 'removed', ...key } };
          });
        },
      },
      clock,
      commandTimeoutMs,
    });
  }

  /** Open watches. */
  get size(): number {
    return this.#hub.size;
  }

  /**
   * Tells the operations that fit the filter, then that this was all, and then each change; one that was told and no
   * longer fits is told once more. Throws what WatchHub.watch throws.
   */
  watch(
    filter: OperationFilter,
    withPayloads: boolean,
    context: CallContext,
    sink: WatchSink<OperationNews>,
  ): Promise<never> {
    const { resource, resourcePrefix } = filter;
    const prefix = resource === undefined ? (resourcePrefix ?? '') : nameOf({ resource, operationId: '' });
    const readPage: ReadPage<OperationNews> = async (after, most, bound) => {
      const from = after === '' ? undefined : keyOfName(after);
      const { operations, last } = await this.#store.list({ filter, after: from, most, withPayloads }, bound);
      return { states: operations.map(named), next: last && nameOf(last) };
    };
    const fitting = new FittingSink(filter, withPayloads ? WEIGHT_OF_PAYLOADS : 1, sink);
    return this.#hub.watch({ kind: 'prefix', prefix }, readPage, context, fitting);
  }

  /** From now on no watch begins here, and those that are open end. */
  drain(): void {
    this.#hub.drain();
  }
}

/** Lets through what fits a filter, and what no longer fits once more. */
class FittingSink implements WatchSink<OperationNews> {
  readonly #filter: OperationFilter;
  readonly #weight: number;
  readonly #sink: WatchSink<OperationNews>;
  /** Those that fitted when they were told last. */
  readonly #told = new Set<string>();

  constructor(filter: OperationFilter, weight: number, sink: WatchSink<OperationNews>) {
    this.#filter = filter;
    this.#weight = weight;
    this.#sink = sink;
  }

  tell(event: WatchEvent<OperationNews>): void {
    if (event.kind === 'state' && !this.#concerns(event)) return;
    this.#sink.tell(event);
  }

  get unsent(): number {
    return this.#sink.unsent * this.#weight;
  }

  get passedOn(): number {
    return this.#sink.passedOn;
  }

  emptied(): Promise<void> {
    return this.#sink.emptied();
  }

  discard(): void {
    this.#told.clear();
    this.#sink.discard();
  }

  #concerns({ name, state }: NamedState<OperationNews>): boolean {
    if (state.kind === 'removed' || !fits(state.operation, this.#filter)) return this.#told.delete(name);
    this.#told.add(name);
    return true;
  }
}

function record(operation: Operation): OperationNews {
  return { kind: 'record', operation };
}

function named(operation: Operation): NamedState<OperationNews> {
  return { name: nameOf(operation), state: record(operation) };
}
