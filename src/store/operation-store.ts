// The contract that every store of operations keeps, proved by test/conformance/operation-store.suite.ts. As in
// lock-store.ts: stores decide atomically and know nothing of gRPC, spans are milliseconds, deadlines are on the
// calling instance's monotonic clock, and infrastructure that fails throws CoordinationError.

import type { CallStamp, Contention } from '../domain/lock.ts';
import type { AttemptLoss } from '../domain/losses.ts';
import type {
  Attempt,
  AttemptRef,
  Operation,
  OperationKey,
  OperationSpec,
  Payload,
} from '../domain/operation.ts';
import type { OperationFilter } from '../domain/operation-filter.ts';
import type { AcquisitionRef, StoreBound } from './lock-store.ts';

export interface BeginCommand {
  readonly spec: OperationSpec;
  /** Starts an attempt for this caller; undefined: the operation waits for a claim. */
  readonly claimId: string | undefined;
  readonly stamp: CallStamp;
  /** '' for none. */
  readonly requestId: string;
  /** Nothing is recorded and no attempt starts unless this lease is held now. */
  readonly requireLease: (AcquisitionRef & { readonly fencingToken: bigint }) | undefined;
}

/** What an attempt took over: an operation that waited for one, or one whose attempt went stale. */
export interface TakenOver {
  readonly was: 'pending' | 'stale';
  /** For how long it could have been taken. (Of a stale one that lost its lease early, this may be too little.) */
  readonly waitedMs: number;
}

export type BeginOutcome =
  /** `created`: by this call, or by the one that it repeats. The caller does the work only if there is an `attempt`. */
  | {
      readonly kind: 'begun';
      readonly operation: Operation;
      readonly attempt: Attempt | undefined;
      readonly created: boolean;
      /** What this very command did: it recorded the operation, it took it over, or neither. */
      readonly did: 'record' | TakenOver | undefined;
    }
  /** The id names an operation with another content. */
  | { readonly kind: 'exists' }
  /** Another attempt runs it. */
  | { readonly kind: 'attempt-held'; readonly retryAfterMs: number }
  /** Another operation of the resource is open, and one of the two is exclusive. */
  | { readonly kind: 'open' }
  /** The lock can't be had; nothing was recorded. */
  | { readonly kind: 'contended'; readonly contention: Contention }
  | { readonly kind: 'lease-required' }
  | { readonly kind: 'quarantined'; readonly retryAfterMs: number };

export interface ClaimCommand {
  readonly types: readonly string[];
  /** '' for all. */
  readonly resourcePrefix: string;
  readonly claimId: string;
  readonly owner: string;
  readonly stamp: CallStamp;
  /** At most this many. */
  readonly most: number;
}

export interface ClaimedOperation {
  readonly operation: Operation;
  readonly attempt: Attempt;
  /** Undefined in a repeat. */
  readonly taken: TakenOver | undefined;
}

export type ClaimOutcome =
  | {
      readonly kind: 'claimed';
      readonly claimed: readonly ClaimedOperation[];
      /**
       * They were claimed under this claim id before this command, no matter by which call: somebody may know of them.
       */
      readonly isRepeat: boolean;
      /**
       * If nothing was claimed: when something may become claimable by itself, as a lower bound; Infinity for never.
       */
      readonly askAgainInMs: number;
      /** Resources whose lock kept an operation from being claimed: ask again when one of them changes. */
      readonly blockedOn: readonly string[];
    }
  | { readonly kind: 'quarantined'; readonly retryAfterMs: number };

export interface UpdateCommand extends AttemptRef {
  /** Only if the record has this version; 0: whatever its version. */
  readonly version: number;
  /** Undefined: stays as it is. 'remove': there is none afterwards. */
  readonly data: Payload | 'remove' | undefined;
  readonly progress: Payload | 'remove' | undefined;
  readonly setLabels: ReadonlyMap<string, string>;
  readonly removeLabels: readonly string[];
  readonly requestId: string;
}

export interface HeartbeatCommand extends AttemptRef {
  /** The heartbeat counts only while this call speaks for the attempt. */
  readonly stamp: CallStamp;
  /** Makes `stamp` the call that speaks for it; the former one gets the notice `moved`. */
  readonly takesOver: boolean;
  /** Changes nothing: the outcome tells how it stands. */
  readonly onlyLooks?: boolean;
}

export interface CompleteCommand extends AttemptRef {
  readonly transition: 'succeed' | 'fail' | 'stop';
  /** The result, or the status. */
  readonly outcome: Payload;
  readonly releaseLease: boolean;
  readonly requestId: string;
}

export interface YieldCommand extends AttemptRef {
  readonly delayMs: number;
  /**
   * If given, the attempt is given back only while this call still speaks for it, and the answer is `stale-attempt`
   * otherwise. What was claimed for a call that ended is given back, but not if a repeat with the same claim id got it
   * meanwhile.
   */
  readonly stamp?: CallStamp;
  readonly requestId: string;
}

export interface CancelCommand extends OperationKey {
  readonly reason: string;
  readonly requestId: string;
}

export interface RetryCommand extends OperationKey {
  /** 0: whatever its version. */
  readonly version: number;
  readonly requestId: string;
}

export interface DeleteCommand extends OperationKey {
  /** 0: whatever its version. */
  readonly version: number;
}

/** Why a change was refused; nothing was changed. */
export type Refused =
  | { readonly kind: 'not-found' }
  /** Another attempt runs it, or this one's deadline has passed, or its lease is gone. */
  | { readonly kind: 'stale-attempt' }
  | { readonly kind: 'wrong-state' }
  | { readonly kind: 'version-mismatch' }
  | { readonly kind: 'open' }
  /** The labels would exceed the limits. */
  | { readonly kind: 'labels-full' }
  | { readonly kind: 'quarantined'; readonly retryAfterMs: number };

export type ChangeOutcome =
  | {
      readonly kind: 'changed';
      readonly operation: Operation;
      /** This very command changed it, and not one that it repeats. */
      readonly isNew: boolean;
    }
  | Refused;

export type UpdateOutcome =
  | { readonly kind: 'changed'; readonly operation: Operation; readonly attempt: Attempt }
  | Refused;

export type HeartbeatOutcome =
  | {
      readonly kind: 'renewed';
      readonly attempt: Attempt;
      /** Its lease reached the end of its max_hold, which no heartbeat passes. */
      readonly isFinal: boolean;
      /** Undefined: nobody asked for it. */
      readonly cancelReason: string | undefined;
    }
  | { readonly kind: 'lost'; readonly reason: AttemptLoss }
  /** It runs, and its lease doesn't live here; but a roll call goes on, which may put that back: ask again. */
  | { readonly kind: 'unknown' }
  /** It lives, but a newer call speaks for it. */
  | { readonly kind: 'moved' };

export type DeleteOutcome =
  | { readonly kind: 'deleted' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong-state' }
  | { readonly kind: 'version-mismatch' };

export interface OperationQuery {
  readonly filter: OperationFilter;
  /** Names that come after this one; undefined: from the first. */
  readonly after: OperationKey | undefined;
  readonly most: number;
  readonly withPayloads: boolean;
}

export interface OperationPage {
  readonly operations: readonly Operation[];
  /** The last name that was looked at; undefined if nothing can come after it. */
  readonly last: OperationKey | undefined;
}

/** What a store tells about operations, to every instance that listens. Messages can be lost. */
export type OperationNotice =
  /** Its record changed, or is gone. */
  | ({ readonly kind: 'changed' } & OperationKey)
  /** An operation of this type may be claimed now. */
  | { readonly kind: 'claimable'; readonly type: string }
  /** The holders of this resource changed; only where operations with a lock may wait for it. */
  | { readonly kind: 'lock-changed'; readonly resource: string }
  /** Messages may have been missed: look again at everything. */
  | { readonly kind: 'resync' }
  /** From now on messages may be missed; `resync` comes when they are heard again. */
  | { readonly kind: 'deaf' };

/** What a store tells the instance whose call speaks for an attempt. */
export interface AttemptNotice {
  /**
   * 'moved': a newer call speaks for it. 'look': it or its lease may have ended, or its cancellation was asked for:
   * send its next heartbeat now.
   */
  readonly kind: 'moved' | 'look';
  readonly claimId: string;
  readonly callNumber: number;
}

export interface OperationStore {
  /**
   * Records an operation if there is none of its id, in one step with its attempt, its lock and the check of
   * `requireLease`. If there is one with the same content hash, answers with it; with a claim id, one that is pending
   * or stale is claimed, and one that runs under this claim id answers with that attempt. In a quarantine nothing is
   * begun with a claim id, `exclusive` or `lock`.
   */
  begin(command: BeginCommand, bound: StoreBound): Promise<BeginOutcome>;

  /**
   * Claims the oldest operations of these types that are pending or stale. The same claim id again answers with what it
   * claimed and still runs, and claims nothing more. (What was begun under that id is no claim.)
   */
  claim(command: ClaimCommand, bound: StoreBound): Promise<ClaimOutcome>;

  update(command: UpdateCommand, bound: StoreBound): Promise<UpdateOutcome>;

  /** Signs of life of many attempts, with the renewal of their leases. Outcomes in the same order. */
  heartbeat(commands: readonly HeartbeatCommand[], bound: StoreBound): Promise<readonly HeartbeatOutcome[]>;

  complete(command: CompleteCommand, bound: StoreBound): Promise<ChangeOutcome>;
  yield(command: YieldCommand, bound: StoreBound): Promise<ChangeOutcome>;
  cancel(command: CancelCommand, bound: StoreBound): Promise<ChangeOutcome>;
  retry(command: RetryCommand, bound: StoreBound): Promise<ChangeOutcome>;
  delete(command: DeleteCommand, bound: StoreBound): Promise<DeleteOutcome>;

  /** With payloads, in the same order; undefined where there is none. */
  getMany(keys: readonly OperationKey[], bound: StoreBound): Promise<readonly (Operation | undefined)[]>;

  /** In the order of the UTF-8 bytes of "resource TAB operation_id". */
  list(query: OperationQuery, bound: StoreBound): Promise<OperationPage>;

  /**
   * Listens to changes of all operations from now on. `resync` comes at first and after each gap. Returns the
   * unsubscriber.
   */
  watchChanges(listener: (notice: OperationNotice) => void): () => void;

  /** Calls back for the attempts that this instance's calls speak for. Returns the unsubscriber. */
  onAttemptNotice(listener: (notice: AttemptNotice) => void): () => void;
}
