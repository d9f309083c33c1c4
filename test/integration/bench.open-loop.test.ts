// The open loop of the benchmarks, over real connections: what it counts when a server answers, refuses, is silent, or
// ends the connection.
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { afterEach, expect, test } from 'vitest';
import { type OpenLoop, type OpenLoopOrder, openLoop } from '../../bench/loads/open-loop.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { freePort } from '../support/ports.ts';
import { startInstance } from '../support/test-instance.ts';

const RATE = { kind: 'open-loop', connections: 2, cyclesPerSecond: 200, forMs: 500 } as const;
const CYCLES = 100;

const servers: Http2Server[] = [];
const sessions = new Set<ServerHttp2Session>();

afterEach(async () => {
  for (const session of sessions) session.destroy();
  sessions.clear();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function offerTo(
  stream: (stream: ServerHttp2Stream) => void,
  { mostStreams = 1_000, deadlineMs = 200, ...rate }: Partial<OpenLoopOrder> & { mostStreams?: number } = {},
): Promise<OpenLoop> {
  const server = createServer({ settings: { maxConcurrentStreams: mostStreams } });
  servers.push(server);
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (each) => {
    each.on('error', () => undefined); // the client cancels it
    stream(each);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return openLoop({ ...RATE, ...rate, address: `127.0.0.1:${port}`, deadlineMs });
}

test('each cycle that a server answers is a success, and none is lost or counted twice', async () => {
  const instance = await startInstance();
  try {
    const address = formatHostPort(instance.address);
    const seen = await openLoop({ ...RATE, address, deadlineMs: 20_000 });
    expect(seen).toMatchObject({ offered: CYCLES, failed: {}, unsent: 0, closed: 0 });
    // Those at the very end may be answered after the last one was due.
    expect(seen.completed).toBeGreaterThan(0);
    expect(seen.completed).toBeLessThanOrEqual(CYCLES);
    expect(seen.acquireP50Ms).toBeGreaterThan(0);
  } finally {
    await instance.stop();
  }
});

test('a cycle that is refused counts under the name of its status', async () => {
  const seen = await offerTo((stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '8' },
      { endStream: true },
    );
  });
  expect(seen).toMatchObject({ completed: 0, failed: { RESOURCE_EXHAUSTED: CYCLES }, closed: 0 });
  expect(seen.acquireP50Ms).toBeNaN();
});

test('a call that is not answered in its time is cancelled, and its cycle has exceeded its deadline', async () => {
  const ended: number[] = [];
  const seen = await offerTo((stream) => stream.on('close', () => ended.push(stream.rstCode)));
  expect(seen).toMatchObject({ completed: 0, failed: { DEADLINE_EXCEEDED: CYCLES }, unsent: 0 });
  const CANCEL = 8;
  expect(ended.slice(0, 10)).toEqual(Array(10).fill(CANCEL));
});

test('a call for which no connection has a stream in its time is never sent', async () => {
  // So many at once that most of them wait, and pass their deadlines together.
  const seen = await offerTo(() => undefined, { mostStreams: 3, cyclesPerSecond: 20_000, forMs: 20 });
  expect(seen.offered).toBe(400);
  expect(Object.values(seen.failed).reduce((sum, cycles) => sum + cycles, 0)).toBe(400);
  expect(seen.failed.DEADLINE_EXCEEDED).toBeGreaterThanOrEqual(seen.unsent + 2 * 3);
  expect(seen.unsent).toBeGreaterThan(0);
});

test('a connection that the server ends makes its calls unavailable, and is opened anew', async () => {
  let isFirst = true;
  const seen = await offerTo((stream) => {
    if (isFirst) stream.session?.goaway();
    isFirst = false;
  });
  const { UNAVAILABLE = 0, DEADLINE_EXCEEDED = 0 } = seen.failed;
  expect(seen.closed).toBe(1);
  expect(UNAVAILABLE).toBeGreaterThan(0);
  expect(UNAVAILABLE + DEADLINE_EXCEEDED).toBe(CYCLES);
  expect(sessions.size).toBe(3);
});
