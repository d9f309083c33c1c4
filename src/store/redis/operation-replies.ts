// The words of the scripts' replies that tell of operations, as domain values, and the texts that scripts keep of them.
// Owns their form; what is asked and what an answer means is redis-operation-store.ts's business.

import type { AttemptLock, Operation, OperationState, Payload } from '../../domain/operation.ts';
import { isFinal, nameOf } from '../../domain/operation.ts';
import type { BeginCommand } from '../operation-store.ts';
import { microseconds, milliseconds, modeText, readMode, stampText } from './lock-replies.ts';

/** Words of one record in a reply. */
export const RECORD_WORDS = 4;

/** A record as lua/operating.lua shows it: numbers above 2^53 and times as texts, times in microseconds. */
interface ShownRecord {
  readonly resource: string;
  readonly id: string;
  readonly type: string;
  readonly state: OperationState;
  readonly version: number;
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly number: number;
  readonly counted: number;
  readonly max: number;
  readonly token: string;
  readonly cancel: boolean;
  readonly reason: string;
  readonly exclusive: boolean;
  readonly lock?: ShownLock;
  readonly heartbeat: string;
  readonly left?: string;
  readonly created: string;
  readonly updated: string;
  readonly started?: string;
  readonly finished?: string;
  readonly claimable?: string;
  readonly expires?: string;
  readonly retention: Readonly<Record<'succeeded' | 'failed' | 'cancelled' | 'dead', string>>;
}

interface ShownLock {
  readonly mode: string;
  readonly ttl: string;
  readonly min_hold: string;
  readonly max_hold: string;
  /** JSON text. */
  readonly owner: string;
  /** JSON text of pairs. */
  readonly metadata: string;
  readonly acks?: number;
}

/** Undefined for four empty words. `withPayloads`: whether the caller asked for them. */
export function readOperation(
  [shown = '', data, progress, outcome]: readonly string[],
  withPayloads: boolean,
): Operation | undefined {
  if (shown === '') return undefined;
  const record = JSON.parse(shown) as ShownRecord; // written by operating.lua alone
  const { retention } = record;
  return {
    resource: record.resource,
    operationId: record.id,
    type: record.type,
    state: record.state,
    data: withPayloads ? readPayload(data) : undefined,
    progress: withPayloads ? readPayload(progress) : undefined,
    outcome: isFinal(record.state)
      ? { kind: record.state === 'succeeded' ? 'result' : 'error', value: readPayload(outcome) }
      : undefined,
    labels: new Map(Object.entries(record.labels)),
    owner: record.owner,
    attemptNumber: record.number,
    attemptsCounted: record.counted,
    maxAttempts: record.max,
    fencingToken: BigInt(record.token),
    version: record.version,
    cancelRequested: record.cancel,
    cancelReason: record.reason,
    exclusive: record.exclusive,
    lock: record.lock && readLock(record.lock),
    heartbeatTimeoutMs: milliseconds(record.heartbeat),
    heartbeatRemainingMs: optional(record.left),
    createdAtWallMs: milliseconds(record.created),
    startedAtWallMs: optional(record.started),
    updatedAtWallMs: milliseconds(record.updated),
    finishedAtWallMs: optional(record.finished),
    claimableAtWallMs: optional(record.claimable),
    expiresAtWallMs: optional(record.expires),
    retention: {
      succeededMs: milliseconds(retention.succeeded),
      failedMs: milliseconds(retention.failed),
      cancelledMs: milliseconds(retention.cancelled),
      deadMs: milliseconds(retention.dead),
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
export function beginArguments({
  spec,
  claimId,
  stamp,
  requestId,
  requireLease: required,
}: BeginCommand): readonly string[] {
  const { succeededMs, failedMs, cancelledMs, deadMs } = spec.retention;
  return [
    nameOf(spec),
    spec.type,
    spec.contentHash,
    payloadText(spec.data),
    JSON.stringify(Object.fromEntries(spec.labels)),
    spec.owner,
    JSON.stringify(spec.owner),
    microseconds(spec.heartbeatTimeoutMs),
    microseconds(spec.timeToLiveMs),
    spec.exclusive ? '1' : '0',
    String(spec.maxAttempts),
    [succeededMs, failedMs, cancelledMs, deadMs].map(microseconds).join(' '),
    lockText(spec.lock),
    claimId ?? '',
    stampText(stamp),
    requestId,
    required ? `${required.leaseId} ${required.fencingToken} ${required.resource}` : '',
  ];
}

/** '' for none. Owner and metadata are texts that scripts put together and don't read. */
function lockText(lock: AttemptLock | undefined): string {
  if (!lock) return '';
  return JSON.stringify({
    mode: modeText(lock.mode),
    ttl: microseconds(lock.ttlMs),
    min_hold: microseconds(lock.minHoldMs),
    max_hold: microseconds(lock.maxHoldMs),
    owner: JSON.stringify(lock.owner),
    metadata: JSON.stringify([...lock.metadata]),
    ...(lock.minAcks === undefined ? {} : { acks: lock.minAcks }),
  });
}

function readLock(lock: ShownLock): AttemptLock {
  return {
    mode: readMode(lock.mode),
    ttlMs: milliseconds(lock.ttl),
    minHoldMs: milliseconds(lock.min_hold),
    maxHoldMs: milliseconds(lock.max_hold),
    owner: JSON.parse(lock.owner) as string, // written by lockText alone
    metadata: new Map(JSON.parse(lock.metadata) as [string, string][]),
    ...(lock.acks === undefined ? {} : { minAcks: lock.acks }),
  };
}

function optional(us: string | undefined): number | undefined {
  return us === undefined ? undefined : milliseconds(us);
}
