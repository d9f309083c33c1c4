// A gRPC server of the transport's own layer with four rpcs that tests lead, and a client that is nothing but
// node:http2: it sends any headers and bytes, and tells what came back frame by frame.

import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import type { TestContext } from 'vitest';
import {
  CallFrames,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  frame,
  readFrames,
} from '../../bench/loads/call-frames.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { CallMetadata } from '../../src/transport/grpc/call-metadata.ts';
import { Dispatcher, type DispatcherOptions } from '../../src/transport/grpc/dispatcher.ts';
import type { ConnectionLimits } from '../../src/transport/grpc/grpc-connection.ts';
import { Listener, type SessionLimits } from '../../src/transport/grpc/listener.ts';
import { type Rpc, rpcsOf, type StreamCall, type UnaryCall } from '../../src/transport/grpc/rpc.ts';
import type { ServerPems } from '../../src/transport/grpc/server-sockets.ts';
import { eventually } from './eventually.ts';

type Limits = ConnectionLimits &
  SessionLimits & {
    readonly messageBytes: number;
    readonly refusalOf?: DispatcherOptions['refusalOf'];
  };

const LIMITS: Limits = {
  messageBytes: 1_000,
  handshakeMs: 5_000,
  idleMs: 60_000,
  ageMs: 60_000,
  graceMs: 5_000,
  keepaliveTimeMs: 30_000,
  keepaliveTimeoutMs: 5_000,
  heldBytes: 100_000,
  concurrentStreams: 1_000,
  headerBytes: 8_192,
  sessionMemoryMb: 10,
  resetBurst: 1_000,
  resetsPerSecond: 100,
  invalidFrames: 100,
  rejectedStreams: 100,
};

const BYTES = {
  requestDeserialize: (bytes: Buffer): Buffer => bytes,
  responseSerialize: (bytes: Buffer): Buffer => bytes,
};

/** Answers with the request. */
export const ECHO = '/test.Service/Echo';
/** Is not answered but by the test, which finds the call in `unary`. */
export const WAIT = '/test.Service/Wait';
/** The same for a stream: `streams`. */
export const STREAM = '/test.Service/Stream';
/** Answers each message with itself. */
export const EACH = '/test.Service/Each';

const SERVICE = {
  echo: { ...BYTES, path: ECHO, requestStream: false, responseStream: false },
  wait: { ...BYTES, path: WAIT, requestStream: false, responseStream: false },
  stream: { ...BYTES, path: STREAM, requestStream: false, responseStream: true },
  each: { ...BYTES, path: EACH, requestStream: true, responseStream: true },
} as const;

/** What came back. */
export interface Reply {
  readonly headers: IncomingHttpHeaders;
  /** With their prefixes. */
  readonly body: Buffer;
  /** Empty if the headers were the end. */
  readonly trailers: IncomingHttpHeaders;
  /** 0 unless the stream was reset. */
  readonly resetCode: number;
}

export interface GrpcRig {
  readonly listener: Listener;
  readonly port: number;
  readonly unary: UnaryCall<Buffer, Buffer>[];
  readonly streams: StreamCall<Buffer, Buffer>[];
  readonly echoed: Buffer[];
  /** Of the calls in `unary`. */
  readonly metadata: CallMetadata[];
  /** A connection, which is closed when the test ends. */
  connect(options?: SecureClientSessionOptions): ClientHttp2Session;
}

/** Ends with the test. */
export async function grpcRig(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  limits: Partial<Limits> = {},
  tls?: ServerPems,
  host = '127.0.0.1',
  wantedPort = 0,
): Promise<GrpcRig> {
  const unary: UnaryCall<Buffer, Buffer>[] = [];
  const streams: StreamCall<Buffer, Buffer>[] = [];
  const echoed: Buffer[] = [];
  const metadata: CallMetadata[] = [];
  const rpcs: Rpc[] = rpcsOf(SERVICE, {
    echo: (call) => {
      echoed.push(call.request);
      call.answer(call.request);
    },
    wait: (call) => {
      unary.push(call);
      metadata.push(call.metadata);
    },
    stream: (call) => streams.push(call),
    each: (request) => request,
  });
  const all = { ...LIMITS, ...limits };
  const dispatcher = new Dispatcher({
    rpcs,
    messageBytes: all.messageBytes,
    refusalOf: (path) => all.refusalOf?.(path),
  });
  const listener = new Listener({ dispatcher, tls, limits: all, clock: systemClock });
  const port = await listener.listen({ host, port: wantedPort });
  onTestFinished(async () => {
    const closed = listener.close(0);
    listener.destroy();
    await closed;
  });
  return {
    listener,
    port,
    unary,
    streams,
    echoed,
    metadata,
    connect(options) {
      const session = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, options);
      session.on('error', () => {}); // tests look at what the calls got
      onTestFinished(() => session.destroy());
      return session;
    },
  };
}

/** A message as it is sent. `flags` and `length` in place of what is right. */
export function prefixed(message: string | Buffer, flags = 0, length = Buffer.byteLength(message)): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}

/** Opens a call and leaves it to the test to send more. */
export function open(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
  options: { readonly endStream?: boolean } = {},
): ClientHttp2Stream {
  const stream = session.request(
    { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers },
    { endStream: false, ...options },
  );
  stream.on('error', () => {}); // see Reply.resetCode
  return stream;
}

/** Resolves when the stream is closed. */
export async function replyOf(stream: ClientHttp2Stream): Promise<Reply> {
  const chunks: Buffer[] = [];
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('response', (sent) => {
    headers = sent;
  });
  stream.on('trailers', (sent) => {
    trailers = sent;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Not `once`, which rejects with errors.
  if (!stream.destroyed) await new Promise<void>((resolve) => stream.on('close', resolve));
  const resetCode = stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
  return { headers, body: Buffer.concat(chunks), trailers, resetCode };
}

/** One call with this body. */
export function ask(
  session: ClientHttp2Session,
  path: string,
  body: Buffer = prefixed('hello'),
  headers: OutgoingHttpHeaders = {},
): Promise<Reply> {
  const stream = open(session, path, headers);
  stream.end(body);
  return replyOf(stream);
}

/** The code and the message, as the client sees them: in trailers, or in headers without any. */
export function statusOf({ headers, trailers }: Reply): [string, string] {
  const from = headers['grpc-status'] === undefined ? trailers : headers;
  return [String(from['grpc-status']), String(from['grpc-message'] ?? '')];
}

/** The HEADERS frame of a call, with more headers. */
export function headersOf(
  path: string,
  stream: number,
  more: readonly (readonly [name: string, value: string])[] = [],
): Buffer {
  const { bytes, dataBytes } = new CallFrames('test', path, Buffer.alloc(0));
  const block = bytes.subarray(FRAME_HEADER_BYTES, bytes.length - dataBytes - FRAME_HEADER_BYTES);
  const literal = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text)]);
  const added = more.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]);
  return frame(FRAME.headers, FLAG.endHeaders, Buffer.concat([block, ...added]), stream);
}

/** A frame that the server sent. */
export interface WireFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A TCP connection on which tests write frames by hand, also wrong ones. */
export class Wire {
  readonly frames: WireFrame[] = [];
  /** To go on with in another way. */
  readonly socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {}); // tests look at whether it is closed
    socket.on('data', (chunk: Buffer) => {
      this.#rest = readFrames(Buffer.concat([this.#rest, chunk]), (type, flags, stream, bytes, from, to) =>
        this.frames.push({ type, flags, stream, payload: Buffer.from(bytes.subarray(from, to)) }),
      );
    });
  }

  /** Ends with the test. */
  static async connect({ onTestFinished }: Pick<TestContext, 'onTestFinished'>, port: number): Promise<Wire> {
    const socket = connectSocket({ host: '127.0.0.1', port, noDelay: true });
    onTestFinished(() => void socket.destroy());
    const wire = new Wire(socket);
    await once(socket, 'connect');
    return wire;
  }

  get isClosed(): boolean {
    return this.socket.closed;
  }

  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  /** Ends without a goodbye. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  has(type: number, stream: number): boolean {
    return this.frames.some((seen) => seen.type === type && seen.stream === stream);
  }

  /** The server has read all that was sent before. */
  async roundTrip(): Promise<void> {
    const acks = (): number =>
      this.frames.filter(({ type, flags }) => type === FRAME.ping && (flags & FLAG.ack) !== 0).length;
    const before = acks();
    this.send(frame(FRAME.ping, 0, Buffer.alloc(8)));
    await eventually(() => acks() > before, { what: 'the answer to a ping', withinMs: 5_000, everyMs: 5 });
  }

  async closed(): Promise<void> {
    await eventually(() => this.isClosed, { what: 'the end of the connection', withinMs: 8_000 });
  }
}
