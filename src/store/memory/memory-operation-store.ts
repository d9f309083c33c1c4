// Operations in this process's memory, by the rules of the scripts in ../redis/lua and in their order: the model that
// random command sequences compare the Redis store with. Times are on the lease clock, in milliseconds, unless a name
// says otherwise.

import type { Clock } from '../../domain/clock.ts';
import { LIMITS } from '../../domain/limits.ts';
import {
  type Attempt,
  isFinal,
  nameOf,
  type Operation,
  type OperationKey,
  type OperationState,
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
  RetryCommand,
  UpdateCommand,
  UpdateOutcome,
  YieldCommand,
} from '../operation-store.ts';
import type { StoreObserver } from '../store.ts';
import { type LockTable, sameStamp } from './lock-table.ts';
import { runCommand } from './memory-command.ts';
import type { OperationRecord } from './operation-record.ts';
import { OperationStarts } from './operation-starts.ts';
import { OperationTable } from './operation-table.ts';
import { attemptView, operationView } from './operation-views.ts';

export interface MemoryOperationStoreOptions {
  readonly clock: Clock;
  readonly maxTtlMs: number;
  readonly observer: StoreObserver;
  readonly instanceId: string;
  readonly locks: LockTable;
}

export class MemoryOperationStore implements OperationStore {
  readonly #options: MemoryOperationStoreOptions;
  readonly #table: OperationTable;
  readonly #starts: OperationStarts;

  constructor(options: MemoryOperationStoreOptions) {
    this.#options = options;
    this.#table = new OperationTable(options);
    this.#starts = new OperationStarts(this.#table, options.clock);
  }

  /** Does what is due by itself; the lease clock was advanced. */
  sweep(): void {
    this.#table.sweep();
  }

  /** Records that are remembered: what a leak would make grow. */
  get size(): number {
    return this.#table.records.size;
  }

  watchChanges(listener: (notice: OperationNotice) => void): () => void {
    return this.#table.watch(listener);
  }

  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void {
    return this.#table.onAttemptNotice(listener);
  }

  begin(command: BeginCommand, bound: StoreBound): Promise<BeginOutcome> {
    return this.#command('begin-operation', bound, () => this.#starts.begin(command));
  }

  claim(command: ClaimCommand, bound: StoreBound): Promise<ClaimOutcome> {
    return this.#command('claim-operations', bound, () => this.#starts.claim(command));
  }

  update(command: UpdateCommand, bound: StoreBound): Promise<UpdateOutcome> {
    return this.#command('update-operation', bound, () => this.#update(command));
  }

  heartbeat(commands: readonly HeartbeatCommand[], bound: StoreBound): Promise<readonly HeartbeatOutcome[]> {
    return this.#command('heartbeat-operations', bound, () => commands.map((one) => this.#heartbeat(one)));
  }

  complete(command: CompleteCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#command('complete-operation', bound, () => this.#complete(command));
  }

  yield(command: YieldCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#command('yield-operation', bound, () => this.#yield(command));
  }

  cancel(command: CancelCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#command('cancel-operation', bound, () => this.#cancel(command));
  }

  retry(command: RetryCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#command('retry-operation', bound, () => this.#retry(command));
  }

  delete(command: DeleteCommand, bound: StoreBound): Promise<DeleteOutcome> {
    return this.#command('delete-operation', bound, () => this.#delete(command));
  }

  getMany(keys: readonly OperationKey[], bound: StoreBound): Promise<readonly (Operation | undefined)[]> {
    return this.#command('get-operations', bound, () =>
      keys.map((key) => {
        const o = this.#find(key);
        return o && operationView(this.#table, o, true);
      }),
    );
  }

  list(query: OperationQuery, bound: StoreBound): Promise<OperationPage> {
    return this.#command('list-operations', bound, () => this.#list(query));
  }

  #command<T>(name: string, bound: StoreBound, decide: () => T): Promise<T> {
    return runCommand(this.#options, this.#table.locks, name, bound, decide);
  }

  #find(key: OperationKey): OperationRecord | undefined {
    return this.#table.records.get(nameOf(key));
  }

  #update(command: UpdateCommand): UpdateOutcome {
    const o = this.#find(command);
    if (!o) return { kind: 'not-found' };
    const refusal = this.#table.refusalOf(o, command);
    if (refusal) return { kind: refusal };
    if (this.#table.isRepeat(o, 'update', command.requestId)) {
      this.#table.extend(o);
      return this.#updated(o, command.claimId);
    }
    if (command.version > 0 && command.version !== o.version) return { kind: 'version-mismatch' };
    const labels = new Map(o.labels);
    for (const key of command.removeLabels) labels.delete(key);
    for (const [key, value] of command.setLabels) labels.set(key, value);
    const bytes = [...labels].reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
    if (labels.size > LIMITS.metadataEntries || bytes > LIMITS.metadataTotalBytes) {
      return { kind: 'labels-full' };
    }
    let isNew = !sameLabels(labels, o.labels);
    o.labels = labels;
    for (const field of ['data', 'progress'] as const) {
      const sent = command[field];
      if (sent === undefined) continue;
      const next = sent === 'remove' ? undefined : sent;
      isNew ||= !samePayload(o[field], next);
      o[field] = next;
    }
    this.#table.extend(o);
    this.#table.rememberRequest(o, 'update', command.requestId);
    if (isNew) this.#table.amend(o);
    return this.#updated(o, command.claimId);
  }

  #updated(o: OperationRecord, claimId: string): UpdateOutcome {
    const operation = operationView(this.#table, o, true);
    return { kind: 'changed', operation, attempt: this.#attempt(o, claimId) };
  }

  #heartbeat(command: HeartbeatCommand): HeartbeatOutcome {
    const { claimId, fencingToken, stamp, takesOver } = command;
    const o = this.#find(command);
    if (!o) return { kind: 'lost', reason: 'unknown-attempt' };
    const isIts = o.claim === claimId && BigInt(o.token) === fencingToken;
    if (o.state === 'pending') return { kind: 'lost', reason: isIts ? 'yielded' : 'superseded' };
    if (!isIts) return { kind: 'lost', reason: 'superseded' };
    if (isFinal(o.state)) return { kind: 'lost', reason: 'finished' };
    if (!this.#table.living(o)) {
      const isEarly = o.lock && this.#table.locks.clockMs < o.deadlineMs;
      return { kind: 'lost', reason: isEarly ? 'lease-lost' : 'expired' };
    }
    if (!takesOver && !(o.stamp && sameStamp(o.stamp, stamp))) return { kind: 'moved' };
    this.#table.takeOver(o, stamp);
    const isFinalDeadline = this.#table.extend(o);
    const cancelReason = o.cancel ? o.reason : undefined;
    return { kind: 'renewed', attempt: this.#attempt(o, claimId), isFinal: isFinalDeadline, cancelReason };
  }

  #complete(command: CompleteCommand): ChangeOutcome {
    const { transition, outcome, releaseLease, requestId } = command;
    const o = this.#find(command);
    if (!o) return { kind: 'not-found' };
    if (!this.#table.isRepeat(o, 'complete', requestId)) {
      const refusal = this.#table.refusalOf(o, command);
      if (refusal) return { kind: refusal };
      if (!allows(transition, o.state)) return { kind: 'wrong-state' };
      this.#table.rememberRequest(o, 'complete', requestId);
      this.#table.tellAttempt(o, 'look');
      this.#table.finish(o, TRANSITIONS[transition].to, outcome);
      if (releaseLease) this.#table.releaseLease(o);
    }
    return this.#changed(o);
  }

  #yield(command: YieldCommand): ChangeOutcome {
    const { delayMs, stamp, requestId } = command;
    const { clockMs } = this.#table.locks;
    const o = this.#find(command);
    if (!o) return { kind: 'not-found' };
    if (!this.#table.isRepeat(o, 'yield', requestId)) {
      const refusal = this.#table.refusalOf(o, command);
      if (refusal) return { kind: refusal };
      if (stamp && !(o.stamp && sameStamp(o.stamp, stamp))) return { kind: 'stale-attempt' };
      if (!allows('yield', o.state)) return { kind: 'wrong-state' };
      this.#table.rememberRequest(o, 'yield', requestId);
      this.#table.tellAttempt(o, 'look');
      o.state = 'pending';
      o.counted--;
      o.claimableMs = delayMs > 0 ? clockMs + delayMs : 0;
      if (o.expiresMs > 0) o.expiresMs = Math.max(o.expiresMs, clockMs + delayMs + this.#table.roomMs);
      this.#table.change(o);
      this.#table.releaseLease(o);
    }
    return this.#changed(o);
  }

  #cancel(command: CancelCommand): ChangeOutcome {
    const { reason, requestId } = command;
    const found = this.#find(command);
    // First what is due: one that has just gone stale for the last time is dead, and not to be cancelled any more.
    const { o, isStale } = found ? this.#table.settle(found) : { o: undefined, isStale: false };
    if (!o) return { kind: 'not-found' };
    if (!this.#table.isRepeat(o, 'cancel', requestId) && o.state !== 'cancelled') {
      if (isFinal(o.state)) return { kind: 'wrong-state' };
      this.#table.rememberRequest(o, 'cancel', requestId);
      const isAtOnce = allows('cancel', o.state);
      const isNew = isAtOnce || !o.cancel;
      if (isNew) {
        o.cancel = true;
        o.reason = reason;
      }
      if (isAtOnce) this.#table.finish(o, 'cancelled', cancelledStatus(reason));
      else if (isNew && isStale) this.#table.change(o, true);
      else if (isNew) this.#table.amend(o);
      if (isNew && !isAtOnce) this.#table.tellAttempt(o, 'look');
    }
    return this.#changed(o);
  }

  #retry(command: RetryCommand): ChangeOutcome {
    const { version, requestId } = command;
    const { locks } = this.#table;
    const o = this.#find(command);
    if (!o) return { kind: 'not-found' };
    if (!this.#table.isRepeat(o, 'retry', requestId)) {
      if (!allows('retry', o.state)) return { kind: 'wrong-state' };
      if (version > 0 && version !== o.version) return { kind: 'version-mismatch' };
      if (o.exclusive && locks.quarantined) {
        return { kind: 'quarantined', retryAfterMs: locks.quarantineRemainingMs };
      }
      if (this.#table.isOpenElsewhere(o.resource, o.exclusive)) return { kind: 'open' };
      this.#table.rememberRequest(o, 'retry', requestId);
      o.state = 'pending';
      o.outcome = undefined;
      o.counted = 0;
      o.cancel = false;
      o.reason = '';
      o.finishedWallMs = 0;
      o.expiresMs = o.ttlMs > 0 ? locks.clockMs + o.ttlMs : 0;
      this.#table.change(o);
    }
    return this.#changed(o);
  }

  #delete(command: DeleteCommand): DeleteOutcome {
    const o = this.#find(command);
    if (!o) return { kind: 'absent' };
    if (o.state === 'running') return { kind: 'wrong-state' };
    if (command.version > 0 && command.version !== o.version) return { kind: 'version-mismatch' };
    this.#table.remove(o);
    return { kind: 'deleted' };
  }

  #list({ filter, after, most, withPayloads }: OperationQuery): OperationPage {
    const behind = after && Buffer.from(nameOf(after));
    const named = [...this.#table.records.values()].map((o) => ({ o, bytes: Buffer.from(o.name) }));
    named.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    const operations: Operation[] = [];
    let size = 0;
    for (const { o, bytes } of named) {
      if (behind && Buffer.compare(bytes, behind) <= 0) continue;
      const operation = operationView(this.#table, o, withPayloads);
      if (!fits(operation, filter)) continue;
      const isFull = operations.length === most || size >= LIMITS.pageBytes;
      if (isFull) return { operations, last: operations.at(-1) };
      operations.push(operation);
      size += operationBytes(operation);
    }
    return { operations, last: undefined };
  }

  #changed(o: OperationRecord): ChangeOutcome {
    return { kind: 'changed', operation: operationView(this.#table, o, true) };
  }

  #attempt(o: OperationRecord, claimId: string): Attempt {
    return attemptView(this.#table, o, claimId, this.#options.clock.monotonicMs());
  }
}

function allows(transition: Transition, state: OperationState): boolean {
  const from: readonly OperationState[] = TRANSITIONS[transition].from;
  return from.includes(state);
}

function sameLabels(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function samePayload(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
