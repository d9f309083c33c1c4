// What a chaos run leaves behind: lines of JSON that its processes wrote, each into a file of its own, and that the
// checker reads. The words between those who record (client/, rig/) and those who judge (checker/); it knows neither.
//
// Every moment is in milliseconds on CLOCK_MONOTONIC (`process.hrtime`), which all processes of one machine share. A line
// is written before the process goes on (no buffer), so that SIGKILL loses nothing: a call without its end has an
// unknown outcome, for ever.

/** `ok`: it is told. `failed`: nothing was changed, certainly. `unknown`: anything else. */
export type Outcome = 'ok' | 'failed' | 'unknown';

export interface CallBegan {
  readonly kind: 'call-began';
  readonly atMs: number;
  /** Who: the name of the client process. */
  readonly by: string;
  /** One in the run, such as "client-3/17". */
  readonly call: string;
  /** As in the contract: Acquire, Renew, Release, Hold, BeginOperation, … */
  readonly rpc: string;
  /** Where it must have ended, with whatever outcome. */
  readonly deadlineMs: number;
  /** What matters of the request. */
  readonly lock?: LockRequest;
  /** Of AcquireMany. */
  readonly locks?: readonly LockRequest[];
  readonly operation?: OperationRequest;
}

export interface CallEnded {
  readonly kind: 'call-ended';
  readonly atMs: number;
  readonly by: string;
  readonly call: string;
  readonly outcome: Outcome;
  /** Of ErrorInfo, or the name of the gRPC status where there is none; '' for ok. */
  readonly reason: string;
  readonly lease?: { readonly token: string; readonly validForMs: number };
  /** Of AcquireMany, in the order of its `locks`. */
  readonly leases?: readonly { readonly token: string; readonly validForMs: number }[];
  readonly released?: boolean;
  /** Also of an error that tells it: with OPERATION_NOT_FOUND, that the record is ABSENT. */
  readonly operation?: OperationState;
  /** A page of ListOperations: each record as it was at some moment of the call. */
  readonly operations?: readonly OperationState[];
  /** What else was answered: found by ClaimOperations, whether a token is valid, … */
  readonly said?: Readonly<Record<string, string | number | boolean>>;
}

export interface LockRequest {
  readonly resource: string;
  readonly leaseId: string;
  /** 'exclusive', 'shared' or 'permits:n/limit' */
  readonly mode: string;
  readonly ttlMs: number;
  /** 0: no wait. */
  readonly waitMs: number;
  readonly token?: string;
}

export interface OperationRequest {
  /** '' of ClaimOperations and ListOperations, and so is operationId. */
  readonly resource: string;
  readonly operationId: string;
  readonly claimId?: string;
  readonly token?: string;
  readonly requestId?: string;
  /** What a write puts there: the step that was reached, or the result. */
  readonly value?: string;
  readonly ifVersion?: string;
}

/** A record as an answer showed it; `state` 'ABSENT' where the answer says that there is none. */
export interface OperationState {
  /** Set where the request named none: of ClaimOperations and ListOperations. */
  readonly resource?: string;
  readonly operationId: string;
  readonly state: string;
  readonly version: string;
  readonly attempt: number;
  /** The attempt's fencing token, where the answer has it. */
  readonly token?: string;
  /** What the last write put there; '' if none did, undefined where the answer doesn't show it. */
  readonly value?: string;
}

/** The holder may act from `atMs` until `untilMs`, by the deadline rule. One line for the grant and each extension. */
export interface Believed {
  readonly kind: 'believed';
  readonly atMs: number;
  readonly untilMs: number;
  readonly by: string;
  readonly resource: string;
  readonly leaseId: string;
  readonly token: string;
  readonly mode: string;
  /** 'lock', or 'attempt' where resource is `resource/operation_id` and leaseId is the claim_id. */
  readonly of: 'lock' | 'attempt';
}

/** The holder stopped acting; what it believed ends here at the latest. */
export interface BeliefEnded {
  readonly kind: 'belief-ended';
  readonly atMs: number;
  readonly by: string;
  readonly resource: string;
  readonly leaseId: string;
  /** released, lost:<reason>, deadline, moved-on */
  readonly why: string;
}

/** A stream or call that waits was told its position. `stream`: the call. */
export interface Queued {
  readonly kind: 'queued';
  readonly atMs: number;
  readonly by: string;
  readonly call: string;
  readonly resource: string;
  readonly leaseId: string;
  readonly position: number;
}

/** What a stream said or what became of it, for the figures: at-risk, reopened, moved, draining, lost. */
export interface Noted {
  readonly kind: 'noted';
  readonly atMs: number;
  readonly by: string;
  readonly what: string;
  readonly resource?: string;
}

/** By the guarded resource, in the order in which it saw them: an append-only log. */
export interface Written {
  readonly kind: 'written';
  readonly atMs: number;
  readonly resource: string;
  readonly token: string;
  readonly by: string;
  /** When the writer looked whether it may, and until when it believed then. */
  readonly lookedAtMs: number;
  readonly believedUntilMs: number;
  readonly accepted: boolean;
  /** The largest token that it had seen before. */
  readonly highest: string;
}

/** By the runner: a fault began or was healed. */
export interface Fault {
  readonly kind: 'fault';
  readonly atMs: number;
  /** One in the run: its beginning and its end carry the same. */
  readonly id: number;
  /**
   * What it is called. The checker knows two of them: `kill` (whose healing is that the process was started again) and
   * `pause` (SIGSTOP, healed by SIGCONT); the others are only counted.
   */
  readonly fault: string;
  readonly phase: 'began' | 'healed';
  /** Who is struck: node-2, sentinel-1, server-2, client-4, network. */
  readonly targets: readonly string[];
  readonly detail: string;
  /**
   * It may lose acknowledged writes by itself (a primary that restarts with empty data before Sentinel acts). Without
   * it a loss is explained only where a second node was struck before the reign changed.
   */
  readonly mayLose?: boolean;
  /** In liveness mode: false where nobody can be served while it lasts (the Sentinels' majority is gone). */
  readonly mayProgress?: boolean;
  /** It breaks a stated bound, and says which: what it leads to is no breach of a promise. */
  readonly beyondBounds?: string;
  /** Its name in the rig's catalogue, which tells more: `kill-primary` where `fault` is `kill`. */
  readonly step?: string;
}

/** By the runner, about every 100 ms from each server that answers. */
export interface Pulse {
  readonly kind: 'pulse';
  readonly atMs: number;
  readonly server: string;
  readonly serving: boolean;
  readonly reign: string;
  readonly epoch: number;
  readonly quarantineMs: number;
}

/** By the runner, about once a second from each server that answers: one line for each holder of a lock. */
export interface SeenHeld {
  readonly kind: 'seen-held';
  /** When the answer came, and when it was asked for: the holder was there at some moment in between. */
  readonly atMs: number;
  readonly askedMs: number;
  readonly server: string;
  readonly resource: string;
  readonly leaseHash: string;
  readonly token: string;
}

/** By the runner, after the last client has gone and time has passed: what is still there. */
export interface Leftovers {
  readonly kind: 'leftovers';
  readonly atMs: number;
  readonly server: string;
  readonly waitingCalls: number;
  readonly keptLeases: number;
  readonly watches: number;
  readonly openCalls: number;
  readonly rssBytes: number;
}

export interface LeftKeys {
  readonly kind: 'left-keys';
  readonly atMs: number;
  /** Of the bucket, without what has to stay (meta, finished operations in their retention). */
  readonly keys: readonly string[];
}

/** First line of the runner's file. */
export interface RunBegan {
  readonly kind: 'run-began';
  readonly atMs: number;
  readonly seed: number;
  readonly mode: 'safety' | 'liveness';
  readonly mutant: string;
  readonly maxTtlMs: number;
  readonly quarantineMs: number;
  readonly commandTimeoutMs: number;
  readonly minAcks: number;
}

export interface RunEnded {
  readonly kind: 'run-ended';
  readonly atMs: number;
  /** Processes that ended by themselves, with what they printed last: a crash is a violation. */
  readonly crashed: readonly string[];
}

export type Event =
  | CallBegan
  | CallEnded
  | Believed
  | BeliefEnded
  | Queued
  | Noted
  | Written
  | Fault
  | Pulse
  | SeenHeld
  | Leftovers
  | LeftKeys
  | RunBegan
  | RunEnded;

/** Now, on the clock that all processes of this machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
