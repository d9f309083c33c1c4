// Handlers of rpcs that this server does not serve: UNIMPLEMENTED with the same details as every other error.

import type { handleServerStreamingCall, handleUnaryCall } from '@grpc/grpc-js';
import { CoordinationError } from '../domain/errors.ts';
import { serverStream } from './stream.ts';
import { type CallEnvironment, unary } from './unary.ts';

export function unimplementedUnary<Request, Response>(
  method: string,
  environment: CallEnvironment,
): handleUnaryCall<Request, Response> {
  return unary(method, environment, () => {
    throw notImplemented(method);
  });
}

export function unimplementedStream<Request, Response>(
  method: string,
  environment: CallEnvironment,
): handleServerStreamingCall<Request, Response> {
  return serverStream(method, environment, async () => {
    throw notImplemented(method);
  });
}

function notImplemented(method: string): CoordinationError {
  return new CoordinationError('NOT_IMPLEMENTED', `this server does not serve ${method}`);
}
