// Makes a promise of a unary call of a generated client.
import type { ServiceError } from '@grpc/grpc-js';

export function promised<Response>(
  call: (callback: (error: ServiceError | null, response: Response) => void) => unknown,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** Milliseconds as a google.protobuf.Duration. */
export function duration(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}
