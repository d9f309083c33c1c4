// Watches of operations: where their states and changes come from, and which of them a client is told. How a watch runs
// is in watch-hub.ts.

import { keyOfName, nameOf, type Operation, type OperationKey } from '../domain/operation.ts';
import { fits, type OperationFilter } from '../domain/operation-filter.ts';
import type { OperationStore } from '../store/operation-store.ts';
import type { CallContext, CommandTime } from './call.ts';
import type { WatchSink } from './watch-call.ts';
import { WatchHub } from './watch-hub.ts';
import type { NamedState, ReadPage } from './watch-source.ts';

export interface OperationWatchOptions extends CommandTime {
  readonly store: OperationStore;
}

/** The current state of one operation. */
export type OperationNews =
  | { readonly kind: 'record'; readonly operation: Operation }
  | ({ readonly kind: 'removed' } & OperationKey);

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
   * Tells the operations that fit the filter, then that the snapshot is complete, and then each change. An operation
   * that was told and no longer fits is told once more. Throws what WatchHub.watch throws.
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
    const fittingSink = { ...sink, tell: fitting(filter, sink.tell) };
    return this.#hub.watch({ kind: 'prefix', prefix }, readPage, context, fittingSink);
  }

  /** From now on no watch begins here, and open watches end. */
  drain(): void {
    this.#hub.drain();
  }
}

/** Lets through the operations that fit the filter, and each that no longer fits once more. */
function fitting(
  filter: OperationFilter,
  tell: WatchSink<OperationNews>['tell'],
): WatchSink<OperationNews>['tell'] {
  /** The names that fitted when they were last told. */
  const told = new Set<string>();
  const concerns = ({ name, state }: NamedState<OperationNews>): boolean => {
    if (state.kind === 'removed' || !fits(state.operation, filter)) return told.delete(name);
    told.add(name);
    return true;
  };
  return (event) => {
    if (event.kind !== 'state' || concerns(event)) tell(event);
  };
}

function record(operation: Operation): OperationNews {
  return { kind: 'record', operation };
}

function named(operation: Operation): NamedState<OperationNews> {
  return { name: nameOf(operation), state: record(operation) };
}
