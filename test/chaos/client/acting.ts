// What a holder does: it looks whether it still holds, and writes to the guarded resource, again and again.

import { nowMs } from '../history.ts';
import type { Belief } from './belief.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';

const WRITE_EVERY_MS = { least: 20, most: 150 };

/**
 * Acts for this long, but not past the end of its belief, and not after the client was told to stop. Only leases that
 * exclude each other have a guarded resource: a holder of another lease only holds.
 */
export async function act(client: ChaosClient, dice: Dice, belief: Belief, forMs: number): Promise<void> {
  const untilMs = nowMs() + forMs;
  for (;;) {
    const leftMs = untilMs - nowMs();
    if (leftMs <= 0 || belief.isOver || client.isStopping) return;
    if (belief.name.mode !== 'exclusive') {
      await client.pause(Math.min(leftMs, WRITE_EVERY_MS.most));
      continue;
    }
    if (!(await writeOnce(client, belief))) return;
    await client.pause(Math.min(leftMs, dice.between(WRITE_EVERY_MS.least, WRITE_EVERY_MS.most)));
  }
}

/** One write, if the holder still holds. Returns whether another one can follow. */
export async function writeOnce(client: ChaosClient, belief: Belief): Promise<boolean> {
  const { resource, token } = belief.name;
  const look = belief.look();
  if (look.untilMs <= look.atMs) return false;
  const write = { lookedAtMs: look.atMs, believedUntilMs: look.untilMs };
  const accepted = await client.guard.write({ resource, token, by: client.name, ...write });
  // A later holder was here. The checker judges whether that was right.
  if (accepted === false) client.recorder.noted('refused by the guard', resource);
  return accepted !== false;
}
