// Waits for a lease and tells people how it goes: the position in the queue, and who is before them.

import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import {
  type Client,
  type Lease,
  type LeaseEvent,
  type LeaseOptions,
  type Lock,
  UnavailableError,
} from '../client/client.ts';
import { systemClock, type Timer } from '../domain/clock.ts';
import type { LeaseFlags } from './options.ts';
import { printable, span } from './text.ts';

export interface WantedLease {
  readonly resource: string;
  readonly lease: LeaseOptions;
  readonly waitMs: number;
  /** How long it may take until a server is found. */
  readonly timeoutMs: number;
  readonly tell: Tell;
  /** Gives up; then it rejects with its reason. */
  readonly stop: AbortSignal;
}

/** Tells people something on stderr, where there are any; otherwise does nothing. */
export type Tell = (text: string) => void;

const STDERR = 2;
/** Whoever is in the queue keeps waiting through a restart of the servers, and not through their end. */
const PATIENCE_MS = 30_000;
/** Who holds it, for people; nobody waits for it. */
const LOOK_MS = 2_000;

export function teller(isVerbose: boolean | undefined): Tell {
  return isVerbose || isatty(STDERR) ? complain : () => {};
}

/**
 * Not through process.stderr: Node.js would make a pipe non-blocking, also for the command that runs at the same time
 * and shares it, and few programs expect that of theirs.
 */
export function complain(text: string): void {
  try {
    writeSync(STDERR, `leasehold: ${printable(text)}\n`);
  } catch {
    // Nobody reads it.
  }
}

export function leaseOptionsOf({
  shared,
  permits,
  ttl,
  minHold,
  maxHold,
  owner,
  metadata,
}: LeaseFlags): LeaseOptions {
  return {
    mode: shared ? 'shared' : permits,
    ttlMs: ttl,
    minHoldMs: minHold,
    maxHoldMs: maxHold,
    owner,
    metadata,
  };
}

/** Throws the errors of the SDK, UnavailableError when no server answers any more, and the reason of `stop`. */
export async function waitForLease(client: Client, wanted: WantedLease): Promise<Lease> {
  const { resource, lease, waitMs, timeoutMs, tell, stop } = wanted;
  // So that a wrong address or token is told at once, also to somebody who would wait for ever.
  await client.serverInfo({ timeoutMs, signal: stop });
  const patienceMs = Math.max(timeoutMs, PATIENCE_MS);
  const patience = new AbortController();
  const over = new AbortController();
  const progress = progressOf(client, resource, tell, AbortSignal.any([stop, over.signal]));
  let timer: Timer | undefined;
  const onEvent = (event: LeaseEvent): void => {
    if (event.kind === 'reopened') {
      if (timer === undefined) tell(`has lost the connection (${event.why}) and tries again`);
      // The first reason tells more than those of the tries that follow.
      timer ??= systemClock.after(patienceMs, () => patience.abort(goneFor(patienceMs, event.why)));
      return;
    }
    timer?.cancel();
    timer = undefined;
    if (event.kind === 'queued') progress(event.position);
    if (event.kind === 'at-risk')
      tell(`the lease on ${resource} could not be renewed (${event.reason}); trying again`);
  };
  try {
    const signal = AbortSignal.any([stop, patience.signal]);
    const held = await client.acquire(resource, { ...lease, waitMs, signal, onEvent });
    tell(`holds ${resource} with fencing token ${held.fencingToken}`);
    return held;
  } finally {
    timer?.cancel();
    over.abort();
  }
}

function goneFor(ms: number, why: string): UnavailableError {
  const message = `No server has answered for ${span(ms)} (${why}). See whether they run, and try again later.`;
  return new UnavailableError(message, { reason: 'NO_ANSWER' });
}

function progressOf(
  client: Client,
  resource: string,
  tell: Tell,
  signal: AbortSignal,
): (position: number) => void {
  let newest: number | undefined;
  return (position) => {
    if (position === newest) return;
    newest = position;
    const where =
      position === 0 ? 'the server has no store at the moment' : `position ${position} in the queue`;
    const tellWith = (who: string): void => {
      if (!signal.aborted && newest === position) tell(`waits for ${resource}: ${where}${who}`);
    };
    const holdersOf = (lock: Lock): void => {
      const [first] = lock.holders;
      const others = lock.holderCount > 1 ? ` and ${lock.holderCount - 1} more` : '';
      const who = first
        ? `; held by ${first.owner || 'somebody'}${others} for ${span(first.remainingMs)} unless renewed`
        : '';
      tellWith(who);
    };
    client.locks.get(resource, { timeoutMs: LOOK_MS, signal }).then(holdersOf, () => tellWith(''));
  };
}
