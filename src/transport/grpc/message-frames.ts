// Messages on the wire: a flag that says whether the message is compressed, its length, and the message. Owns what is
// held of a message that hasn't come as a whole: never more than one, and never more than was received, doubled.

import { gunzipSync, inflateSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import type { CallStatus } from './call-status.ts';

export const PREFIX_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** Undoes a compression. Throws for other bytes, and for more than `maxOutputLength`. */
type Decompress = (bytes: Buffer, limit: { readonly maxOutputLength: number }) => Buffer;

/** By the name of the encoding; undefined: the messages aren't compressed. */
export const ENCODINGS: ReadonlyMap<string, Decompress | undefined> = new Map([
  ['identity', undefined],
  ['gzip', gunzipSync],
  ['deflate', inflateSync],
]);

/** The client sent what can't be read. */
export class Unreadable extends Error {
  readonly status: CallStatus;

  constructor(code: status, message: string) {
    super(message);
    this.status = { code, message };
  }
}

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

export class MessageReader {
  readonly #mostBytes: number;
  readonly #decompress: Decompress | undefined;
  #held: Buffer = NOTHING;
  #from = 0;
  #end = 0;
  /** Whether others see what is held; then nothing may be written behind it. */
  #isShared = true;

  constructor(mostBytes: number, decompress: Decompress | undefined) {
    this.#mostBytes = mostBytes;
    this.#decompress = decompress;
  }

  /** Bytes that no message was made of yet. */
  get heldBytes(): number {
    return this.#end - this.#from;
  }

  /** Whether something follows the next message. */
  get hasMore(): boolean {
    const bytes = this.#messageBytes();
    return bytes !== undefined && this.heldBytes > PREFIX_BYTES + bytes;
  }

  /** Throws Unreadable as soon as it shows. */
  push(chunk: Buffer): void {
    if (this.heldBytes === 0) {
      this.#held = chunk;
      this.#from = 0;
      this.#end = chunk.length;
      this.#isShared = true;
    } else {
      const bytes = this.heldBytes + chunk.length;
      if (this.#isShared || this.#from + bytes > this.#held.length)
        this.#moveTo(Buffer.allocUnsafe(2 * bytes));
      chunk.copy(this.#held, this.#end);
      this.#end += chunk.length;
    }
    this.#check();
  }

  /** The next message, if all of it is there. Throws Unreadable. */
  take(): Buffer | undefined {
    const bytes = this.#messageBytes();
    if (bytes === undefined || this.heldBytes < PREFIX_BYTES + bytes) return undefined;
    const begin = this.#from + PREFIX_BYTES;
    const isCompressed = this.#held[this.#from] === 1;
    const message = this.#held.subarray(begin, begin + bytes);
    this.#from = begin + bytes;
    if (this.heldBytes === 0) this.#held = NOTHING; // a stream may live for hours, and its reader with it
    this.#check();
    return isCompressed ? this.#decompressed(message) : message;
  }

  #check(): void {
    const bytes = this.#messageBytes();
    if (bytes === undefined) return;
    const flag = this.#held[this.#from] ?? 0;
    if (flag > 1) throw new Unreadable(status.INTERNAL, `a message begins with the flags ${flag}`);
    if (flag === 1 && !this.#decompress)
      throw new Unreadable(status.INTERNAL, 'a message is compressed, but there is no grpc-encoding');
    if (bytes > this.#mostBytes) throw this.#tooLarge(`${bytes} bytes`);
  }

  /** As the prefix says; undefined if that hasn't come yet. */
  #messageBytes(): number | undefined {
    return this.heldBytes < PREFIX_BYTES ? undefined : this.#held.readUInt32BE(this.#from + 1);
  }

  #moveTo(room: Buffer): void {
    this.#end = this.#held.copy(room, 0, this.#from, this.#end);
    this.#from = 0;
    this.#held = room;
    this.#isShared = false;
  }

  #decompressed(message: Buffer): Buffer {
    try {
      return this.#decompress?.(message, { maxOutputLength: this.#mostBytes }) ?? message;
    } catch (error) {
      if (error instanceof RangeError) throw this.#tooLarge('more than that when decompressed');
      throw new Unreadable(status.INTERNAL, 'a message cannot be decompressed');
    }
  }

  #tooLarge(found: string): Unreadable {
    return new Unreadable(
      status.RESOURCE_EXHAUSTED,
      `a message may have ${this.#mostBytes} bytes, and this one has ${found}`,
    );
  }
}
