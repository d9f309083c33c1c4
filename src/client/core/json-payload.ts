// The payloads of operations as JSON: a google.protobuf.Value in an Any, which every protobuf library reads as JSON.
// Equal values have equal bytes (the keys of objects are sorted), since an operation is recognised by them. Payloads
// of other types are passed on as they are.

import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Any } from '../../../generated/google/protobuf/any.ts';

/** What JSON can hold. `undefined` in an object is left out, as JSON.stringify does. */
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
/** Deeper than anybody means, and shallower than any stack. */
const DEEPEST = 100;

// google/protobuf/struct.proto: fields of Value, and how they are written.
const NULL = 8; // 1, varint
const NUMBER = 17; // 2, 64 bits
const STRING = 26; // 3, bytes
const BOOL = 32; // 4, varint
const STRUCT = 42; // 5, bytes
const LIST = 50; // 6, bytes
const FIRST_BYTES = 10; // field 1 as bytes: an entry of a Struct, a value of a ListValue, the key of an entry
const SECOND_BYTES = 18; // field 2 as bytes: the value of an entry

/** Throws TypeError for what JSON can't hold, such as a bigint, NaN, a function or a cycle. */
export function encodePayload(value: unknown): Any {
  if (value instanceof RawPayload) return { typeUrl: value.typeUrl, value: Buffer.from(value.value) };
  const writer = new BinaryWriter();
  writeValue(writer, value, 0);
  return { typeUrl: VALUE_URL, value: Buffer.from(writer.finish()) };
}

/** `undefined` for none; a RawPayload for what isn't JSON. */
export function decodePayload(payload: Any | undefined): Json | RawPayload | undefined {
  if (!payload || payload.typeUrl === '') return undefined;
  if (!payload.typeUrl.endsWith('/google.protobuf.Value'))
    return new RawPayload(payload.typeUrl, payload.value);
  try {
    return readValue(new BinaryReader(payload.value), payload.value.length, 0);
  } catch {
    return new RawPayload(payload.typeUrl, payload.value); // it isn't what it says that it is
  }
}

function writeValue(writer: BinaryWriter, given: unknown, depth: number): void {
  if (depth > DEEPEST)
    throw new TypeError(`a payload may be nested ${DEEPEST} deep: is there a cycle in it?`);
  const value = hasToJson(given) ? given.toJSON() : given;
  if (value === null || value === undefined) writer.uint32(NULL).int32(0);
  else if (typeof value === 'string') writer.uint32(STRING).string(value);
  else if (typeof value === 'boolean') writer.uint32(BOOL).bool(value);
  else if (typeof value === 'number') {
    if (!Number.isFinite(value))
      throw new TypeError(`a payload can't hold ${value}: JSON has no such number`);
    writer.uint32(NUMBER).double(value);
  } else if (Array.isArray(value)) {
    writer.uint32(LIST).fork();
    for (const item of value) writeField(writer, FIRST_BYTES, item, depth);
    writer.join();
  } else if (typeof value === 'object') {
    writer.uint32(STRUCT).fork();
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    for (const [key, item] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      writer.uint32(FIRST_BYTES).fork().uint32(FIRST_BYTES).string(key);
      writeField(writer, SECOND_BYTES, item, depth);
      writer.join();
    }
    writer.join();
  } else throw new TypeError(`a payload can't hold a ${typeof value}: give JSON, or a RawPayload`);
}

function writeField(writer: BinaryWriter, tag: number, value: unknown, depth: number): void {
  writer.uint32(tag).fork();
  writeValue(writer, value, depth + 1);
  writer.join();
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return (
    typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function'
  );
}

function readValue(reader: BinaryReader, end: number, depth: number): Json {
  if (depth > DEEPEST) throw new Error('too deep');
  let value: Json = null;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === NULL) {
      reader.int32();
      value = null;
    } else if (tag === NUMBER) value = reader.double();
    else if (tag === STRING) value = reader.string();
    else if (tag === BOOL) value = reader.bool();
    else if (tag === LIST) value = readList(reader, depth);
    else if (tag === STRUCT) value = readStruct(reader, depth);
    else reader.skip(tag & 7);
  }
  return value;
}

function readList(reader: BinaryReader, depth: number): Json[] {
  const end = reader.uint32() + reader.pos;
  const items: Json[] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === FIRST_BYTES) items.push(readValue(reader, reader.uint32() + reader.pos, depth + 1));
    else reader.skip(tag & 7);
  }
  return items;
}

function readStruct(reader: BinaryReader, depth: number): Json {
  const end = reader.uint32() + reader.pos;
  const entries: [string, Json][] = [];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === FIRST_BYTES) entries.push(readEntry(reader, depth));
    else reader.skip(tag & 7);
  }
  // Not by assignment: the key `__proto__` is a key like others.
  return Object.fromEntries(entries);
}

function readEntry(reader: BinaryReader, depth: number): [string, Json] {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: Json = null;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === FIRST_BYTES) key = reader.string();
    else if (tag === SECOND_BYTES) value = readValue(reader, reader.uint32() + reader.pos, depth + 1);
    else reader.skip(tag & 7);
  }
  return [key, value];
}
