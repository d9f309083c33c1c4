// What scripts are told of operations: commands as the texts that they take and keep. Owns the form of these texts;
// operation-replies.ts reads them.

import { LIMITS } from '../../domain/limits.ts';
import type { AttemptLock, Payload } from '../../domain/operation.ts';
import { nameOf, TRANSITIONS, type Transition } from '../../domain/operation.ts';
import { recoveryRoomMs } from '../../domain/safety.ts';
import { ATTEMPTS_USED_UP, TIME_TO_LIVE_OVER } from '../../domain/status-bytes.ts';
import type {
  BeginCommand,
  ClaimCommand,
  CompleteCommand,
  HeartbeatCommand,
  UpdateCommand,
  YieldCommand,
} from '../operation-store.ts';
import { howText, microseconds, modeText, stampText } from './lock-arguments.ts';

/** Operations that one script looks at for a claim. */
const CLAIM_LOOKS = 1_000;

/** The lock of an operation's attempts, as its record keeps it: JSON; spans in microseconds. */
export interface RecordedLock {
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

/** What scripts are told about what happens to operations by itself: the same for the sweep of the ticks. */
export function lifeArguments(maxTtlMs: number): readonly string[] {
  return [
    microseconds(recoveryRoomMs(maxTtlMs)),
    payloadText(ATTEMPTS_USED_UP),
    payloadText(TIME_TO_LIVE_OVER),
  ];
}

/** The states from which something is allowed, as scripts take them. */
export function statesBefore(transition: Transition): string {
  return TRANSITIONS[transition].from.join(',');
}

/** '' for none, so that an empty payload is another text. */
export function payloadText(payload: Payload | undefined): string {
  return payload === undefined ? '' : `=${Buffer.from(payload).toString('base64')}`;
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

/** What claim-operations takes; `behind`: the number of the operation behind which it looks. */
export function claimArguments(command: ClaimCommand, behind: string): readonly string[] {
  const { types, resourcePrefix, claimId, owner, stamp, most } = command;
  return [
    resourcePrefix,
    claimId,
    owner,
    JSON.stringify(owner),
    stampText(stamp),
    String(most),
    String(CLAIM_LOOKS),
    behind,
    ...types,
  ];
}

export function updateArguments(command: UpdateCommand): readonly string[] {
  const { claimId, fencingToken, version, data, progress, setLabels, removeLabels, requestId } = command;
  const written = (payload: UpdateCommand['data']): string =>
    payload === 'remove' ? '-' : payloadText(payload);
  return [
    nameOf(command),
    claimId,
    fencingToken.toString(),
    String(version),
    written(data),
    written(progress),
    JSON.stringify(Object.fromEntries(setLabels)),
    JSON.stringify(removeLabels),
    requestId,
    String(LIMITS.metadataEntries),
    String(LIMITS.metadataTotalBytes),
  ];
}

/**
 * Those of one attempt: heartbeat-operations takes many. `asksText`: the reply is to carry the text of its lease, if it
 * has one.
 */
export function heartbeatArguments(command: HeartbeatCommand, asksText: boolean): readonly string[] {
  const { claimId, fencingToken, stamp } = command;
  return [nameOf(command), claimId, fencingToken.toString(), stampText(stamp), howText(command, asksText)];
}

export function completeArguments(command: CompleteCommand): readonly string[] {
  const { claimId, fencingToken, transition, outcome, releaseLease, requestId } = command;
  return [
    nameOf(command),
    claimId,
    fencingToken.toString(),
    statesBefore(transition),
    TRANSITIONS[transition].to,
    payloadText(outcome),
    releaseLease ? '1' : '0',
    requestId,
  ];
}

/** What yield-operation takes behind the room for recovery. */
export function yieldArguments(command: YieldCommand): readonly string[] {
  const { claimId, fencingToken, stamp, delayMs, requestId } = command;
  return [
    nameOf(command),
    claimId,
    fencingToken.toString(),
    stamp ? stampText(stamp) : '',
    statesBefore('yield'),
    microseconds(delayMs),
    requestId,
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
