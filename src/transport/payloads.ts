// google.protobuf.Any and google.rpc.Status to the opaque bytes that the store keeps, and back.

import { Any } from '../../generated/google/protobuf/any.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import type { Payload } from '../domain/operation.ts';

/** Undefined for no Any, and for an empty one. */
export function encodedAny(any: Any | undefined): Payload | undefined {
  const bytes = any && Any.encode(any).finish();
  return bytes && bytes.length > 0 ? bytes : undefined;
}

export function decodedAny(payload: Payload | undefined): Any | undefined {
  return payload && Any.decode(payload);
}

export function emptyAny(): Any {
  return Any.fromPartial({});
}

export function encodedStatus(status: Status): Payload {
  return Status.encode(status).finish();
}

export function decodedStatus(payload: Payload | undefined): Status {
  return payload ? Status.decode(payload) : Status.fromPartial({});
}

/** What stands for "nothing" where a response must have a type. */
export function packedEmpty(): Any {
  return packedAny('google.protobuf.Empty', new Uint8Array());
}

/** A message of a known type, already encoded. */
export function packedAny(type: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}
