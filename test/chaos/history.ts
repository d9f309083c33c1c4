// What a chaos run leaves behind: lines of JSON that its processes wrote, each into a file of its own, and that the
// checker reads. These are the words between the recorders (client/, rig/) and the judges (checker/); this file knows
// neither.
//
// Every moment is in milliseconds on CLOCK_MONOTONIC (`process.hrtime`), which all processes of one machine share. A
// process writes a line before it goes on (no buffer), so that SIGKILL loses nothing: a call without its end has an
// unknown outcome, for ever.

/** `ok`: it was answered. `failed`: it certainly changed nothing. `unknown`: anything else. */
export type Outcome = 'ok' | 'failed' | 'unknown';

export interface CallBegan {
  readonly kind: 'call-began';
  readonly atMs: number;
  /** The name of the client process. */
  readonly by: string;
  /** Unique in the run, such as "client-3/17". */
  readonly call: string;
  /** As in the contract: Acquire, Renew, Release, Hold, BeginOperation, … */
  readonly rpc: string;
  /** When it must have ended, whatever its outcome. */
  readonly deadlineMs: number;
  /** The fields of the request that matter. */
  readonly lock?: LockRequest;
  /** Set for AcquireMany. */
  readonly locks?: readonly LockRequest[];
  readonly operation?: OperationRequest;
}

export interface CallEnded {
  readonly kind: 'call-ended';
  readonly atMs: number;
  readonly by: string;
  readonly call: string;
  readonly outcome: Outcome;
  /** The reason of ErrorInfo, or the name of the gRPC status where there is none; '' for ok. */
  readonly reason: string;
  readonly lease?: { readonly token: string; readonly validForMs: number };
  /** Set for AcquireMany, in the order of its `locks`. */
  readonly leases?: readonly { readonly token: string; readonly validForMs: number }[];
  readonly released?: boolean;
  /** Also set for an error that shows it: OPERATION_NOT_FOUND shows that the record is ABSENT. */
  readonly operation?: OperationState;
  /** A page of ListOperations: each record as it was at some moment of the call. */
  readonly operations?: readonly OperationState[];
  /** What else the answer said: how many ClaimOperations found, whether a token is valid, … */
  readonly said?: Readonly<Record<string, string | number | boolean>>;
}

export interface LockRequest {
  readonly resource: string;
  readonly leaseId: string;
  /** 'exclusive', 'shared' or 'permits:n/limit' */
  readonly mode: string;
  readonly ttlMs: number;
  /** 0 means no wait. */
  readonly waitMs: number;
  readonly token?: string;
}

export interface OperationRequest {
  /** '' for ClaimOperations and ListOperations, and so is operationId. */
  readonly resource: string;
  readonly operationId: string;
  readonly claimId?: string;
  readonly token?: string;
  readonly requestId?: string;
  /** What a write records: the step that was reached, or the result. */
  readonly value?: string;
  readonly ifVersion?: string;
}

/** A record as an answer showed it; `state` is 'ABSENT' where the answer says that there is none. */
export interface OperationState {
  /** Set where the request named none: for ClaimOperations and ListOperations. */
  readonly resource?: string;
  readonly operationId: string;
  readonly state: string;
  readonly version: string;
  readonly attempt: number;
  /** The attempt's fencing token, where the answer has it. */
  readonly token?: string;
  /** What the last write recorded; '' if there was none, undefined where the answer doesn't show it. */
  readonly value?: string;
}

/**
 * The holder may act from `atMs` until `untilMs`, by the deadline rule. One line for the grant and for each extension.
 */
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

/** A stream or call that waits was told its position. `stream` names the call. */
export interface Queued {
  readonly kind: 'queued';
  readonly atMs: number;
  readonly by: string;
  readonly call: string;
  readonly resource: string;
  readonly leaseId: string;
  readonly position: number;
}

/** What a stream said or how it ended, for the figures: at-risk, reopened, moved, draining, lost. */
export interface Noted {
  readonly kind: 'noted';
  readonly atMs: number;
  readonly by: string;
  readonly what: string;
  readonly resource?: string;
}

/** Written by the guarded resource, in the order in which it saw the writes: an append-only log. */
export interface Written {
  readonly kind: 'written';
  readonly atMs: number;
  readonly resource: string;
  readonly token: string;
  readonly by: string;
  /** When the writer looked whether it still held, and until when it believed so then. */
  readonly lookedAtMs: number;
  readonly believedUntilMs: number;
  readonly accepted: boolean;
  /** The largest token that it had seen before. */
  readonly highest: string;
}

/** Written by the runner: a fault began or was healed. */
export interface Fault {
  readonly kind: 'fault';
  readonly atMs: number;
  /** Unique in the run; the beginning and the end of a fault have the same. */
  readonly id: number;
  /**
   * The kind of the fault. The checker knows two of them: `kill` (healed when the process is started again) and `pause`
   * (SIGSTOP, healed by SIGCONT); it only counts the others.
   */
  readonly fault: string;
  readonly phase: 'began' | 'healed';
  /** The targets: node-2, sentinel-1, server-2, client-4, network. */
  readonly targets: readonly string[];
  readonly detail: string;
  /**
   * It may lose acknowledged writes by itself (a primary that restarts with empty data before Sentinel acts). Without
   * it a loss is explained only where a second node was struck before the reign changed.
   */
  readonly mayLose?: boolean;
  /** In liveness mode: false where no client can be served while it lasts (the Sentinels' majority is gone). */
  readonly mayProgress?: boolean;
  /** The stated bound that it breaks: a violation after it breaks no promise. */
  readonly beyondBounds?: string;
  /** Its name in the rig's catalogue, which says more: `kill-primary` where `fault` is `kill`. */
  readonly step?: string;
}

/** Written by the runner, about every 100 ms for each server that answers. */
export interface Pulse {
  readonly kind: 'pulse';
  readonly atMs: number;
  readonly server: string;
  readonly serving: boolean;
  readonly reign: string;
  readonly epoch: number;
  readonly quarantineMs: number;
  /** When it was asked; unknown when not given. */
  readonly askedMs?: number;
  /** For how long it answers nothing, since it has just registered; it may answer when not given. */
  readonly newcomerMs?: number;
}

/** Written by the runner, about once a second for each server that answers: one line for each holder of a lock. */
export interface SeenHeld {
  readonly kind: 'seen-held';
  /** When the answer came, and when the question was sent: the holder was there at some moment in between. */
  readonly atMs: number;
  readonly askedMs: number;
  readonly server: string;
  readonly resource: string;
  readonly leaseHash: string;
  readonly token: string;
}

/** Written by the runner: a server has answered a look at all its locks. */
export interface Looked {
  readonly kind: 'looked';
  readonly atMs: number;
  readonly askedMs: number;
  readonly server: string;
  /** How many holders it told of, each in a line of its own (`seen-held`). */
  readonly holders: number;
  /** Leases that this process has put back so far. */
  readonly putBack: number;
}

/** Written by the runner: a node's own data about reigns and the registry, whenever they have changed. */
export interface SeenRegistry {
  readonly kind: 'seen-registry';
  /** When the answer came, and when the question was sent. */
  readonly atMs: number;
  readonly askedMs: number;
  readonly node: string;
  readonly role: 'master' | 'slave';
  readonly reign: string;
  readonly epoch: string;
  /** On the lease clock, in milliseconds; `clock` is the time of the last script. */
  readonly clock: number;
  readonly quarantineUntil: number;
  readonly fullUntil: number;
  readonly floor: number;
  readonly lapsedBefore: number;
  /** Whether one of the answers to the present roll call was fresh. */
  readonly isFresh: boolean;
  /** The instances of the registry, each with the last reign whose roll call it has answered. */
  readonly entries: Readonly<Record<string, string>>;
}

/** Written by the runner, after the last client has gone and time has passed: what is still there. */
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
  /** Keys of the bucket, without those that have to stay (meta, finished operations in their retention). */
  readonly keys: readonly string[];
}

/** The first line of the runner's file. */
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
  /** Whether quarantines end early; they don't when not given. */
  readonly rollCall?: boolean;
}

export interface RunEnded {
  readonly kind: 'run-ended';
  readonly atMs: number;
  /** Processes that ended by themselves, with the last lines that they printed: a crash is a violation. */
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
  | Looked
  | SeenRegistry
  | Leftovers
  | LeftKeys
  | RunBegan
  | RunEnded;

/** Now, on the clock that all processes of this machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
