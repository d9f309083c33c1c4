// Sends what the gRPC library itself says to our log; otherwise it would be loose text on stderr. How much it says is
// set by its own variables (GRPC_VERBOSITY, GRPC_TRACE).

import { setLogger } from '@grpc/grpc-js';

export function sendGrpcLogTo(write: (message: string) => void): void {
  const line = (...parts: unknown[]): void => write(parts.map(String).join(' '));
  setLogger({ error: line, info: line, debug: line });
}
