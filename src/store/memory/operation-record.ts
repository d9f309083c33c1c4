// One operation as it is kept in memory, with its places in the indices. Times are on the lease clock, in milliseconds,
// unless a name says otherwise; 0 for none.

import type { CallStamp } from '../../domain/lock.ts';
import type {
  AttemptLock,
  OperationKey,
  OperationState,
  Payload,
  Retention,
} from '../../domain/operation.ts';

export interface OperationRecord extends OperationKey {
  readonly name: string;
  readonly type: string;
  readonly hash: string;
  readonly begunBy: string;
  /** The order of creation, in which operations are claimed. */
  seq: number;
  readonly createdWallMs: number;
  readonly max: number;
  readonly heartbeatMs: number;
  readonly ttlMs: number;
  readonly exclusive: boolean;
  readonly lock: AttemptLock | undefined;
  readonly retention: Retention;
  readonly requests: string[];
  readonly claims: string[];
  state: OperationState;
  version: number;
  owner: string;
  labels: ReadonlyMap<string, string>;
  startedWallMs: number;
  updatedWallMs: number;
  finishedWallMs: number;
  number: number;
  counted: number;
  token: number;
  claim: string | undefined;
  stamp: CallStamp | undefined;
  deadlineMs: number;
  expiresMs: number;
  claimableMs: number;
  cancel: boolean;
  reason: string;
  data: Payload | undefined;
  progress: Payload | undefined;
  outcome: Payload | undefined;
  /** In the index of what may be claimed. */
  isClaimable: boolean;
  /** Before this nothing about it happens by itself. */
  dueMs: number;
}
