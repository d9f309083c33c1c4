// The steps below the floor: a server that answers each call with the bytes of an Acquire's answer and does nothing
// else, on grpc-js or, as `http2`, on node:http2 without gRPC. It promises nothing and is not a lock service.
//
//   node bench/ladder-server.ts http2|echo
import { createServer } from 'node:http2';
import { AcquireResponse, LockServiceService } from '../generated/leasehold/v1/lock_service.ts';
import { serveBare, servesOn } from './bare-server.ts';

const ANSWER = AcquireResponse.fromPartial({
  lease: {
    resource: 'bench-1',
    leaseId: '8a3c7f12-5b1e-4c57-9d7c-1f1c2a3b4d5e',
    fencingToken: 1_790_000_000_000_000n,
    validFor: { seconds: 20n, nanos: 0 },
    expireTime: { seconds: 1_790_000_000n, nanos: 0 },
    achievedDurability: { level: { $case: 'asynchronous', value: {} } },
  },
});

function overHttp2(): void {
  const message = AcquireResponse.encode(ANSWER).finish();
  const framed = Buffer.concat([Buffer.alloc(5), message]);
  framed.writeUInt32BE(message.length, 1);
  const headers = { ':status': 200, 'content-type': 'application/grpc+proto' };
  const trailers = { 'grpc-status': '0', 'grpc-message': 'OK' };
  const server = createServer();
  server.on('stream', (stream) => {
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    stream.once('end', () => {
      stream.respond(headers, { waitForTrailers: true });
      stream.end(framed);
    });
    stream.resume();
  });
  server.listen(0, '127.0.0.1', () => {
    const bound = server.address();
    if (bound && typeof bound === 'object') servesOn(bound.port);
  });
}

function overGrpc(): void {
  const echo = (_call: unknown, callback: (error: null, answer: AcquireResponse) => void): void =>
    callback(null, ANSWER);
  const { acquire, release } = LockServiceService;
  // Both calls get the same answer: only their bytes matter, and nobody reads them.
  serveBare(
    { acquire, release: { ...release, responseSerialize: acquire.responseSerialize } },
    { acquire: echo, release: echo },
  );
}

if (process.argv[2] === 'http2') overHttp2();
else overGrpc();
