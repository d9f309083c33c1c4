// The operation store on Redis: turns each command into one script call, and the script's words into outcomes. Decides
// nothing itself: the scripts decide atomically, and the lane decides which answers a caller gets.
//
// Over 300 lines because each command of the interface is here, beside what its reply means.

import {
  type Attempt,
  type AttemptRef,
  nameOf,
  type Operation,
  type OperationKey,
} from '../../domain/operation.ts';
import { recoveryRoomMs } from '../../domain/safety.ts';
import { cancelledStatus } from '../../domain/status-bytes.ts';
import type { StoreBound } from '../lock-store.ts';
import type {
  AttemptNotice,
  BeginCommand,
  BeginOutcome,
  CancelCommand,
  ChangeOutcome,
  ClaimCommand,
  ClaimedOperation,
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
import type { ChangeFeed } from './change-feed.ts';
import type { Answer, CommandLane, Note } from './command-lane.ts';
import { deathsOf } from './deaths.ts';
import { microseconds } from './lock-arguments.ts';
import { milliseconds, readContention } from './lock-replies.ts';
import {
  beginArguments,
  claimArguments,
  completeArguments,
  heartbeatArguments,
  lifeArguments,
  payloadText,
  statesBefore,
  updateArguments,
  yieldArguments,
} from './operation-arguments.ts';
import { listOperations } from './operation-listing.ts';
import {
  type AttemptTold,
  attemptNoticeOf,
  attemptOf,
  BEATEN_WORDS,
  begunOf,
  type Grant,
  grantsOf,
  heartbeatOf,
  operationNoticeOf,
  operationOf,
  readOperation,
  recordsOf,
  refused,
  withLease,
} from './operation-replies.ts';
import type { PrimaryKeeper } from './primary-keeper.ts';
import type { ScriptName } from './scripts.ts';
import { noteAttempt, noteEndOfAttempt, ToldHeartbeats, type ToldParts } from './told-answers.ts';

/** Scripts that one claim runs. */
const CLAIM_ROUNDS = 50;
/** When to look again if even that did not reach all of them. */
const CLAIM_AGAIN_MS = 1_000;

/** What one script found, and behind which operation the next one goes on; '-' if it reached all of them. */
type ClaimedPiece = Extract<ClaimOutcome, { kind: 'claimed' }> & { readonly behind: string };

export interface RedisOperationStoreOptions {
  readonly lane: CommandLane;
  readonly keeper: PrimaryKeeper;
  readonly changes: ChangeFeed;
  readonly observer: StoreObserver;
  readonly maxTtlMs: number;
}

export class RedisOperationStore implements OperationStore {
  readonly #options: RedisOperationStoreOptions;
  readonly #life: readonly string[];
  readonly #room: string;
  readonly #listeners = new Set<(notice: AttemptNotice) => void>();

  constructor(options: RedisOperationStoreOptions) {
    this.#options = options;
    this.#life = lifeArguments(options.maxTtlMs);
    this.#room = microseconds(recoveryRoomMs(options.maxTtlMs));
  }

  async begin(command: BeginCommand, bound: StoreBound): Promise<BeginOutcome> {
    const { spec, claimId } = command;
    const args = [...this.#life, ...beginArguments(command), statesBefore('claim')];
    let read: ReturnType<typeof begunOf> | undefined;
    const answer = await this.#run('begin-operation', bound, args, (told) => {
      const [word, , ...rest] = told.reply;
      if (word !== 'begun' || !claimId) return;
      read = begunOf(rest);
      noteAttempt(this.#told?.told, read.operation, claimId, read.left, told);
    });
    const [word, , ...rest] = answer.reply;
    switch (word) {
      case 'begun': {
        this.#tellDeaths(rest[0]);
        const { left, ...begun } = read ?? begunOf(rest);
        if (!claimId || !left) return { kind: word, ...begun, attempt: undefined };
        const { operation } = begun;
        const safe = await this.#asSafeAsWished([operation], answer, bound);
        return { kind: word, ...begun, attempt: this.#attemptOf(withLease(operation), claimId, left, safe) };
      }
      case 'exists':
        this.#tellDeaths(rest[0]);
        return { kind: word };
      case 'open':
      case 'lease-required':
        return { kind: word };
      case 'attempt-held':
      case 'quarantined':
        return { kind: word, retryAfterMs: milliseconds(rest[0]) };
      case 'held':
      case 'ahead':
      case 'min-hold':
        return { kind: 'contended', contention: readContention(spec.resource, word, rest) };
      default:
        throw new Error(`begin-operation: unexpected reply ${word}`);
    }
  }

  // One script looks at a bounded number of operations, so that other commands get their turn. If it finds nothing
  // among them, the next one goes on behind them: otherwise a thousand operations whose resource is held would hide the
  // rest.
  async claim(command: ClaimCommand, bound: StoreBound): Promise<ClaimOutcome> {
    const blockedOn = new Set<string>();
    let askAgainInMs = Number.POSITIVE_INFINITY;
    let behind = '0';
    for (let round = 0; round < CLAIM_ROUNDS; round++) {
      const outcome = await this.#claimBehind(behind, command, bound);
      if (outcome.kind === 'quarantined') return outcome;
      const { claimed, isRepeat } = outcome;
      for (const resource of outcome.blockedOn) blockedOn.add(resource);
      askAgainInMs = Math.min(askAgainInMs, outcome.askAgainInMs);
      behind = outcome.behind;
      if (claimed.length > 0 || behind === '-') {
        return { kind: 'claimed', claimed, isRepeat, askAgainInMs, blockedOn: [...blockedOn] };
      }
    }
    askAgainInMs = Math.min(askAgainInMs, CLAIM_AGAIN_MS);
    return { kind: 'claimed', claimed: [], isRepeat: false, askAgainInMs, blockedOn: [...blockedOn] };
  }

  async #claimBehind(
    behind: string,
    command: ClaimCommand,
    bound: StoreBound,
  ): Promise<ClaimedPiece | Extract<ClaimOutcome, { kind: 'quarantined' }>> {
    const args = [...this.#life, ...claimArguments(command, behind)];
    let told: readonly Grant[] = [];
    const answer = await this.#run('claim-operations', bound, args, (toTell) => {
      const [word, , , , , , blocked, ...rest] = toTell.reply;
      if (word !== 'claimed') return;
      told = grantsOf(rest.slice(Number(blocked)));
      for (const { operation, left } of told)
        noteAttempt(this.#told?.told, operation, command.claimId, left, toTell);
    });
    const [word, , first, next = '-', repeated, died, blockedCount, ...rest] = answer.reply;
    if (word === 'quarantined') return { kind: word, retryAfterMs: milliseconds(first) };
    if (word !== 'claimed') throw new Error(`claim-operations: unexpected reply ${word}`);
    this.#tellDeaths(died);
    const blockedOn = rest.slice(0, Number(blockedCount));
    const operations = told.map(({ operation }) => operation);
    const safe = await this.#asSafeAsWished(operations, answer, bound);
    const claimed = told.map(({ operation, left, taken }): ClaimedOperation => {
      return {
        operation,
        attempt: this.#attemptOf(withLease(operation), command.claimId, left, safe),
        taken,
      };
    });
    const askAgainInMs = first === '-' ? Number.POSITIVE_INFINITY : milliseconds(first);
    return { kind: 'claimed', claimed, isRepeat: repeated === '1', askAgainInMs, blockedOn, behind: next };
  }

  async update(command: UpdateCommand, bound: StoreBound): Promise<UpdateOutcome> {
    let operation: Operation | undefined;
    const answer = await this.#run('update-operation', bound, updateArguments(command), (told) => {
      const [word, , left = '', ...record] = told.reply;
      if (word !== 'changed') return;
      operation = operationOf(record);
      noteAttempt(this.#told?.told, operation, command.claimId, left, told);
    });
    const [, , left = ''] = answer.reply;
    if (!operation) return refused('update-operation', answer);
    return {
      kind: 'changed',
      operation,
      attempt: this.#attemptOf(withLease(operation), command.claimId, left, answer),
    };
  }

  async heartbeat(commands: readonly HeartbeatCommand[], bound: StoreBound): Promise<HeartbeatOutcome[]> {
    const told = this.#told && new ToldHeartbeats(this.#told.told, commands);
    const args = commands.flatMap((command, index) =>
      heartbeatArguments(command, told?.asksText(index) ?? false),
    );
    const answer = await this.#run('heartbeat-operations', bound, args, told?.note);
    const words = answer.reply.slice(2);
    return commands.map((command, index) => {
      const beat = words.slice(BEATEN_WORDS * index, BEATEN_WORDS * (index + 1));
      return heartbeatOf(command, beat, answer);
    });
  }

  complete(command: CompleteCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#change(
      'complete-operation',
      bound,
      completeArguments(command),
      command,
      command.releaseLease,
    );
  }

  yield(command: YieldCommand, bound: StoreBound): Promise<ChangeOutcome> {
    return this.#change('yield-operation', bound, [this.#room, ...yieldArguments(command)], command);
  }

  cancel(command: CancelCommand, bound: StoreBound): Promise<ChangeOutcome> {
    const { reason, requestId } = command;
    const outcome = payloadText(cancelledStatus(reason));
    const args = [...this.#life, nameOf(command), reason, statesBefore('cancel'), outcome, requestId];
    return this.#change('cancel-operation', bound, args);
  }

  retry(command: RetryCommand, bound: StoreBound): Promise<ChangeOutcome> {
    const { version, requestId } = command;
    return this.#change('retry-operation', bound, [
      nameOf(command),
      String(version),
      statesBefore('retry'),
      requestId,
    ]);
  }

  async delete(command: DeleteCommand, bound: StoreBound): Promise<DeleteOutcome> {
    const { reply } = await this.#run('delete-operation', bound, [nameOf(command), String(command.version)]);
    const [word] = reply;
    if (word === 'deleted' || word === 'absent' || word === 'wrong-state' || word === 'version-mismatch') {
      return { kind: word };
    }
    throw new Error(`delete-operation: unexpected reply ${word}`);
  }

  async getMany(
    keys: readonly OperationKey[],
    bound: StoreBound,
  ): Promise<readonly (Operation | undefined)[]> {
    const { reply } = await this.#run('get-operations', bound, keys.map(nameOf));
    return recordsOf(reply.slice(2)).map((record) => readOperation(record, true));
  }

  list(query: OperationQuery, bound: StoreBound): Promise<OperationPage> {
    const reads = {
      list: async (args: readonly string[]) => (await this.#run('list-operations', bound, args)).reply,
      getMany: (keys: readonly OperationKey[]) => this.getMany(keys, bound),
    };
    return listOperations(reads, query);
  }

  watchChanges(listener: (notice: OperationNotice) => void): () => void {
    return this.#options.changes.listen((notice) => listener(operationNoticeOf(notice)));
  }

  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A message on this instance's channel. */
  heard(message: string): void {
    const notice = attemptNoticeOf(message);
    if (notice) for (const listener of this.#listeners) listener(notice);
  }

  #run(name: ScriptName, bound: StoreBound, args: readonly string[], note?: Note): Promise<Answer> {
    return this.#options.lane.run(name, args, bound, note);
  }

  get #told(): ToldParts | undefined {
    return this.#options.keeper.rollCall;
  }

  /** `ends`: the attempt that ends with this change; `endsLease`: and its lease with it. */
  async #change(
    name: ScriptName,
    bound: StoreBound,
    args: readonly string[],
    ends?: AttemptRef,
    endsLease = true,
  ): Promise<ChangeOutcome> {
    let operation: Operation | undefined;
    const answer = await this.#run(name, bound, args, (told) => {
      const [word, , , , clock, ...record] = told.reply;
      if (word !== 'changed') return;
      operation = operationOf(record);
      if (!ends || !this.#told) return;
      noteEndOfAttempt(this.#told, ends, endsLease && operation.lock !== undefined, clock, told);
    });
    const [word, , first, died] = answer.reply;
    if (operation) {
      this.#tellDeaths(died);
      return { kind: 'changed', operation, isNew: first === '1' };
    }
    // What was to be cancelled may just have become dead.
    if (word === 'wrong-state') this.#tellDeaths(first);
    return refused(name, answer);
  }

  #tellDeaths(word: string | undefined): void {
    for (const type of deathsOf(word)) this.#options.observer.operationDied?.(type);
  }

  // Who is granted an attempt is granted its lease too, whose spec may want more replicas than the server does.
  #asSafeAsWished(operations: readonly Operation[], answer: Answer, bound: StoreBound): Promise<Answer> {
    const minAcks = Math.max(0, ...operations.map(({ lock }) => lock?.minAcks ?? 0));
    return this.#options.lane.onReplicas(answer, minAcks, bound);
  }

  #attemptOf(of: AttemptTold, claimId: string, left: string, answer: Answer): Attempt {
    this.#options.keeper.sawToken(Number(of.fencingToken));
    return attemptOf(of, claimId, left, answer);
  }
}
