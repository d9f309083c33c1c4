// The loops that take locks, one acquisition after the other: by streams, by unary calls, several at once, and as a
// leader for ever. Each is the whole life of a client with one kind of call, with the manners and the bad habits of
// clients.

import { nowMs } from '../history.ts';
import { act } from './acting.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import {
  EXCLUSIVE_RESOURCES,
  LEADER_RESOURCE,
  LOCKED_RESOURCES,
  MANY_RESOURCES,
  PERMITS_LIMIT,
  PERMITS_RESOURCE,
  SHARED_RESOURCE,
} from './hot-resources.ts';
import { EXCLUSIVE, type LeaseRequest, type Mode, newRequest } from './lease-request.ts';
import { recordedHold, recordedKeep } from './recorded-hold.ts';
import {
  type CalledLease,
  recordedAcquire,
  recordedAcquireMany,
  recordedCheck,
  recordedRelease,
  recordedRenew,
  taken,
} from './recorded-locks.ts';

const HOLD_WAITS_MS = [0, 0, 300, 2_000, 8_000, 30_000] as const;
const CALL_WAITS_MS = [0, 0, 0, 0, 250, 1_500, 5_000] as const;
/** The timeout of a call that does not wait: some callers give up before the core would. */
const PATIENCE_MS = [1_000, 3_000, 6_000] as const;
/** The shortest that the contract allows. */
const SHORTEST_TTL_MS = 1_000;
const RELEASE_WITHIN_MS = 6_000;
/** Longer than `redis.command_timeout` of the rig: by then a call of unknown outcome has arrived, or never does. */
const RELEASE_AGAIN_AFTER_MS = 1_100;

/** A TTL of any length that the server allows. */
function ttlMs({ maxTtlMs }: ChaosClient, dice: Dice): number {
  return Math.round(dice.pick([Math.min(2_000, maxTtlMs), maxTtlMs / 2, maxTtlMs]));
}

/** Mostly short, so that the others have their turn; now and then longer than a lease lives without a renewal. */
function holdForMs(dice: Dice, ttl: number): number {
  return dice.chance(0.9) ? dice.between(30, 400) : dice.between(400, ttl * 1.2);
}

/** Leases by Hold. Some end with the connection, and of those some holders act on until their deadline. */
export async function holdLoop(
  client: ChaosClient,
  dice: Dice,
  { resource, mode }: { resource: () => string; mode: () => Mode } = {
    resource: () => dice.pick(EXCLUSIVE_RESOURCES),
    mode: () => EXCLUSIVE,
  },
): Promise<void> {
  const purpose = `hold ${dice.next()}`;
  let channel = client.connect(purpose);
  while (!client.isStopping) {
    const [waitMs, ttl] = [dice.pick(HOLD_WAITS_MS), ttlMs(client, dice)];
    const request = newRequest({ resource: resource(), mode: mode(), ttlMs: ttl, waitMs });
    const held = await recordedHold(client, channel, request);
    if (held) {
      await act(client, dice, held.belief, holdForMs(dice, ttl));
      if (dice.chance(0.15) && !client.isStopping) {
        client.disconnect(channel);
        channel = client.connect(purpose);
        if (dice.chance(0.5)) await act(client, dice, held.belief, client.maxTtlMs);
        held.belief.ended('moved-on');
      } else {
        await held.release();
      }
    }
    await client.pause(dice.between(20, 220));
  }
}

/** Leads until the leadership is lost; now and then resigns, so that the others have elections. */
export async function leaderLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const channel = client.connect('leader');
  while (!client.isStopping) {
    const request = newRequest({
      resource: LEADER_RESOURCE,
      mode: EXCLUSIVE,
      ttlMs: client.maxTtlMs,
      waitMs: Number.POSITIVE_INFINITY,
    });
    const held = await recordedHold(client, channel, request);
    if (held) {
      await act(client, dice, held.belief, dice.between(5_000, 60_000));
      await held.release();
    }
    await client.pause(dice.between(50, 1_000));
  }
}

/** Leases by Acquire, Renew and Release. */
export async function unaryLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const resources = [...EXCLUSIVE_RESOURCES, ...EXCLUSIVE_RESOURCES, MANY_RESOURCES[0], ...LOCKED_RESOURCES];
  while (!client.isStopping) {
    const resource = resources[dice.below(resources.length)] ?? EXCLUSIVE_RESOURCES[0];
    await oneByCalls(client, dice, resource, EXCLUSIVE);
    await client.pause(dice.between(20, 220));
  }
}

/** Shared leases, now and then with an exclusive one in between; by both kinds of calls. */
export async function sharedLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const mode = (): Mode => (dice.chance(0.8) ? { kind: 'shared' } : EXCLUSIVE);
  await bothWays(client, dice, SHARED_RESOURCE, mode);
}

export async function permitsLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const mode = (): Mode => ({ kind: 'permits', permits: 1 + dice.below(3), limit: PERMITS_LIMIT });
  await bothWays(client, dice, PERMITS_RESOURCE, mode);
}

async function bothWays(client: ChaosClient, dice: Dice, resource: string, mode: () => Mode): Promise<void> {
  const byStream = holdLoop(client, client.dice(`holding ${resource}`), { resource: () => resource, mode });
  while (!client.isStopping) {
    await oneByCalls(client, dice, resource, mode());
    await client.pause(dice.between(50, 500));
  }
  await byStream;
}

async function oneByCalls(client: ChaosClient, dice: Dice, resource: string, mode: Mode): Promise<void> {
  const [waitMs, ttl, patienceMs] = [dice.pick(CALL_WAITS_MS), ttlMs(client, dice), dice.pick(PATIENCE_MS)];
  const request = newRequest({ resource, mode, ttlMs: ttl, waitMs });
  let result = await recordedAcquire(client, request, patienceMs);
  // Repeats the same acquisition to learn how it ended, or although that is known; half the time at another server.
  for (let again = 0; again < 2 && dice.chance(result.outcome === 'unknown' ? 0.6 : 0.1); again++) {
    if (client.isStopping || (result.outcome !== 'unknown' && result.outcome !== 'ok')) break;
    if (dice.chance(0.5)) client.channel.leave(client.channel.seat);
    const next = await recordedAcquire(client, request, patienceMs);
    // A repeat that fails ends no lease that the caller was told of.
    if (result.outcome !== 'ok' || next.outcome === 'ok') result = next;
  }
  if (result.outcome === 'ok') {
    const granted = { ...result, lease: result.response.lease };
    if (dice.chance(0.2)) {
      const held = recordedKeep(client, client.channel, request, granted);
      await act(client, dice, held.belief, holdForMs(dice, ttl));
      await held.release();
    } else {
      await holdByCalls(client, dice, taken(client, request, granted));
    }
  } else if (result.outcome === 'unknown' || waitMs > 0) {
    await recordedRelease(client, request, RELEASE_WITHIN_MS);
    if (result.outcome !== 'unknown' || dice.chance(0.7)) return;
    await client.pause(RELEASE_AGAIN_AFTER_MS);
    await recordedRelease(client, request, RELEASE_WITHIN_MS);
  }
}

async function holdByCalls(client: ChaosClient, dice: Dice, lease: CalledLease): Promise<void> {
  const { request, belief } = lease;
  const untilMs = nowMs() + holdForMs(dice, request.ttlMs);
  while (nowMs() < untilMs && !belief.isOver && !client.isStopping) {
    await act(client, dice, belief, Math.min(untilMs - nowMs(), request.ttlMs / 4));
    if (belief.isOver || client.isStopping) break;
    if (dice.chance(0.6)) await recordedRenew(client, lease, dice.pick(PATIENCE_MS));
    if (dice.chance(0.2)) await recordedCheck(client, lease, dice.pick(PATIENCE_MS));
  }
  if (dice.chance(0.1) && !client.isStopping) {
    // The last TTL that it asks for is shorter than what it has: it may act until the deadline that it was told before.
    if (dice.chance(0.5)) await recordedRenew(client, lease, dice.pick(PATIENCE_MS), SHORTEST_TTL_MS);
    if (dice.chance(0.5)) await act(client, dice, belief, client.maxTtlMs);
    belief.ended('moved-on');
    return;
  }
  // Its belief is over, but perhaps not its lease: a renewal must not bring back what has lapsed.
  if (belief.isOver && dice.chance(0.5)) await recordedRenew(client, lease, dice.pick(PATIENCE_MS));
  belief.ended('released');
  for (let again = 0; again === 0 || (again < 3 && dice.chance(0.1)); again++) {
    await recordedRelease(client, request, RELEASE_WITHIN_MS);
  }
  if (dice.chance(0.1)) await recordedCheck(client, lease, dice.pick(PATIENCE_MS));
}

/** Two of three at once, in any order: callers that take them so can't wait for each other. */
export async function manyLoop(client: ChaosClient, dice: Dice): Promise<void> {
  while (!client.isStopping) {
    const first = dice.below(MANY_RESOURCES.length);
    const second = (first + 1 + dice.below(MANY_RESOURCES.length - 1)) % MANY_RESOURCES.length;
    const [waitMs, ttl] = [dice.pick(CALL_WAITS_MS), ttlMs(client, dice)];
    const requests = [first, second].map((index): LeaseRequest => {
      const resource = MANY_RESOURCES[index] ?? MANY_RESOURCES[0];
      return newRequest({ resource, mode: EXCLUSIVE, ttlMs: ttl, waitMs });
    });
    await twoAtOnce(client, dice, requests, waitMs);
    await client.pause(dice.between(50, 500));
  }
}

async function twoAtOnce(
  client: ChaosClient,
  dice: Dice,
  requests: readonly LeaseRequest[],
  waitMs: number,
): Promise<void> {
  let result = await recordedAcquireMany(client, requests, waitMs, dice.pick(PATIENCE_MS));
  const isInDoubt = result.outcome === 'unknown' && result.error.reason !== 'LOCK_CONTENDED';
  if (dice.chance(isInDoubt ? 0.6 : result.outcome === 'ok' ? 0.1 : 0) && !client.isStopping) {
    const next = await recordedAcquireMany(client, requests, waitMs, dice.pick(PATIENCE_MS));
    if (result.outcome !== 'ok' || next.outcome === 'ok') result = next;
  }
  const beliefs: CalledLease['belief'][] = [];
  if (result.outcome === 'ok') {
    for (const [index, request] of requests.entries()) {
      const lease = result.response.leases[index];
      beliefs.push(taken(client, request, { ...result, lease }).belief);
    }
    const forMs = holdForMs(dice, client.maxTtlMs);
    await Promise.all(beliefs.map((belief) => act(client, dice, belief, forMs)));
  }
  for (const belief of beliefs) belief.ended('released');
  await Promise.all(requests.map((request) => recordedRelease(client, request, RELEASE_WITHIN_MS)));
}
