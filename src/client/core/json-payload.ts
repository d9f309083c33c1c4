// The payloads of operations as JSON: a google.protobuf.Value in an Any, which every protobuf library reads as JSON.
// Equal values have equal bytes in every client (the keys of objects are sorted), because a server recognises a
// repeated Begin by them. Payloads of other types pass through unchanged. How a value is written is in
// proto/leasehold/client/json.proto.

import type { Any } from '../../../generated/google/protobuf/any.ts';
import { JsonList, JsonObject, JsonValue } from '../../../generated/leasehold/client/json.ts';

/** What JSON can hold. A property that is `undefined` is left out, as JSON.stringify does. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A payload of a protobuf type of the user's own. */
export class RawPayload {
  readonly typeUrl: string;
  readonly value: Uint8Array;

  constructor(typeUrl: string, value: Uint8Array) {
    this.typeUrl = typeUrl;
    this.value = value;
  }
}

const VALUE_URL = 'type.googleapis.com/google.protobuf.Value';
/** Levels of nesting: deeper than anyone needs, and shallower than any stack. */
const DEEPEST = 100;

/** Throws TypeError for what JSON can't hold, such as a bigint, NaN, a function or a cycle. */
export function encodePayload(value: unknown): Any {
  if (value instanceof RawPayload) return { typeUrl: value.typeUrl, value: Buffer.from(value.value) };
  return { typeUrl: VALUE_URL, value: bytesOf(JsonValue.encode(messageOf(value, 0))) };
}

/** `undefined` where there is no payload; a RawPayload for one that isn't JSON. */
export function decodePayload(payload: Any | undefined): Json | RawPayload | undefined {
  if (!payload || payload.typeUrl === '') return undefined;
  if (!payload.typeUrl.endsWith('/google.protobuf.Value'))
    return new RawPayload(payload.typeUrl, payload.value);
  try {
    return jsonOf(JsonValue.decode(payload.value), 0);
  } catch {
    return new RawPayload(payload.typeUrl, payload.value); // it isn't what its type says
  }
}

function messageOf(given: unknown, depth: number): JsonValue {
  if (depth > DEEPEST)
    throw new TypeError(`a payload can be nested at most ${DEEPEST} deep: is there a cycle in it?`);
  const value = hasToJson(given) ? given.toJSON() : given;
  if (value === null || value === undefined) return { kind: { $case: 'nullValue', value: 0 } };
  if (typeof value === 'string') return { kind: { $case: 'stringValue', value } };
  if (typeof value === 'boolean') return { kind: { $case: 'boolValue', value } };
  if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new TypeError(`a payload can't hold ${value}: JSON has no such number`);
    return { kind: { $case: 'numberValue', value } };
  }
  if (Array.isArray(value)) {
    const values = Array.from(value, (item: unknown) => messageOf(item, depth + 1));
    return { kind: { $case: 'listValue', value: bytesOf(JsonList.encode({ values })) } };
  }
  if (typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => ({ key, value: messageOf(item, depth + 1) }));
    return { kind: { $case: 'structValue', value: bytesOf(JsonObject.encode({ fields })) } };
  }
  throw new TypeError(`a payload can't hold a ${typeof value}: give JSON, or a RawPayload`);
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return (
    typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function'
  );
}

function jsonOf(message: JsonValue | undefined, depth: number): Json {
  if (depth > DEEPEST) throw new Error('too deep');
  const kind = message?.kind;
  switch (kind?.$case) {
    case 'structValue': {
      const { fields } = JsonObject.decode(kind.value);
      // Not by assignment: the key `__proto__` is a key like others.
      return Object.fromEntries(fields.map(({ key = '', value }) => [key, jsonOf(value, depth + 1)]));
    }
    case 'listValue':
      return JsonList.decode(kind.value).values.map((value) => jsonOf(value, depth + 1));
    case 'numberValue':
    case 'stringValue':
    case 'boolValue':
      return kind.value;
    case 'nullValue':
    case undefined:
      return null;
  }
}

function bytesOf(writer: { finish(): Uint8Array }): Buffer {
  return Buffer.from(writer.finish());
}
