// Ends a lease, or the wait for it. Only this does: the end of a stream never releases.

import type { Channel } from './channel.ts';
import { callUnary } from './unary-call.ts';

/** How long a call that doesn't wait is tried, over all instances. */
export const ANSWER_WITHIN_MS = 10_000;

/** Whether a live lease was ended. Throws CallError when no server could be asked in time. */
export async function release(
  channel: Channel,
  { resource, leaseId }: { readonly resource: string; readonly leaseId: string },
): Promise<boolean> {
  const deadlineMs = channel.clock.monotonicMs() + ANSWER_WITHIN_MS;
  const { response } = await callUnary<{ released: boolean }>(
    channel,
    ({ locks }, metadata, options, callback) =>
      locks.release({ resource, leaseId }, metadata, options, callback),
    { deadlineMs },
  );
  return response.released;
}
