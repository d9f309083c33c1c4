// The port of the gRPC server: accepts connections, with TLS or without, and has each of them speak HTTP/2. Owns the
// limits of HTTP/2, the certificates of connections to come, and the end of all connections.

import { performServerHandshake, type ServerOptions } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import type { Clock } from '../../domain/clock.ts';
import type { HostPort } from '../../domain/host-port.ts';
import { Deadlines } from './deadlines.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type ConnectionLimits, GrpcConnection } from './grpc-connection.ts';

/** What the server proves itself with: PEM texts. */
export interface ServerPems {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** If given, clients must show a certificate that one of these authorities signed. */
  readonly ca?: Buffer;
}

/** The limits of HTTP/2 for each connection. */
export interface SessionLimits {
  readonly concurrentStreams: number;
  /** Of the headers of one call. */
  readonly headerBytes: number;
  readonly sessionMemoryMb: number;
  /** A client may reset so many calls at once, and so many each second; if it resets more, its connection ends. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** After so many, the connection ends. */
  readonly invalidFrames: number;
  /** After so many streams that were refused before they were a call, the connection ends. */
  readonly rejectedStreams: number;
}

export interface ListenerOptions {
  readonly dispatcher: Dispatcher;
  /** undefined: plain text. */
  readonly tls: ServerPems | undefined;
  readonly limits: ConnectionLimits & SessionLimits;
  readonly clock: Clock;
}

/** The ages of connections differ by so much, up and down, or all clients would come back at the same time. */
const AGE_SPREAD = 0.1;
/** Parts of it, one after the other, spread evenly over 0 to 1. */
const GOLDEN_RATIO = 0.618;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #http2: ServerOptions;
  readonly #server: Server | TlsServer;
  readonly #deadlines: Deadlines;
  /** Of all clients, whether they speak HTTP/2 yet or not. */
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<GrpcConnection>();
  #accepted = 0;

  constructor(options: ListenerOptions) {
    const { tls, limits, clock } = options;
    this.#options = options;
    this.#http2 = http2Options(limits);
    this.#deadlines = new Deadlines(clock);
    this.#server = tls ? this.#overTls(tls) : createServer((socket) => this.#speak(socket));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Open connections of clients. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Resolves to the port. Rejects with the error of the system. */
  listen({ host, port }: HostPort): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        const bound = this.#server.address();
        resolve(bound && typeof bound === 'object' ? bound.port : port);
      });
    });
  }

  /** Takes no new connections and calls. Resolves when all connections are closed: after the grace at the latest. */
  close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close(graceMs);
    return closed;
  }

  /** Ends what is open. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** For connections from now on. Whether clients must show certificates stays as it was. */
  replaceCertificates(pems: ServerPems): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(pems);
  }

  #overTls(pems: ServerPems): TlsServer {
    const server = createTlsServer({
      ...pems,
      ALPNProtocols: ['h2'],
      requestCert: pems.ca !== undefined,
      rejectUnauthorized: true,
      handshakeTimeout: this.#options.limits.handshakeMs,
    });
    server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol === 'h2') this.#speak(socket);
      else socket.destroy();
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  #speak(socket: Socket): void {
    const { dispatcher, limits, clock } = this.#options;
    const session = performServerHandshake(socket, this.#http2);
    const place = (this.#accepted++ * GOLDEN_RATIO) % 1;
    const ageMs = limits.ageMs * (1 + AGE_SPREAD * (2 * place - 1));
    const connection = new GrpcConnection(socket, session, { ...limits, ageMs }, clock, this.#deadlines);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
    session.on('stream', (stream, headers) => dispatcher.dispatch(stream, headers, connection));
  }
}

function http2Options(limits: SessionLimits): ServerOptions {
  return {
    settings: {
      maxConcurrentStreams: limits.concurrentStreams,
      maxHeaderListSize: limits.headerBytes,
    },
    maxSessionMemory: limits.sessionMemoryMb,
    maxSessionInvalidFrames: limits.invalidFrames,
    maxSessionRejectedStreams: limits.rejectedStreams,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
  };
}
