// A gRPC call with one request as the bytes on the wire, made once and sent many times: one HEADERS and one DATA frame
// of HTTP/2 in one buffer, in which only the number of the stream and the ids in the message change. The headers are
// literals that enter no table, so the bytes of a call don't depend on other calls. Owns how both handwritten clients
// (frame-client.ts, raw-streams.ts) begin a connection and write frames.

/** What a client sends first. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const FIRST_WINDOW = 65_535;
const LARGEST_WINDOW = 0x7fff_ffff;
export const SETTING = { headerTableSize: 1, enablePush: 2, mostStreams: 3, initialWindowSize: 4 } as const;
export const SETTING_BYTES = 6;
export const FRAME_HEADER_BYTES = 9;
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8 } as const;

/** A message follows one byte "not compressed" and four bytes of length. */
export const MESSAGE_PREFIX_BYTES = 5;
/** Indices in the static table of HPACK. */
const METHOD_POST = 0x83;
const SCHEME_HTTP = 0x86;
const PATH_NAME = 0x04;
/** gRPC allows eight digits before the unit, here milliseconds. */
const TIMEOUT_DIGITS = 8;
/** Literals of HPACK are written here with one byte of length. */
const LONGEST_LITERAL = 126;

export class CallFrames {
  readonly path: string;
  readonly bytes: Buffer;
  readonly #dataAt: number;
  readonly #timeoutAt: number | undefined;

  /** `hasTimeout` gives the call a deadline, which `setTimeout` says. */
  constructor(authority: string, path: string, message: Uint8Array, hasTimeout = false) {
    const timeout = '0'.repeat(TIMEOUT_DIGITS);
    const headers = Buffer.concat([
      Buffer.from([METHOD_POST, SCHEME_HTTP, PATH_NAME]),
      literal(path),
      ...header(':authority', authority),
      ...header('content-type', 'application/grpc'),
      ...header('te', 'trailers'),
      ...header('user-agent', 'leasehold-bench'),
      ...(hasTimeout ? header('grpc-timeout', `${timeout}m`) : []),
    ]);
    const data = Buffer.concat([Buffer.alloc(MESSAGE_PREFIX_BYTES), message]);
    data.writeUInt32BE(message.length, 1);
    this.path = path;
    this.bytes = Buffer.concat([
      frame(FRAME.headers, FLAG.endHeaders, headers),
      frame(FRAME.data, FLAG.endStream, data),
    ]);
    this.#dataAt = FRAME_HEADER_BYTES + headers.length;
    // It is the last of the headers.
    this.#timeoutAt = hasTimeout ? this.#dataAt - TIMEOUT_DIGITS - 1 : undefined;
  }

  /** How much of the receiver's window the call takes. */
  get dataBytes(): number {
    return this.bytes.length - this.#dataAt - FRAME_HEADER_BYTES;
  }

  /** Where the ids are in `bytes`; each occurs in the message once. */
  placeOf(text: string): number {
    const at = this.bytes.indexOf(text, this.#dataAt, 'latin1');
    if (at < 0 || this.bytes.includes(text, at + 1, 'latin1'))
      throw new Error(`${text} has no place of its own`);
    return at;
  }

  /** Replaces the ids by others of the same length. */
  patch(place: number, text: string): void {
    this.bytes.write(text, place, 'latin1');
  }

  /** What is left of the time of the call when it is sent. */
  setTimeout(ms: number): void {
    if (this.#timeoutAt === undefined) throw new Error('a call without a deadline');
    this.patch(this.#timeoutAt, String(Math.max(1, Math.round(ms))).padStart(TIMEOUT_DIGITS, '0'));
  }

  onStream(id: number): Buffer {
    this.bytes.writeUInt32BE(id, 5);
    this.bytes.writeUInt32BE(id, this.#dataAt + 5);
    return this.bytes;
  }
}

export function frame(type: number, flags: number, payload: Uint8Array, stream = 0): Buffer {
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** One frame as it arrived: its payload lies between two offsets of what was read. */
export type FrameSink = (
  type: number,
  flags: number,
  stream: number,
  bytes: Buffer,
  from: number,
  to: number,
) => void;

/** Passes on each complete frame, and returns the bytes that are left. */
export function readFrames(bytes: Buffer, each: FrameSink): Buffer {
  let at = 0;
  while (bytes.length - at >= FRAME_HEADER_BYTES) {
    const from = at + FRAME_HEADER_BYTES;
    const to = from + bytes.readUIntBE(at, 3);
    if (to > bytes.length) break;
    each(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5), bytes, from, to);
    at = to;
  }
  return bytes.subarray(at);
}

/** The first bytes of a connection. Its windows are as large as possible, so answers can have any size. */
export function opening(settings: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const all = [...settings, [SETTING.initialWindowSize, LARGEST_WINDOW] as const];
  const payload = Buffer.alloc(all.length * SETTING_BYTES);
  for (const [index, [id, value]] of all.entries()) {
    payload.writeUInt16BE(id, index * SETTING_BYTES);
    payload.writeUInt32BE(value, index * SETTING_BYTES + 2);
  }
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(FRAME.settings, 0, payload),
    frame(FRAME.windowUpdate, 0, uint32(LARGEST_WINDOW - FIRST_WINDOW)),
  ]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function header(name: string, value: string): readonly Buffer[] {
  return [Buffer.from([0]), literal(name), literal(value)];
}

function literal(text: string): Buffer {
  if (text.length > LONGEST_LITERAL)
    throw new Error(`"${text}" is longer than a header of the benchmark may be`);
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
}
