// How long a server process that takes the place of another waits until it takes connections.

import { type Clock, pause } from '../domain/clock.ts';
import type { Store } from '../store/store.ts';

/** Where there is no primary, the others behind the port have none either. */
const CONNECTS_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 100;

/** Waits until the store is usable, and while it isn't because this instance has just registered. */
export async function storeAnswers(store: Pick<Store, 'status'>, clock: Clock): Promise<void> {
  const untilMs = clock.monotonicMs() + CONNECTS_WITHIN_MS;
  for (;;) {
    const { usable, rollCall } = store.status();
    if (usable) return;
    if (rollCall.newcomerRemainingMs === 0 && clock.monotonicMs() >= untilMs) return;
    await pause(clock, LOOK_EVERY_MS);
  }
}
