// The life of a connection: TLS, pings, age, idleness, GOAWAY and the end of the server, as "gRPC over HTTP2" and its
// pages on keepalive have it.

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, type TestContext, test } from 'vitest';
import { FLAG, FRAME, frame, opening } from '../../bench/loads/call-frames.ts';
import { eventually } from '../support/eventually.ts';
import {
  ask,
  ECHO,
  type GrpcRig,
  grpcRig,
  headersOf,
  open,
  prefixed,
  replyOf,
  statusOf,
  WAIT,
  Wire,
} from '../support/grpc-rig.ts';

const SOON = { withinMs: 5_000 };
const GOAWAY = 7;

function pem(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, '../support/tls', name));
}

const SERVER = { cert: pem('server.crt'), key: pem('server.key') };

function tlsTo({ port }: GrpcRig, { onTestFinished }: TestContext, options: ConnectionOptions): TLSSocket {
  const socket = connectTls({ host: '127.0.0.1', port, ca: pem('ca.crt'), ...options });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function gone({ listener }: GrpcRig): Promise<void> {
  await eventually(() => listener.size === 0, { what: 'the end of all connections', ...SOON });
}

describe.concurrent('TLS', () => {
  test('a client that speaks h2 over TLS is served', async (context) => {
    const rig = await grpcRig(context, {}, SERVER);
    const session = rig.connect({ ca: pem('ca.crt') });
    expect(statusOf(await ask(session, ECHO))).toEqual(['0', '']);
    expect(session.alpnProtocol).toBe('h2');
    expect(rig.listener.size).toBe(1);
    session.destroy();
    await gone(rig);
  });

  test.for([[], ['http/1.1']])(
    'a client that offers the protocols %j over TLS is not served',
    async (offered, context) => {
      const rig = await grpcRig(context, {}, SERVER);
      const socket = tlsTo(rig, context, { ALPNProtocols: offered });
      await eventually(() => socket.closed, { what: 'the end of the connection', ...SOON });
      await gone(rig);
    },
  );

  test('a client without the certificate that the server asks for is not served', async (context) => {
    const rig = await grpcRig(context, {}, { ...SERVER, ca: pem('ca.crt') });
    for (const name of ['', 'stranger']) {
      const shown = name === '' ? {} : { cert: pem(`${name}.crt`), key: pem(`${name}.key`) };
      const stream = open(rig.connect({ ca: pem('ca.crt'), ...shown }), ECHO);
      expect((await replyOf(stream)).headers).toEqual({});
    }
    const known = { ca: pem('ca.crt'), cert: pem('client.crt'), key: pem('client.key') };
    expect(statusOf(await ask(rig.connect(known), ECHO))).toEqual(['0', '']);
    expect(rig.echoed).toHaveLength(1);
  });

  test('a client that does not finish the handshake of TLS is cut off in time', async (context) => {
    const rig = await grpcRig(context, { handshakeMs: 200 }, SERVER);
    const wire = await Wire.connect(context, rig.port);
    wire.send(Buffer.from([0x16, 3, 1])); // the beginning of a greeting
    await wire.closed();
    await gone(rig);
  });
});

describe.concurrent('the address of a server', () => {
  test('a server on localhost is reached at every address that this name has', async (context) => {
    const rig = await grpcRig(context, {}, undefined, 'localhost');
    for (const { address } of await lookup('localhost', { all: true })) {
      const session = connect(`http://${address.includes(':') ? `[${address}]` : address}:${rig.port}`);
      context.onTestFinished(() => session.destroy());
      session.on('error', () => {});
      expect(statusOf(await ask(session, ECHO))).toEqual(['0', '']);
    }
  });

  test('a server does not share its port with another', async (context) => {
    const { port } = await grpcRig(context);
    await expect(grpcRig(context, {}, undefined, '127.0.0.1', port)).rejects.toThrow(/EADDRINUSE/);
  });
});

describe.concurrent('the life of a connection', () => {
  test('a ping is answered', async (context) => {
    const { port } = await grpcRig(context);
    const wire = await Wire.connect(context, port);
    wire.send(opening());
    await wire.roundTrip();
  });

  test('a client that does not answer pings is cut off, and the handlers of its calls hear of it', async (context) => {
    const rig = await grpcRig(context, { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 });
    const wire = await Wire.connect(context, rig.port);
    wire.send(opening(), headersOf(WAIT, 1), frame(FRAME.data, FLAG.endStream, prefixed(''), 1));
    await wire.closed();
    expect(wire.has(FRAME.ping, 0)).toBe(true);
    await eventually(() => rig.unary[0]?.isCut === true, { what: 'the end of the call', ...SOON });
    await gone(rig);
  });

  test('a client that answers pings stays connected', async (context) => {
    const { connect, listener } = await grpcRig(context, { keepaliveTimeMs: 20, keepaliveTimeoutMs: 1_000 });
    const session = connect();
    let pings = 0;
    session.on('ping', () => pings++);
    await eventually(() => pings > 5, { what: 'pings', ...SOON });
    expect([statusOf(await ask(session, ECHO)), listener.size]).toEqual([['0', ''], 1]);
  });

  test('an old connection gets GOAWAY, and its calls go on', async (context) => {
    const rig = await grpcRig(context, { ageMs: 300 });
    const session = rig.connect();
    const stream = open(session, WAIT);
    stream.end(prefixed(''));
    const [code, last] = await once(session, 'goaway');
    expect([code, last]).toEqual([0, stream.id]);
    expect(rig.listener.size).toBe(1);
    rig.unary[0]?.answer(Buffer.from('in time'));
    expect(statusOf(await replyOf(stream))).toEqual(['0', '']);
    await gone(rig);
  });

  test('an old connection is cut after a grace, whatever is open on it', async (context) => {
    const rig = await grpcRig(context, { ageMs: 200, graceMs: 200 });
    const wire = await Wire.connect(context, rig.port); // doesn't care about GOAWAY
    wire.send(opening(), headersOf(WAIT, 1), frame(FRAME.data, FLAG.endStream, prefixed(''), 1));
    await wire.closed();
    expect(wire.has(GOAWAY, 0)).toBe(true);
    await eventually(() => rig.unary[0]?.isCut === true, { what: 'the end of the call', ...SOON });
  });

  test('connections of the same age do not end at the same time', async (context) => {
    const rig = await grpcRig(context, { ageMs: 1_000 });
    const began = performance.now();
    const ages = await Promise.all(
      Array.from({ length: 8 }, async () => {
        await once(rig.connect(), 'goaway');
        return performance.now() - began;
      }),
    );
    expect(Math.max(...ages) - Math.min(...ages)).toBeGreaterThan(100);
  });

  test('a connection without calls gets GOAWAY when it was idle for long enough, and not before', async (context) => {
    const rig = await grpcRig(context, { handshakeMs: 50, idleMs: 400 });
    const session = rig.connect();
    const stream = open(session, WAIT);
    stream.end(prefixed(''));
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect([session.closed, rig.listener.size]).toEqual([false, 1]);
    const ended = performance.now();
    rig.unary[0]?.answer(Buffer.alloc(0));
    await replyOf(stream);
    await once(session, 'goaway');
    expect(performance.now() - ended).toBeGreaterThan(350);
    await gone(rig);
  });

  test('a client that says goodbye has its calls answered', async (context) => {
    const rig = await grpcRig(context);
    const session = rig.connect();
    const stream = open(session, WAIT);
    stream.end(prefixed(''));
    await eventually(() => rig.unary.length === 1, { what: 'the call', ...SOON });
    session.close();
    rig.unary[0]?.answer(Buffer.from('late, but not too late'));
    expect(statusOf(await replyOf(stream))).toEqual(['0', '']);
    await gone(rig);
  });
});

describe.concurrent('the end of a server', () => {
  test('a server that closes takes no new connections, and closes those without calls at once', async (context) => {
    const rig = await grpcRig(context);
    const session = rig.connect();
    await ask(session, ECHO);
    await rig.listener.close(5_000);
    await gone(rig);
    await expect(Wire.connect(context, rig.port)).rejects.toThrow(/ECONNREFUSED/);
  });

  test('a server that closes answers open calls first', async (context) => {
    const rig = await grpcRig(context);
    const stream = open(rig.connect(), WAIT);
    stream.end(prefixed(''));
    await eventually(() => rig.unary.length === 1, { what: 'the call', ...SOON });
    const closed = rig.listener.close(5_000);
    rig.unary[0]?.answer(Buffer.from('last'));
    expect((await replyOf(stream)).body).toEqual(prefixed('last'));
    await closed;
  });

  test('a call that comes after GOAWAY is left to the client to repeat elsewhere', async (context) => {
    const rig = await grpcRig(context);
    const wire = await Wire.connect(context, rig.port);
    wire.send(opening(), headersOf(WAIT, 1), frame(FRAME.data, FLAG.endStream, prefixed(''), 1));
    await wire.roundTrip();
    const closed = rig.listener.close(500);
    await eventually(() => wire.has(GOAWAY, 0), { what: 'GOAWAY', ...SOON });
    wire.send(headersOf(ECHO, 3), frame(FRAME.data, FLAG.endStream, prefixed('late'), 3));
    await wire.roundTrip();
    const goaway = wire.frames.find(({ type }) => type === GOAWAY);
    expect(goaway?.payload.readUInt32BE(0)).toBe(1); // so the client knows that nobody has seen the third
    expect(rig.echoed).toEqual([]);
    await closed;
  });

  test('a client that is still in the handshake of TLS when the server closes is not served', async (context) => {
    const rig = await grpcRig(context, {}, SERVER);
    const wire = await Wire.connect(context, rig.port);
    await eventually(() => rig.listener.size === 1, { what: 'the connection', ...SOON });
    const closed = rig.listener.close(60_000);
    const socket = tlsTo(rig, context, { ALPNProtocols: ['h2'], socket: wire.socket });
    await eventually(() => socket.closed, { what: 'the end of the connection', ...SOON });
    await closed;
  });

  test('a server that closes does not wait longer than the grace for a client that takes nothing', async (context) => {
    const rig = await grpcRig(context);
    const wire = await Wire.connect(context, rig.port);
    wire.send(opening(), headersOf(WAIT, 1), frame(FRAME.data, FLAG.endStream, prefixed(''), 1));
    await wire.roundTrip();
    const began = performance.now();
    await rig.listener.close(300);
    expect(performance.now() - began).toBeLessThan(3_000);
    await eventually(() => rig.unary[0]?.isCut === true, { what: 'the end of the call', ...SOON });
  });
});
