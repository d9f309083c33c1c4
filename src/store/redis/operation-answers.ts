// What the scripts' replies mean beyond single records: attempts with their deadlines, refusals, and the words of
// several records.

import type { Attempt, Operation } from '../../domain/operation.ts';
import { TRANSITIONS, type Transition } from '../../domain/operation.ts';
import type { AttemptNotice, HeartbeatCommand, HeartbeatOutcome, Refused } from '../operation-store.ts';
import type { Answer } from './command-lane.ts';
import { milliseconds } from './lock-replies.ts';
import { RECORD_WORDS, readOperation } from './operation-replies.ts';

/** What messages mean to whoever keeps an attempt. */
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

/** `left`: how long it is valid, in microseconds from when Redis was asked. */
export function attemptOf(of: AttemptTold, claimId: string, left: string, answer: Answer): Attempt {
  const { fencingToken, resource, attemptNumber: number } = of;
  const remainingMs = milliseconds(left);
  const deadlineMs = answer.askedAtMs + remainingMs;
  const expiresAtWallMs = milliseconds(answer.reply[1]) + remainingMs;
  const replicas = answer.replicas > 0 ? { replicas: answer.replicas } : {};
  const lease = { resource, leaseId: claimId, fencingToken, deadlineMs, expiresAtWallMs, ...replicas };
  return { number, claimId, fencingToken, deadlineMs, lease: of.hasLease ? lease : undefined };
}

/** What became of one heartbeat. */
export function heartbeatOf(
  command: HeartbeatCommand,
  [word, number, left = '', isCancelled, reason = '', hasLease]: readonly string[],
  answer: Answer,
): HeartbeatOutcome {
  switch (word) {
    case 'renewed':
    case 'final': {
      const told = { ...command, attemptNumber: Number(number), hasLease: hasLease === '1' };
      const attempt = attemptOf(told, command.claimId, left, answer);
      const cancelReason = isCancelled === '1' ? reason : undefined;
      return { kind: 'renewed', attempt, isFinal: word === 'final', cancelReason };
    }
    case 'moved':
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

/** The states from which something is allowed, as scripts take them. */
export function from(transition: Transition): string {
  return TRANSITIONS[transition].from.join(',');
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

/** Records with the time that their attempts have left, as a claim replies them. */
export function grantsOf(words: readonly string[]): (readonly [operation: Operation, left: string])[] {
  return Array.from({ length: words.length / (RECORD_WORDS + 1) }, (_, index) => {
    const [left = '', ...record] = words.slice((RECORD_WORDS + 1) * index, (RECORD_WORDS + 1) * (index + 1));
    return [operationOf(record), left] as const;
  });
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

/**
 * What a message on an instance's channel, "word claim_id call …", says to whoever keeps an attempt. What is said of a
 * lease is said of its attempt, too: the claim_id is the lease_id.
 */
export function attemptNoticeOf(message: string): AttemptNotice | undefined {
  const [, word = '', claimId = '', callNumber] = /^(\S+) (\S+) (\d+) /.exec(message) ?? [];
  const kind = ATTEMPT_NOTICES.get(word);
  return kind && { kind, claimId, callNumber: Number(callNumber) };
}
