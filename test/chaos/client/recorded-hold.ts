// Leases that the client core keeps by streams, granted to a Hold or to an Acquire, with their lines in the history.

import { LostReason } from '../../../generated/leasehold/v1/lease_events.ts';
import { CallError } from '../../../src/client/core/call-error.ts';
import type { Channel } from '../../../src/client/core/channel.ts';
import { type HeldLease, type HeldLeaseEvent, keep } from '../../../src/client/core/held-lease.ts';
import { hold } from '../../../src/client/core/hold.ts';
import { nowMs } from '../history.ts';
import { Belief } from './belief.ts';
import type { ChaosClient } from './chaos-client.ts';
import { type LeaseRequest, leaseTold, lockOf, modeText, specOf } from './lease-request.ts';
import { outcomeOf, reasonOf } from './outcome.ts';
import { type Granted, theLease } from './recorded-locks.ts';
import { NO_DEADLINE_MS, type RecordedCall, type Told } from './recorder.ts';

/**
 * How long the core tries a call that doesn't wait; and how long after that, or after the wait, it may take to give up.
 */
const ANSWER_WITHIN_MS = 10_000;
const GIVE_UP_WITHIN_MS = 10_000;
const RELEASE_WITHIN_MS = 10_000;

export interface Held {
  readonly belief: Belief;
  /** Records the end of the belief, and gives the lease back. */
  release(): Promise<void>;
}

/** Resolves with undefined when no lease could be had. `waitMs` may be Infinity. */
export async function recordedHold(
  client: ChaosClient,
  channel: Channel,
  request: LeaseRequest,
): Promise<Held | undefined> {
  const { recorder } = client;
  const { waitMs } = request;
  const deadlineMs = nowMs() + Math.max(waitMs, ANSWER_WITHIN_MS) + GIVE_UP_WITHIN_MS;
  const call = recorder.callBegan({
    rpc: 'Hold',
    deadlineMs: Math.min(deadlineMs, NO_DEADLINE_MS),
    lock: { ...lockOf(request), waitMs: Math.min(waitMs, NO_DEADLINE_MS) },
  });
  const story = new Story(client, request, call);
  try {
    const spec = specOf(request, client.name);
    const options = { spec, waitMs, signal: client.stop, observer: story.observer };
    const held = story.begins(await hold(channel, options));
    call.ended('ok', '', story.told);
    return held;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    // About the streams before the last one we only know that they didn't report a grant.
    call.ended(story.streams > 1 ? 'unknown' : outcomeOf('Hold', error, waitMs > 0), reasonOf(error));
    return undefined;
  }
}

/** Keeps by streams what an Acquire was granted. */
export function recordedKeep(
  client: ChaosClient,
  channel: Channel,
  request: LeaseRequest,
  granted: Granted,
): Held {
  const story = new Story(client, request);
  return story.begins(keep(channel, theLease(granted.lease), granted, { observer: story.observer }));
}

/** Passes what the core reports about one acquisition to the history. */
class Story {
  streams = 1;
  told: Told = {};
  readonly #client: ChaosClient;
  readonly #request: LeaseRequest;
  readonly #call: RecordedCall | undefined;
  #belief: Belief | undefined;

  constructor(client: ChaosClient, request: LeaseRequest, call?: RecordedCall) {
    this.#client = client;
    this.#request = request;
    this.#call = call;
  }

  readonly observer = (event: HeldLeaseEvent): void => {
    const { recorder } = this.#client;
    const { resource, leaseId } = this.#request;
    switch (event.kind) {
      case 'queued':
        if (this.#call) recorder.queued(this.#call, resource, leaseId, event.position);
        break;
      case 'granted':
        this.told = { lease: leaseTold(event.lease) };
        break;
      case 'renewed':
        this.#belief?.extended();
        break;
      case 'at-risk':
        recorder.noted('at-risk', resource);
        break;
      case 'reopened':
        this.streams++;
        recorder.noted('reopened', resource);
        break;
      case 'lost':
        this.#belief?.ended(event.reason === undefined ? 'deadline' : `lost:${lossName(event.reason)}`);
        break;
      case 'released':
        this.#belief?.ended('released');
    }
  };

  /** From here on its holder believes. */
  begins(lease: HeldLease): Held {
    const { resource, leaseId, mode } = this.#request;
    const token = String(lease.fencingToken);
    const name = { resource, leaseId, token, mode: modeText(mode), of: 'lock' as const };
    const belief = new Belief(this.#client.recorder, name, () => lease.remainingMs());
    this.#belief = belief;
    belief.extended();
    if (lease.state !== 'held') belief.ended('deadline');
    return {
      belief,
      release: () => {
        belief.ended('released');
        return this.#release(lease);
      },
    };
  }

  async #release(lease: HeldLease): Promise<void> {
    const call = this.#client.recorder.callBegan({
      rpc: 'Release',
      deadlineMs: nowMs() + RELEASE_WITHIN_MS,
      lock: { ...lockOf(this.#request), token: String(lease.fencingToken) },
    });
    try {
      call.ended('ok', '', { released: await lease.release() });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      call.ended('unknown', reasonOf(error));
    }
  }
}

function lossName(reason: LostReason): string {
  const name = Object.entries(LostReason).find(([, value]) => value === reason)?.[0];
  return name?.replace('LOST_REASON_', '') ?? String(reason);
}
