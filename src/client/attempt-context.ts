// What the work of an operation receives: the operation, until when the work may act, and how it reports its progress.

import type { AttemptRecord, RecordUpdate } from './attempt-record.ts';
import type { HeldAttempt } from './core/held-attempt.ts';
import type { Operation, Payload } from './operation-view.ts';

export class AttemptContext<Data = Payload | undefined> {
  /** The record as it was when the attempt began. */
  readonly operation: Operation;
  readonly resource: string;
  readonly operationId: string;
  /** The data as it was begun with, or last updated. The caller vouches for its type: nothing checks it. */
  readonly data: Data;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** Send it with every write of the work to somewhere else, which must refuse a write with a smaller token. */
  readonly fencingToken: bigint;
  /**
   * Aborts when the attempt is lost (AttemptLostError), when someone asked to cancel the operation
   * (OperationEndedError), and when the worker is told to stop (the reason of the stop). Then come to an end, and throw
   * its reason.
   */
  readonly signal: AbortSignal;
  /** The last progress that an earlier attempt reported; undefined if none did. */
  readonly lastProgress: Payload | undefined;
  // Functions rather than methods, so that handlers can destructure them.
  /** Milliseconds until the deadline of the attempt, by the clocks; 0 when it is over. */
  readonly remainingMs: () => number;
  /** Reports progress to watchers and to the attempt after this one. Rejects when the attempt is lost. */
  readonly progress: (value: unknown) => Promise<void>;
  /** Changes the data, the progress or the labels. Rejects when the attempt is lost. */
  readonly update: (update: RecordUpdate) => Promise<void>;

  constructor(operation: Operation, held: HeldAttempt, record: AttemptRecord, signal: AbortSignal) {
    this.operation = operation;
    this.resource = operation.resource;
    this.operationId = operation.operationId;
    this.data = operation.data as Data; // the caller vouches for it, see above
    this.attempt = operation.attempt;
    this.fencingToken = held.name.fencingToken;
    this.signal = signal;
    this.lastProgress = operation.progress;
    this.remainingMs = () => held.remainingMs();
    this.progress = (value) => record.update({ progress: value });
    this.update = (update) => record.update(update);
  }
}
