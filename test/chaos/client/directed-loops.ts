// The loops of clients that only runs with a certain aim ask for: they hold for seconds, insist on what they asked for, or
// release what they were in doubt about a second time, so that what was given back, forgotten or sent too late is seen.

import { act } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { CALM_RESOURCES, GIVEN_BACK_RESOURCES } from './hot-resources.ts';
import { EXCLUSIVE, newRequest } from './lease-request.ts';
import { recordedAcquire, recordedAcquireMany, recordedRelease, taken } from './recorded-locks.ts';

const CALL_WITHIN_MS = 2_000;
const WAIT_MS = 3_000;
const REPEATS = 8;
/** Longer than `redis.command_timeout` of the rig. */
const RELEASE_AGAIN_AFTER_MS = 1_050;

/**
 * Asks for the same acquisition until it is told, here and there; holds it for a while. By AcquireMany, whose server
 * takes back what it could not tell of.
 */
export async function insistLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(GIVEN_BACK_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    let result = await recordedAcquireMany(client, [request], 0, CALL_WITHIN_MS);
    for (let again = 0; again < REPEATS && result.outcome !== 'ok' && !client.isStopping; again++) {
      if (result.error.reason === 'LOCK_CONTENDED' && dice.chance(0.5)) break;
      client.channel.leave(client.channel.seat);
      await client.pause(dice.between(50, 300));
      result = await recordedAcquireMany(client, [request], 0, CALL_WITHIN_MS);
    }
    if (result.outcome === 'ok') {
      const [lease] = result.response.leases;
      const { belief } = taken(client, request, { ...result, lease });
      await act(client, dice, belief, dice.between(200, 2_500));
      belief.ended('released');
    }
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(50, 300));
  }
}

/** Waits for what others give back, and holds it for long. */
export function lingerLoop(client: ChaosClient, dice: Dice): Promise<void> {
  return holdLong(client, dice, GIVEN_BACK_RESOURCES, WAIT_MS);
}

/** Tries once, mostly finds it free, and holds it for long. */
export function calmLoop(client: ChaosClient, dice: Dice): Promise<void> {
  return holdLong(client, dice, CALM_RESOURCES, 0);
}

async function holdLong(
  client: ChaosClient,
  dice: Dice,
  resources: readonly string[],
  waitMs: number,
): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(resources);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs });
    const result = await recordedAcquire(client, request, CALL_WITHIN_MS);
    if (result.outcome === 'ok') {
      const { belief } = taken(client, request, { ...result, lease: result.response.lease });
      await act(client, dice, belief, dice.between(2_500, 5_000));
      belief.ended('released');
    }
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(200, 2_000));
  }
}

/** Releases what it was granted, and again when nothing that was sent for it can be under way any more. */
export async function doubtLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(CALM_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    const result = await recordedAcquire(client, request, CALL_WITHIN_MS);
    if (result.outcome === 'ok') {
      const { belief } = taken(client, request, { ...result, lease: result.response.lease });
      await act(client, dice, belief, dice.between(10, 50));
      belief.ended('released');
    }
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(RELEASE_AGAIN_AFTER_MS);
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(10, 50));
  }
}
