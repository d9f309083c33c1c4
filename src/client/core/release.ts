// Ends a lease, or the wait for it. Nothing else does: the end of a stream never releases.

import type { Channel } from './channel.ts';
import { callUnary } from './unary-call.ts';

/** How long the client tries a call that doesn't wait, over all instances. */
export const ANSWER_WITHIN_MS = 10_000;

/** How long a caller that got no lease waits for it to be given back; the release goes on after that. */
const GIVE_BACK_MS = 1_000;

/** A lease, or the wait for one, that can be released. */
export interface ReleaseName {
  readonly resource: string;
  readonly leaseId: string;
}

/** Says whether it ended a live lease. Throws CallError when no server answered in time. */
export async function release(channel: Channel, { resource, leaseId }: ReleaseName): Promise<boolean> {
  const deadlineMs = channel.clock.monotonicMs() + ANSWER_WITHIN_MS;
  const { response } = await callUnary<{ released: boolean }>(
    channel,
    ({ locks }, metadata, options, callback) =>
      locks.release({ resource, leaseId }, metadata, options, callback),
    { deadlineMs },
  );
  return response.released;
}

/**
 * Releases what may be queued, or even granted, where this client can't hear of it any more. Never throws: the caller
 * gets no lease, and a release that fails is no news to it. The releases go on after `withinMs`.
 */
export async function giveBack(
  channel: Channel,
  names: readonly ReleaseName[],
  withinMs = GIVE_BACK_MS,
): Promise<void> {
  const done = new AbortController();
  const releases = names.map((name) => release(channel, name).catch(() => false));
  void Promise.all(releases).then(() => done.abort());
  await channel.pause(Math.min(GIVE_BACK_MS, withinMs), done.signal);
}
