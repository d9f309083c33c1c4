// What each server says of itself while a drill runs: whether it serves, under which reign, and how long it still
// grants nothing. Asks each of them by a connection of its own.

import type { Client, ServerInfo } from '../client/client.ts';
import { type Clock, pause } from '../domain/clock.ts';

export interface ServerState {
  readonly serving: boolean;
  readonly reign: string;
  /** 0 when no quarantine is in force. */
  readonly quarantineMs: number;
}

const EVERY_MS = 200;
const ANSWER_MS = 1_000;

export function stateOf({ serving, reign, quarantineRemainingMs = 0 }: ServerInfo): ServerState {
  return { serving, reign, quarantineMs: quarantineRemainingMs };
}

export class ServerStates {
  readonly #last = new Map<string, ServerState>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asks until the signal aborts. Tells when a server begins or ends to serve, to grant, or a reign. Never rejects. */
  async watch(
    servers: ReadonlyMap<string, Client>,
    changed: (server: string, state: ServerState, before: ServerState | undefined) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await Promise.all(
      [...servers].map(async ([server, client]) => {
        while (!signal.aborted) {
          const state = await this.#ask(client, signal);
          if (signal.aborted) return;
          const before = this.#last.get(server);
          this.#last.set(server, state);
          if (!before || keyOf(before) !== keyOf(state)) changed(server, state, before);
          await pause(this.#clock, EVERY_MS, signal);
        }
      }),
    );
  }

  /** Whether every server grants, under another reign than this one. */
  allGrantAfter(reign: string): boolean {
    return this.allServeAfter(reign) && this.quarantineMs() === 0;
  }

  /** Whether every server uses the primary of another reign than this one. */
  allServeAfter(reign: string): boolean {
    const states = [...this.#last.values()];
    return states.length > 0 && states.every((state) => state.serving && state.reign !== reign);
  }

  /** How long the quarantine lasts that is in force, in milliseconds; 0 without one. */
  quarantineMs(): number {
    return Math.max(0, ...[...this.#last.values()].map(({ quarantineMs }) => quarantineMs));
  }

  async #ask(client: Client, signal: AbortSignal): Promise<ServerState> {
    try {
      return stateOf(await client.serverInfo({ timeoutMs: ANSWER_MS, signal }));
    } catch {
      return { serving: false, reign: '', quarantineMs: 0 };
    }
  }
}

function keyOf({ serving, reign, quarantineMs }: ServerState): string {
  return serving ? `${reign} ${quarantineMs > 0}` : '';
}
