// Messages as bytes, with one writer for all of them. A writer of its own for each message grows its buffer from
// nothing, zeroes it and copies it, and all that costs more than the fields do.

import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** How the generated code of a message writes it. */
export interface MessageEncoder<Message> {
  encode(message: Message, writer: BinaryWriter): BinaryWriter;
}

/** After a message that is larger than this the writer's buffer is given up. */
const LARGEST_KEPT_BYTES = 16_384;
let writer = new BinaryWriter();

export function encodeMessage<Message>(type: MessageEncoder<Message>, message: Message): Buffer {
  try {
    const { buffer, byteLength } = type.encode(message, writer).finish(); // a copy, of this length
    if (byteLength > LARGEST_KEPT_BYTES) writer = new BinaryWriter();
    return Buffer.from(buffer, 0, byteLength);
  } catch (error) {
    writer = new BinaryWriter(); // half a message is in the other one
    throw error;
  }
}
