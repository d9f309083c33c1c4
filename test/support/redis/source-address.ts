// To be preloaded into a server process (`node --import …/source-address.ts`) that shall be told apart from others in
// a partition: its connections to loopback leave from LEASEHOLD_TEST_SOURCE_ADDRESS (say 127.0.0.41). Neither Redis
// clients nor gRPC ones let a user choose that. It owns this one change and nothing else. Linux only: elsewhere only
// 127.0.0.1 can be bound without setup.
import { Socket } from 'node:net';

const sourceAddress = process.env.LEASEHOLD_TEST_SOURCE_ADDRESS;

if (sourceAddress) {
  const connect = Socket.prototype.connect;
  // All ways to call it end in one list of normalised arguments, whose first one is the options object.
  Socket.prototype.connect = function connectFromSource(this: Socket, ...args: unknown[]): Socket {
    const [options] = Array.isArray(args[0]) ? args[0] : args;
    if (isLoopback(options)) options.localAddress ??= sourceAddress;
    return Reflect.apply(connect, this, args);
  };
}

function isLoopback(options: unknown): options is { host: string; localAddress?: string } {
  if (typeof options !== 'object' || options === null || !('host' in options)) return false;
  return (
    typeof options.host === 'string' && (options.host === 'localhost' || options.host.startsWith('127.'))
  );
}
