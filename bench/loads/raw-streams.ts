// Handwritten gRPC server streams over HTTP/2, for loads of many streams: for a stream, a client of grpc-js needs as
// much CPU and memory as the server that is measured. One connection opens streams of one method, and understands only
// frames and the messages in them. It reads no headers, so it can't tell why a stream has ended.
import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { CallFrames, FLAG, FRAME, frame, MESSAGE_PREFIX_BYTES, opening, readFrames } from './call-frames.ts';

export interface RawStream {
  /** Gets one message; its bytes are reused after the call. */
  message(bytes: Buffer): void;
  ended(): void;
}

const NOTHING = Buffer.alloc(0);

export class RawConnection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #path: string;
  readonly #streams = new Map<number, RawStream>();
  /** Messages that have arrived in part, by stream. */
  readonly #begun = new Map<number, Buffer>();
  #unread: Buffer = NOTHING;
  #nextId = 1;
  #isClosed = false;

  private constructor(socket: Socket, authority: string, path: string) {
    this.#socket = socket;
    this.#authority = authority;
    this.#path = path;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#endAll());
  }

  /** `path` is the method of all streams, '/package.Service/Method'. */
  static async open(address: string, path: string): Promise<RawConnection> {
    const target = parseHostPort(address, 1);
    if (!target) throw new Error(`no address: ${address}`);
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    const connection = new RawConnection(socket, address, path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(opening());
    return connection;
  }

  call(request: Uint8Array, stream: RawStream): void {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#streams.set(id, stream);
    this.#socket.write(new CallFrames(this.#authority, this.#path, request).onStream(id));
  }

  /** Its streams get no further message. */
  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const all = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    this.#unread = readFrames(all, (type, flags, id, read, from, to) => {
      this.#frame(type, flags, id, read, from, to);
    });
  }

  #frame(type: number, flags: number, id: number, all: Buffer, from: number, to: number): void {
    switch (type) {
      case FRAME.data:
        if (flags & FLAG.padded) throw new Error('padded frames are not read');
        this.#data(id, all, from, to);
        break;
      case FRAME.settings:
        if (!(flags & FLAG.ack)) this.#socket.write(frame(FRAME.settings, FLAG.ack, NOTHING));
        return;
      case FRAME.ping:
        if (!(flags & FLAG.ack)) this.#socket.write(frame(FRAME.ping, FLAG.ack, all.subarray(from, to)));
        return;
    }
    const isLast = type === FRAME.reset || (type <= FRAME.headers && (flags & FLAG.endStream) !== 0);
    if (isLast) this.#end(id);
  }

  #data(id: number, all: Buffer, from: number, to: number): void {
    const begun = this.#begun.get(id);
    const bytes = begun ? Buffer.concat([begun, all.subarray(from, to)]) : all;
    const end = begun ? bytes.length : to;
    let at = begun ? 0 : from;
    while (end - at >= MESSAGE_PREFIX_BYTES) {
      const next = at + MESSAGE_PREFIX_BYTES + bytes.readUInt32BE(at + 1);
      if (next > end) break;
      this.#streams.get(id)?.message(bytes.subarray(at + MESSAGE_PREFIX_BYTES, next));
      at = next;
    }
    if (at < end) this.#begun.set(id, Buffer.from(bytes.subarray(at, end)));
    else if (begun) this.#begun.delete(id);
  }

  #end(id: number): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    this.#begun.delete(id);
    if (!this.#isClosed) stream?.ended();
  }

  #endAll(): void {
    for (const id of [...this.#streams.keys()]) this.#end(id);
  }
}

/**
 * The number of the first field after the texts, which are numbered up to `texts` and shorter than 128 bytes: the kind
 * of an event, if that is a oneof. 0 if there is no such field.
 */
export function fieldBehind(texts: number, message: Buffer): number {
  let at = 0;
  for (;;) {
    const field = (message[at] ?? 0) >> 3;
    if (field === 0 || field > texts) return field;
    at += 2 + (message[at + 1] ?? 0);
  }
}
