// What the work of an operation is given: what it is about, until when it may act, and how it tells how far it is.

import type { AttemptRecord, RecordUpdate } from './attempt-record.ts';
import type { HeldAttempt } from './core/held-attempt.ts';
import type { Operation, Payload } from './operation-view.ts';

export class AttemptContext<Data = Payload | undefined> {
  /** The record as it was when the attempt began. */
  readonly operation: Operation;
  readonly resource: string;
  readonly operationId: string;
  /** As it was begun, or last updated. Its type is the caller's word: nobody checks it. */
  readonly data: Data;
  /** 1 for the first. */
  readonly attempt: number;
  /** Send it with every write that the work does, and refuse writes with a smaller one. */
  readonly fencingToken: bigint;
  /**
   * Aborts when the attempt is lost (AttemptLostError), when the operation shall be cancelled (OperationEndedError),
   * and when the worker shall stop (the reason of the stop). Then come to an end, and throw its reason.
   */
  readonly signal: AbortSignal;
  /** How far an earlier attempt came, as it told; undefined if none did. */
  readonly lastProgress: Payload | undefined;
  // Functions of their own, and no methods: handlers like to take them apart.
  /** Until the deadline of the attempt, by the clocks; 0 when it is over. */
  readonly remainingMs: () => number;
  /** Tells how far the work is, for those who watch and for the attempt after this one. Rejects when it is lost. */
  readonly progress: (value: unknown) => Promise<void>;
  /** Changes the data, the progress or the labels. Rejects when the attempt is lost. */
  readonly update: (update: RecordUpdate) => Promise<void>;

  constructor(operation: Operation, held: HeldAttempt, record: AttemptRecord, signal: AbortSignal) {
    this.operation = operation;
    this.resource = operation.resource;
    this.operationId = operation.operationId;
    this.data = operation.data as Data; // the caller's word, see above
    this.attempt = operation.attempt;
    this.fencingToken = held.name.fencingToken;
    this.signal = signal;
    this.lastProgress = operation.progress;
    this.remainingMs = () => held.remainingMs();
    this.progress = (value) => record.update({ progress: value });
    this.update = (update) => record.update(update);
  }
}
