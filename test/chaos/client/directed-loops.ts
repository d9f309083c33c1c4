// The loops of clients that only runs with a certain aim use: they hold for seconds, insist on what they asked for, or
// release it a second time, so that the checker sees what was given back, forgotten or sent too late.

import { nowMs } from '../history.ts';
import { act } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { CALM_RESOURCES, GIVEN_BACK_RESOURCES } from './hot-resources.ts';
import { EXCLUSIVE, type LeaseRequest, newRequest } from './lease-request.ts';
import { recordedAcquire, recordedAcquireMany, recordedRelease, taken } from './recorded-locks.ts';

const CALL_WITHIN_MS = 2_000;
const WAIT_MS = 1_200;
/** Longer than `redis.command_timeout` of the rig. */
const RELEASE_AGAIN_AFTER_MS = 1_050;

/**
 * Takes two at once, and waits for the second while it has the first. Where it can't have both, it insists on the first
 * alone, under the same lease id, and keeps trying for a while.
 */
export async function insistLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(GIVEN_BACK_RESOURCES);
    const other = dice.pick(GIVEN_BACK_RESOURCES.filter((one) => one !== resource));
    // In the order in which the server takes them.
    const requests = [resource, other].toSorted().map((name): LeaseRequest => {
      return newRequest({ resource: name, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    });
    const [first] = requests;
    const both = await recordedAcquireMany(client, requests, WAIT_MS, CALL_WITHIN_MS);
    if (both.outcome === 'ok') {
      const beliefs = requests.map((request, index) => {
        return taken(client, request, { ...both, lease: both.response.leases[index] }).belief;
      });
      const forMs = dice.between(1_500, 3_000);
      await Promise.all(beliefs.map((belief) => act(client, dice, belief, forMs)));
      for (const belief of beliefs) belief.ended('released');
    } else if (first !== undefined) {
      await insist(client, dice, first);
    }
    await Promise.all(requests.map((request) => recordedRelease(client, request, CALL_WITHIN_MS)));
    await client.pause(dice.between(50, 300));
  }
}

async function insist(client: ChaosClient, dice: Dice, request: LeaseRequest): Promise<void> {
  // Others come first.
  await client.pause(dice.between(400, 1_200));
  const untilMs = nowMs() + dice.between(4_000, 6_000);
  while (nowMs() < untilMs && !client.isStopping) {
    if (await actedUnder(client, dice, request, [1_500, 3_000])) return;
    await client.pause(dice.between(100, 300));
  }
}

/** Tries one of many, mostly finds it free, and holds it for long. */
export async function calmLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(CALM_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    await actedUnder(client, dice, request, [2_500, 5_000]);
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(100, 500));
  }
}

/** Releases what it was granted, and releases it again when no call that was sent for it can be under way any more. */
export async function doubtLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(CALM_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    await actedUnder(client, dice, request, [10, 50]);
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(RELEASE_AGAIN_AFTER_MS);
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(10, 50));
  }
}

/** Asks once and, where the lease is granted, acts for this long; releases nothing. Returns whether it was granted. */
async function actedUnder(
  client: ChaosClient,
  dice: Dice,
  request: LeaseRequest,
  [leastMs, mostMs]: readonly [number, number],
): Promise<boolean> {
  const result = await recordedAcquire(client, request, CALL_WITHIN_MS);
  if (result.outcome !== 'ok') return false;
  const { belief } = taken(client, request, { ...result, lease: result.response.lease });
  await act(client, dice, belief, dice.between(leastMs, mostMs));
  belief.ended('released');
  return true;
}
