// One process's store: its locks and operations, its state for health and GetServerInfo, and its end. The server makes
// one of the two implementations; the rest of the code sees only this interface.

import type { ContentionBoard } from './contention-board.ts';
import type { LockStore } from './lock-store.ts';
import type { OperationStore } from './operation-store.ts';

export interface StoreStatus {
  readonly kind: 'memory' | 'redis';
  /** Commands can be answered now. */
  readonly usable: boolean;
  /**
   * The data belongs to a deployment with other constants, or Redis may evict it: only an operator can help.
   */
  readonly mismatch: boolean;
  /** Why not, in a few words for people; empty when usable. */
  readonly reason: string;
  /** Since when the store has been in that state, on the monotonic clock. */
  readonly sinceMs: number;
  /** The name of the reign that commands are sent under; empty when unknown. */
  readonly reign: string;
  /** How many reigns the deployment has seen; for people. */
  readonly epoch: number;
  /** Until new grants are possible again; 0 outside a quarantine. */
  readonly quarantineRemainingMs: number;
  /** Sentinel's `down-after-milliseconds`, where there is one. */
  readonly downAfterMs?: number;
  readonly rollCall: RollCallStatus;
}

/** How it stands with the roll call, which ends a quarantine early. */
export interface RollCallStatus {
  readonly enabled: boolean;
  /** For how long this instance tells nothing yet, because it has just registered; 0: it may. */
  readonly newcomerRemainingMs: number;
  /** Until the quarantine would end without a roll call, which some answers wait for; 0 when that is over. */
  readonly fullQuarantineRemainingMs: number;
  /** Some of the instances that the roll call waits for. */
  readonly missing: readonly MissingInstance[];
  readonly missingCount: number;
  /** Of the last quarantine that this instance has seen end. */
  readonly lastEnd: QuarantineEnd | undefined;
  /** Leases that this instance would put back. */
  readonly toldLeases: number;
  /** It has told of more leases than it could remember, and some of those may still be valid. */
  readonly incomplete: boolean;
  /** Leases that this instance has put back so far. */
  readonly putBack: number;
}

/** An instance that has not answered the present roll call. */
export interface MissingInstance {
  readonly instanceId: string;
  /** For people. */
  readonly host: string;
  /** How long ago it was last seen. */
  readonly unseenMs: number;
}

export interface QuarantineEnd {
  readonly how: 'early' | 'full';
  /** Why not early, for people; '' otherwise. */
  readonly why: string;
  readonly tookMs: number;
}

/** Where there is no roll call. */
export const NO_ROLL_CALL: RollCallStatus = {
  enabled: false,
  newcomerRemainingMs: 0,
  fullQuarantineRemainingMs: 0,
  missing: [],
  missingCount: 0,
  lastEnd: undefined,
  toldLeases: 0,
  incomplete: false,
  putBack: 0,
};

/** How the Sentinels stand. */
export interface SentinelCounts {
  /** That exist, as far as this instance has heard. */
  readonly known: number;
  /** That lately named the primary that is in use; while none is in use, the one that most of them name. */
  readonly agreeing: number;
  /** That must agree: the majority of those that exist. */
  readonly needed: number;
  /** When the newest agreement of a majority was asked for, on the monotonic clock; undefined before the first. */
  readonly agreedAtMs: number | undefined;
}

export interface Store {
  readonly locks: LockStore;
  readonly operations: OperationStore;
  readonly contention: ContentionBoard;
  status(): StoreStatus;
  /** Undefined where no Sentinel names the primary. */
  sentinels(): SentinelCounts | undefined;
  /** Calls back on each change of `usable` or the reign, and when a quarantine starts. Returns the unsubscriber. */
  onStatus(listener: (status: StoreStatus) => void): () => void;
  /** Ends connections and timers; commands in flight fail with OUTCOME_UNKNOWN. */
  close(): Promise<void>;
}

/** What a store reports while it works, for metrics and logs. */
export interface StoreObserver {
  /** One script (or in-memory command) ended: its name, how it ended, and how long it took. */
  commandEnded(name: string, outcome: string, tookMs: number): void;
  /** So many commands went to Redis in one call. */
  batchSent?(commands: number): void;
  /** An operation of this type became dead. Of several instances, the one that saw it is told. */
  operationDied?(type: string): void;
  /** Enough replicas have what so many answers tell, which waited for that together. */
  committed(answers: number, tookMs: number): void;
  /** Something an operator should know: connections, reigns, refusals. */
  event(
    level: 'info' | 'warn' | 'error',
    message: string,
    facts: Readonly<Record<string, string | number>>,
  ): void;
}
