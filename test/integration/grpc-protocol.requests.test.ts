// Requests, paragraph by paragraph of "gRPC over HTTP2": headers, metadata, messages, and the end of the client's side.

import { once } from 'node:events';
import { constants } from 'node:http2';
import { deflateSync, gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { FLAG, FRAME, frame, opening, uint32 } from '../../bench/loads/call-frames.ts';
import { eventually } from '../support/eventually.ts';
import {
  ask,
  EACH,
  ECHO,
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

const SOON = { withinMs: 5_000 };

describe.concurrent('the headers of a request', () => {
  test.for(['GET', 'PUT', 'HEAD', 'OPTIONS'])(
    'a request by %s is answered with 405',
    async (method, context) => {
      const { connect } = await grpcRig(context);
      const stream = open(connect(), ECHO, { ':method': method });
      stream.end();
      const { headers } = await replyOf(stream);
      expect([headers[':status'], headers.allow]).toEqual([405, 'POST']);
    },
  );

  test.for([
    'application/grpc',
    'application/grpc+proto',
    'application/grpc; charset=utf-8',
    'Application/GRPC',
  ])('a request of the type "%s" is a call', async (type, context) => {
    const { connect } = await grpcRig(context);
    const reply = await ask(connect(), ECHO, prefixed('hello'), { 'content-type': type });
    expect([reply.headers[':status'], ...statusOf(reply)]).toEqual([200, '0', '']);
  });

  test.for([
    'application/json',
    'application/grpc-web',
    'application/grpc+json',
    'text/application/grpc',
    '',
  ])('a request of the type "%s" is answered with 415, and no handler sees it', async (type, context) => {
    const { connect, echoed } = await grpcRig(context);
    const { headers } = await ask(connect(), ECHO, prefixed('hello'), { 'content-type': type });
    expect(headers[':status']).toBe(415);
    expect(echoed).toEqual([]);
  });

  test.for(['/test.Service/Nothing', '/test.service/echo', '/test.Service/Echo/', '/'])(
    'a call of %s, which nobody serves, is UNIMPLEMENTED at once',
    async (path, context) => {
      const { connect } = await grpcRig(context);
      const stream = open(connect(), path); // the client doesn't even end its side
      const reply = await replyOf(stream);
      expect(statusOf(reply)[0]).toBe(String(status.UNIMPLEMENTED));
      expect([reply.headers[':status'], reply.trailers]).toEqual([200, {}]);
    },
  );

  test('a call without "te: trailers" is served: proxies drop it', async (context) => {
    const { connect } = await grpcRig(context);
    expect(statusOf(await ask(connect(), ECHO, prefixed('hello'), { te: undefined }))).toEqual(['0', '']);
  });

  test.for([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['30S', 30_000],
    ['99999999m', 99_999_999],
    ['90000000u', 90_000],
    ['99999999n', 99.999_999],
    ['99999999H', 99_999_999 * 3_600_000],
  ] as const)('a timeout of %s leaves %f ms', async ([sent, leftMs], context) => {
    const { connect, unary } = await grpcRig(context);
    open(connect(), WAIT, { 'grpc-timeout': sent }).end(prefixed(''));
    await eventually(() => unary.length === 1, { what: 'the call', ...SOON });
    expect(unary[0]?.timeLeftMs).toBeGreaterThan(leftMs - 2_000);
    expect(unary[0]?.timeLeftMs).toBeLessThanOrEqual(leftMs);
  });

  test.for(['', '1', 'S', '-1S', '1.5S', '123456789m', '1s', '1S 1S'])(
    'a call with the timeout "%s", which is none, is refused',
    async (sent, context) => {
      const { connect, echoed } = await grpcRig(context);
      const reply = await ask(connect(), ECHO, prefixed('hello'), { 'grpc-timeout': sent });
      expect(statusOf(reply)).toEqual([String(status.INTERNAL), 'grpc-timeout cannot be read']);
      expect(echoed).toEqual([]);
    },
  );

  test('a call without a timeout has no deadline', async (context) => {
    const { connect, unary } = await grpcRig(context);
    open(connect(), WAIT).end(prefixed(''));
    await eventually(() => unary.length === 1, { what: 'the call', ...SOON });
    expect(unary[0]?.timeLeftMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('an encoding that the server does not know is UNIMPLEMENTED, with the ones that it knows', async (context) => {
    const { connect } = await grpcRig(context);
    const reply = await ask(connect(), ECHO, prefixed('hello', 1), { 'grpc-encoding': 'snappy' });
    expect(statusOf(reply)).toEqual([String(status.UNIMPLEMENTED), 'unknown grpc-encoding: snappy']);
    expect(reply.headers['grpc-accept-encoding']).toBe('identity,gzip,deflate');
  });
});

describe.concurrent('a call that is refused unread', () => {
  const REFUSAL = { ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-status': '14' };

  test('it gets its status at once, its handler does not run, and nothing of it stays open', async (context) => {
    const { connect, echoed } = await grpcRig(context, {
      refusalOf: (path) => (path === ECHO ? REFUSAL : undefined),
    });
    const session = connect();
    const replies = await Promise.all(Array.from({ length: 200 }, () => ask(session, ECHO)));
    for (const reply of replies) expect(statusOf(reply)).toEqual(['14', '']);
    expect(echoed).toEqual([]);
    session.close();
    await once(session, 'close'); // it waits for open calls
  });

  test('a client that has not sent its request yet gets its status all the same, and the next one is served', async (context) => {
    let isRefusing = true;
    const { connect, echoed } = await grpcRig(context, {
      refusalOf: () => (isRefusing ? REFUSAL : undefined),
    });
    const session = connect();
    const stream = open(session, ECHO); // no message, and no end
    expect((await replyOf(stream)).headers['grpc-status']).toBe('14');
    isRefusing = false;
    expect(statusOf(await ask(session, ECHO))).toEqual(['0', '']);
    expect(echoed).toHaveLength(1);
  });
});

describe.concurrent('custom metadata', () => {
  test('a handler sees values of ASCII as text, and of keys that end with -bin as bytes, padded or not', async (context) => {
    const rig = await grpcRig(context);
    const bytes = Buffer.from([0, 255, 1, 254]);
    const sent = {
      plain: 'a value, with a comma',
      'padded-bin': bytes.toString('base64'),
      'bare-bin': bytes.toString('base64').replace(/=+$/, ''),
      'two-bin': `${bytes.toString('base64')},AQ`,
    };
    open(rig.connect(), WAIT, sent).end(prefixed(''));
    await eventually(() => rig.metadata.length === 1, { what: 'the call', ...SOON });
    const [metadata] = rig.metadata;
    expect(metadata?.get('plain')).toEqual(['a value, with a comma']);
    expect(metadata?.get('padded-bin')).toEqual([bytes]);
    expect(metadata?.get('bare-bin')).toEqual([bytes]);
    expect(metadata?.get('two-bin')).toEqual([bytes, Buffer.from([1])]);
    expect(metadata?.get('absent')).toEqual([]);
    const { plain, 'bare-bin': bare } = { ...metadata?.getMap() } as Record<string, unknown>;
    expect([plain, bare]).toEqual(['a value, with a comma', bytes]);
    expect(Object.keys(metadata?.getMap() ?? {}).filter((key) => key.startsWith(':'))).toEqual([]);
  });

  test('of two values of authorization a handler sees the first, and never both as one', async (context) => {
    const rig = await grpcRig(context);
    const wire = await Wire.connect(context, rig.port);
    const twice = headersOf(WAIT, 1, [
      ['authorization', 'Bearer one'],
      ['authorization', 'Bearer two'],
    ]);
    wire.send(opening(), twice, frame(FRAME.data, FLAG.endStream, prefixed(''), 1));
    await eventually(() => rig.metadata.length === 1, { what: 'the call', ...SOON });
    expect(rig.metadata[0]?.get('authorization')).toEqual(['Bearer one']);
  });
});

describe.concurrent('the messages of a request', () => {
  test('a message may come in any number of DATA frames', async (context) => {
    const { connect } = await grpcRig(context);
    const stream = open(connect(), ECHO);
    for (const byte of prefixed('in pieces')) stream.write(Buffer.from([byte]));
    stream.end();
    const reply = await replyOf(stream);
    expect(reply.body).toEqual(prefixed('in pieces'));
    expect(statusOf(reply)).toEqual(['0', '']);
  });

  test('an empty message is a message', async (context) => {
    const { connect, echoed } = await grpcRig(context);
    const reply = await ask(connect(), ECHO, prefixed(''));
    expect([reply.body, ...statusOf(reply)]).toEqual([prefixed(''), '0', '']);
    expect(echoed).toEqual([Buffer.alloc(0)]);
  });

  test('several messages may come in one DATA frame, and are answered in their order', async (context) => {
    const { connect } = await grpcRig(context);
    const messages = Array.from({ length: 100 }, (_, index) => prefixed(`message ${index}`));
    const reply = await ask(connect(), EACH, Buffer.concat(messages));
    expect(reply.body).toEqual(Buffer.concat(messages));
    expect(statusOf(reply)).toEqual(['0', '']);
  });

  test('a stream of no messages ends well', async (context) => {
    const { connect } = await grpcRig(context);
    expect(statusOf(await ask(connect(), EACH, Buffer.alloc(0)))).toEqual(['0', '']);
  });

  test('an answer comes before the client has ended its side', async (context) => {
    const { connect } = await grpcRig(context);
    const stream = open(connect(), EACH);
    const read: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => read.push(chunk));
    for (const text of ['one', 'two']) {
      stream.write(prefixed(text));
      await eventually(() => Buffer.concat(read).includes(text), { what: text, ...SOON });
    }
    stream.close(constants.NGHTTP2_CANCEL);
  });

  test.for([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ] as const)(
    'a message in %s is read, and one of the same call that is not compressed, too',
    async ([name, compress], context) => {
      const { connect } = await grpcRig(context);
      const body = Buffer.concat([prefixed(compress('compressed'), 1), prefixed('plain')]);
      const reply = await ask(connect(), EACH, body, { 'grpc-encoding': name });
      expect(reply.body).toEqual(Buffer.concat([prefixed('compressed'), prefixed('plain')]));
      expect(statusOf(reply)).toEqual(['0', '']);
    },
  );

  test.for([
    ['a compressed message without an encoding', {}, prefixed('x', 1), 'INTERNAL'],
    [
      'a compressed message of the encoding identity',
      { 'grpc-encoding': 'identity' },
      prefixed('x', 1),
      'INTERNAL',
    ],
    [
      'a message that is not in gzip, as it claims',
      { 'grpc-encoding': 'gzip' },
      prefixed('x', 1),
      'INTERNAL',
    ],
    ['flags that nobody defined', {}, prefixed('x', 2), 'INTERNAL'],
    ['a message that ends too early', {}, prefixed('x', 0, 2), 'INTERNAL'],
    ['a prefix that ends too early', {}, Buffer.alloc(4), 'INTERNAL'],
    ['no message', {}, Buffer.alloc(0), 'UNIMPLEMENTED'],
    ['a second message', {}, Buffer.concat([prefixed('x'), prefixed('y')]), 'UNIMPLEMENTED'],
    ['something behind the message', {}, Buffer.concat([prefixed('x'), Buffer.alloc(1)]), 'UNIMPLEMENTED'],
    ['a message that is larger than the limit', {}, prefixed(Buffer.alloc(1_001)), 'RESOURCE_EXHAUSTED'],
    ['a message of 4 GiB', {}, prefixed('x', 0, 0xffff_ffff), 'RESOURCE_EXHAUSTED'],
    [
      'a message that gets larger than the limit when it is decompressed',
      { 'grpc-encoding': 'gzip' },
      prefixed(gzipSync(Buffer.alloc(100_000)), 1),
      'RESOURCE_EXHAUSTED',
    ],
  ] as const)(
    'a unary call with %s is refused, and no handler sees it',
    async ([, headers, body, code], context) => {
      const { connect, echoed } = await grpcRig(context);
      const session = connect();
      expect(status[Number(statusOf(await ask(session, ECHO, body, headers))[0])]).toBe(code);
      expect(echoed).toEqual([]);
      // The connection is as good as before.
      expect(statusOf(await ask(session, ECHO))).toEqual(['0', '']);
    },
  );

  test('a message of exactly the limit is served', async (context) => {
    const { connect } = await grpcRig(context);
    expect(statusOf(await ask(connect(), ECHO, prefixed(Buffer.alloc(1_000))))).toEqual(['0', '']);
  });

  test('a message that is too large is refused when its prefix comes, before the rest', async (context) => {
    const { connect } = await grpcRig(context);
    const stream = open(connect(), ECHO);
    stream.write(prefixed('', 0, 1_001));
    const reply = await replyOf(stream);
    expect(statusOf(reply)[0]).toBe(String(status.RESOURCE_EXHAUSTED));
    expect(reply.resetCode).toBe(constants.NGHTTP2_NO_ERROR); // an answer, and not a failure of HTTP
  });
});

describe.concurrent('the end of a request', () => {
  test('a call with one message runs only when the client has ended its side', async (context) => {
    const { connect, echoed } = await grpcRig(context);
    const session = connect();
    const stream = open(session, ECHO);
    stream.write(prefixed('not yet'));
    expect(statusOf(await ask(session, ECHO, prefixed('after it')))).toEqual(['0', '']);
    expect(echoed.map(String)).toEqual(['after it']);
    stream.end(); // an empty DATA frame
    expect(statusOf(await replyOf(stream))).toEqual(['0', '']);
    expect(echoed.map(String)).toEqual(['after it', 'not yet']);
  });

  test('a client may end its side with trailers, which nobody reads', async (context) => {
    const { connect } = await grpcRig(context);
    const stream = connect().request(
      { ':method': 'POST', ':path': ECHO, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ ignored: 'yes' }));
    stream.end(prefixed('hello'));
    expect(statusOf(await replyOf(stream))).toEqual(['0', '']);
  });

  test.for([ECHO, STREAM])(
    'a call of %s that is reset before its end is not executed',
    async (path, context) => {
      // Frame by frame: node:http2 ends its side before it resets a stream.
      const { port, echoed, streams } = await grpcRig(context);
      const wire = await Wire.connect(context, port);
      wire.send(opening(), headersOf(path, 1), frame(FRAME.data, 0, prefixed('cut'), 1));
      await wire.roundTrip();
      wire.send(frame(FRAME.reset, 0, uint32(constants.NGHTTP2_CANCEL), 1));
      wire.send(headersOf(ECHO, 3), frame(FRAME.data, FLAG.endStream, prefixed('another'), 3));
      await wire.roundTrip();
      expect(echoed.map(String)).toEqual(['another']);
      expect(streams).toEqual([]);
    },
  );

  test.for([ECHO, STREAM])(
    'a call of %s whose connection is lost before its end is not executed',
    async (path, context) => {
      const { connect, echoed, streams, listener } = await grpcRig(context);
      const session = connect();
      const cut = open(session, path);
      cut.write(prefixed('cut'));
      await ask(session, ECHO, prefixed('a round trip, so that the message is there'));
      session.destroy();
      await eventually(() => listener.size === 0, { what: 'the end of the connection', ...SOON });
      await ask(connect(), ECHO, prefixed('another'));
      expect(echoed).toHaveLength(2);
      expect(streams).toEqual([]);
    },
  );
});
