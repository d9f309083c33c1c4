// Clients that break the rules or use them to cost the server more than themselves: one connection of them ends, no
// other is worse off, and what a client holds before anybody knows who it is has a bound.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:http2';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, type TestContext, test } from 'vitest';
import { FLAG, FRAME, frame, opening, SETTING, uint32 } from '../../bench/loads/call-frames.ts';
import { eventually } from '../support/eventually.ts';
import {
  ask,
  EACH,
  ECHO,
  type GrpcRig,
  grpcRig,
  headersOf,
  open,
  prefixed,
  replyOf,
  STREAM,
  statusOf,
  WAIT,
  Wire,
} from '../support/grpc-rig.ts';

function pem(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, '../support/tls', name));
}

const SERVER = { cert: pem('server.crt'), key: pem('server.key') };
const SOON = { withinMs: 5_000 };
const SETTINGS_ENDLESS = 3; // MAX_CONCURRENT_STREAMS

/** Another client of the same server, which is served. */
async function othersAreServed({ connect }: GrpcRig): Promise<void> {
  expect(statusOf(await ask(connect(), ECHO))).toEqual(['0', '']);
}

async function wireTo(context: TestContext, { port }: GrpcRig): Promise<Wire> {
  return Wire.connect(context, port);
}

describe.concurrent('bytes that are no HTTP/2', () => {
  const HEADERS = headersOf(ECHO, 1);
  test.for([
    ['a request of HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['the greeting of TLS', Buffer.from('16030100050100000100', 'hex')],
    ['noise', Buffer.alloc(1_000, 0xa5)],
    ['a frame of settings of a wrong size', [opening(), frame(FRAME.settings, 0, Buffer.alloc(5))]],
    ['a frame that is too large', [opening(), frame(FRAME.data, 0, Buffer.alloc(16_385), 1)]],
    ['data of a stream that does not exist', [opening(), frame(FRAME.data, 0, prefixed('x'), 1)]],
    ['a stream with an even number', [opening(), headersOf(ECHO, 2)]],
    [
      'headers that HPACK cannot read',
      [opening(), frame(FRAME.headers, FLAG.endHeaders, Buffer.alloc(9, 0xff), 1)],
    ],
    [
      'headers that go on in no other frame',
      [opening(), frame(FRAME.headers, 0, HEADERS.subarray(9), 1), HEADERS],
    ],
    ['a window that grows beyond its size', [opening(), frame(FRAME.windowUpdate, 0, uint32(0x7fff_ffff))]],
  ] as const)('a connection that sends %s ends, and others go on', async ([, sent], context) => {
    const rig = await grpcRig(context);
    const wire = await wireTo(context, rig);
    wire.send(...(Buffer.isBuffer(sent) ? [sent] : sent));
    await wire.closed();
    await othersAreServed(rig);
    expect(rig.echoed).toHaveLength(1);
  });

  test.for([
    ['nothing', Buffer.alloc(0)],
    ['half of the greeting', Buffer.from('PRI * HTTP/2.0\r\n')],
    ['a greeting without settings', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['settings of its own, without taking those of the server', opening()],
  ] as const)('a client that connects and sends %s is cut off in time', async ([, sent], context) => {
    const rig = await grpcRig(context, { handshakeMs: 200 });
    const wire = await wireTo(context, rig);
    wire.send(sent);
    await wire.closed();
    await eventually(() => rig.listener.size === 0, { what: 'the end of the connection', ...SOON });
  });
});

describe.concurrent('connections that break', () => {
  test.for(['plain', 'TLS'] as const)(
    'a server survives %s connections that are reset at any time',
    async (kind, context) => {
      const rig = await grpcRig(context, {}, kind === 'TLS' ? SERVER : undefined);
      const first = kind === 'TLS' ? Buffer.from([0x16, 3, 1]) : opening();
      for (let i = 0; i < 60; i++) {
        const wire = await wireTo(context, rig);
        if (i % 3 > 0) wire.send(first);
        if (i % 3 > 1) wire.send(headersOf(STREAM, 1), frame(FRAME.data, FLAG.endStream, prefixed('x'), 1));
        if (i % 2 > 0) await new Promise(setImmediate);
        wire.reset();
      }
      await eventually(() => rig.listener.size === 0, { what: 'the end of the connections', ...SOON });
      expect(statusOf(await ask(rig.connect({ ca: pem('ca.crt') }), ECHO))).toEqual(['0', '']);
    },
  );
});

describe.concurrent('anything', () => {
  const stream = fc.constantFrom(1, 3, 5);
  const path = fc.constantFrom(ECHO, WAIT, STREAM, EACH, '/nothing');
  const message = fc.constantFrom(
    prefixed(''),
    prefixed('whole'),
    prefixed('part', 0, 50),
    prefixed('x', 1),
    Buffer.of(9),
  );
  const sent = fc.oneof(
    fc.tuple(path, stream).map(([to, id]) => headersOf(to, id)),
    fc.tuple(path, stream).map(([to, id]) => headersOf(to, id, [['grpc-timeout', '30m']])),
    fc
      .tuple(message, fc.boolean(), stream)
      .map(([bytes, isEnd, id]) => frame(FRAME.data, isEnd ? FLAG.endStream : 0, bytes, id)),
    fc
      .tuple(fc.constantFrom(0, 2, 7, 8), stream)
      .map(([code, id]) => frame(FRAME.reset, 0, uint32(code), id)),
    stream.map((id) => frame(FRAME.windowUpdate, 0, uint32(1), id)),
    fc.constantFrom(0, 65_535).map((window) => {
      const setting = Buffer.from([0, SETTING.initialWindowSize, 0, 0, 0, 0]);
      setting.writeUInt32BE(window, 2);
      return frame(FRAME.settings, 0, setting);
    }),
    fc.uint8Array({ minLength: 9, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  );

  test('whatever a client sends in whatever order, its calls end with its connection', async (context) => {
    const rig = await grpcRig(context, { graceMs: 1_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(sent, fc.boolean()), { maxLength: 20 }), async (frames) => {
        const [before, streamsBefore] = [rig.unary.length, rig.streams.length];
        const wire = await wireTo(context, rig);
        wire.send(opening());
        for (const [bytes, pauses] of frames) {
          wire.send(bytes);
          if (pauses) await new Promise(setImmediate);
        }
        for (const call of rig.streams.slice(streamsBefore)) call.write(Buffer.alloc(100_000), () => {});
        wire.reset();
        const calls = () => [...rig.unary.slice(before), ...rig.streams.slice(streamsBefore)];
        await eventually(() => rig.listener.size === 0 && calls().every(({ isCut }) => isCut), {
          what: 'the end of the connection and of its calls',
          ...SOON,
          everyMs: 2,
        });
      }),
      { numRuns: 200 },
    );
    await othersAreServed(rig);
  });
});

describe.concurrent('headers', () => {
  test('headers that are larger than the limit cost the call, and not the connection', async (context) => {
    const rig = await grpcRig(context);
    const session = rig.connect();
    await once(session, 'remoteSettings');
    const { headers } = await ask(session, ECHO, prefixed('x'), { large: 'x'.repeat(10_000) });
    expect(headers['grpc-status']).toBeUndefined();
    expect(rig.echoed).toEqual([]);
    await othersAreServed(rig);
  });

  test.for([
    { ':path': undefined },
    { 'content-type': undefined },
    { 'grpc-timeout': '\u00ff' },
    { 'grpc-encoding': 'gzip, gzip' },
    { 'grpc-encoding': '__proto__' },
    { authorization: 'Bearer \u00ff' },
    { 'x-bin': '*'.repeat(100) },
  ])('a call with the odd headers %j is answered somehow', async (odd, context) => {
    const rig = await grpcRig(context);
    const session = rig.connect();
    await ask(session, ECHO, prefixed('x'), odd);
    await othersAreServed(rig);
  });
});

describe.concurrent('more than a client may', () => {
  test('a client may have so many calls open as it is told, and further ones are refused', async (context) => {
    const rig = await grpcRig(context, { concurrentStreams: 3 });
    const wire = await wireTo(context, rig);
    const calls = [1, 3, 5, 7].map((id) => headersOf(STREAM, id));
    const ends = [1, 3, 5, 7].map((id) => frame(FRAME.data, FLAG.endStream, prefixed('x'), id));
    wire.send(opening());
    await wire.roundTrip();
    wire.send(...calls, ...ends);
    await wire.roundTrip();
    const told = wire.frames.find(({ type }) => type === FRAME.settings)?.payload ?? Buffer.alloc(0);
    const settings = new Map(
      Array.from({ length: told.length / 6 }, (_, i) => [
        told.readUInt16BE(6 * i),
        told.readUInt32BE(6 * i + 2),
      ]),
    );
    expect(settings.get(SETTINGS_ENDLESS)).toBe(3);
    expect(rig.streams).toHaveLength(3);
    await othersAreServed(rig);
  });

  test('a client that goes on to open more calls than it may loses its connection', async (context) => {
    const rig = await grpcRig(context, { concurrentStreams: 3, rejectedStreams: 10 });
    const wire = await wireTo(context, rig);
    wire.send(opening(), frame(FRAME.settings, FLAG.ack, Buffer.alloc(0)));
    await wire.roundTrip();
    for (let id = 1; id < 200; id += 2) wire.send(headersOf(STREAM, id));
    await wire.closed();
    await othersAreServed(rig);
  });

  test('a client holds no more than a bound with messages that it does not finish', async (context) => {
    const rig = await grpcRig(context, { messageBytes: 10_000, heldBytes: 50_000 });
    const session = rig.connect();
    const stuck = Array.from({ length: 20 }, () => {
      const stream = open(session, ECHO);
      stream.write(prefixed(Buffer.alloc(9_000), 0, 10_000));
      return replyOf(stream);
    });
    const refused = await Promise.race(stuck);
    expect(statusOf(refused)).toEqual([
      String(status.RESOURCE_EXHAUSTED),
      'this connection has too many incomplete messages at once',
    ]);
    await othersAreServed(rig);
    session.destroy();
    await Promise.all(stuck);
  });

  test('what was held of a message is free again when it is complete or cut', async (context) => {
    const { connect } = await grpcRig(context, { messageBytes: 10_000, heldBytes: 15_000 });
    const session = connect();
    for (let i = 0; i < 20; i++) {
      expect(statusOf(await ask(session, ECHO, prefixed(Buffer.alloc(9_000))))).toEqual(['0', '']);
      const cut = open(session, ECHO);
      cut.write(prefixed(Buffer.alloc(100), 0, 9_000));
      cut.close(constants.NGHTTP2_CANCEL);
    }
  });

  test('messages behind the first of a unary call are not kept: the call ends', async (context) => {
    const rig = await grpcRig(context);
    const stream = open(rig.connect(), ECHO);
    for (let i = 0; i < 10_000; i++) stream.write(prefixed('one of thousands')); // and it doesn't end its side
    expect(statusOf(await replyOf(stream))).toEqual([
      String(status.UNIMPLEMENTED),
      'the call has more than one message',
    ]);
    expect(rig.echoed).toEqual([]);
    await othersAreServed(rig);
  });

  test('a client that resets calls faster than it may loses its connection, and none of them is executed', async (context) => {
    const rig = await grpcRig(context, { resetBurst: 100, resetsPerSecond: 10 });
    const wire = await wireTo(context, rig);
    wire.send(opening());
    for (let id = 1; id < 1_000; id += 2) {
      wire.send(headersOf(STREAM, id), frame(FRAME.reset, 0, uint32(constants.NGHTTP2_CANCEL), id));
    }
    await wire.closed();
    expect(rig.streams).toEqual([]);
    await othersAreServed(rig);
  });

  test('a client that resets as many calls as it may keeps its connection', async (context) => {
    const rig = await grpcRig(context, { resetBurst: 10_000, resetsPerSecond: 1_000 });
    const wire = await wireTo(context, rig);
    wire.send(opening());
    for (let id = 1; id < 10_000; id += 2) {
      wire.send(headersOf(STREAM, id), frame(FRAME.reset, 0, uint32(constants.NGHTTP2_CANCEL), id));
    }
    await wire.roundTrip();
    expect(wire.isClosed).toBe(false);
    await othersAreServed(rig);
  });

  test('a flood of pings and settings without an end costs the connection or nothing', async (context) => {
    const rig = await grpcRig(context);
    const wire = await wireTo(context, rig);
    wire.send(opening());
    for (let i = 0; i < 5_000; i++) {
      wire.send(frame(FRAME.ping, 0, Buffer.alloc(8)), frame(FRAME.settings, 0, Buffer.alloc(0)));
    }
    await othersAreServed(rig);
  });

  test('a stream of questions that is reset while its answer waits is over, and holds nothing', async (context) => {
    const rig = await grpcRig(context, { handshakeMs: 500, idleMs: 1_000 });
    for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
      const wire = await wireTo(context, rig);
      // Nobody can send a byte to this client.
      const noWindow = frame(FRAME.settings, 0, Buffer.from([0, SETTING.initialWindowSize, 0, 0, 0, 0]));
      wire.send(opening(), frame(FRAME.settings, FLAG.ack, Buffer.alloc(0)), noWindow);
      wire.send(headersOf(EACH, 1), frame(FRAME.data, 0, prefixed('one'), 1));
      wire.send(frame(FRAME.data, 0, prefixed('two'), 1));
      await wire.roundTrip();
      expect(wire.has(FRAME.data, 1)).toBe(false);
      wire.send(frame(FRAME.reset, 0, uint32(code), 1));
      await wire.closed(); // for it has no call
      await eventually(() => rig.listener.size === 0, { what: 'the end of the connection', ...SOON });
    }
  });

  test.for([ECHO, STREAM, EACH])(
    'a call of %s that is reset without an error inside its message is over',
    async (path, context) => {
      const rig = await grpcRig(context, { handshakeMs: 500, idleMs: 1_000 });
      const wire = await wireTo(context, rig);
      wire.send(opening(), frame(FRAME.settings, FLAG.ack, Buffer.alloc(0)));
      wire.send(headersOf(path, 1), frame(FRAME.data, 0, prefixed('part', 0, 100), 1));
      await wire.roundTrip();
      wire.send(frame(FRAME.reset, 0, uint32(constants.NGHTTP2_NO_ERROR), 1));
      await wire.closed(); // for it has no call
      expect(rig.streams).toEqual([]);
    },
  );

  test('a stream of questions whose answers nobody reads holds no more than its windows', async (context) => {
    const rig = await grpcRig(context);
    const session = rig.connect();
    const stream = open(session, EACH);
    stream.pause();
    for (let i = 0; i < 1_000; i++) stream.write(prefixed(Buffer.alloc(1_000)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(stream.bufferSize).toBeGreaterThan(500_000); // the client's own side holds the rest
    stream.close(constants.NGHTTP2_CANCEL);
    await othersAreServed(rig);
  });
});
