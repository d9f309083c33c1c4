// JSON in an Any: it comes back as it was, equal values have equal bytes, and every protobuf library reads it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePayload, encodePayload, RawPayload } from '../../src/client/core/json-payload.ts';

/** Without -0, which JSON writes as 0. */
const json = fc
  .jsonValue({ depthSize: 'medium' })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);

test('A JSON value comes back as it was', () => {
  const isBack = (value: unknown): void => {
    expect(decodePayload(encodePayload(value))).toEqual(value);
  };
  fc.assert(fc.property(json, isBack));
});

test('Equal values have equal bytes, whatever the order of their keys', () => {
  const [a, b] = [encodePayload({ x: 1, y: { p: 1, q: [2] } }), encodePayload({ y: { q: [2], p: 1 }, x: 1 })];
  expect(a.value.equals(b.value)).toBe(true);
  expect(a.value.equals(encodePayload({ x: 1, y: { p: 1, q: [3] } }).value)).toBe(false);
});

test('Keys are sorted as text, also those that JavaScript moves to the front of an object', () => {
  const { value } = encodePayload({ beta: 'B', 10: 'T', 9: 'N', '': 'E' });
  expect(value.toString('latin1').replace(/[^BENT]/g, '')).toBe('ETNB');
});

test.each(['objects', 'lists'])(
  'A payload of %s that are nested 100 deep comes back, and one level more is refused',
  (kind) => {
    let value: unknown = 1;
    for (let level = 0; level < 100; level++) value = kind === 'lists' ? [value] : { a: value };
    expect(decodePayload(encodePayload(value))).toEqual(value);
    expect(() => encodePayload([value])).toThrow(/nested at most 100 deep/);
  },
);

test('Another protobuf library reads a payload as the same JSON, and what it writes is read here', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-payload-'));
  const file = join(folder, 'echo.proto');
  const rpc = 'rpc Echo(google.protobuf.Value) returns (google.protobuf.Value);';
  writeFileSync(file, `syntax = "proto3"; import "google/protobuf/struct.proto"; service S { ${rpc} }`);
  const echo = loadSync(file, { oneofs: true }).S?.['Echo' as never] as unknown as {
    // Of a service with one method: proto-loader's types say nothing of methods.
    requestSerialize(value: object): Buffer;
    responseDeserialize(bytes: Buffer): Record<string, unknown>;
  };
  rmSync(folder, { recursive: true });
  const read = echo.responseDeserialize(encodePayload({ list: [1.5, 'é', null, true] }).value);
  expect(read).toMatchObject({
    kind: 'structValue',
    structValue: {
      fields: {
        list: {
          listValue: {
            values: [{ numberValue: 1.5 }, { stringValue: 'é' }, { kind: 'nullValue' }, { boolValue: true }],
          },
        },
      },
    },
  });
  const written = echo.requestSerialize({
    structValue: { fields: { a: { listValue: { values: [{ numberValue: 2 }] } } } },
  });
  const payload = { typeUrl: 'type.googleapis.com/google.protobuf.Value', value: written };
  expect(decodePayload(payload)).toEqual({ a: [2] });
});

test('A payload follows JSON.stringify: it calls toJSON, leaves out undefined, and keeps the key __proto__', () => {
  const value = { at: new Date(0), no: undefined, ['__proto__']: 1 };
  const back = decodePayload(encodePayload(value));
  expect(JSON.stringify(back)).toBe('{"__proto__":1,"at":"1970-01-01T00:00:00.000Z"}');
});

test.each([[1n], [Number.NaN], [() => 1], [Symbol('s')], [{ deep: 1n }]])(
  'A payload cannot hold %s',
  (value) => {
    expect(() => encodePayload(value)).toThrow(TypeError);
  },
);

test('A cycle in a payload is refused', () => {
  const value: { self?: unknown } = {};
  value.self = value;
  expect(() => encodePayload(value)).toThrow(/cycle/);
});

test('A payload of another type, or whose bytes are not what its type says, comes back as a RawPayload', () => {
  const raw = new RawPayload('example.com/Order', Buffer.from([1, 2, 3]));
  expect(decodePayload(encodePayload(raw))).toEqual(raw);
  const broken = { typeUrl: 'type.googleapis.com/google.protobuf.Value', value: Buffer.from([0x2a, 0xff]) };
  expect(decodePayload(broken)).toBeInstanceOf(RawPayload);
  expect(decodePayload(undefined)).toBe(undefined);
  expect(decodePayload({ typeUrl: '', value: Buffer.alloc(0) })).toBe(undefined);
});
