// Connections to the nodes of a deployment, one to each, for those who only look: the monitor, the doctor, the drill.
// Each is opened when it is first needed, kept, and opened again when it broke. The path of locks never uses them.

import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { Connection, type ConnectionSettings } from '../store/redis/connection.ts';

export interface NodeLinesOptions {
  readonly settings: ConnectionSettings;
  readonly clock: Clock;
  /** How long one command may take, once connected. */
  readonly timeoutMs: number;
}

export class NodeLines {
  readonly #options: NodeLinesOptions;
  readonly #lines = new Map<string, Promise<Connection>>();
  readonly #closing = new AbortController();

  constructor(options: NodeLinesOptions) {
    this.#options = options;
  }

  /**
   * Sends one command to the node and resolves with its reply. Rejects with what Redis says, or when the node can't be
   * reached or doesn't answer in time; the next call then connects anew.
   */
  async ask(address: HostPort, command: string, ...args: (string | number)[]): Promise<unknown> {
    const connection = await this.open(address);
    try {
      return await connection.callWithin(this.#options.timeoutMs, command, ...args);
    } catch (error) {
      // Redis has refused the command, and the connection is fine. After anything else the next reply on it could be
      // the answer to this question.
      if (!isRefusal(error)) connection.destroy();
      throw error;
    }
  }

  /** The connection to the node. Rejects when it can't be reached. */
  async open(address: HostPort): Promise<Connection> {
    const key = formatHostPort(address);
    const known = await this.#lines.get(key)?.catch(() => undefined);
    if (known && !known.isClosed) return known;
    const { settings, clock } = this.#options;
    const opening = Connection.open(address, settings, clock, this.#closing.signal);
    this.#lines.set(key, opening);
    return opening;
  }

  /** Forgets the nodes that are not among these. */
  keepOnly(addresses: readonly HostPort[]): void {
    const kept = new Set(addresses.map(formatHostPort));
    for (const [key, line] of this.#lines) {
      if (kept.has(key)) continue;
      this.#lines.delete(key);
      destroy(line);
    }
  }

  close(): void {
    this.#closing.abort(new Error('closing'));
    for (const line of this.#lines.values()) destroy(line);
    this.#lines.clear();
  }
}

/** Whether Redis has answered, with an error: the connection and the node are fine. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function destroy(line: Promise<Connection>): void {
  line.then(
    (connection) => connection.destroy(),
    () => {},
  );
}
