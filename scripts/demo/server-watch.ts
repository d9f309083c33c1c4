// Watches one server of the demo through GetServerInfo, as any caller could: whether it is usable, and whether a
// quarantine is in force. Owns the polling; the caller says what a change means.
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../src/client/core/call-error.ts';
import type { TestClient } from '../../test/support/test-instance.ts';

export interface ServerState {
  readonly serving: boolean;
  /** How many reigns the store has seen. */
  readonly epoch: number;
  /** 0 when no quarantine is in force. */
  readonly quarantineMs: number;
}

const EVERY_MS = 100;

/** Calls `changed` with the first state and whenever `serving`, the epoch or being in quarantine changes. */
export async function watchServer(
  client: TestClient,
  signal: AbortSignal,
  changed: (state: ServerState, before: ServerState | undefined) => void,
): Promise<void> {
  let before: ServerState | undefined;
  while (!signal.aborted) {
    const state = await ask(client);
    if (state && (!before || key(state) !== key(before))) {
      changed(state, before);
      before = state;
    }
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function ask(client: TestClient): Promise<ServerState | undefined> {
  try {
    const { info } = await client.getServerInfo();
    const { seconds, nanos } = info?.quarantineRemaining ?? { seconds: 0n, nanos: 0 };
    return {
      serving: info?.serving ?? false,
      epoch: Number(info?.epoch ?? 0n),
      quarantineMs: Number(seconds) * 1_000 + nanos / 1e6,
    };
  } catch (error) {
    if (error instanceof CallError) return undefined; // The server is starting or stopping.
    throw error;
  }
}

function key({ serving, epoch, quarantineMs }: ServerState): string {
  return `${serving} ${serving ? epoch : ''} ${quarantineMs > 0}`;
}
