// How the bare servers of the benchmarks serve: on a free port, which they log as Leasehold does, until SIGTERM.
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

/** A unary method reduced to what a bare server needs. */
export type Unary<Request> = (
  call: { readonly request: Request },
  callback: (error: Error | null, response?: object) => void,
) => void;

export function serveBare(methods: ServiceDefinition, implementation: UntypedServiceImplementation): void {
  const server = new Server({ 'grpc.enable_channelz': 0 });
  server.addService(methods, implementation);
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    servesOn(port);
  });
}

export function servesOn(port: number): void {
  console.log(JSON.stringify({ msg: 'serving', address: `127.0.0.1:${port}` }));
  process.on('SIGTERM', () => process.exit(0));
}
