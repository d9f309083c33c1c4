// What the gRPC library itself has to say goes into our log, where it otherwise would be loose text on stderr among the
// lines for people. How much it says is its own business (GRPC_VERBOSITY, GRPC_TRACE).

import { setLogger } from '@grpc/grpc-js';

export function sendGrpcLogTo(write: (message: string) => void): void {
  const line = (...parts: unknown[]): void => write(parts.map(String).join(' '));
  setLogger({ error: line, info: line, debug: line });
}
