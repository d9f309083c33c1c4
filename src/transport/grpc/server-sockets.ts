// Where clients connect: every address of the host, with TLS or without. Owns the handshake of TLS, the certificates of
// connections to come, and the end of all sockets.

import { lookup } from 'node:dns/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import type { HostPort } from '../../domain/host-port.ts';

/** What the server proves itself with: PEM texts. */
export interface ServerPems {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** If given, clients must show a certificate that one of these authorities signed. */
  readonly ca?: Buffer;
}

export class ServerSockets {
  readonly #handshakeMs: number;
  readonly #onSocket: (socket: Socket) => void;
  readonly #servers: Server[] = [];
  /** Of all clients, from their first packet. */
  readonly #sockets = new Set<Socket>();
  #pems: ServerPems | undefined;

  /** @param onSocket gets each socket on which the client may speak HTTP/2 now. */
  constructor(pems: ServerPems | undefined, handshakeMs: number, onSocket: (socket: Socket) => void) {
    this.#pems = pems;
    this.#handshakeMs = handshakeMs;
    this.#onSocket = onSocket;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Resolves to the port. Rejects with the error of the system. */
  async listen({ host, port }: HostPort): Promise<number> {
    const found = await lookup(host, { all: true });
    let bound = port;
    let failure: Error | undefined;
    for (const address of new Set(found.map(({ address }) => address))) {
      try {
        bound = await this.#bind(address, bound);
      } catch (error) {
        failure ??= error as Error; // of the system
      }
    }
    // A name such as localhost may have an address of IPv6 where the machine has no IPv6.
    if (failure && (this.#servers.length === 0 || !/EADDRNOTAVAIL|EAFNOSUPPORT/.test(failure.message))) {
      await this.close();
      throw failure;
    }
    return bound;
  }

  /** For connections from now on. Whether there is TLS, and clients must show certificates, stays as it was. */
  replaceCertificates(pems: ServerPems): void {
    this.#pems = pems;
    for (const server of this.#servers) if (server instanceof TlsServer) server.setSecureContext(pems);
  }

  /** Accepts no more. Resolves when all sockets are closed. */
  async close(): Promise<void> {
    const closed = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(this.#servers.map(closed));
  }

  /** Ends what is open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #bind(host: string, port: number): Promise<number> {
    const server = this.#pems ? this.#overTls(this.#pems) : createServer(this.#onSocket);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    const bound = await new Promise<number>((resolve, reject) => {
      // After that, it tells of a connection that the system couldn't give away. Others are not worse off.
      server.on('error', reject);
      server.listen({ host, port }, () => {
        const address = server.address();
        resolve(address && typeof address === 'object' ? address.port : port);
      });
    });
    this.#servers.push(server);
    return bound;
  }

  #overTls(pems: ServerPems): TlsServer {
    const server = createTlsServer({
      ...pems,
      ALPNProtocols: ['h2'],
      requestCert: pems.ca !== undefined,
      rejectUnauthorized: true,
      handshakeTimeout: this.#handshakeMs,
    });
    server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol === 'h2') this.#onSocket(socket);
      else socket.destroy();
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }
}
