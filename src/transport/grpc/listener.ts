// The gRPC server on its port: has each client speak HTTP/2 within limits, and gives its requests to the dispatcher.
// Owns the limits of HTTP/2 and the connections.

import { performServerHandshake, type ServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '../../domain/clock.ts';
import type { HostPort } from '../../domain/host-port.ts';
import { Deadlines } from './deadlines.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type ConnectionLimits, GrpcConnection } from './grpc-connection.ts';
import { type ServerPems, ServerSockets } from './server-sockets.ts';

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
  readonly #sockets: ServerSockets;
  readonly #deadlines: Deadlines;
  readonly #connections = new Set<GrpcConnection>();
  #accepted = 0;
  #isClosing = false;

  constructor(options: ListenerOptions) {
    const { tls, limits, clock } = options;
    this.#options = options;
    this.#http2 = http2Options(limits);
    this.#deadlines = new Deadlines(clock);
    this.#sockets = new ServerSockets(tls, limits.handshakeMs, (socket) => this.#speak(socket));
  }

  /** Open connections of clients. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Resolves to the port. Rejects with the error of the system. */
  listen(address: HostPort): Promise<number> {
    return this.#sockets.listen(address);
  }

  /** For connections from now on. Whether there is TLS, and clients must show certificates, stays as it was. */
  replaceCertificates(pems: ServerPems): void {
    this.#sockets.replaceCertificates(pems);
  }

  /** Takes no new connections and calls. Resolves when all connections are closed: after the grace at the latest. */
  close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = this.#sockets.close();
    for (const connection of this.#connections) connection.close(graceMs);
    return closed;
  }

  /** Ends what is open. */
  destroy(): void {
    this.#sockets.destroy();
  }

  #speak(socket: Socket): void {
    if (this.#isClosing) socket.destroy(); // it was still in the handshake of TLS
    if (socket.destroyed) return;
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
