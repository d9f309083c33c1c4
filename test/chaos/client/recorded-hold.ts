// A lease by Hold of the client core, with its lines in the history.

import { LostReason } from '../../../generated/leasehold/v1/lease_events.ts';
import { CallError } from '../../../src/client/call-error.ts';
import type { Channel } from '../../../src/client/channel.ts';
import { type HeldEvent, type HeldLease, hold } from '../../../src/client/held-lease.ts';
import { nowMs } from '../history.ts';
import { Belief } from './belief.ts';
import type { ChaosClient } from './chaos-client.ts';
import { type LeaseRequest, leaseTold, lockOf, modeText, specOf } from './lease-request.ts';
import { outcomeOf, reasonOf } from './outcome.ts';
import { NO_DEADLINE_MS, type Told } from './recorder.ts';

/** How long the core tries a call that doesn't wait; and how long after that, or the wait, it may take to give up. */
const ANSWER_WITHIN_MS = 10_000;
const GIVE_UP_WITHIN_MS = 25_000;
const RELEASE_WITHIN_MS = 10_000;

export interface Held {
  readonly lease: HeldLease;
  readonly belief: Belief;
  /** Records the end of the belief, and gives the lease back. */
  release(): Promise<void>;
}

/** undefined: no lease was to be had. `waitMs` may be Infinity. */
export async function recordedHold(
  client: ChaosClient,
  channel: Channel,
  request: LeaseRequest,
): Promise<Held | undefined> {
  const { recorder } = client;
  const { resource, leaseId, mode, waitMs } = request;
  const deadlineMs = nowMs() + Math.max(waitMs, ANSWER_WITHIN_MS) + GIVE_UP_WITHIN_MS;
  const call = recorder.callBegan({
    rpc: 'Hold',
    deadlineMs: Math.min(deadlineMs, NO_DEADLINE_MS),
    lock: { ...lockOf(request), waitMs: Math.min(waitMs, NO_DEADLINE_MS) },
  });
  let [belief, told, tries]: [Belief | undefined, Told, number] = [undefined, {}, 1];
  const observer = (event: HeldEvent): void => {
    switch (event.kind) {
      case 'queued':
        recorder.queued(call, resource, leaseId, event.position);
        break;
      case 'granted':
        told = { lease: leaseTold(event.lease) };
        break;
      case 'renewed':
        belief?.extended();
        break;
      case 'at-risk':
        recorder.noted('at-risk', resource);
        break;
      case 'reopened':
        tries++;
        recorder.noted('reopened', resource);
        break;
      case 'lost':
        belief?.ended(event.reason === undefined ? 'deadline' : `lost:${lossName(event.reason)}`);
        break;
      case 'released':
        belief?.ended('released');
    }
  };
  let lease: HeldLease;
  try {
    const spec = specOf(request, client.name);
    lease = await hold(channel, { spec, waitMs, signal: client.stop, observer });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    // Of the streams before the last one it is only known that they didn't say that they were granted.
    const outcome = tries > 1 ? 'unknown' : outcomeOf('Hold', error, waitMs > 0);
    call.ended(outcome, reasonOf(error));
    return undefined;
  }
  const token = String(lease.fencingToken);
  const name = { resource, leaseId, token, mode: modeText(mode), of: 'lock' as const };
  belief = new Belief(recorder, name, () => lease.remainingMs());
  belief.extended();
  call.ended('ok', '', told);
  if (lease.state !== 'held') belief.ended('deadline');
  const holding = belief;
  const giveBack = (): Promise<void> => {
    holding.ended('released');
    return release(client, lease, request);
  };
  return { lease, belief: holding, release: giveBack };
}

async function release({ recorder }: ChaosClient, lease: HeldLease, request: LeaseRequest): Promise<void> {
  const call = recorder.callBegan({
    rpc: 'Release',
    deadlineMs: nowMs() + RELEASE_WITHIN_MS,
    lock: { ...lockOf(request), token: String(lease.fencingToken) },
  });
  try {
    call.ended('ok', '', { released: await lease.release() });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    call.ended('unknown', reasonOf(error));
  }
}

function lossName(reason: LostReason): string {
  const name = Object.entries(LostReason).find(([, value]) => value === reason)?.[0];
  return name?.replace('LOST_REASON_', '') ?? String(reason);
}
