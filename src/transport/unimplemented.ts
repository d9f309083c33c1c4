// Handlers of rpcs that this server does not serve: UNIMPLEMENTED with the same details as every other error.

import type { handleServerStreamingCall, handleUnaryCall } from '@grpc/grpc-js';
import { CoordinationError } from '../domain/errors.ts';
import { errorStatus } from './error-status.ts';
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
  { observer }: CallEnvironment,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    observer.callBegan();
    // Not destroy(): grpc-js sends the status when the stream is finished, and a destroyed one never is.
    call.emit('error', Object.assign(new Error(method), errorStatus(notImplemented(method))));
    observer.callEnded(method, 'UNIMPLEMENTED', 0);
  };
}

function notImplemented(method: string): CoordinationError {
  return new CoordinationError('NOT_IMPLEMENTED', `this server does not serve ${method}`);
}
