// Makes the socket of one connection, in place of the library's own connector, which listens for the first error of
// a socket only. A TLS peer can send an alert after the handshake has failed: that second error would have no
// listener, and would end the process.

import { createConnection, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { AbstractConnector } from 'ioredis';

export interface SocketOptions {
  readonly host?: string;
  readonly port?: number;
  readonly tls?: ConnectionOptions;
  readonly disconnectTimeout?: number;
}

export class SocketConnector extends AbstractConnector {
  readonly #options: SocketOptions;

  constructor(options: unknown) {
    const own = options as SocketOptions; // the library passes on what connection.ts gave it
    super(own.disconnectTimeout ?? 0);
    this.#options = own;
  }

  override connect(): Promise<Socket | TLSSocket> {
    this.connecting = true;
    const { host = '127.0.0.1', port = 6379, tls } = this.#options;
    const stream = tls ? connect({ ...tls, host, port }) : createConnection({ host, port });
    stream.on('error', (error) => {
      this.firstError ??= error;
    });
    this.stream = stream;
    return Promise.resolve(stream);
  }
}
