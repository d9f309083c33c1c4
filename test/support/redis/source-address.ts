// A preload (`node --import …/source-address.ts`) for a server process that a partition has to tell apart from others:
// its connections to loopback leave from LEASEHOLD_TEST_SOURCE_ADDRESS (say 127.0.0.41). Neither Redis clients nor gRPC
// clients let a user choose that. Owns this one change and nothing else. Linux only: elsewhere only 127.0.0.1 can be
// bound without setup.
import { Socket } from 'node:net';

const sourceAddress = process.env.LEASEHOLD_TEST_SOURCE_ADDRESS;

if (sourceAddress) {
  const connect = Socket.prototype.connect;
  // All forms of the call end in one list of normalised arguments, the first of which is the options object.
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
