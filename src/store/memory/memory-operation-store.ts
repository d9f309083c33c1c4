// Operations in this process's memory: what each command of the contract decides. operation-starts.ts has the two
// that start attempts; operation-table.ts keeps the operations and does what happens by itself. Times are on the lease
// clock, in milliseconds, unless a name says otherwise.

import { LIMITS } from '../../domain/limits.ts';
import {
  type AttemptRef,
  isFinal,
  nameOf,
  type Operation,
  type OperationKey,
  TRANSITIONS,
  type Transition,
} from '../../domain/operation.ts';
import { fits } from '../../domain/operation-filter.ts';
import { operationBytes } from '../../domain/operation-size.ts';
import { cancelledStatus } from '../../domain/status-bytes.ts';
import type { StoreBound } from '../lock-store.ts';
import type {
  AttemptNotice,
  BeginCommand,
  BeginOutcome,
  CancelCommand,
  ChangeOutcome,
  ClaimCommand,
  ClaimOutcome,
  CompleteCommand,
  DeleteCommand,
  DeleteOutcome,
  HeartbeatCommand,
  HeartbeatOutcome,
  OperationNotice,
  OperationPage,
  OperationQuery,
  OperationStore,
  Refused,
  RetryCommand,
  UpdateCommand,
  UpdateOutcome,
  YieldCommand,
} from '../operation-store.ts';
import { inByteOrder } from './byte-order.ts';
import { sameStamp } from './lock-record.ts';
import { contentAfter, labelsExceed, type OperationRecord, sameContent } from './operation-record.ts';
import { OperationStarts } from './operation-starts.ts';
import { OperationTable, type OperationTableOptions } from './operation-table.ts';

export class MemoryOperationStore implements OperationStore {
  /** What it holds of operations: for tests of what befalls data. */
  readonly table: OperationTable;
  readonly #starts: OperationStarts;

  constructor(options: OperationTableOptions) {
    this.table = new OperationTable(options);
    this.#starts = new OperationStarts(this.table);
  }

  /** Does what is due by itself; the lease clock was advanced. */
  sweep(): void {
    this.table.sweep();
  }

  /** Records that are remembered: what a leak would make grow. */
  get size(): number {
    return this.table.all.length;
  }

  watchChanges(listener: (notice: OperationNotice) => void): () => void {
    return this.table.watch(listener);
  }

  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void {
    return this.table.onAttemptNotice(listener);
  }

  begin(command: BeginCommand, bound: StoreBound): Promise<BeginOutcome> {
    return this.#run('begin-operation', bound, () => this.#starts.begin(command));
  }

  claim(command: ClaimCommand, bound: StoreBound): Promise<ClaimOutcome> {
    return this.#run('claim-operations', bound, () => this.#starts.claim(command));
  }

  update(command: UpdateCommand, bound: StoreBound): Promise<UpdateOutcome> {
    return this.#run('update-operation', bound, () => this.#update(command));
  }

  #update(command: UpdateCommand): UpdateOutcome {
    const record = this.table.find(command);
    if (!record) return { kind: 'not-found' };
    const refused = this.#refusalOf(record, command);
    if (refused) return refused;
    if (!this.table.isRepeat(record, 'update', command.requestId)) {
      if (command.version > 0 && command.version !== record.version) return { kind: 'version-mismatch' };
      const content = contentAfter(record, command);
      if (labelsExceed(content.labels)) return { kind: 'labels-full' };
      const isSame = sameContent(content, record);
      Object.assign(record, content);
      this.table.rememberRequest(record, 'update', command.requestId);
      if (!isSame) this.table.change(record);
    }
    this.table.extend(record);
    return {
      kind: 'changed',
      operation: this.table.viewOf(record),
      attempt: this.table.attemptView(record),
    };
  }

  heartbeat(commands: readonly HeartbeatCommand[], bound: StoreBound): Promise<readonly HeartbeatOutcome[]> {
    return this.#run('heartbeat-operations', bound, () => commands.map((one) => this.#heartbeat(one)));
  }

  #heartbeat(command: HeartbeatCommand): HeartbeatOutcome {
    const record = this.table.find(command);
    const attempt = record?.attempt;
    if (!record) return { kind: 'lost', reason: 'unknown-attempt' };
    if (!attempt || !this.table.isIts(record, command)) return { kind: 'lost', reason: 'superseded' };
    if (record.state === 'pending') return { kind: 'lost', reason: 'yielded' };
    if (isFinal(record.state)) return { kind: 'lost', reason: 'finished' };
    if (!this.table.isLiving(record)) {
      if (this.table.mayLiveAgain(record)) return { kind: 'unknown' };
      const isLeaseLost = attempt.lease && this.table.clock.nowMs < attempt.lease.deadlineMs;
      return { kind: 'lost', reason: isLeaseLost ? 'lease-lost' : 'expired' };
    }
    const { stamp, takesOver, onlyLooks } = command;
    if ((!takesOver || onlyLooks) && !sameStamp(attempt.stamp, stamp)) return { kind: 'moved' };
    if (!onlyLooks) {
      this.table.takeOver(record, stamp);
      this.table.extend(record);
    }
    const { lease } = attempt;
    return {
      kind: 'renewed',
      attempt: this.table.attemptView(record),
      isFinal: lease !== undefined && lease.deadlineMs >= lease.endsAtMs,
      cancelReason: record.cancelReason,
    };
  }

  complete(command: CompleteCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#run('complete-operation', bound, () => {
      const { transition, outcome, releaseLease, requestId } = command;
      const record = this.table.find(command);
      if (!record) return { kind: 'not-found' };
      if (this.table.isRepeat(record, 'complete', requestId)) return this.#changed(record, false);
      const refused = this.#refusalOf(record, command);
      if (refused) return refused;
      if (!allows(transition, record)) return { kind: 'wrong-state' };
      this.table.rememberRequest(record, 'complete', requestId);
      this.table.tellAttempt(record, 'look');
      this.table.finish(record, TRANSITIONS[transition].to, outcome);
      if (releaseLease) this.table.releaseLease(record);
      return this.#changed(record, true);
    });
  }

  yield(command: YieldCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#run('yield-operation', bound, () => {
      const { delayMs, stamp, requestId } = command;
      const record = this.table.find(command);
      if (!record) return { kind: 'not-found' };
      if (this.table.isRepeat(record, 'yield', requestId)) return this.#changed(record, false);
      const refused = this.#refusalOf(record, command);
      if (refused) return refused;
      const speaks = !stamp || (record.attempt && sameStamp(record.attempt.stamp, stamp));
      if (!speaks) return { kind: 'stale-attempt' };
      if (!allows('yield', record)) return { kind: 'wrong-state' };
      this.table.rememberRequest(record, 'yield', requestId);
      this.table.tellAttempt(record, 'look');
      record.state = 'pending';
      record.attemptsCounted--;
      const claimableAtMs = this.table.clock.nowMs + delayMs;
      record.claimableAtMs = delayMs > 0 ? claimableAtMs : 0;
      // The next worker has at least as much time as with a stale one.
      record.expiresAtMs = Math.max(record.expiresAtMs, claimableAtMs + this.table.roomMs);
      this.table.change(record);
      this.table.releaseLease(record);
      return this.#changed(record, true);
    });
  }

  cancel(command: CancelCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#run('cancel-operation', bound, () => {
      const { reason, requestId } = command;
      const record = this.table.find(command);
      // What is due comes first: one that has just gone stale for the last time is dead, and can't be cancelled.
      if (!record || !this.table.settle(record)) return { kind: 'not-found' };
      const isDone = record.state === 'cancelled' || this.table.isRepeat(record, 'cancel', requestId);
      if (isDone) return this.#changed(record, false);
      if (isFinal(record.state)) return { kind: 'wrong-state' };
      this.table.rememberRequest(record, 'cancel', requestId);
      const isNew = record.cancelReason === undefined;
      if (allows('cancel', record)) {
        record.cancelReason = reason;
        this.table.finish(record, 'cancelled', cancelledStatus(reason));
      } else if (isNew) {
        record.cancelReason = reason;
        this.table.change(record);
        this.table.tellAttempt(record, 'look');
      }
      return this.#changed(record, isNew);
    });
  }

  retry(command: RetryCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#run('retry-operation', bound, () => {
      const { version, requestId } = command;
      const { clock } = this.table;
      const record = this.table.find(command);
      if (!record) return { kind: 'not-found' };
      if (this.table.isRepeat(record, 'retry', requestId)) return this.#changed(record, false);
      const { exclusive, timeToLiveMs } = record.spec;
      if (!allows('retry', record)) return { kind: 'wrong-state' };
      if (version > 0 && version !== record.version) return { kind: 'version-mismatch' };
      // A failover may have lost the record of another open one.
      if (exclusive && clock.isQuarantine) {
        return { kind: 'quarantined', retryAfterMs: clock.quarantineLeftMs };
      }
      if (this.table.isOpenElsewhere(command, exclusive)) return { kind: 'open' };
      this.table.rememberRequest(record, 'retry', requestId);
      record.state = 'pending';
      record.outcome = undefined;
      record.attemptsCounted = 0;
      record.cancelReason = undefined;
      record.finishedAtWallMs = undefined;
      record.expiresAtMs = timeToLiveMs > 0 ? clock.nowMs + timeToLiveMs : Number.POSITIVE_INFINITY;
      this.table.change(record);
      return this.#changed(record, true);
    });
  }

  delete(command: DeleteCommand, bound: StoreBound): Promise<DeleteOutcome> {
    return this.#run('delete-operation', bound, () => {
      const record = this.table.find(command);
      if (!record) return { kind: 'absent' };
      if (record.state === 'running') return { kind: 'wrong-state' };
      const { version } = command;
      if (version > 0 && version !== record.version) return { kind: 'version-mismatch' };
      this.table.remove(record);
      return { kind: 'deleted' };
    });
  }

  getMany(keys: readonly OperationKey[], bound: StoreBound): Promise<readonly (Operation | undefined)[]> {
    return this.#run('get-operations', bound, () =>
      keys.map((key) => {
        const record = this.table.find(key);
        return record && this.table.viewOf(record);
      }),
    );
  }

  list({ filter, after, most, withPayloads }: OperationQuery, bound: StoreBound): Promise<OperationPage> {
    return this.#run('list-operations', bound, () => {
      const operations: Operation[] = [];
      let bytes = 0;
      const named = inByteOrder(this.table.all, ({ spec }) => nameOf(spec), after ? nameOf(after) : '');
      for (const record of named) {
        const operation = this.table.viewOf(record, withPayloads);
        if (!fits(operation, filter)) continue;
        const isFull = operations.length === most || bytes >= LIMITS.pageBytes;
        if (isFull) return { operations, last: operations.at(-1) };
        operations.push(operation);
        bytes += operationBytes(operation);
      }
      return { operations, last: undefined };
    });
  }

  #run<T>(name: string, bound: StoreBound, decide: () => T): Promise<T> {
    return this.table.locks.run(name, bound, decide);
  }

  /** Why an attempt must not write; undefined if it may. */
  #refusalOf(record: OperationRecord, attempt: AttemptRef): Refused | undefined {
    const isIts = this.table.isIts(record, attempt);
    if (isIts && isFinal(record.state)) return { kind: 'wrong-state' };
    if (isIts && this.table.isLiving(record)) return undefined;
    const mayLiveAgain = isIts && record.state === 'running' && this.table.mayLiveAgain(record);
    return mayLiveAgain
      ? { kind: 'quarantined', retryAfterMs: this.table.clock.quarantineLeftMs }
      : { kind: 'stale-attempt' };
  }

  #changed(record: OperationRecord, isNew: boolean): ChangeOutcome {
    return { kind: 'changed', operation: this.table.viewOf(record), isNew };
  }
}

function allows(transition: Transition, { state }: OperationRecord): boolean {
  const from: readonly string[] = TRANSITIONS[transition].from;
  return from.includes(state);
}
