// What each server says of itself while a drill runs: whether it serves, under which reign, and how long it still
// grants nothing. Asks each of them by a connection of its own.

import type { Client, RollCallFacts, ServerInfo } from '../client/client.ts';
import { type Clock, pause } from '../domain/clock.ts';

export interface ServerState {
  readonly serving: boolean;
  readonly reign: string;
  /** 0 when no quarantine is in force. */
  readonly quarantineMs: number;
  /** How long it answers nothing yet, because it has just registered; absent: it answers. */
  readonly newcomerMs?: number | undefined;
  /** How the last quarantine ended that it has seen; absent before the first, and without a roll call. */
  readonly quarantineEnd?: QuarantineEnd | undefined;
  /** It doesn't answer. */
  readonly isSilent?: true;
}

export type QuarantineEnd = NonNullable<RollCallFacts['lastQuarantineEnd']>;

const EVERY_MS = 200;
const ANSWER_MS = 1_000;

export function stateOf({ serving, reign, quarantineRemainingMs = 0, rollCall }: ServerInfo): ServerState {
  return {
    serving,
    reign,
    quarantineMs: quarantineRemainingMs,
    newcomerMs: rollCall?.newcomerRemainingMs,
    quarantineEnd: rollCall?.enabled ? rollCall.lastQuarantineEnd : undefined,
  };
}

type Asked = Pick<Client, 'serverInfo'>;

export class ServerStates {
  readonly #last = new Map<string, ServerState>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Asks until the signal aborts. Tells when a server begins or ends to serve, to grant, or a reign. Never rejects. */
  async watch(
    servers: ReadonlyMap<string, Asked>,
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
    return this.#last.size > 0 && this.notGrantingAfter(reign).length === 0;
  }

  /** The servers that don't. */
  notGrantingAfter(reign: string): readonly string[] {
    const isBack = (state: ServerState): boolean =>
      state.serving && state.reign !== reign && state.quarantineMs === 0;
    return [...this.#last].filter(([, state]) => !isBack(state)).map(([server]) => server);
  }

  /**
   * Whether a server uses the primary of another reign than this one, and none that of this one. A server that is
   * silent or has no primary doesn't count: it can write to none.
   */
  areAfter(reign: string): boolean {
    const serving = [...this.#last.values()].filter((state) => state.serving);
    return serving.length > 0 && serving.every((state) => state.reign !== reign);
  }

  /** How long the quarantine lasts that is in force, in milliseconds; 0 without one. */
  quarantineMs(): number {
    return Math.max(0, ...[...this.#last.values()].map(({ quarantineMs }) => quarantineMs));
  }

  /** How the quarantine ended, as servers under another reign than this one tell. One that was full says why. */
  quarantineEndAfter(reign: string): QuarantineEnd | undefined {
    const ends = [...this.#last.values()]
      .filter((state) => state.serving && state.reign !== reign && state.quarantineMs === 0)
      .flatMap(({ quarantineEnd }) => quarantineEnd ?? []);
    return ends.find(({ how }) => how === 'full') ?? ends[0];
  }

  async #ask(client: Asked, signal: AbortSignal): Promise<ServerState> {
    try {
      return stateOf(await client.serverInfo({ timeoutMs: ANSWER_MS, signal }));
    } catch {
      return { serving: false, reign: '', quarantineMs: 0, isSilent: true };
    }
  }
}

function keyOf({ serving, reign, quarantineMs, isSilent }: ServerState): string {
  if (isSilent) return 'silent';
  return serving ? `${reign} ${quarantineMs > 0}` : '';
}
