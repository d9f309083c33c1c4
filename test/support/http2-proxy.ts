// A proxy between a client and a server that speaks HTTP/2 itself, as Envoy and nginx do. It passes calls on until a
// test tells it to do what proxies do to calls: reset their streams, answer for the server, say GOAWAY, go away.
// What happens to bytes on the way is the business of tcp-proxy.ts.
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';

/** What it does to a call in place of passing it on. */
export type InPlace = (stream: ServerHttp2Stream) => void;

export const resets =
  (code: number): InPlace =>
  (stream) =>
    stream.close(code);

/** Answers with a status of HTTP and no word of gRPC, as for a server that it can't reach. */
export const answers =
  (status: number): InPlace =>
  (stream) => {
    stream.respond({ ':status': status, 'content-type': 'text/plain' });
    stream.end('upstream connect error');
  };

/** Ends the call with a status of gRPC and no details. */
export const ends =
  (status: number): InPlace =>
  (stream) =>
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': `${status}`,
        'grpc-message': 'upstream request timeout',
      },
      { endStream: true },
    );

export class Http2Proxy {
  readonly address: HostPort;
  readonly #server: Http2Server;
  readonly #target: string;
  #upstream: ClientHttp2Session | undefined;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new Set<ServerHttp2Stream>();
  #inPlace: InPlace[] = [];
  #toAll: InPlace | undefined;
  #kept = 0;

  private constructor(server: Http2Server, address: HostPort, target: HostPort) {
    this.address = address;
    this.#server = server;
    this.#target = `http://${formatHostPort(target)}`;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => {});
    });
    server.on('stream', (stream, headers) => this.#take(stream, headers));
  }

  static async start(target: HostPort): Promise<Http2Proxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // not a pipe: see above
    return new Http2Proxy(server, { host: '127.0.0.1', port }, target);
  }

  /** The calls that are open. */
  get open(): number {
    return this.#streams.size;
  }

  /** What is to happen to the next calls, one after the other, in place of passing them on. */
  nextCalls(...inPlace: readonly InPlace[]): void {
    this.#inPlace = [...inPlace];
  }

  /** How many of these calls haven't come yet. */
  get awaited(): number {
    return this.#inPlace.length;
  }

  /** What is to happen to all calls from now on, in place of passing them on; `undefined`: they are passed on again. */
  set allCalls(inPlace: InPlace | undefined) {
    this.#toAll = inPlace;
    this.#kept = 0;
  }

  /** How many calls weren't passed on since `allCalls` was set. */
  get kept(): number {
    return this.#kept;
  }

  /** Does it to every call that is open, and returns how many they were. */
  toOpenCalls(inPlace: InPlace): number {
    const streams = [...this.#streams];
    for (const stream of streams) inPlace(stream);
    return streams.length;
  }

  /** Says GOAWAY on each connection and lets the calls on it go on. */
  goAway(): void {
    for (const session of this.#sessions) session.goaway(constants.NGHTTP2_NO_ERROR);
  }

  /** Ends each connection at once, and the calls with it. */
  drop(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#streams.add(stream);
    stream.on('error', () => {});
    stream.on('close', () => this.#streams.delete(stream));
    const inPlace = this.#inPlace.shift() ?? this.#toAll;
    if (inPlace) {
      this.#kept += 1;
      inPlace(stream);
    } else this.#passOn(stream, headers);
  }

  /** One connection to the server carries the calls of all clients; a new one follows one that has broken. */
  #connected(): ClientHttp2Session {
    if (!this.#upstream || this.#upstream.closed || this.#upstream.destroyed) {
      this.#upstream = connect(this.#target);
      this.#upstream.on('error', () => {});
    }
    return this.#upstream;
  }

  #passOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const upstream = this.#connected();
    const call = upstream.request(headers as OutgoingHttpHeaders); // received ones can be sent
    let trailers: OutgoingHttpHeaders = {};
    call.on('error', () => {});
    call.on('response', (answer, flags) => {
      if (stream.closed) return;
      const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      stream.respond(answer as OutgoingHttpHeaders, { endStream, waitForTrailers: !endStream });
    });
    call.on('trailers', (given) => {
      trailers = given as OutgoingHttpHeaders;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('close', () => call.close(constants.NGHTTP2_CANCEL));
    call.on('close', () => {
      if (stream.closed) return;
      if (upstream.destroyed && !stream.headersSent) answers(502)(stream);
      else if (call.rstCode !== constants.NGHTTP2_NO_ERROR) stream.close(call.rstCode);
    });
    stream.pipe(call);
    call.pipe(stream);
  }

  stop(): void {
    this.drop();
    this.#upstream?.destroy();
    this.#server.close();
  }
}
