// What the TCP proxy of the test harness promises, against a plain echo server.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: () => boolean;
}

describe('TcpProxy', () => {
  let target: Server;
  let targetPort = 0;
  let seenByTarget = '';
  let proxy: TcpProxy;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    seenByTarget = '';
    target = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        seenByTarget += chunk.toString();
        socket.write(`<${chunk.toString()}>`);
      });
    });
    const port = await freePort();
    targetPort = port;
    target.listen(port, '127.0.0.1');
    await once(target, 'listening');
    proxy = await TcpProxy.start({ target: { host: '127.0.0.1', port } });
  });

  afterEach(async () => {
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    target.close();
  });

  async function open(localAddress = '127.0.0.1'): Promise<Client> {
    const socket = connect({ host: proxy.host, port: proxy.port, localAddress });
    sockets.add(socket);
    let received = '';
    let closed = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.on('close', () => {
      closed = true;
    });
    await once(socket, 'connect');
    return { socket, received: () => received, closed: () => closed };
  }

  const gets = (client: Client, text: string) =>
    eventually(() => client.received() === text, { what: `receiving ${text}`, withinMs: 2000, everyMs: 5 });

  test('a proxy passes bytes both ways, and the end of a connection', async () => {
    const client = await open();
    client.socket.write('a');
    await gets(client, '<a>');
    client.socket.end();
    await eventually(client.closed, { what: 'the close', withinMs: 2000 });
    await eventually(() => proxy.connectionCount === 0, {
      what: 'forgetting the connection',
      withinMs: 2000,
    });
  });

  test('a cut holds bytes of old and new connections and closes nothing; heal lets them flow', async () => {
    const old = await open();
    old.socket.write('a');
    await gets(old, '<a>');
    proxy.cut();
    old.socket.write('b');
    const fresh = await open();
    fresh.socket.write('c');
    await eventually(() => proxy.heldRequestBytes === 2, { what: 'holding both', withinMs: 2000 });
    expect(seenByTarget).toBe('a');
    expect(old.closed() || fresh.closed()).toBe(false);
    proxy.heal();
    await gets(old, '<a><b>');
    await gets(fresh, '<c>');
  });

  test('a cut of some peers does not affect the others', async () => {
    const near = await open('127.0.0.1');
    const far = await open('127.0.0.77');
    proxy.cut((peerAddress) => peerAddress === '127.0.0.77');
    far.socket.write('far');
    near.socket.write('near');
    await gets(near, '<near>');
    await eventually(() => proxy.heldRequestBytes === 3, { what: 'holding the far one', withinMs: 2000 });
    expect(seenByTarget).toBe('near');
  });

  test('a cut holds back the end of a connection too', async () => {
    const client = await open();
    client.socket.write('a');
    await gets(client, '<a>');
    proxy.cut();
    client.socket.write('last words');
    client.socket.destroy();
    await eventually(() => proxy.heldRequestBytes === 10, { what: 'holding the last words', withinMs: 2000 });
    expect(proxy.connectionCount).toBe(1);
    proxy.heal();
    await eventually(() => seenByTarget === 'alast words', { what: 'the late bytes', withinMs: 2000 });
  });

  test('drop loses the held replies, although the target did its work', async () => {
    const client = await open();
    proxy.holdReplies();
    client.socket.write('commit');
    await eventually(() => proxy.heldReplyBytes === 8, { what: 'a held reply', withinMs: 2000 });
    expect(seenByTarget).toBe('commit');
    proxy.drop();
    await eventually(client.closed, { what: 'the reset', withinMs: 2000 });
    expect(client.received()).toBe('');
  });

  test('a hold of requests lets through what the target says by itself', async () => {
    const client = await open();
    client.socket.write('a');
    await gets(client, '<a>');
    proxy.holdRequests();
    client.socket.write('b');
    await eventually(() => proxy.heldRequestBytes === 1, { what: 'a held request', withinMs: 2000 });
    for (const socket of sockets) if (socket.localPort === targetPort) socket.write('news');
    await gets(client, '<a>news');
    expect(seenByTarget).toBe('a');
    proxy.heal();
    await gets(client, '<a>news<b>');
  });

  test('a drop of some peers does not affect the others', async () => {
    const near = await open('127.0.0.1');
    const far = await open('127.0.0.77');
    proxy.drop((peerAddress) => peerAddress === '127.0.0.77');
    await eventually(far.closed, { what: 'the reset of the far one', withinMs: 2000 });
    near.socket.write('near');
    await gets(near, '<near>');
  });

  test('refuse turns away new connections and keeps open ones, and accept listens again', async () => {
    const old = await open();
    await proxy.refuse();
    await expect(open()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    old.socket.write('a');
    await gets(old, '<a>');
    await proxy.accept();
    const fresh = await open();
    fresh.socket.write('b');
    await gets(fresh, '<b>');
  });

  test('a delay holds every chunk and keeps the order', async () => {
    const client = await open();
    proxy.delayMs = 60;
    const startMs = performance.now();
    client.socket.write('a');
    await eventually(() => seenByTarget === 'a', { what: 'the request', withinMs: 2000, everyMs: 2 });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(59);
    await eventually(() => proxy.heldReplyBytes === 3, { what: 'the reply', withinMs: 2000, everyMs: 2 });
    proxy.delayMs = 0;
    client.socket.write('b');
    await gets(client, '<a><b>');
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(118);
  });

  test('a proxy carries more than it can hold, with backpressure', async () => {
    const client = await open();
    const sentBytes = 8 * 1024 * 1024;
    client.socket.write(Buffer.alloc(sentBytes, 'x'));
    await eventually(() => client.received().length >= sentBytes, {
      what: 'eight megabytes',
      withinMs: 10_000,
    });
  });

  test('a proxy closes the connection when the target is dead', async () => {
    await new Promise((resolve) => target.close(resolve));
    const client = await open();
    await eventually(client.closed, { what: 'the close', withinMs: 2000 });
  });
});
