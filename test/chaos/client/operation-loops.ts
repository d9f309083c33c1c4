// The loops that begin operations, work on them, and look at them.

import { randomUUID } from 'node:crypto';
import { type Attempt, type Operation, OperationState } from '../../../generated/leasehold/v1/operation.ts';
import { nowMs } from '../history.ts';
import { writeOnce } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import { currentOperation, type OperationName, operationSince, TYPES } from './chaos-operation-names.ts';
import type { Dice } from './dice.ts';
import { EXCLUSIVE_RESOURCES, LOCKED_RESOURCES, PLAIN_RESOURCES } from './hot-resources.ts';
import { millisecondsOf } from './lease-request.ts';
import { RunningAttempt } from './recorded-attempt.ts';
import { recordedLook } from './recorded-locks.ts';
import {
  type BeginFields,
  type Ending,
  recordedBegin,
  recordedCancel,
  recordedClaim,
  recordedComplete,
  recordedDelete,
  recordedGet,
  recordedList,
  recordedRetry,
  recordedUpdate,
  recordedWait,
  recordedYield,
  theRecord,
} from './recorded-operations.ts';
import type { Result } from './recorded-unary.ts';

const PATIENCE_MS = [1_000, 3_000, 6_000] as const;
const CLAIM_WAITS_MS = [0, 1_000, 4_000, 10_000] as const;
const ENDS_WITHIN_MS = 5_000;
/** A record that changed a moment ago, or any record of the run so far (at most half an hour old). */
const RECENTLY_MS = 10_000;
const LONG_AGO_MS = 1_800_000;

/** Begins the operations that are due now, as several others do, and runs some of them at once. */
export async function beginLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const fields: BeginFields = {
      ...currentOperation(dice),
      claimId: dice.chance(0.2) ? randomUUID() : undefined,
      requestId: dice.chance(0.5) ? randomUUID() : undefined,
      heartbeatTimeoutMs: Math.round(dice.pick([2_000, client.maxTtlMs / 2, client.maxTtlMs])),
      isOther: dice.chance(0.05),
    };
    let result = await recordedBegin(client, fields, dice.pick(PATIENCE_MS));
    for (let again = 0; again < 2 && isRepeated(dice, result) && !client.isStopping; again++) {
      const next = await recordedBegin(client, fields, dice.pick(PATIENCE_MS));
      if (result.outcome !== 'ok' || next.outcome === 'ok') result = next;
    }
    if (result.outcome === 'ok' && result.response.attempt) {
      const { operation, attempt } = result.response;
      await work(client, dice, started(client, theRecord(operation), attempt, result), operation);
    }
    await client.pause(dice.between(100, 600));
    if (dice.chance(0.08) && !client.isStopping) {
      const name = operationSince(dice, RECENTLY_MS);
      await recordedCancel(client, name, randomUUID(), dice.pick(PATIENCE_MS));
    }
  }
}

/** Claims operations that are due, and runs them. */
export async function workLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const types = dice.chance(0.5) ? TYPES : [dice.pick(TYPES)];
    const claim = { types, claimId: randomUUID(), waitMs: dice.pick(CLAIM_WAITS_MS) };
    let result = await recordedClaim(client, claim);
    for (let again = 0; again < 2 && isRepeated(dice, result) && !client.isStopping; again++) {
      const next = await recordedClaim(client, claim);
      if (result.outcome !== 'ok' || next.outcome === 'ok') result = next;
    }
    const [found] = result.outcome === 'ok' ? result.response.claimed : [];
    if (result.outcome === 'ok' && found?.attempt) {
      const operation = theRecord(found.operation);
      await work(client, dice, started(client, operation, found.attempt, result), operation);
    }
    await client.pause(dice.between(20, 250));
  }
}

/** Reads what changes now, and checks whether operations that ended long ago are still there. */
export async function readLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const startedMs = nowMs();
  let listed: readonly Operation[] = [];
  while (!client.isStopping) {
    const agoMs = dice.chance(0.7) ? RECENTLY_MS : Math.min(LONG_AGO_MS, nowMs() - startedMs);
    // Records of the list have more to see; for the others, it only sees that they aren't there.
    const isListed = listed.length > 0 && dice.chance(0.6);
    const name = isListed ? nameOf(dice.pick(listed)) : operationSince(dice, agoMs);
    const throwOfDice = dice.next();
    if (throwOfDice < 0.75) await recordedGet(client, name, dice.pick(PATIENCE_MS));
    else if (throwOfDice < 0.83) await recordedWait(client, name, Math.round(dice.between(0, 2_000)));
    else if (throwOfDice < 0.95) listed = await list(client, dice);
    else if (throwOfDice < 0.98) await retryOne(client, dice, listed);
    else await recordedDelete(client, name, dice.pick(PATIENCE_MS));
    if (dice.chance(0.05)) await recordedLook(client, dice.pick(EXCLUSIVE_RESOURCES), dice.pick(PATIENCE_MS));
    await client.pause(dice.between(30, 200));
  }
}

/** Lists all operations of one resource, page by page, or the first pages. */
async function list(client: ChaosClient, dice: Dice): Promise<readonly Operation[]> {
  const resource = dice.pick([...PLAIN_RESOURCES, ...LOCKED_RESOURCES]);
  const withPayloads = dice.chance(0.5);
  const listed: Operation[] = [];
  for (let pageToken = '', pages = 0; pages < 3 && !client.isStopping; pages++) {
    const result = await recordedList(client, { resource, withPayloads, pageToken }, dice.pick(PATIENCE_MS));
    if (result.outcome !== 'ok') break;
    listed.push(...result.response.operations);
    pageToken = result.response.nextPageToken;
    if (pageToken === '') break;
  }
  return listed;
}

/** Mostly one that has failed, since the others can't be retried. */
async function retryOne(client: ChaosClient, dice: Dice, listed: readonly Operation[]): Promise<void> {
  const failed = listed.filter(({ state }) => state === OperationState.OPERATION_STATE_FAILED);
  const among = failed.length > 0 && dice.chance(0.8) ? failed : listed;
  if (among.length === 0) return;
  await recordedRetry(client, nameOf(dice.pick(among)), randomUUID(), dice.pick(PATIENCE_MS));
}

function nameOf({ resource, operationId }: Operation): OperationName {
  return { resource, operationId };
}

/** Mostly when the outcome is unknown, now and then although it is known. */
function isRepeated(dice: Dice, { outcome }: Result<unknown>): boolean {
  return outcome === 'unknown' ? dice.chance(0.6) : outcome === 'ok' && dice.chance(0.1);
}

function started(
  client: ChaosClient,
  operation: Operation,
  attempt: Attempt,
  sent: { readonly sentAtMs: number; readonly sentAtWallMs: number },
): RunningAttempt {
  const ttl = operation.lock?.ttl ?? operation.heartbeatTimeout;
  return new RunningAttempt(client, operation, attempt, sent, ttl ? millisecondsOf(ttl) : client.maxTtlMs);
}

/** Makes some steps, or none, and ends in one way or another. */
async function work(
  client: ChaosClient,
  dice: Dice,
  attempt: RunningAttempt,
  record: Operation | undefined,
): Promise<void> {
  const keeping = dice.chance(0.5) ? attempt.keepAlive(client) : Promise.resolve();
  const steps = 5 + dice.below(6);
  let version = record?.version;
  for (let step = 1; step <= steps && !attempt.isOver && !client.isStopping; step++) {
    await client.pause(dice.between(30, 200));
    // A job that hangs. Without a stream that keeps it alive, its attempt is then over, and its next write is late.
    if (dice.chance(0.008)) {
      await client.pause(client.maxTtlMs * 1.5);
      if (attempt.isOver && !client.isStopping) await lateWrite(client, dice, attempt);
    }
    for (const belief of attempt.beliefs) {
      if (!belief.isOver && !client.isStopping) await writeOnce(client, belief);
    }
    if (attempt.isOver || client.isStopping || attempt.isCancelRequested) break;
    version = await oneStep(client, dice, attempt, `step ${step} of ${attempt.name.fencingToken}`, version);
    if (dice.chance(0.01)) break;
  }
  await end(client, dice, attempt);
  await keeping;
}

async function lateWrite(client: ChaosClient, dice: Dice, { name }: RunningAttempt): Promise<void> {
  const fields = { value: `late, of ${name.fencingToken}`, requestId: undefined, ifVersion: undefined };
  await recordedUpdate(client, name, fields, dice.pick(PATIENCE_MS));
}

/** Writes it, and again if need be. Returns the version of the record, as far as an answer gave it. */
async function oneStep(
  client: ChaosClient,
  dice: Dice,
  attempt: RunningAttempt,
  value: string,
  version: bigint | undefined,
): Promise<bigint | undefined> {
  const fields = {
    value,
    requestId: dice.chance(0.7) ? randomUUID() : undefined,
    ifVersion: dice.chance(0.3) ? version : undefined,
  };
  for (let tries = 0; tries < 3 && !attempt.isOver && !client.isStopping; tries++) {
    const result = await recordedUpdate(client, attempt.name, fields, dice.pick(PATIENCE_MS));
    if (result.outcome === 'ok') {
      attempt.heard(result.response.attempt, result);
      if (dice.chance(0.05) && fields.requestId !== undefined) continue; // answered, and asked again
      return result.response.operation?.version;
    }
    const { reason } = result.error;
    if (['STALE_ATTEMPT', 'WRONG_STATE', 'OPERATION_NOT_FOUND'].includes(reason)) {
      attempt.ended(`lost:${reason}`);
      return undefined;
    }
    if (reason === 'VERSION_MISMATCH') {
      const read = await recordedGet(client, attempt.name, dice.pick(PATIENCE_MS));
      return read.outcome === 'ok' ? read.response.operation?.version : undefined;
    }
    // Without a request_id a repeat would be a new write, which the next step makes.
    if (fields.requestId === undefined || dice.chance(0.3)) return undefined;
  }
  return undefined;
}

async function end(client: ChaosClient, dice: Dice, attempt: RunningAttempt): Promise<void> {
  if (attempt.isOver) return;
  if (dice.chance(0.06) && !client.isStopping) return attempt.ended('moved-on'); // like a worker that dies
  attempt.ended('released');
  const requestId = randomUUID();
  const isYielded = client.isStopping || dice.chance(0.1);
  const ending: Ending = attempt.isCancelRequested
    ? 'cancelled'
    : dice.pick(['succeeded', 'succeeded', 'succeeded', 'succeeded', 'succeeded', 'failed', 'cancelled']);
  const value = `${ending} by ${attempt.name.fencingToken}`;
  const fields = { ending, value, requestId, releaseLease: dice.chance(0.7) };
  for (let tries = 0; tries < 3; tries++) {
    const result = isYielded
      ? await recordedYield(client, attempt.name, requestId, ENDS_WITHIN_MS)
      : await recordedComplete(client, attempt.name, fields, ENDS_WITHIN_MS);
    if (client.isStopping || result.outcome === 'failed' || !isRepeated(dice, result)) return;
  }
}
