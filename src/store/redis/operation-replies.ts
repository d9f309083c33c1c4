// What the scripts' replies and messages tell of operations, as domain values: records, attempts with their deadlines,
// refusals. Owns how their words are read. operation-arguments.ts has what scripts are asked,
// redis-operation-store.ts what an answer means.

import type { Attempt, AttemptLock, Operation, OperationState, Payload } from '../../domain/operation.ts';
import { isFinal, keyOfName } from '../../domain/operation.ts';
import type {
  AttemptNotice,
  HeartbeatCommand,
  HeartbeatOutcome,
  OperationNotice,
  Refused,
  TakenOver,
} from '../operation-store.ts';
import type { FeedNotice } from './change-feed.ts';
import type { Answer } from './command-lane.ts';
import { milliseconds, readMode } from './lock-replies.ts';
import type { RecordedLock } from './operation-arguments.ts';

/** Words of one record in a reply, as lua/operation-views.lua adds them. */
export const RECORD_WORDS = 9;

/** Undefined for empty words. `withPayloads`: whether the caller asked for them. */
export function readOperation(
  [name = '', spec = '', run = '', left, claimableAt, expiresAt, data, progress, outcome]: readonly string[],
  withPayloads: boolean,
): Operation | undefined {
  if (name === '') return undefined;
  // In the order of lua/operation-records.lua. Only the scripts use the words that are left out.
  const [type = '', , , max, heartbeat, , exclusive, succeeded, failed, cancelled, dead, lock = ''] =
    spec.split('\t');
  const [word, version, , created, updated, started, finished, number, counted, token = '', ...others] =
    run.split('\t');
  const [, , , , , , cancel, owner = '', reason = '', labels = ''] = others;
  const state = word as OperationState; // written by the scripts alone, from TRANSITIONS
  return {
    ...keyOfName(name),
    type,
    state,
    data: withPayloads ? readPayload(data) : undefined,
    progress: withPayloads ? readPayload(progress) : undefined,
    outcome: isFinal(state)
      ? { kind: state === 'succeeded' ? 'result' : 'error', value: readPayload(outcome) }
      : undefined,
    labels: readLabels(labels),
    owner,
    attemptNumber: Number(number),
    attemptsCounted: Number(counted),
    maxAttempts: Number(max),
    fencingToken: BigInt(token),
    version: Number(version),
    cancelRequested: cancel === '1',
    cancelReason: reason,
    exclusive: exclusive === '1',
    lock: readLock(lock),
    heartbeatTimeoutMs: milliseconds(heartbeat),
    heartbeatRemainingMs: optional(left),
    createdAtWallMs: milliseconds(created),
    startedAtWallMs: optional(started),
    updatedAtWallMs: milliseconds(updated),
    finishedAtWallMs: optional(finished),
    claimableAtWallMs: optional(claimableAt),
    expiresAtWallMs: optional(expiresAt),
    retention: {
      succeededMs: milliseconds(succeeded),
      failedMs: milliseconds(failed),
      cancelledMs: milliseconds(cancelled),
      deadMs: milliseconds(dead),
    },
  };
}

function readPayload(text: string | undefined): Payload | undefined {
  if (!text) return undefined;
  return new Uint8Array(Buffer.from(text.slice(1), 'base64'));
}

function readLock(text: string): AttemptLock | undefined {
  if (text === '') return undefined;
  const lock = JSON.parse(text) as RecordedLock; // written by lockText alone
  return {
    mode: readMode(lock.mode),
    ttlMs: lock.ttl / 1_000,
    minHoldMs: lock.min_hold / 1_000,
    maxHoldMs: lock.max_hold / 1_000,
    owner: JSON.parse(lock.owner) as string, // as above
    metadata: new Map(JSON.parse(lock.metadata) as [string, string][]),
    ...(lock.acks === undefined ? {} : { minAcks: lock.acks }),
  };
}

function readLabels(text: string): ReadonlyMap<string, string> {
  if (text === '{}') return new Map();
  return new Map(Object.entries(JSON.parse(text) as Record<string, string>)); // written as such by beginArguments
}

function optional(us: string | undefined): number | undefined {
  return us ? milliseconds(us) : undefined;
}

/** What messages mean for the keeper of an attempt. */
const ATTEMPT_NOTICES = new Map<string, AttemptNotice['kind']>([
  ['attempt-moved', 'moved'],
  ['attempt-look', 'look'],
  ['released', 'look'],
  ['revoked', 'look'],
]);

/** Words of one attempt in the reply to heartbeats. */
export const BEATEN_WORDS = 6;

/** What an answer tells of an attempt. */
export type AttemptTold = Pick<Operation, 'resource' | 'attemptNumber' | 'fencingToken'> & {
  readonly hasLease: boolean;
};

/** What a reply's `left` tells of an attempt, and of the lease that it has. */
export interface AttemptLeft {
  readonly remainingMs: number;
  /** The lease clock of the script, in microseconds. */
  readonly clockUs: number;
  /** The lease as recorded; '' for none, or if it was not asked for. */
  readonly text: string;
  /** What people are told of it; '' unless it was asked for. */
  readonly about: string;
}

/** `left` is "left clock", "left clock lease" or "left clock lease about". */
export function attemptLeftOf(left: string): AttemptLeft {
  const first = left.indexOf(' ');
  const second = left.indexOf(' ', first + 1);
  const clockEnd = second < 0 ? left.length : second;
  const about = left.indexOf(' [', clockEnd); // no word of a lease begins so
  return {
    remainingMs: milliseconds(left.slice(0, first)),
    clockUs: Number(left.slice(first + 1, clockEnd)),
    text: left.slice(clockEnd + 1, about < 0 ? undefined : about),
    about: about < 0 ? '' : left.slice(about + 1),
  };
}

/** `left`: how long it is valid, in microseconds from when Redis was asked, and what is told of its lease. */
export function attemptOf(of: AttemptTold, claimId: string, left: string, answer: Answer): Attempt {
  const { fencingToken, resource, attemptNumber: number } = of;
  const space = left.indexOf(' ');
  const remainingMs = milliseconds(space < 0 ? left : left.slice(0, space));
  const deadlineMs = answer.askedAtMs + remainingMs;
  const expiresAtWallMs = milliseconds(answer.reply[1]) + remainingMs;
  const replicas = answer.replicas > 0 ? { replicas: answer.replicas } : {};
  const lease = { resource, leaseId: claimId, fencingToken, deadlineMs, expiresAtWallMs, ...replicas };
  return { number, claimId, fencingToken, deadlineMs, lease: of.hasLease ? lease : undefined };
}

/** What became of one heartbeat. */
export function heartbeatOf(
  command: HeartbeatCommand,
  [word, number, left = '', isCancelled, reason = '', leased = '']: readonly string[],
  answer: Answer,
): HeartbeatOutcome {
  switch (word) {
    case 'renewed':
    case 'final': {
      const told = { ...command, attemptNumber: Number(number), hasLease: leased.startsWith('1') };
      const attempt = attemptOf(told, command.claimId, left, answer);
      const cancelReason = isCancelled === '1' ? reason : undefined;
      return { kind: 'renewed', attempt, isFinal: word === 'final', cancelReason };
    }
    case 'moved':
    case 'unknown':
      return { kind: word };
    case 'expired':
    case 'superseded':
    case 'yielded':
    case 'finished':
    case 'lease-lost':
    case 'unknown-attempt':
      return { kind: 'lost', reason: word };
    default:
      throw new Error(`heartbeat-operations: unexpected reply ${word}`);
  }
}

export function withLease(operation: Operation): Operation & { readonly hasLease: boolean } {
  return { ...operation, hasLease: operation.lock !== undefined };
}

export function refused(name: string, { reply }: Answer): Refused {
  const [word, , left] = reply;
  switch (word) {
    case 'not-found':
    case 'stale-attempt':
    case 'wrong-state':
    case 'version-mismatch':
    case 'open':
    case 'labels-full':
      return { kind: word };
    case 'quarantined':
      return { kind: word, retryAfterMs: milliseconds(left) };
    default:
      throw new Error(`${name}: unexpected reply ${word}`);
  }
}

export function recordsOf(words: readonly string[]): (readonly string[])[] {
  return Array.from({ length: words.length / RECORD_WORDS }, (_, index) =>
    words.slice(RECORD_WORDS * index, RECORD_WORDS * (index + 1)),
  );
}

/** What a reply to a begin tells. `left`: how long its attempt is valid, in microseconds; '' without one. */
export function begunOf([, created, found, waited, left = '', ...record]: readonly string[]) {
  const did = found === 'new' ? ('record' as const) : takenOver(found, waited);
  return { operation: operationOf(record), created: created === '1', did, left };
}

/** One record of a reply to a claim. */
export interface Grant {
  readonly operation: Operation;
  /** How long its attempt is valid, in microseconds. */
  readonly left: string;
  readonly taken: TakenOver | undefined;
}

const GRANT_WORDS = RECORD_WORDS + 3;

export function grantsOf(words: readonly string[]): readonly Grant[] {
  return Array.from({ length: words.length / GRANT_WORDS }, (_, index) => {
    const [found, waited, left = '', ...record] = words.slice(GRANT_WORDS * index, GRANT_WORDS * (index + 1));
    return { operation: operationOf(record), left, taken: takenOver(found, waited) };
  });
}

export function takenOver(found: string | undefined, waited: string | undefined): TakenOver | undefined {
  if (found !== 'pending' && found !== 'stale') return undefined;
  return { was: found, waitedMs: milliseconds(waited) };
}

export function operationOf(record: readonly string[]): Operation {
  const operation = readOperation(record, true);
  if (!operation) throw new Error('a reply without its record');
  return operation;
}

export function operationOfListing(record: readonly string[]): Operation {
  const operation = readOperation(record, false);
  if (!operation) throw new Error('a listed record that is not there');
  return operation;
}

/** What a message of the deployment says of operations. */
export function operationNoticeOf(notice: FeedNotice): OperationNotice {
  switch (notice.kind) {
    case 'operation':
      return { kind: 'changed', ...keyOfName(notice.name) };
    case 'changed':
      return { kind: 'lock-changed', resource: notice.resource };
    case 'listening':
      return { kind: 'resync' };
    case 'claimable':
    case 'deaf':
      return notice;
  }
}

/**
 * What a message on an instance's channel, "word claim_id call …", says to the keeper of an attempt. What is said
 * of a lease is said of its attempt, too: the claim_id is the lease_id.
 */
export function attemptNoticeOf(message: string): AttemptNotice | undefined {
  const [, word = '', claimId = '', callNumber] = /^(\S+) (\S+) (\d+) /.exec(message) ?? [];
  const kind = ATTEMPT_NOTICES.get(word);
  return kind && { kind, claimId, callNumber: Number(callNumber) };
}
