// A generated service as it is served. Its decoders never throw: for bytes that are no message of the type, the gRPC
// layer would answer INTERNAL without details, although the fault is the caller's. Its encoders share one writer, and
// send what is encoded already as it is.

import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { CoordinationError } from '../domain/errors.ts';

/** Stands in for a request that could not be decoded; the handlers refuse it. */
export class Undecodable {
  readonly error = new CoordinationError(
    'INVALID_ARGUMENT',
    'request: must be a valid protobuf message of its type',
    {
      violations: [{ field: 'request', description: 'must be a valid protobuf message of its type' }],
    },
  );
}

/** A message as its bytes: sent as it is. */
export type Encoded = Buffer;

/** How the generated code of a message writes it. */
interface MessageEncoder<Message> {
  encode(message: Message, writer: BinaryWriter): BinaryWriter;
}

/** The same methods once more, as the generated code names the types of their messages. */
interface Definition {
  readonly methods: Readonly<Record<string, { readonly responseType: MessageEncoder<unknown> }>>;
}

interface Method {
  requestDeserialize(bytes: Buffer): unknown;
}

export function serviceDefinition<Service extends object>(
  service: Service,
  { methods }: Definition,
): Service {
  const served = Object.entries(service).map(([name, method]: [string, Method]) => {
    const responseType = methods[name]?.responseType;
    if (!responseType) throw new Error(`the generated definitions have no ${name}`);
    const decode = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch {
        return new Undecodable();
      }
    };
    const encode = (message: unknown): Uint8Array =>
      Buffer.isBuffer(message) ? message : encodeMessage(responseType, message);
    return [name, { ...method, requestDeserialize: decode, responseSerialize: encode }];
  });
  return Object.fromEntries(served) as Service; // same names, same types: only the codecs are others
}

// One writer for all messages. A writer of its own for each message would grow its buffer from nothing, zero it and
// copy it, and all that costs more than the fields do.

/** After a message that is larger than this, the writer and its buffer are replaced. */
const LARGEST_KEPT_BYTES = 16_384;
let writer = new BinaryWriter();

function encodeMessage<Message>(type: MessageEncoder<Message>, message: Message): Uint8Array {
  try {
    const bytes = type.encode(message, writer).finish(); // a copy, of this length
    if (bytes.length > LARGEST_KEPT_BYTES) writer = new BinaryWriter();
    return bytes;
  } catch (error) {
    writer = new BinaryWriter(); // the old one has half a message in it
    throw error;
  }
}
