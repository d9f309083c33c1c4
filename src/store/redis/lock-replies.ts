// What the scripts' replies tell of locks, as domain values. Owns how their words are read. lock-arguments.ts has what
// scripts are asked, redis-lock-store.ts what an answer means.

import type { Contention, Holder, LockView, Mode, Waiter } from '../../domain/lock.ts';
import { leaseIdHash } from '../../domain/lock.ts';

const VIEW_HEAD = 8;
const WAITER_FIELDS = 4;
const HOLDER_FIELDS = 7;

/** The views of a reply, as lua/lock-views.lua writes them. */
export function readViews(flat: readonly string[]): readonly LockView[] {
  const views: LockView[] = [];
  for (let at = 0; at < flat.length; ) {
    const [resource = '', minHoldLeft, holderCount, permits, limit, queueLength, waiters, holders] =
      flat.slice(at, at + VIEW_HEAD);
    const waitersFrom = at + VIEW_HEAD;
    const holdersFrom = waitersFrom + WAITER_FIELDS * Number(waiters);
    at = holdersFrom + HOLDER_FIELDS * Number(holders);
    views.push({
      resource,
      holders: inOrderOfGrants(readHolders(flat.slice(holdersFrom, at))),
      holderCount: Number(holderCount),
      permitsHeld: Number(permits),
      permitsLimit: Number(limit),
      waiters: readWaiters(flat.slice(waitersFrom, holdersFrom)),
      queueLength: Number(queueLength),
      minHoldRemainingMs: milliseconds(minHoldLeft),
    });
  }
  return views;
}

export function readContention(
  resource: string,
  reason: Contention['reason'],
  [timeLeft, queueLength, ...holders]: readonly string[],
): Contention {
  return {
    resource,
    reason,
    holders: inOrderOfGrants(readHolders(holders)),
    timeLeftMs: milliseconds(timeLeft),
    queueLength: Number(queueLength),
  };
}

function readWaiters(flat: readonly string[]): readonly Waiter[] {
  const waiters: Waiter[] = [];
  for (let i = 0; i < flat.length; i += WAITER_FIELDS) {
    const [about = '', leaseId = '', queuedAt, mode = ''] = flat.slice(i, i + WAITER_FIELDS);
    waiters.push({
      leaseIdHash: leaseIdHash(leaseId),
      owner: readAbout(about).owner,
      mode: readMode(mode),
      queuedAtWallMs: milliseconds(queuedAt),
    });
  }
  return waiters;
}

function readHolders(flat: readonly string[]): readonly Holder[] {
  const holders: Holder[] = [];
  for (let i = 0; i < flat.length; i += HOLDER_FIELDS) {
    const fields = flat.slice(i, i + HOLDER_FIELDS);
    const [about = '', leaseId = '', token = '', acquired, remaining, mode = '', state] = fields;
    const { owner, metadata } = readAbout(about);
    holders.push({
      leaseIdHash: leaseIdHash(leaseId),
      owner,
      mode: readMode(mode),
      fencingToken: BigInt(token),
      acquiredAtWallMs: milliseconds(acquired),
      remainingMs: milliseconds(remaining),
      metadata,
      revoked: state === 'revoked',
    });
  }
  return holders;
}

function readAbout(text: string): { owner: string; metadata: ReadonlyMap<string, string> } {
  const [owner, metadata] = JSON.parse(text) as [string, [string, string][]]; // written by aboutText alone
  return { owner, metadata: new Map(metadata) };
}

export function readMode(text: string): Mode {
  if (text === 'exclusive' || text === 'shared') return { kind: text };
  const [, permits, limit] = /^permits:(\d+)\/(\d+)$/.exec(text) ?? [];
  if (!permits || !limit) throw new Error(`unknown mode ${text}`);
  return { kind: 'permits', permits: Number(permits), limit: Number(limit) };
}

function inOrderOfGrants(holders: readonly Holder[]): readonly Holder[] {
  return holders.toSorted((a, b) => Number(a.fencingToken - b.fencingToken));
}

/** What the recorded text of a lease says of its grant: Redis's TIME then, in microseconds. */
export function grantedAtUs(text: string): number {
  const [token = '', , , , acquired] = text.split(' ', 5);
  return Number(acquired === '=' ? token : acquired);
}

export function milliseconds(us: string | undefined): number {
  return Number(us) / 1_000;
}
