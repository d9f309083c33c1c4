// The loops of clients that only runs with a certain aim ask for: they hold for seconds, insist on what they asked for,
// or release it a second time, so that what was given back, forgotten or sent too late is seen.

import { nowMs } from '../history.ts';
import { act } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { CALM_RESOURCES, GIVEN_BACK_RESOURCES } from './hot-resources.ts';
import { EXCLUSIVE, newRequest } from './lease-request.ts';
import { recordedAcquire, recordedAcquireMany, recordedRelease, taken } from './recorded-locks.ts';

const CALL_WITHIN_MS = 2_000;
/** An acquisition that took so long met something. */
const EFFORT_MS = 300;
const TAKEN_FOR_LONG_MS = 700;
const REPEATS = 8;
/** Longer than `redis.command_timeout` of the rig. */
const RELEASE_AGAIN_AFTER_MS = 1_050;

/**
 * Asks for the same acquisition until it is told, here and there; what took an effort is held for long. By AcquireMany,
 * whose server takes back what it could not tell of.
 */
export async function insistLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(GIVEN_BACK_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    const beganMs = nowMs();
    let result = await recordedAcquireMany(client, [request], 0, CALL_WITHIN_MS);
    for (let again = 0; again < REPEATS && result.outcome !== 'ok' && !client.isStopping; again++) {
      if (result.error.reason === 'LOCK_CONTENDED' && dice.chance(0.7)) break;
      client.channel.leave(client.channel.seat);
      await client.pause(dice.between(50, 200));
      result = await recordedAcquireMany(client, [request], 0, CALL_WITHIN_MS);
    }
    if (result.outcome === 'ok') {
      const [lease] = result.response.leases;
      const { belief } = taken(client, request, { ...result, lease });
      const isEffort = nowMs() - beganMs > EFFORT_MS;
      await act(client, dice, belief, isEffort ? dice.between(1_500, 3_000) : dice.between(20, 150));
      belief.ended('released');
    }
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(50, 300));
  }
}

/** Asks for each lock again and again; one that was taken for long is held for long. */
export async function lingerLoop(client: ChaosClient, dice: Dice): Promise<void> {
  await Promise.all(GIVEN_BACK_RESOURCES.map((resource) => linger(client, dice, resource)));
}

async function linger(client: ChaosClient, dice: Dice, resource: string): Promise<void> {
  let refusedSinceMs = Number.POSITIVE_INFINITY;
  while (!client.isStopping) {
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    const result = await recordedAcquire(client, request, CALL_WITHIN_MS);
    if (result.outcome === 'ok') {
      const { belief } = taken(client, request, { ...result, lease: result.response.lease });
      const isLong = nowMs() - refusedSinceMs > TAKEN_FOR_LONG_MS;
      refusedSinceMs = Number.POSITIVE_INFINITY;
      await act(client, dice, belief, isLong ? dice.between(3_000, 5_000) : dice.between(10, 30));
      belief.ended('released');
    } else {
      refusedSinceMs = Math.min(refusedSinceMs, nowMs());
    }
    if (result.outcome !== 'failed') await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(100, 400));
  }
}

/** Tries one of many, finds it free mostly, and holds it for long. */
export async function calmLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(CALM_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: 0 });
    const result = await recordedAcquire(client, request, CALL_WITHIN_MS);
    if (result.outcome === 'ok') {
      const { belief } = taken(client, request, { ...result, lease: result.response.lease });
      await act(client, dice, belief, dice.between(2_500, 5_000));
      belief.ended('released');
    }
    await recordedRelease(client, request, CALL_WITHIN_MS);
    await client.pause(dice.between(100, 500));
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
