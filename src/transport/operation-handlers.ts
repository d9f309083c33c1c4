// OperationStoreService over gRPC. This server does not serve it: each rpc says so.

import type { OperationStoreServiceServer } from '../../generated/leasehold/v1/operation_store_service.ts';
import type { CallEnvironment } from './unary.ts';
import { unimplementedStream, unimplementedUnary } from './unimplemented.ts';

export function operationHandlers(environment: CallEnvironment): OperationStoreServiceServer {
  return {
    beginOperation: unimplementedUnary('BeginOperation', environment),
    getOperation: unimplementedUnary('GetOperation', environment),
    listOperations: unimplementedUnary('ListOperations', environment),
    claimOperations: unimplementedUnary('ClaimOperations', environment),
    updateOperation: unimplementedUnary('UpdateOperation', environment),
    keepAliveOperation: unimplementedStream('KeepAliveOperation', environment),
    completeOperation: unimplementedUnary('CompleteOperation', environment),
    yieldOperation: unimplementedUnary('YieldOperation', environment),
    cancelOperation: unimplementedUnary('CancelOperation', environment),
    retryOperation: unimplementedUnary('RetryOperation', environment),
    deleteOperation: unimplementedUnary('DeleteOperation', environment),
    waitOperation: unimplementedUnary('WaitOperation', environment),
    watchOperations: unimplementedStream('WatchOperations', environment),
  };
}
