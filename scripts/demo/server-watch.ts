// Watches one server of the demo through GetServerInfo, as any caller could: whether it is usable, whether a quarantine
// is in force, and how it stands with the roll call. Owns the polling; the caller says what a change means.
import { setTimeout as sleep } from 'node:timers/promises';
import { QuarantineEnd_How } from '../../generated/leasehold/v1/server_info.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import type { TestClient } from '../../test/support/test-instance.ts';

export interface ServerState {
  readonly instanceId: string;
  readonly serving: boolean;
  /** How many reigns the store has seen. */
  readonly epoch: number;
  /** 0 when no quarantine is in force. */
  readonly quarantineMs: number;
  /** For how long it answers nothing yet because it has just joined; 0: it may. */
  readonly newcomerMs: number;
  /** The servers that the roll call waits for. */
  readonly missing: readonly MissingServer[];
  /** How the last quarantine ended that it has seen. */
  readonly lastEnd:
    | { readonly how: 'early' | 'full'; readonly why: string; readonly tookMs: number }
    | undefined;
}

export interface MissingServer {
  readonly instanceId: string;
  readonly unseenMs: number;
}

const EVERY_MS = 50;

/** Calls `changed` with the first state and whenever something changes that is worth a line. */
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
    if (!info) return undefined;
    const { rollCall } = info;
    const end = rollCall?.lastQuarantineEnd;
    return {
      instanceId: info.instanceId,
      serving: info.serving,
      epoch: Number(info.epoch),
      quarantineMs: millisecondsOf(info.quarantineRemaining),
      newcomerMs: millisecondsOf(rollCall?.newcomerRemaining),
      missing: (rollCall?.missingInstances ?? []).map(({ instanceId, unseen }) => ({
        instanceId,
        unseenMs: millisecondsOf(unseen),
      })),
      lastEnd: end && {
        how: end.how === QuarantineEnd_How.HOW_EARLY ? 'early' : 'full',
        why: end.why,
        tookMs: millisecondsOf(end.took),
      },
    };
  } catch (error) {
    if (error instanceof CallError) return undefined; // The server is starting, stopping or dead.
    throw error;
  }
}

function millisecondsOf(span: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return span === undefined ? 0 : Number(span.seconds) * 1_000 + span.nanos / 1e6;
}

function key(state: ServerState): string {
  const { serving, epoch, quarantineMs, newcomerMs, missing } = state;
  const waitsFor = missing.map(({ instanceId }) => instanceId).toSorted();
  const flags = `${serving} ${serving ? epoch : ''} ${quarantineMs > 0} ${newcomerMs > 0}`;
  return `${flags} ${waitsFor} ${endKey(state)}`;
}

/** Tells the last end of a quarantine from the one before. */
export function endKey({ lastEnd }: ServerState): string {
  return lastEnd === undefined ? '' : `${lastEnd.how} ${lastEnd.tookMs}`;
}
