// How many connections a server has. grpc-js keeps them to itself, so this hears of them where Node accepts them.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const ACCEPTED = 'net.server.socket';

export class OpenConnections {
  readonly #port: number;
  #size = 0;

  /** Counts what comes to this port from now on. */
  constructor(port: number) {
    this.#port = port;
    subscribe(ACCEPTED, this.#heard);
  }

  get size(): number {
    return this.#size;
  }

  close(): void {
    unsubscribe(ACCEPTED, this.#heard);
  }

  readonly #heard = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket }; // as Node documents this channel
    if (socket.localPort !== this.#port) return;
    this.#size++;
    socket.once('close', () => {
      this.#size--;
    });
  };
}
