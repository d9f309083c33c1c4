// The load generator's own HTTP/2: whether it hears all messages, however they are cut, and the end of a stream. And
// how it judges the order of a queue.
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { QueueOrder } from '../../bench/loads/queue-order.ts';
import { fieldBehind, RawConnection } from '../../bench/loads/raw-streams.ts';
import { eventually } from '../support/eventually.ts';

function framed(text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
}

test('a raw connection hears whole messages, however they are cut, and the end', async () => {
  const requests: string[] = [];
  const server = createServer();
  server.on('stream', async (stream: ServerHttp2Stream, headers) => {
    requests.push(`${headers[':method']} ${headers[':path']} ${headers['content-type']}`);
    for await (const bytes of stream) requests.push(Buffer.from(bytes).toString('latin1'));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const all = Buffer.concat([framed('one'), framed('two'), framed('three')]);
    for (const part of [all.subarray(0, 3), all.subarray(3, 20), all.subarray(20)]) {
      await new Promise((resolve) => stream.write(part, resolve));
    }
    stream.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on a port
  const connection = await RawConnection.open(`127.0.0.1:${port}`, '/a.B/C');
  const heard: string[] = [];
  connection.call(Buffer.from('ask'), {
    message: (bytes) => heard.push(bytes.toString()),
    ended: () => heard.push('end'),
  });
  await eventually(() => heard.includes('end'), { what: 'the end of the stream', withinMs: 5_000 });
  expect(heard).toEqual(['one', 'two', 'three', 'end']);
  expect(requests).toEqual(['POST /a.B/C application/grpc', framed('ask').toString('latin1')]);
  connection.close();
  server.close();
});

test('the kind of an event is read from the field behind the texts before it', () => {
  const message = Buffer.from([0x0a, 2, 0x61, 0x62, 0x12, 1, 0x63, 0x2a, 0]);
  expect(fieldBehind(2, message)).toBe(5);
  expect(fieldBehind(0, message)).toBe(1);
  expect(fieldBehind(2, Buffer.from([0x0a, 1, 0x61]))).toBe(0);
});

test('a waiter that is granted before one that stood ahead of it is out of order', () => {
  const order = new QueueOrder();
  for (const leaseId of ['a', 'b', 'c']) order.queued(leaseId);
  order.expect(['b', 'a', 'c']);
  order.queued('d');
  for (const leaseId of ['b', 'c', 'a', 'd']) order.granted(leaseId);
  expect(order.outOfOrder).toBe(1);
});
