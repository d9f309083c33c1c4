// A client that makes unary gRPC calls with as little work as possible, so that the load generator doesn't take CPU
// from the server that it measures: it sends prepared frames (call-frames.ts) over one TCP connection, and reads only
// the message and status of the answer. Owns the parts of HTTP/2 that this needs. It keeps no deadlines (open-loop.ts
// cancels by itself), has no retries and no metadata, and is for servers on this machine.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../../src/domain/host-port.ts';
import {
  type CallFrames,
  FIRST_WINDOW,
  FLAG,
  FRAME,
  frame,
  MESSAGE_PREFIX_BYTES,
  opening,
  readFrames,
  SETTING,
  SETTING_BYTES,
  uint32,
} from './call-frames.ts';

/**
 * Hears how a call has ended: by the number of its gRPC status, `closed` if the connection has ended before, or
 * `refused` if the server hasn't looked at the call.
 */
export type CallEnded = (status: string, message: Buffer) => void;

interface OpenCall {
  readonly ended: CallEnded;
  data: Buffer;
}

/** After this many bytes, the server is told that they were read. */
const READ_BEFORE_UPDATE = 0x2000_0000;
/** Frames that can be ignored, once those that need an answer have been answered. */
const HARMLESS: ReadonlySet<number> = new Set([
  FRAME.headers,
  FRAME.settings,
  FRAME.ping,
  FRAME.windowUpdate,
]);
const NOTHING = Buffer.alloc(0);
const CANCEL = uint32(8);
/** What the reason of a RST_STREAM means to a client of gRPC; others are INTERNAL. */
const OF_RESETS: ReadonlyMap<number, string> = new Map([
  [7, 'refused'], // REFUSED_STREAM
  [8, '1'], // CANCEL: CANCELLED
  [11, '8'], // ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED
]);
const INTERNAL = '13';
/** `grpc-status` as HPACK writes it (with its Huffman code, which is shorter), before the length of the value. */
const STATUS_NAME = Buffer.from('889acac8b21234da8f', 'hex');

export class FrameClient {
  readonly #socket: Socket;
  readonly #open = new Map<number, OpenCall>();
  /** Calls that wait for room in the server's window. */
  readonly #held: { readonly frames: CallFrames; readonly call: OpenCall }[] = [];
  #nextStream = 1;
  #window = FIRST_WINDOW;
  #mostStreams = Number.POSITIVE_INFINITY;
  #read = 0;
  #rest: Buffer = NOTHING;
  #isCorked = false;
  #failure: Error | undefined;
  readonly #heard = Promise.withResolvers<void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection of the load generator was closed')));
  }

  /** Returns when the server has said how many calls it takes at once. */
  static async connect(address: string): Promise<FrameClient> {
    const target = parseHostPort(address, 1);
    if (!target) throw new Error(`no address: ${address}`);
    const socket = connect({ ...target, noDelay: true });
    await once(socket, 'connect');
    // The header table is empty, so that equal trailers are equal bytes.
    socket.write(
      opening([
        [SETTING.headerTableSize, 0],
        [SETTING.enablePush, 0],
      ]),
    );
    const client = new FrameClient(socket);
    await client.#heard.promise;
    return client;
  }

  /** Resolves with the answer's message; rejects unless the status is OK. Then the frames can be used again. */
  call(frames: CallFrames): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const ended: CallEnded = (status, message) => {
        if (status === '0') resolve(message);
        else reject(this.#failure ?? new Error(`${frames.path}: status ${status}`));
      };
      const call = { ended, data: NOTHING };
      if (this.#failure) reject(this.#failure);
      else if (this.#window < frames.dataBytes) this.#held.push({ frames, call });
      else this.#write(frames.onStream(this.#enter(frames, call)));
    });
  }

  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether the server would let it begin this call now. */
  hasRoomFor(frames: CallFrames): boolean {
    return this.#open.size < this.#mostStreams && this.#window >= frames.dataBytes && !this.isClosed;
  }

  /** Sends a copy of the frames, which can be used again at once, and returns the stream by which to cancel it. */
  begin(frames: CallFrames, ended: CallEnded): number {
    const stream = this.#enter(frames, { ended, data: NOTHING });
    this.#write(Buffer.from(frames.onStream(stream)));
    return stream;
  }

  /** As a client of gRPC does when its deadline passes. The call isn't told of its end. */
  cancel(stream: number): void {
    if (this.#settle(stream)) this.#write(frame(FRAME.reset, 0, CANCEL, stream));
  }

  close(): void {
    this.#socket.destroy();
  }

  #enter(frames: CallFrames, call: OpenCall): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#window -= frames.dataBytes;
    this.#open.set(stream, call);
    return stream;
  }

  /** Everything that is written in one turn of the event loop leaves in one piece. */
  #write(bytes: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  #received(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = readFrames(bytes, (type, flags, stream, all, from, to) => {
      this.#frame(type, flags, stream, all.subarray(from, to));
    });
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    const isAnswer = (flags & FLAG.ack) !== 0;
    if (type === FRAME.data) this.#data(flags, stream, payload);
    // The headers before the message aren't needed; the trailers have the status.
    else if (type === FRAME.headers && (flags & FLAG.endStream) !== 0) this.#ended(stream, payload);
    else if (type === FRAME.settings && !isAnswer) this.#heed(payload);
    else if (type === FRAME.ping && !isAnswer) this.#write(frame(type, FLAG.ack, payload));
    else if (type === FRAME.windowUpdate && stream === 0) this.#widen(payload.readUInt32BE(0));
    else if (type === FRAME.reset) this.#reset(stream, payload.readUInt32BE(0));
    else if (type === FRAME.goAway) this.#goAway(payload.readUInt32BE(0));
    else if (!HARMLESS.has(type)) this.#fail(new Error(`a frame of type ${type}: the load can't go on`));
  }

  #data(flags: number, stream: number, payload: Buffer): void {
    const call = this.#open.get(stream);
    if (stream >= this.#nextStream || (flags & (FLAG.padded | FLAG.endStream)) !== 0) {
      this.#fail(new Error('a message that no gRPC server sends'));
      return;
    }
    // A stream that was cancelled may still get what was under way.
    if (call) call.data = call.data.length === 0 ? payload : Buffer.concat([call.data, payload]);
    this.#read += payload.length;
    if (this.#read < READ_BEFORE_UPDATE) return;
    this.#write(frame(FRAME.windowUpdate, 0, uint32(this.#read)));
    this.#read = 0;
  }

  #ended(stream: number, trailers: Buffer): void {
    const call = this.#settle(stream);
    call?.ended(statusIn(trailers), call.data.subarray(MESSAGE_PREFIX_BYTES));
  }

  #reset(stream: number, reason: number): void {
    this.#settle(stream)?.ended(OF_RESETS.get(reason) ?? INTERNAL, NOTHING);
  }

  #goAway(lastStream: number): void {
    const unseen = [...this.#open.keys()].filter((stream) => stream > lastStream);
    const calls = unseen.map((stream) => this.#settle(stream));
    this.#fail(new Error('the server told the load generator to go away'));
    for (const call of calls) call?.ended('refused', NOTHING);
  }

  #settle(stream: number): OpenCall | undefined {
    const call = this.#open.get(stream);
    this.#open.delete(stream);
    return call;
  }

  #widen(by: number): void {
    this.#window += by;
    for (const { frames, call } of this.#held.splice(0)) {
      if (this.#window < frames.dataBytes) this.#held.push({ frames, call });
      else this.#write(frames.onStream(this.#enter(frames, call)));
    }
  }

  #heed(settings: Buffer): void {
    for (let at = 0; at + SETTING_BYTES <= settings.length; at += SETTING_BYTES) {
      if (settings.readUInt16BE(at) === SETTING.mostStreams)
        this.#mostStreams = settings.readUInt32BE(at + 2);
    }
    this.#write(frame(FRAME.settings, FLAG.ack, NOTHING));
    this.#heard.resolve();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#heard.reject(error);
    const waiting = [...this.#open.values(), ...this.#held.splice(0).map(({ call }) => call)];
    this.#open.clear();
    this.#socket.destroy();
    for (const { ended } of waiting) ended('closed', NOTHING);
  }
}

/** 'unknown' if the trailers are encoded in a way that grpc-js and grpc-go don't use. */
function statusIn(trailers: Buffer): string {
  const at = trailers.indexOf(STATUS_NAME);
  const length = trailers[at + STATUS_NAME.length] ?? 0;
  const digits = at + STATUS_NAME.length + 1;
  return at < 0 || length > 2 ? 'unknown' : trailers.toString('latin1', digits, digits + length);
}
