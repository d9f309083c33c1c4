// What an instance has told by an outcome of its store, as its told memory has to note it: which answers name a lease,
// and which end one. For the memory store, which has no told memory of its own.

import type { ConfirmOutcome, LeaseSpec, ReleaseOutcome, RenewOutcome } from '../../src/domain/lock.ts';
import type { AttemptRef, Operation, OperationKey } from '../../src/domain/operation.ts';
import type { AcquisitionRef, LeaveCommand, RenewCommand } from '../../src/store/lock-store.ts';
import type {
  CompleteCommand,
  HeartbeatCommand,
  HeartbeatOutcome,
  YieldCommand,
} from '../../src/store/operation-store.ts';
import type { ToldModel } from './told-model.ts';

export interface Noting {
  readonly told: ToldModel;
  readonly wallMs: number;
  /** The answer names this lease. `spec`: of the call that was granted it. */
  readonly named: (lease: AcquisitionRef, spec?: About, minHoldMs?: number) => void;
  /** The token of the lease that the command named by its id and that its step took away; undefined: none. */
  readonly taken: bigint | undefined;
  /** The answer says that the lease with this token was released. */
  readonly released: (lease: AcquisitionRef, token: bigint) => void;
  /** The answer says that this attempt runs, or that it is over. */
  readonly attempted: (ref: AttemptRef) => void;
  readonly attemptOver: (ref: AttemptRef) => void;
}

/** What people are told of a lease, and its min_hold. */
export type About = Pick<LeaseSpec, 'owner' | 'metadata' | 'minHoldMs'>;

export function noteOutcome(name: string, command: unknown, outcome: unknown, noting: Noting): void {
  const { told, wallMs, named, taken, released } = noting;
  switch (name) {
    case 'acquire':
    case 'confirm': {
      const { spec } = command as { spec: LeaseSpec };
      const { kind } = outcome as ConfirmOutcome;
      if (kind === 'granted') named(spec, spec);
      return;
    }
    case 'renew': {
      const outcomes = outcome as readonly RenewOutcome[];
      for (const [index, one] of (command as readonly RenewCommand[]).entries()) {
        const kind = outcomes[index]?.kind;
        if (kind === 'renewed') named(one);
        else if (kind === 'revoked') told.revoked(one, one.fencingToken);
      }
      return;
    }
    case 'release': {
      const { kind } = outcome as ReleaseOutcome;
      if (kind === 'released' && taken !== undefined) released(command as AcquisitionRef, taken);
      else if (kind !== 'dequeued') told.ended(command as AcquisitionRef, wallMs);
      return;
    }
    case 'leave':
      if (taken !== undefined) released(command as LeaveCommand, taken);
      return;
    case 'complete':
    case 'yield': {
      const { resource, claimId, fencingToken } = command as YieldCommand;
      const { kind, operation } = outcome as { kind: string; operation?: Operation };
      const keeps = name === 'complete' && !(command as CompleteCommand).releaseLease;
      if (kind !== 'changed') return;
      noting.attemptOver(command as YieldCommand);
      if (operation?.lock && !keeps) released({ resource, leaseId: claimId }, fencingToken);
      return;
    }
    case 'heartbeat': {
      const outcomes = outcome as readonly HeartbeatOutcome[];
      for (const [index, one] of (command as readonly HeartbeatCommand[]).entries()) {
        const beat = outcomes[index];
        if (beat?.kind === 'renewed') noting.attempted(one);
        const isEnded = beat?.kind === 'lost' && (beat.reason === 'finished' || beat.reason === 'yielded');
        if (isEnded) noting.attemptOver(one);
      }
      noteAttempts(command, outcome, noting);
      return;
    }
    default:
      noteAttempts(command, outcome, noting);
  }
}

/** Whatever names attempts names their leases. */
function noteAttempts(command: unknown, outcome: unknown, noting: Noting): void {
  if (typeof outcome !== 'object' || outcome === null) return;
  if (Array.isArray(outcome)) for (const one of outcome) noteAttempts(command, one, noting);
  if ('claimed' in outcome) noteAttempts(command, outcome.claimed, noting);
  if ('attempt' in outcome && outcome.attempt) {
    const attempt = outcome.attempt as Pick<AttemptRef, 'claimId' | 'fencingToken'>;
    const { lease } = outcome.attempt as { lease?: AcquisitionRef };
    const lock = 'operation' in outcome ? (outcome.operation as Operation).lock : undefined;
    if ('operation' in outcome) noting.attempted({ ...(outcome.operation as OperationKey), ...attempt });
    if (lease) noting.named(lease, undefined, lock?.minHoldMs);
  }
}
