// The operation store as users call it: it begins work for others or runs it here, and reads, watches and steers it.

import { randomUUID } from 'node:crypto';
import type { Operation as OperationMessage } from '../../generated/leasehold/v1/operation.ts';
import {
  type BeginOperationResponse,
  type CancelOperationResponse,
  type DeleteOperationResponse,
  type GetOperationResponse,
  ListOperationsRequest,
  type ListOperationsResponse,
  RetryOperationRequest,
  type RetryOperationResponse,
  WatchOperationsRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { Work } from './attempt.ts';
import { type Caller, type CallOptions, present } from './client-calls.ts';
import { UnavailableError } from './client-errors.ts';
import { bigintOf, countOf, waitMsOf } from './number-options.ts';
import { type BeginOptions, beginRequestOf, type FilterOptions, filterOf } from './operation-options.ts';
import { type Operation, operationOf, type Payload } from './operation-view.ts';
import { Worker, type WorkerOptions } from './operation-worker.ts';
import { type RunOptions, runOperation, untilDone } from './run-operation.ts';
import { inSpan } from './spans.ts';
import { type WatchOptions, watchAgain } from './watch-loop.ts';

export interface ListOperationsOptions extends FilterOptions, CallOptions {
  /** Whether the operations come with data, progress and result. */
  readonly withPayloads?: boolean | undefined;
  readonly pageSize?: number | undefined;
}

export interface WatchOperationsOptions extends FilterOptions, WatchOptions {
  readonly withPayloads?: boolean | undefined;
}

export type OperationChange =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'removed'; readonly resource: string; readonly operationId: string }
  /** Every operation that exists has been told; changes follow. It comes again after a reconnect. */
  | { readonly kind: 'snapshot-complete' };

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, in milliseconds; for ever by default. The end of the wait doesn't cancel the operation. */
  readonly waitMs?: number | undefined;
}

const LONGEST_WAIT_MS = 20_000;

export class Operations {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /**
   * Does the work, unless it is done or another caller is doing it: then resolves to the stored result, after a wait
   * for it. Takes over an operation whose worker has fallen silent. Rejects with what the work threw, or with
   * OperationEndedError where an earlier end left no result. A result of another caller has been through JSON; the
   * caller vouches for its type.
   */
  async run<Value, Data = Payload | undefined>(
    resource: string,
    operationId: string,
    work: Work<Data, Value>,
    options: RunOptions = {},
  ): Promise<Value> {
    const { traceNames: names } = this.#caller;
    const more = names ? { 'leasehold.operation.id': operationId } : {};
    const value = await inSpan('leasehold.operations.run', { resources: [resource], names, more }, () =>
      this.#caller.caught(() => runOperation(this.#caller, resource, operationId, work, options)),
    );
    return value as Value; // the caller vouches for it, see above
  }

  /** Starts a worker, which claims operations and runs them until it is stopped. */
  worker<Data = Payload | undefined>(options: WorkerOptions<Data>): Worker<Data> {
    return new Worker(this.#caller, options);
  }

  /** Records work for a worker to claim. A repeat with the same ids finds the same operation. */
  async begin(
    resource: string,
    operationId: string,
    options: BeginOptions & CallOptions = {},
  ): Promise<{ readonly operation: Operation; readonly created: boolean }> {
    const claim = { owner: this.#caller.owner, claimId: '' };
    const request = beginRequestOf(resource, operationId, options, claim);
    const { operation, created } = await this.#caller.answer<BeginOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.beginOperation(request, metadata, call, callback),
      options,
    );
    return { operation: recordOf(operation), created };
  }

  async get(resource: string, operationId: string, options?: CallOptions): Promise<Operation> {
    const { operation } = await this.#caller.answer<GetOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.getOperation({ resource, operationId }, metadata, call, callback),
      options,
    );
    return recordOf(operation);
  }

  /** Yields all operations that pass the filter, page by page, in no particular order. It is no snapshot. */
  async *list(options: ListOperationsOptions = {}): AsyncGenerator<Operation, void, undefined> {
    const { withPayloads = false } = options;
    const pageSize = countOf('pageSize', options.pageSize, 1) ?? 0;
    let pageToken = '';
    do {
      const request = ListOperationsRequest.fromPartial({
        filter: filterOf(options),
        withPayloads,
        pageSize,
        pageToken,
      });
      const page = await this.#caller.answer<ListOperationsResponse>(
        ({ operations }, metadata, call, callback) =>
          operations.listOperations(request, metadata, call, callback),
        options,
      );
      for (const operation of page.operations) yield operationOf(operation);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  /**
   * Yields the operations as they are, and then each change, also over reconnects: an operation that was removed in the
   * meantime comes as `removed`. A state between two others may be left out.
   */
  async *watch(options: WatchOperationsOptions = {}): AsyncGenerator<OperationChange, void, undefined> {
    const { withPayloads = false } = options;
    const request = WatchOperationsRequest.fromPartial({ filter: filterOf(options), withPayloads });
    const known = new Map<string, { readonly resource: string; readonly operationId: string }>();
    let unheard = new Set<string>();
    const messages = watchAgain(
      this.#caller,
      ({ operations }, metadata) => operations.watchOperations(request, metadata),
      options,
    );
    for await (const message of messages) {
      if (message === undefined) {
        unheard = new Set(known.keys());
        continue;
      }
      const { event } = message;
      if (event?.$case === 'operation') {
        const operation = operationOf(event.value);
        unheard.delete(operation.name);
        const { name, resource, operationId } = operation;
        known.set(name, { resource, operationId });
        yield { kind: 'operation', operation };
      } else if (event?.$case === 'removed') {
        const { resource, operationId } = event.value;
        for (const [name, key] of known) {
          if (key.resource === resource && key.operationId === operationId) known.delete(name);
        }
        yield { kind: 'removed', resource, operationId };
      } else if (event?.$case === 'snapshotComplete') {
        for (const name of unheard) {
          const key = known.get(name);
          known.delete(name);
          if (key) yield { kind: 'removed', ...key };
        }
        unheard.clear();
        yield { kind: 'snapshot-complete' };
      }
    }
  }

  /**
   * Resolves when the operation is done, in any final state. Rejects with UnavailableError, DEADLINE_EXCEEDED, when the
   * wait is over.
   */
  async wait(resource: string, operationId: string, options: WaitOptions = {}): Promise<Operation> {
    const { signal } = options;
    const waitMs = waitMsOf('waitMs', options.waitMs, Number.POSITIVE_INFINITY);
    const { clock } = this.#caller.channel;
    const giveUpMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const forMs = Math.max(0, Math.min(giveUpMs - clock.monotonicMs(), LONGEST_WAIT_MS));
      const { operation, done } = await untilDone(this.#caller, resource, operationId, forMs, signal);
      if (done) return recordOf(operation);
      if (clock.monotonicMs() >= giveUpMs) {
        const message = `The operation ${operationId} on ${resource} is not done after ${waitMs} ms; it goes on. Wait longer (waitMs).`;
        throw new UnavailableError(message, { reason: 'DEADLINE_EXCEEDED' });
      }
    }
  }

  /** Cancels a pending operation at once; the worker of a running one hears of it, and decides. */
  async cancel(
    resource: string,
    operationId: string,
    options: CallOptions & { readonly reason?: string | undefined } = {},
  ): Promise<Operation> {
    const request = { resource, operationId, reason: options.reason ?? '', requestId: randomUUID() };
    const { operation } = await this.#caller.answer<CancelOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.cancelOperation(request, metadata, call, callback),
      options,
    );
    return recordOf(operation);
  }

  /** Makes a failed or dead operation pending again. */
  async retry(
    resource: string,
    operationId: string,
    options: CallOptions & { readonly version?: bigint | undefined } = {},
  ): Promise<Operation> {
    const version = bigintOf('version', options.version);
    const request = RetryOperationRequest.fromPartial({
      resource,
      operationId,
      requestId: randomUUID(),
      ...(version === undefined ? {} : { version }),
    });
    const { operation } = await this.#caller.answer<RetryOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.retryOperation(request, metadata, call, callback),
      options,
    );
    return recordOf(operation);
  }

  /** Removes the record of an operation that doesn't run. Says whether there was one. */
  async remove(resource: string, operationId: string, options?: CallOptions): Promise<boolean> {
    const request = { resource, operationId, version: undefined, requestId: randomUUID() };
    const { deleted } = await this.#caller.answer<DeleteOperationResponse>(
      ({ operations }, metadata, call, callback) =>
        operations.deleteOperation(request, metadata, call, callback),
      options,
    );
    return deleted;
  }
}

function recordOf(operation: OperationMessage | undefined): Operation {
  return operationOf(present(operation, 'an operation'));
}
