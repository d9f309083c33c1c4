// Server streams of gRPC over HTTP/2 by hand, for loads of many streams: a client of grpc-js needs as much CPU and
// memory for a stream as the server that is to be measured. One connection sends the same headers for all its streams,
// prebuilt and uncompressed, and understands of what comes no more than frames and the messages in them. It reads no
// headers, so it can't tell why a stream has ended.
import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../../src/domain/host-port.ts';

export interface RawStream {
  /** One message; the bytes are another's after the call. */
  message(bytes: Buffer): void;
  ended(): void;
}

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, windowUpdate: 8 } as const;
const FRAME_HEADER = 9;
/** Flags of frames: the last of its stream, an answer, and headers in one piece. */
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const PADDED = 8;
const MESSAGE_HEADER = 5;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const LARGEST_WINDOW = 2 ** 31 - 1;
const FIRST_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;
const NOTHING = Buffer.alloc(0);

export class RawConnection {
  readonly #socket: Socket;
  readonly #headers: Buffer;
  readonly #streams = new Map<number, RawStream>();
  /** Messages that have come in part, by stream. */
  readonly #begun = new Map<number, Buffer>();
  #unread: Buffer = NOTHING;
  #nextId = 1;
  #isClosed = false;

  private constructor(socket: Socket, headers: Buffer) {
    this.#socket = socket;
    this.#headers = headers;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', () => undefined); // close follows
    socket.on('close', () => this.#endAll());
  }

  /** `path`: the method of all its streams, '/package.Service/Method'. */
  static async open(address: string, path: string): Promise<RawConnection> {
    const target = parseHostPort(address, 1);
    if (!target) throw new Error(`no address: ${address}`);
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    const connection = new RawConnection(socket, headersOf(path, address));
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    // All windows as large as they can be: no flow control while a load lasts.
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
    settings.writeUInt32BE(LARGEST_WINDOW, 2);
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(LARGEST_WINDOW - FIRST_WINDOW, 0);
    socket.write(
      Buffer.concat([
        Buffer.from(PREFACE),
        frame(FRAME.settings, 0, 0, settings),
        frame(FRAME.windowUpdate, 0, 0, increment),
      ]),
    );
    return connection;
  }

  call(request: Uint8Array, stream: RawStream): void {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#streams.set(id, stream);
    const message = Buffer.alloc(MESSAGE_HEADER + request.length);
    message.writeUInt32BE(request.length, 1);
    message.set(request, MESSAGE_HEADER);
    this.#socket.write(
      Buffer.concat([
        frame(FRAME.headers, END_HEADERS, id, this.#headers),
        frame(FRAME.data, END_STREAM, id, message),
      ]),
    );
  }

  /** Its streams are told nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const all = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let at = 0;
    while (all.length - at >= FRAME_HEADER) {
      const end = at + FRAME_HEADER + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.#frame(all[at + 3] ?? 0, all[at + 4] ?? 0, all.readUInt32BE(at + 5), all, at + FRAME_HEADER, end);
      at = end;
    }
    this.#unread = all.subarray(at);
  }

  #frame(type: number, flags: number, id: number, all: Buffer, from: number, to: number): void {
    switch (type) {
      case FRAME.data:
        if (flags & PADDED) throw new Error('padded frames are not read');
        this.#data(id, all, from, to);
        break;
      case FRAME.settings:
        if (!(flags & ACK)) this.#socket.write(frame(FRAME.settings, ACK, 0, NOTHING));
        return;
      case FRAME.ping:
        if (!(flags & ACK)) this.#socket.write(frame(FRAME.ping, ACK, 0, all.subarray(from, to)));
        return;
    }
    const isLast = type === FRAME.reset || (type <= FRAME.headers && (flags & END_STREAM) !== 0);
    if (isLast) this.#end(id);
  }

  #data(id: number, all: Buffer, from: number, to: number): void {
    const begun = this.#begun.get(id);
    const bytes = begun ? Buffer.concat([begun, all.subarray(from, to)]) : all;
    const end = begun ? bytes.length : to;
    let at = begun ? 0 : from;
    while (end - at >= MESSAGE_HEADER) {
      const next = at + MESSAGE_HEADER + bytes.readUInt32BE(at + 1);
      if (next > end) break;
      this.#streams.get(id)?.message(bytes.subarray(at + MESSAGE_HEADER, next));
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
 * The number of the first field behind those that are texts of fewer than 128 bytes and numbered up to `texts`: the
 * kind of an event, where that is a oneof. 0: there is none.
 */
export function fieldBehind(texts: number, message: Buffer): number {
  let at = 0;
  for (;;) {
    const field = (message[at] ?? 0) >> 3;
    if (field === 0 || field > texts) return field;
    at += 2 + (message[at + 1] ?? 0);
  }
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  bytes.set(payload, FRAME_HEADER);
  return bytes;
}

// HPACK (RFC 7541): fields of the static table by their index, values as plain texts that no table remembers.
function headersOf(path: string, authority: string): Buffer {
  const text = (value: string): Buffer => {
    if (value.length >= 127) throw new Error(`too long for one byte of length: ${value}`);
    return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  };
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]), // :method POST, :scheme http, :path
    text(path),
    Buffer.from([0x01]), // :authority
    text(authority),
    Buffer.from([0x0f, 0x10]), // content-type
    text('application/grpc'),
    Buffer.from([0x00]), // a name of its own
    text('te'),
    text('trailers'),
  ]);
}
