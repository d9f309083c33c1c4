// The words of the scripts' replies that tell of operations, as domain values, and the texts that scripts keep of them.
// Owns their form; what is asked and what an answer means is redis-operation-store.ts's business.

import type { AttemptLock, Operation, OperationState, Payload } from '../../domain/operation.ts';
import { isFinal, keyOfName, nameOf } from '../../domain/operation.ts';
import type { BeginCommand } from '../operation-store.ts';
import { microseconds, milliseconds, modeText, readMode, stampText } from './lock-replies.ts';

/** Words of one record in a reply, as lua/operation-views.lua adds them. */
export const RECORD_WORDS = 9;

/** JSON; spans in microseconds. */
interface RecordedLock {
  readonly mode: string;
  readonly ttl: number;
  readonly min_hold: number;
  readonly max_hold: number;
  /** JSON text. */
  readonly owner: string;
  /** JSON text of pairs. */
  readonly metadata: string;
  readonly acks?: number;
}

/** Undefined for empty words. `withPayloads`: whether the caller asked for them. */
export function readOperation(
  [name = '', spec = '', run = '', left, claimableAt, expiresAt, data, progress, outcome]: readonly string[],
  withPayloads: boolean,
): Operation | undefined {
  if (name === '') return undefined;
  // In the order of lua/operation-records.lua. What is left out is between the scripts and their record.
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

/** '' for none, so that an empty payload is another text. */
export function payloadText(payload: Payload | undefined): string {
  return payload === undefined ? '' : `=${Buffer.from(payload).toString('base64')}`;
}

function readPayload(text: string | undefined): Payload | undefined {
  if (!text) return undefined;
  return new Uint8Array(Buffer.from(text.slice(1), 'base64'));
}

/** What begin-operation takes of its command. */
export function beginArguments(command: BeginCommand): readonly string[] {
  const { spec, claimId, stamp, requireLease: required } = command;
  return [
    nameOf(spec),
    specText(command),
    payloadText(spec.data),
    JSON.stringify(Object.fromEntries(spec.labels)),
    spec.owner,
    JSON.stringify(spec.owner),
    claimId ?? '',
    stampText(stamp),
    required ? `${required.leaseId} ${required.fencingToken} ${required.resource}` : '',
  ];
}

/** What is recorded of an operation for ever: the field 's' of lua/operation-records.lua. */
function specText({ spec, requestId }: BeginCommand): string {
  const { succeededMs, failedMs, cancelledMs, deadMs } = spec.retention;
  return [
    spec.type,
    spec.contentHash,
    requestId,
    spec.maxAttempts,
    microseconds(spec.heartbeatTimeoutMs),
    microseconds(spec.timeToLiveMs),
    spec.exclusive ? '1' : '',
    ...[succeededMs, failedMs, cancelledMs, deadMs].map(microseconds),
    lockText(spec.lock),
  ].join('\t');
}

/** '' for none. Owner and metadata are texts that scripts put together and don't read. */
function lockText(lock: AttemptLock | undefined): string {
  if (!lock) return '';
  const recorded: RecordedLock = {
    mode: modeText(lock.mode),
    ttl: Number(microseconds(lock.ttlMs)),
    min_hold: Number(microseconds(lock.minHoldMs)),
    max_hold: Number(microseconds(lock.maxHoldMs)),
    owner: JSON.stringify(lock.owner),
    metadata: JSON.stringify([...lock.metadata]),
    ...(lock.minAcks === undefined ? {} : { acks: lock.minAcks }),
  };
  return JSON.stringify(recorded);
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
