// Responses, paragraph by paragraph of "gRPC over HTTP2": headers, messages, trailers with the status, and what a
// handler hears of a call that nobody waits for any more.

import { once } from 'node:events';
import { constants, type IncomingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { describe, expect, type TestContext, test } from 'vitest';
import { Status } from '../../generated/google/rpc/status.ts';
import type { StreamCall, UnaryCall } from '../../src/transport/grpc/rpc.ts';
import { eventually } from '../support/eventually.ts';
import { ask, ECHO, grpcRig, open, prefixed, replyOf, STREAM, statusOf, WAIT } from '../support/grpc-rig.ts';

const SOON = { withinMs: 5_000 };
const nobody = (): void => {};

/** A stream that the server has and the client reads. */
async function openStream(context: TestContext, headers = {}) {
  const rig = await grpcRig(context);
  const stream = open(rig.connect(), STREAM, headers);
  stream.end(prefixed('please'));
  const call = await first(rig.streams);
  return { ...rig, stream, call };
}

/** A unary call that the server has. */
async function openCall(context: TestContext, headers = {}) {
  const rig = await grpcRig(context);
  const session = rig.connect();
  const stream = open(session, WAIT, headers);
  stream.end(prefixed('please'));
  const call = await first(rig.unary);
  return { ...rig, session, stream, call };
}

async function first<Call>(calls: readonly Call[]): Promise<Call> {
  await eventually(() => calls.length > 0, { what: 'the call', ...SOON });
  const [call] = calls;
  if (!call) throw new Error('no call');
  return call;
}

/** Without what node:http2 adds under a symbol. */
function plain(headers: IncomingHttpHeaders): object {
  return Object.fromEntries(Object.entries(headers));
}

function cutsOf(call: UnaryCall<Buffer, Buffer> | StreamCall<Buffer, Buffer>): { count: number } {
  const cuts = { count: 0 };
  call.onCut = () => cuts.count++;
  return cuts;
}

describe.concurrent('an answer', () => {
  test('a unary call is answered with headers, a message, and the status in trailers', async (context) => {
    const { connect } = await grpcRig(context);
    const { headers, body, trailers } = await ask(connect(), ECHO);
    expect(headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc+proto' });
    expect(headers).not.toHaveProperty('grpc-status');
    expect(body).toEqual(prefixed('hello'));
    expect(plain(trailers)).toEqual({ 'grpc-status': '0' });
  });

  test('a refusal before any message is headers alone, with the status and its details', async (context) => {
    const { stream, call } = await openCall(context);
    const details = Buffer.from(Status.encode(Status.fromPartial({ code: 5, message: 'no' })).finish());
    call.refuse({ code: status.NOT_FOUND, message: 'no', details });
    const reply = await replyOf(stream);
    expect(reply.body).toHaveLength(0);
    expect(plain(reply.trailers)).toEqual({});
    expect(reply.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': '5',
      'grpc-message': 'no',
      'grpc-status-details-bin': details.toString('base64'),
    });
  });

  test('a stream sends each message when it is written, and its status in trailers', async (context) => {
    const { stream, call } = await openStream(context);
    const read: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => read.push(chunk));
    for (const text of ['one', 'two']) {
      await new Promise<void>((resolve) => call.write(Buffer.from(text), resolve));
      await eventually(() => Buffer.concat(read).includes(text), { what: text, ...SOON });
    }
    const reply = replyOf(stream);
    call.end();
    expect(plain((await reply).trailers)).toEqual({ 'grpc-status': '0' });
    expect(Buffer.concat(read)).toEqual(Buffer.concat([prefixed('one'), prefixed('two')]));
  });

  test('a stream that is refused after messages has the status and its details in trailers', async (context) => {
    const { stream, call } = await openStream(context);
    call.write(Buffer.from('one'), nobody);
    call.refuse({ code: status.ABORTED, message: 'lost', details: Buffer.from([8, 10]) });
    const { body, trailers } = await replyOf(stream);
    expect(body).toEqual(prefixed('one'));
    expect(plain(trailers)).toEqual({
      'grpc-status': '10',
      'grpc-message': 'lost',
      'grpc-status-details-bin': 'CAo=',
    });
  });

  test('a stream without messages ends with headers alone', async (context) => {
    const { stream, call } = await openStream(context);
    call.end();
    const reply = await replyOf(stream);
    expect([reply.headers['grpc-status'], plain(reply.trailers)]).toEqual(['0', {}]);
  });

  test.for([
    ['plain: !"#$&\'()*+,-./~', 'plain: !"#$&\'()*+,-./~'],
    ['100 %', '100 %25'],
    ['zwölf\r\n', 'zw%C3%B6lf%0D%0A'],
    ['🔒\u0000\u007f', '%F0%9F%94%92%00%7F'],
    ['half of a pair: \ud83d', 'half of a pair: %EF%BF%BD'],
    ['', ''],
  ] as const)('the message "%s" of a status is percent-encoded', async ([message, sent], context) => {
    const { stream, call } = await openCall(context);
    call.refuse({ code: status.INTERNAL, message });
    expect(statusOf(await replyOf(stream))).toEqual(['13', sent]);
  });

  test('only the first status of a call counts', async (context) => {
    const { stream, call, session } = await openCall(context);
    call.answer(Buffer.from('first'));
    call.answer(Buffer.from('second'));
    call.refuse({ code: status.INTERNAL, message: 'third' });
    const reply = await replyOf(stream);
    expect([reply.body, ...statusOf(reply)]).toEqual([prefixed('first'), '0', '']);
    expect(statusOf(await ask(session, ECHO))).toEqual(['0', '']);
  });

  test('what a handler writes after the end of its stream goes nowhere', async (context) => {
    const { stream, call } = await openStream(context);
    call.write(Buffer.from('one'), nobody);
    call.end();
    call.write(Buffer.from('two'), nobody);
    expect((await replyOf(stream)).body).toEqual(prefixed('one'));
  });
});

describe.concurrent('a call that nobody waits for', () => {
  test.for(['unary', 'stream'] as const)(
    'a handler of a %s call hears once that the client has cancelled',
    async (kind, context) => {
      const { call, stream } = await (kind === 'unary' ? openCall(context) : openStream(context));
      const cuts = cutsOf(call);
      expect(call.isCut).toBe(false);
      stream.close(constants.NGHTTP2_CANCEL);
      await eventually(() => call.isCut, { what: 'the cancellation', ...SOON });
      expect(cuts.count).toBe(1);
      call.refuse({ code: status.CANCELLED, message: 'nobody hears this' });
    },
  );

  test.for([constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_INTERNAL_ERROR, constants.NGHTTP2_REFUSED_STREAM])(
    'a handler hears that the client has reset the stream with the code %i',
    async (code, context) => {
      const { call, stream } = await openCall(context);
      const cuts = cutsOf(call);
      stream.close(code);
      await eventually(() => cuts.count === 1, { what: 'the reset', ...SOON });
    },
  );

  test('a handler hears that the connection is lost', async (context) => {
    const { call, session } = await openCall(context);
    const cuts = cutsOf(call);
    session.destroy();
    await eventually(() => cuts.count === 1, { what: 'the end of the connection', ...SOON });
  });

  test('a handler that has answered hears of no end', async (context) => {
    const { call, stream } = await openCall(context);
    const cuts = cutsOf(call);
    call.answer(Buffer.from('done'));
    await replyOf(stream);
    await new Promise(setImmediate);
    expect([cuts.count, call.isCut]).toEqual([0, false]);
  });

  test('a write to a client that has gone never calls back', async (context) => {
    const { call, stream } = await openStream(context);
    stream.close(constants.NGHTTP2_CANCEL);
    let passedOn = 0;
    call.write(Buffer.from('one'), () => passedOn++);
    await eventually(() => call.isCut, { what: 'the cancellation', ...SOON });
    call.write(Buffer.from('two'), () => passedOn++);
    await new Promise(setImmediate);
    expect(passedOn).toBeLessThanOrEqual(1); // the first may have gone out before
  });
});

describe.concurrent('a deadline', () => {
  test('a call whose deadline passes is DEADLINE_EXCEEDED, and its handler hears of it', async (context) => {
    const { call, stream } = await openCall(context, { 'grpc-timeout': '100m' });
    const cuts = cutsOf(call);
    expect(statusOf(await replyOf(stream))[0]).toBe(String(status.DEADLINE_EXCEEDED));
    expect([cuts.count, call.isCut]).toEqual([1, true]);
    expect(call.timeLeftMs).toBeLessThanOrEqual(0);
    call.answer(Buffer.from('too late'));
  });

  test('a stream whose deadline passes after messages ends with it in trailers', async (context) => {
    const { call, stream } = await openStream(context, { 'grpc-timeout': '200m' });
    call.write(Buffer.from('one'), nobody);
    const reply = await replyOf(stream);
    expect([reply.body, reply.trailers['grpc-status']]).toEqual([prefixed('one'), '4']);
  });

  test('a deadline that passes before the client has sent its message is one, too', async (context) => {
    const { connect, unary } = await grpcRig(context);
    const stream = open(connect(), WAIT, { 'grpc-timeout': '50m' });
    expect(statusOf(await replyOf(stream))[0]).toBe(String(status.DEADLINE_EXCEEDED));
    expect(unary).toEqual([]);
  });

  test('the answer that comes before the deadline counts', async (context) => {
    const { call, stream } = await openCall(context, { 'grpc-timeout': '300m' });
    const cuts = cutsOf(call);
    call.answer(Buffer.from('in time'));
    expect(statusOf(await replyOf(stream))).toEqual(['0', '']);
    await eventually(() => call.timeLeftMs < -100, { what: 'the deadline', ...SOON });
    expect(cuts.count).toBe(0);
  });
});

describe.concurrent('a client that reads slowly', () => {
  test('a write calls back only when the client has room, and goes on when it has read', async (context) => {
    const { call, stream } = await openStream(context);
    const message = Buffer.alloc(100_000, 'x'); // more than the window of a stream
    let passedOn = 0;
    stream.pause();
    call.write(message, () => passedOn++);
    await once(stream, 'response');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(passedOn).toBe(0);
    stream.resume();
    await eventually(() => passedOn === 1, { what: 'room for the message', ...SOON });
    call.end();
    await replyOf(stream);
  });

  test('a client that asks without reading is not asked for more: its questions wait', async (context) => {
    const { connect } = await grpcRig(context);
    const session = connect();
    const stream = open(session, '/test.Service/Each');
    stream.pause();
    const question = prefixed(Buffer.alloc(1_000, 'x'));
    let isTaken = true;
    const asked = () => (isTaken = stream.write(question));
    for (let i = 0; i < 1_000; i++) asked(); // 1 MB, of which the windows take 64 KiB each way
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isTaken).toBe(false);
    expect(stream.bufferSize).toBeGreaterThan(500_000);
    stream.resume();
    const reply = replyOf(stream);
    stream.end();
    expect((await reply).trailers['grpc-status']).toBe('0');
  });
});
