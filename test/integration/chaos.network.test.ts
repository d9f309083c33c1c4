// The network of chaos runs: rules that overlap end one by one, and each affects only the parties that it names.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Network, type Party } from '../chaos/rig/network.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
let a: Party;
let b: Party;
let caller: Party;
let network: Network;

beforeEach(async () => {
  [a, b] = [await echo('a', '127.0.0.61'), await echo('b', '127.0.0.62')];
  caller = { name: 'caller', sourceAddress: '127.0.0.63', proxy: undefined };
  network = new Network([a, b]);
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) server.close();
  await Promise.all([a, b].map(({ proxy }) => proxy?.close()));
});

async function echo(name: string, sourceAddress: string): Promise<Party> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  servers.push(server);
  const target = { host: '127.0.0.1', port: await freePort() };
  server.listen(target.port, target.host);
  await once(server, 'listening');
  return { name, sourceAddress, proxy: await TcpProxy.start({ target }) };
}

async function call(from: Party, to: Party) {
  const [host, port] = [to.proxy?.host ?? '', to.proxy?.port ?? 0];
  const socket = connect({ host, port, localAddress: from.sourceAddress });
  sockets.add(socket);
  let heard = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    heard += chunk.toString();
  });
  await once(socket, 'connect');
  const hears = (text: string) => eventually(() => heard === text, { what: text, withinMs: 2_000 });
  return { say: (text: string) => socket.write(text), hears, heard: () => heard, socket };
}

test('two parted sides do not reach each other, on connections made by either; others reach both', async () => {
  const [ab, ba, ca] = [await call(a, b), await call(b, a), await call(caller, a)];
  const end = network.part([a], [b]);
  for (const one of [ab, ba, ca]) one.say('x');
  await ca.hears('x');
  expect([ab.heard(), ba.heard()]).toEqual(['', '']);
  end();
  await ab.hears('x');
  await ba.hears('x');
});

test('bytes that two network rules hold flow when both rules have ended', async () => {
  const line = await call(caller, a);
  const endFirst = network.hold([caller], [a]);
  const endSecond = network.hold([caller], [a, b], 'requests');
  line.say('x');
  await eventually(() => a.proxy?.heldRequestBytes === 1, { what: 'a held byte', withinMs: 2_000 });
  endFirst();
  const other = await call(b, a);
  other.say('y');
  await other.hears('y');
  expect(line.heard()).toBe('');
  endSecond();
  await line.hears('x');
});

test('held replies break with their connections, and replies on later connections pass', async () => {
  const line = await call(caller, a);
  const end = network.hold([caller], [a], 'replies');
  line.say('x');
  await eventually(() => a.proxy?.heldReplyBytes === 1, { what: 'a held reply', withinMs: 2_000 });
  network.drop([b], [a]);
  network.drop([caller], [a]);
  await eventually(() => line.socket.closed, { what: 'the broken connection', withinMs: 2_000 });
  end();
  const next = await call(caller, a);
  next.say('y');
  await next.hears('y');
  expect(line.heard()).toBe('');
});

test('the longest of several network delays counts, and the next longest when it ends', () => {
  const delays = (from: Party) => [a, b].map(({ proxy }) => proxy?.delayOf(from.sourceAddress, 'requests'));
  const endLong = network.delay([a, b], 200);
  const endShort = network.delay([a], 50);
  expect(delays(caller)).toEqual([200, 200]);
  endLong();
  expect(delays(caller)).toEqual([50, 0]);
  endShort();
  expect(delays(caller)).toEqual([0, 0]);
});

test('a network delay can apply to some callers only, and in one direction', () => {
  const end = network.delay([a, b], 200, { callers: [a], of: 'replies' });
  const delays = (from: Party, direction: 'requests' | 'replies') =>
    [a, b].map(({ proxy }) => proxy?.delayOf(from.sourceAddress, direction));
  expect(delays(a, 'replies')).toEqual([200, 200]);
  expect(delays(a, 'requests')).toEqual([0, 0]);
  expect(delays(caller, 'replies')).toEqual([0, 0]);
  end();
  expect(delays(a, 'replies')).toEqual([0, 0]);
});
