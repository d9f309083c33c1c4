// What the operation rpcs that answer at once do, without gRPC: bounds the time, refuses while the instance drains,
// asks the store once, and turns its outcome into an answer or an error. claim-room.ts waits for work,
// operation-waits.ts for the end of an operation, and attempt-streams.ts keeps attempts alive.

import { type Attempt, keyOfName, nameOf, type Operation, type OperationKey } from '../domain/operation.ts';
import type { OperationFilter } from '../domain/operation-filter.ts';
import type { StoreBound } from '../store/lock-store.ts';
import type {
  BeginCommand,
  BeginOutcome,
  CancelCommand,
  ChangeOutcome,
  ClaimCommand,
  CompleteCommand,
  DeleteCommand,
  OperationQuery,
  OperationStore,
  RetryCommand,
  UpdateCommand,
  YieldCommand,
} from '../store/operation-store.ts';
import {
  bounded,
  type CallContext,
  type CallStamps,
  type CommandTime,
  logged,
  type MutationLog,
  type MutationSubject,
} from './call.ts';
import type { ClaimRoom } from './claim-room.ts';
import type { OperationObserver } from './operation-observer.ts';
import { beginRefusal, changeRefusal, operationNotFound, staleAttempt } from './operation-refusals.ts';
import { type Listing, pageTokenFor, positionIn } from './page-tokens.ts';
import { draining } from './refusals.ts';

/** An attempt, and how long it is valid counted from the arrival of the call's request. */
export interface RunningAttempt {
  readonly attempt: Attempt;
  readonly validForMs: number;
}

export interface BegunOperation {
  readonly operation: Operation;
  /** Undefined: the caller must not do the work. */
  readonly running: RunningAttempt | undefined;
  readonly created: boolean;
}

export interface RunningOperation {
  readonly operation: Operation;
  readonly running: RunningAttempt;
}

type Begun = Extract<BeginOutcome, { kind: 'begun' }>;

/** What to list, and which page of it; '' is the first page. */
export interface ListOperationsRequest extends Omit<OperationQuery, 'after'> {
  readonly pageToken: string;
}

/** A page, and the token of the next one; '' after the last page. */
export interface ListedOperations {
  readonly operations: readonly Operation[];
  readonly nextPageToken: string;
}

export interface OperationServiceOptions extends CommandTime, MutationLog {
  readonly store: OperationStore;
  readonly claimRoom: ClaimRoom;
  readonly observer: OperationObserver;
  readonly stamps: CallStamps;
}

export class OperationService {
  readonly #options: OperationServiceOptions;
  #draining = false;

  constructor(options: OperationServiceOptions) {
    this.#options = options;
  }

  /** From now on this instance begins and claims nothing; running operations can be updated and finished. */
  drain(): void {
    this.#draining = true;
    this.#options.claimRoom.drain();
  }

  /**
   * Throws OPERATION_EXISTS, ATTEMPT_HELD, OPERATION_OPEN, LOCK_CONTENDED, LEASE_REQUIRED, QUARANTINE, DRAINING and
   * what the store throws.
   */
  begin(command: Omit<BeginCommand, 'stamp'>, context: CallContext): Promise<BegunOperation> {
    const { resource, operationId, owner } = command.spec;
    const subject = { resource, operationId, owner, claimId: command.claimId };
    const work = async (): Promise<BegunOperation> => {
      const { operation, attempt, created } = await this.#begin(command, context);
      return { operation, running: attempt && this.#running(attempt, context), created };
    };
    return logged(this.#options, 'BeginOperation', subject, work, ({ running, created }) => [
      { outcome: created ? 'created' : 'existing', ...tokenOf(running) },
    ]);
  }

  async #begin(command: Omit<BeginCommand, 'stamp'>, context: CallContext): Promise<Begun> {
    const { store, stamps, observer } = this.#options;
    const { type } = command.spec;
    try {
      if (this.#draining) throw draining();
      const outcome = await store.begin(
        { ...command, stamp: stamps.forUnary() },
        bounded(this.#options, context),
      );
      if (outcome.kind !== 'begun') throw beginRefusal(outcome);
      const { did } = outcome;
      observer.begun(type, did === 'record' ? 'created' : 'existing');
      if (did && did !== 'record') observer.taken(type, did);
      return outcome;
    } catch (error) {
      observer.begun(type, 'refused');
      throw error;
    }
  }

  /** Waits up to `waitMs` until there is something to claim. Throws what ClaimRoom.claim throws. */
  claim(
    command: Omit<ClaimCommand, 'stamp'>,
    waitMs: number,
    context: CallContext,
  ): Promise<readonly RunningOperation[]> {
    const work = async () => {
      const { claimRoom, stamps, clock } = this.#options;
      const claimed = await claimRoom.claim({ ...command, stamp: stamps.forUnary() }, waitMs, context);
      // If an attempt's deadline passed on the way, its worker must not do the work, and should not hear of it.
      return claimed
        .filter(({ attempt }) => clock.monotonicMs() < attempt.deadlineMs)
        .map(({ operation, attempt }) => ({ operation, running: this.#running(attempt, context) }));
    };
    // One line for each claimed operation: a claim that got nothing changed nothing.
    return logged(this.#options, 'ClaimOperations', command, work, (claimed) =>
      claimed.map(({ operation: { resource, operationId }, running }) => {
        return { outcome: 'claimed', resource, operationId, ...tokenOf(running) };
      }),
    );
  }

  /** Throws OPERATION_NOT_FOUND, and what the store throws. */
  async get(key: OperationKey, context: CallContext): Promise<Operation> {
    const [operation] = await this.#options.store.getMany([key], bounded(this.#options, context));
    if (!operation) throw operationNotFound();
    return operation;
  }

  /** A page. Throws INVALID_ARGUMENT for a page token of another listing, and what the store throws. */
  async list(
    { pageToken, ...query }: ListOperationsRequest,
    context: CallContext,
  ): Promise<ListedOperations> {
    // (Its store compares each record with the whole filter.)
    const prefix = query.filter.resource ?? query.filter.resourcePrefix ?? '';
    const listing: Listing = { kind: 'operations', prefix, filters: listingFilters(query.filter) };
    const after = pageToken === '' ? undefined : keyOfName(positionIn(listing, pageToken));
    const { operations, last } = await this.#options.store.list(
      { ...query, after },
      bounded(this.#options, context),
    );
    return { operations, nextPageToken: last ? pageTokenFor(listing, nameOf(last)) : '' };
  }

  /** Throws what `changeRefusal` makes, and what the store throws; so do all methods below. */
  update(command: UpdateCommand, context: CallContext): Promise<RunningOperation> {
    const work = async () => {
      const outcome = await this.#options.store.update(command, bounded(this.#options, context));
      if (outcome.kind !== 'changed') throw changeRefusal(outcome);
      return { operation: outcome.operation, running: this.#running(outcome.attempt, context) };
    };
    return logged(this.#options, 'UpdateOperation', command, work, ({ running }) => [
      { outcome: 'ok', ...tokenOf(running) },
    ]);
  }

  complete(command: CompleteCommand, context: CallContext): Promise<Operation> {
    const work = (bound: StoreBound) => this.#options.store.complete(command, bound);
    return this.#change('CompleteOperation', command, work, context, (operation) => {
      this.#noteEnd(operation);
      this.#noteRun(operation, operation.finishedAtWallMs);
    });
  }

  yield(command: YieldCommand, context: CallContext): Promise<Operation> {
    const work = (bound: StoreBound) => this.#options.store.yield(command, bound);
    return this.#change('YieldOperation', command, work, context, (operation) => {
      this.#options.observer.retried(operation.type);
      this.#noteRun(operation, operation.updatedAtWallMs);
    });
  }

  cancel(command: CancelCommand, context: CallContext): Promise<Operation> {
    const work = (bound: StoreBound) => this.#options.store.cancel(command, bound);
    return this.#change('CancelOperation', command, work, context, (operation) => this.#noteEnd(operation));
  }

  retry(command: RetryCommand, context: CallContext): Promise<Operation> {
    const work = (bound: StoreBound) => this.#options.store.retry(command, bound);
    return this.#change('RetryOperation', command, work, context, ({ type }) =>
      this.#options.observer.retried(type),
    );
  }

  /** Resolves with whether this call removed a record. */
  delete(command: DeleteCommand, context: CallContext): Promise<boolean> {
    const work = async () => {
      const outcome = await this.#options.store.delete(command, bounded(this.#options, context));
      if (outcome.kind === 'deleted' || outcome.kind === 'absent') return outcome.kind === 'deleted';
      throw changeRefusal(outcome);
    };
    return logged(this.#options, 'DeleteOperation', command, work, (deleted) => [
      { outcome: deleted ? 'deleted' : 'absent' },
    ]);
  }

  #change(
    rpc: string,
    about: MutationSubject,
    work: (bound: StoreBound) => Promise<ChangeOutcome>,
    context: CallContext,
    note: (changed: Operation) => void,
  ): Promise<Operation> {
    const change = async () => {
      const outcome = await work(bounded(this.#options, context));
      if (outcome.kind !== 'changed') throw changeRefusal(outcome);
      if (outcome.isNew) note(outcome.operation);
      return outcome.operation;
    };
    return logged(this.#options, rpc, about, change, ({ state }) => [{ outcome: state }]);
  }

  /** Of a running one, a cancellation is only asked for: that is no end. */
  #noteEnd({ type, state }: Operation): void {
    if (state !== 'pending' && state !== 'running') this.#options.observer.ended(type, state);
  }

  #noteRun({ type, startedAtWallMs }: Operation, endedAtWallMs: number | undefined): void {
    if (startedAtWallMs === undefined || endedAtWallMs === undefined) return;
    this.#options.observer.ran(type, Math.max(endedAtWallMs - startedAtWallMs, 0));
  }

  // A success must be true when it is sent: if the answer took longer than the attempt lives, the attempt is over.
  #running(attempt: Attempt, context: CallContext): RunningAttempt {
    if (this.#options.clock.monotonicMs() >= attempt.deadlineMs) throw staleAttempt();
    return { attempt, validForMs: attempt.deadlineMs - context.arrivedAtMs };
  }
}

/** All parts of a filter, in the same order however they were sent. */
function listingFilters(filter: OperationFilter): Listing['filters'] {
  const times = [
    filter.createdFromWallMs,
    filter.createdBeforeWallMs,
    filter.updatedFromWallMs,
    filter.updatedBeforeWallMs,
  ];
  return [
    [filter.resource, filter.resourcePrefix, filter.owner, ...times].map((value) => String(value ?? '')),
    filter.types.toSorted(),
    filter.states.toSorted(),
    [...filter.labels].map(([key, value]) => `${key}=${value}`).toSorted(),
  ];
}

function tokenOf(running: RunningAttempt | undefined): { readonly fencingToken?: bigint } {
  return running ? { fencingToken: running.attempt.fencingToken } : {};
}
