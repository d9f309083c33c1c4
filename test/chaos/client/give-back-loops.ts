// The loops around what a server gives back: AcquireMany, of one lock, takes back what it could not tell of, and the
// next holder has it at once. Only in runs whose plan asks for them.

import { act } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { GIVEN_BACK_RESOURCES } from './hot-resources.ts';
import { EXCLUSIVE, newRequest } from './lease-request.ts';
import { recordedAcquire, recordedAcquireMany, recordedRelease, taken } from './recorded-locks.ts';

const CALL_WITHIN_MS = 2_000;
const WAIT_MS = 3_000;
const REPEATS = 8;

/** Asks for the same acquisition until it is told, here and there; holds it for a while. */
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
export async function lingerLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const resource = dice.pick(GIVEN_BACK_RESOURCES);
    const request = newRequest({ resource, mode: EXCLUSIVE, ttlMs: client.maxTtlMs, waitMs: WAIT_MS });
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
