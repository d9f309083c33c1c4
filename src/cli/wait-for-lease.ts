// Waits for a lease and reports the wait to people: their position in the queue, and who holds the lock.

import {
  type Client,
  type Lease,
  type LeaseEvent,
  type LeaseOptions,
  type Lock,
  UnavailableError,
} from '../client/client.ts';
import { systemClock, type Timer } from '../domain/clock.ts';
import type { Tell } from './notices.ts';
import { span } from './text.ts';

export interface WantedLease {
  readonly resource: string;
  readonly lease: LeaseOptions;
  readonly waitMs: number;
  /** How long it may take to find a server. */
  readonly timeoutMs: number;
  readonly tell: Tell;
  /** Gives up the wait, which then rejects with the signal's reason. */
  readonly stop: AbortSignal;
}

export interface HeldLease {
  readonly lease: Lease;
  /** Whether it will not be renewed any more, because it ends with its --max-hold. */
  readonly isFinal: () => boolean;
}

/** Long enough for a waiter to outlast a restart of the servers, but not their end. */
const PATIENCE_MS = 30_000;
/** How long to ask who holds the lock. It is for people only, and nothing waits for the answer. */
const LOOK_MS = 2_000;

/** Throws the errors of the client, UnavailableError once the servers stop answering, and the reason of `stop`. */
export async function waitForLease(client: Client, wanted: WantedLease): Promise<HeldLease> {
  const { resource, lease, waitMs, timeoutMs, tell, stop } = wanted;
  // This reports a wrong address or token at once, even to somebody who would wait forever.
  await client.serverInfo({ timeoutMs, signal: stop });
  const patienceMs = Math.max(timeoutMs, PATIENCE_MS);
  const patience = new AbortController();
  const over = new AbortController();
  const progress = progressOf(client, resource, tell, AbortSignal.any([stop, over.signal]));
  let timer: Timer | undefined;
  let isFinal = false;
  const onEvent = (event: LeaseEvent): void => {
    if (event.kind === 'reopened') {
      if (timer === undefined) tell(`lost the connection (${event.why}); trying again`);
      // The first reason says more than those of the retries.
      timer ??= systemClock.after(patienceMs, () => patience.abort(goneFor(patienceMs, event.why)));
      return;
    }
    timer?.cancel();
    timer = undefined;
    if (event.kind === 'queued') progress(event.position);
    if (event.kind === 'at-risk' && event.reason === 'max-hold') {
      isFinal = true;
      tell(`the lease on ${resource} ends with its --max-hold and will not be renewed any more`);
    } else if (event.kind === 'at-risk')
      tell(`the lease on ${resource} could not be renewed (${event.reason}); trying again`);
  };
  try {
    const signal = AbortSignal.any([stop, patience.signal]);
    const held = await client.acquire(resource, { ...lease, waitMs, signal, onEvent });
    tell(`holding ${resource} with fencing token ${held.fencingToken}`);
    return { lease: held, isFinal: () => isFinal };
  } finally {
    timer?.cancel();
    over.abort();
  }
}

function goneFor(ms: number, why: string): UnavailableError {
  const message = `No server has answered for ${span(ms)} (${why}). Check that the servers run, and try again later.`;
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
      if (!signal.aborted && newest === position) tell(`waiting for ${resource}: ${where}${who}`);
    };
    const holdersOf = (lock: Lock): void => {
      const [first] = lock.holders;
      const others = lock.holderCount > 1 ? ` and ${lock.holderCount - 1} more` : '';
      const who = first
        ? `; held by ${first.owner || 'an unnamed owner'}${others} for ${span(first.remainingMs)} unless renewed`
        : '';
      tellWith(who);
    };
    client.locks.get(resource, { timeoutMs: LOOK_MS, signal }).then(holdersOf, () => tellWith(''));
  };
}
