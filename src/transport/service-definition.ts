// A generated service definition whose decoders never throw: grpc-js answers INTERNAL without details for
// bytes that are no message of the type, and the fault is the caller's.

import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { CoordinationError } from '../domain/errors.ts';

/** Stands in for a request that could not be decoded; the handlers refuse it. */
export class Undecodable {
  readonly error = new CoordinationError(
    'INVALID_ARGUMENT',
    'request: must be a valid protobuf message of its type',
    {
      violations: [{ field: 'request', description: 'must be a valid protobuf message of its type' }],
    },
  );
}

export function withTotalDecoders<S extends UntypedServiceImplementation>(
  definition: ServiceDefinition<S>,
): ServiceDefinition<S> {
  const methods = Object.entries(definition).map(([name, method]) => {
    const { requestDeserialize } = method as MethodDefinition<unknown, unknown>;
    const decode = (bytes: Buffer): unknown => {
      try {
        return requestDeserialize(bytes);
      } catch {
        return new Undecodable();
      }
    };
    return [name, { ...(method as object), requestDeserialize: decode }];
  });
  return Object.fromEntries(methods) as ServiceDefinition<S>; // same names, same types: only the decoders are wrapped
}
