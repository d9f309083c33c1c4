// A replica that acknowledges what a test tells it to, and when: for the rules of durability, which are about the
// moments between a write and its acknowledgement. It speaks as much of the protocol as a primary asks for, and keeps
// no data.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from '../eventually.ts';
import type { RedisProcess } from './redis-process.ts';

export class ScriptedReplica {
  readonly #primary: RedisProcess;
  readonly #socket: Socket;
  #acknowledgesAll = false;
  #timer: NodeJS.Timeout | undefined;

  private constructor(primary: RedisProcess, socket: Socket) {
    this.#primary = primary;
    this.#socket = socket;
    // The primary sends writes, and questions for the offset; this replica reads nothing from either.
    socket.resume();
    socket.on('error', () => undefined);
  }

  /** Returns when the primary counts it as online. It has acknowledged nothing by then. */
  static async attach(primary: RedisProcess): Promise<ScriptedReplica> {
    const socket = connect({ ...primary.listens, noDelay: true });
    await once(socket, 'connect');
    const replica = new ScriptedReplica(primary, socket);
    replica.#say('PSYNC', '?', '-1');
    await eventually(
      async () => {
        replica.#say('REPLCONF', 'ACK', '0'); // only this makes it online
        return (await primary.info('replication')).get('slave0')?.includes('state=online');
      },
      { what: 'a replica', withinMs: 30_000 },
    );
    return replica;
  }

  /** Acknowledges everything up to this offset of the primary, and nothing after it. */
  acknowledge(offset: number): void {
    this.#say('REPLCONF', 'ACK', String(offset));
  }

  /** From now on it acknowledges everything at once, or, as in the beginning, nothing new. */
  acknowledgeAll(all: boolean): void {
    this.#acknowledgesAll = all;
    if (all) void this.#follow();
  }

  detach(): void {
    this.#acknowledgesAll = false;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  async #follow(): Promise<void> {
    if (!this.#acknowledgesAll) return;
    const offset = await offsetOf(this.#primary).catch(() => 0);
    if (!this.#acknowledgesAll) return;
    this.acknowledge(offset);
    this.#timer = setTimeout(() => void this.#follow(), 5);
  }

  #say(...words: readonly string[]): void {
    const parts = words.map((word) => `$${word.length}\r\n${word}\r\n`);
    this.#socket.write(`*${words.length}\r\n${parts.join('')}`);
  }
}

/** How far the primary has come. */
export async function offsetOf(primary: RedisProcess): Promise<number> {
  return Number((await primary.info('replication')).get('master_repl_offset'));
}
