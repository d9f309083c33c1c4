// A writer's connection to the guarded resource. Answers come in the order of the writes. A connection that breaks
// leaves its writes without an answer; the next write connects again.

import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { GuardAnswer, GuardedWrite } from './guard.ts';

interface Connection {
  readonly socket: Socket;
  readonly waiting: ((answer: GuardAnswer | undefined) => void)[];
}

export class GuardClient {
  readonly #path: string;
  #connection: Connection | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#connection = this.#connect();
  }

  /** Whether it was accepted; undefined where nobody can know. */
  async write(write: GuardedWrite): Promise<boolean | undefined> {
    this.#connection ??= this.#connect();
    const { socket, waiting } = this.#connection;
    const answer = await new Promise<GuardAnswer | undefined>((resolve) => {
      waiting.push(resolve);
      socket.write(`${JSON.stringify(write)}\n`);
    });
    return answer?.accepted;
  }

  close(): void {
    this.#connection?.socket.destroy();
  }

  #connect(): Connection {
    const socket = connect(this.#path);
    const lines = createInterface(socket);
    const connection: Connection = { socket, waiting: [] };
    // The guard of this suite wrote it.
    lines.on('line', (line) => connection.waiting.shift()?.(JSON.parse(line) as GuardAnswer));
    for (const each of [socket, lines]) each.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#connection === connection) this.#connection = undefined;
      for (const resolve of connection.waiting.splice(0)) resolve(undefined);
    });
    return connection;
  }
}
