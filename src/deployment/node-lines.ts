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

interface Line {
  readonly opening: Promise<Connection>;
  /** Undefined until it is open. */
  connection: Connection | undefined;
}

export class NodeLines {
  readonly #options: NodeLinesOptions;
  readonly #lines = new Map<string, Line>();
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
      // After anything but a refusal, the next reply on the connection could be the answer to this question.
      if (!isRefusal(error)) connection.destroy();
      throw error;
    }
  }

  /** The connection to the node. Rejects when it can't be reached. */
  open(address: HostPort): Promise<Connection> {
    const key = formatHostPort(address);
    const known = this.#lines.get(key);
    if (known && !known.connection?.isClosed) return known.opening;
    const { settings, clock } = this.#options;
    const opening = Connection.open(address, settings, clock, this.#closing.signal);
    const line: Line = { opening, connection: undefined };
    this.#lines.set(key, line); // before it is open: two who ask at once share it
    opening.then(
      (connection) => {
        line.connection = connection;
      },
      () => {
        if (this.#lines.get(key) === line) this.#lines.delete(key);
      },
    );
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

/** Whether Redis has answered, with an error: the connection is fine. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

function destroy({ opening }: Line): void {
  opening.then(
    (connection) => connection.destroy(),
    () => {},
  );
}
