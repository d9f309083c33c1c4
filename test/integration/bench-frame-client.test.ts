// The benchmarks' own gRPC client against a server of grpc-js: it reads what was sent, and an answer that isn't OK is
// an error, never a fast answer.
import { randomUUID } from 'node:crypto';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { CallFrames } from '../../bench/loads/call-frames.ts';
import { FrameClient } from '../../bench/loads/frame-client.ts';
import { eventually } from '../support/eventually.ts';

const ECHO = {
  path: '/bench.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

const ending: (() => void)[] = [];
afterEach(() => {
  for (const end of ending.splice(0)) end();
});

type Answer = (error: { code: number } | null, message?: Buffer) => void;

async function connected(answer: (message: Buffer, callback: Answer) => void) {
  const server = new Server();
  server.addService(
    { say: ECHO },
    { say: ({ request }: { request: Buffer }, callback: Answer) => answer(request, callback) },
  );
  const address = await new Promise<string>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    );
  });
  const client = await FrameClient.connect(address);
  ending.push(
    () => client.close(),
    () => server.forceShutdown(),
  );
  return {
    client,
    server,
    frames: (message: string) => new CallFrames(address, ECHO.path, Buffer.from(message)),
  };
}

test('an answer is the message that the server sent, even one of many frames', async () => {
  const long = 'x'.repeat(100_000);
  const { client, frames } = await connected((message, callback) =>
    callback(null, Buffer.concat([message, Buffer.from(long)])),
  );
  expect((await client.call(frames('hello '))).toString()).toBe(`hello ${long}`);
});

test('recorded frames are sent again with other ids', async () => {
  const { client, frames } = await connected((message, callback) => callback(null, message));
  const [first, second] = [randomUUID(), randomUUID()];
  const call = frames(`a${first}z`);
  const place = call.placeOf(first);
  expect((await client.call(call)).toString()).toBe(`a${first}z`);
  call.patch(place, second);
  expect((await client.call(call)).toString()).toBe(`a${second}z`);
});

test('more bytes than the server takes at once wait for their turn, and all are answered', async () => {
  const { client, frames } = await connected((message, callback) => setImmediate(callback, null, message));
  const messages = Array.from({ length: 200 }, (_, index) => `${index} `.padEnd(2_000, '.'));
  const answers = await Promise.all(messages.map((message) => client.call(frames(message))));
  expect(answers.map(String)).toEqual(messages);
});

test('any status but OK is an error that names it', async () => {
  const { client, frames } = await connected((_message, callback) => callback({ code: status.UNAVAILABLE }));
  await expect(client.call(frames('a'))).rejects.toThrow(`${ECHO.path}: status ${status.UNAVAILABLE}`);
});

test('a connection that is lost ends the calls in flight and all later ones', async () => {
  let asked = 0;
  const { client, server, frames } = await connected(() => {
    asked++;
  });
  const inFlight = client.call(frames('a'));
  const refused = expect(inFlight).rejects.toThrow();
  await eventually(() => asked === 1, { what: 'the call at the server', withinMs: 5_000 });
  server.forceShutdown();
  await refused;
  await eventually(
    () =>
      client.call(frames('b')).then(
        () => false,
        () => true,
      ),
    { what: 'an error for a later call', withinMs: 5_000 },
  );
});
