// OperationStoreService over gRPC: each rpc decodes, calls the service's method of the same name, and encodes.

import type { OperationStoreServiceService } from '../../generated/leasehold/v1/operation_store_service.ts';
import { isFinal } from '../domain/operation.ts';
import type { AttemptStreams } from '../service/attempt-streams.ts';
import type { OperationService, RunningOperation } from '../service/operation-service.ts';
import type { OperationWaits } from '../service/operation-waits.ts';
import type { OperationWatch } from '../service/operation-watch.ts';
import { sendKeepAliveOperation } from './attempt-events.ts';
import {
  decodeClaim,
  decodeComplete,
  decodeKeepAliveOperation,
  decodeUpdate,
  decodeYield,
} from './decode-attempt.ts';
import type { LeaseBounds } from './decode-lock.ts';
import {
  decodeBegin,
  decodeCancel,
  decodeKey,
  decodeVersioned,
  decodeWaitOperation,
  type PayloadBounds,
} from './decode-operation.ts';
import { decodeList, decodeWatch } from './decode-operation-query.ts';
import { encodeAttempt, encodeOperation } from './encode-operation.ts';
import type { Handlers } from './grpc/rpc.ts';
import { operationWatchSink } from './operation-watch-events.ts';
import { serverStream } from './stream.ts';
import { tracedSink } from './traced-sink.ts';
import { type CallEnvironment, unary } from './unary-handler.ts';

export interface OperationServices {
  readonly operations: OperationService;
  readonly waits: OperationWaits;
  readonly streams: AttemptStreams;
  readonly watch: OperationWatch;
}

export function operationHandlers(
  { operations, waits, streams, watch }: OperationServices,
  bounds: LeaseBounds & PayloadBounds,
  environment: CallEnvironment,
): Handlers<OperationStoreServiceService> {
  return {
    beginOperation: unary('BeginOperation', environment, async (request, context) => {
      const { operation, running, created } = await operations.begin(decodeBegin(request, bounds), context);
      return {
        operation: encodeOperation(operation),
        attempt: running && encodeAttempt(running),
        created,
      };
    }),
    getOperation: unary('GetOperation', environment, async (request, context) => ({
      operation: encodeOperation(await operations.get(decodeKey(request), context)),
    })),
    listOperations: unary('ListOperations', environment, async (request, context) => {
      const { operations: listed, nextPageToken } = await operations.list(decodeList(request), context);
      return { operations: listed.map(encodeOperation), nextPageToken };
    }),
    claimOperations: unary('ClaimOperations', environment, async (request, context) => {
      const { command, waitMs } = decodeClaim(request, bounds);
      return { claimed: (await operations.claim(command, waitMs, context)).map(encodeRunning) };
    }),
    updateOperation: unary('UpdateOperation', environment, async (request, context) =>
      encodeRunning(await operations.update(decodeUpdate(request, bounds), context)),
    ),
    keepAliveOperation: serverStream('KeepAliveOperation', environment, (request, context, send) => {
      const command = decodeKeepAliveOperation(request);
      return streams.keepAlive(command, context, (event) =>
        sendKeepAliveOperation(send, command.attempt, event),
      );
    }),
    completeOperation: unary('CompleteOperation', environment, async (request, context) => ({
      operation: encodeOperation(await operations.complete(decodeComplete(request, bounds), context)),
    })),
    yieldOperation: unary('YieldOperation', environment, async (request, context) => ({
      operation: encodeOperation(await operations.yield(decodeYield(request), context)),
    })),
    cancelOperation: unary('CancelOperation', environment, async (request, context) => ({
      operation: encodeOperation(await operations.cancel(decodeCancel(request), context)),
    })),
    retryOperation: unary('RetryOperation', environment, async (request, context) => ({
      operation: encodeOperation(await operations.retry(decodeVersioned(request), context)),
    })),
    deleteOperation: unary('DeleteOperation', environment, async (request, context) => ({
      deleted: await operations.delete(decodeVersioned(request), context),
    })),
    waitOperation: unary('WaitOperation', environment, async (request, context) => {
      const { key, waitMs } = decodeWaitOperation(request);
      const operation = await waits.wait(key, waitMs, context);
      return { operation: encodeOperation(operation), done: isFinal(operation.state) };
    }),
    watchOperations: serverStream('WatchOperations', environment, (request, context, send, flow) => {
      const { filter, withPayloads } = decodeWatch(request);
      const sink = tracedSink(operationWatchSink(send, flow, withPayloads), context.trace);
      return watch.watch(filter, withPayloads, context, sink);
    }),
  };
}

function encodeRunning({ operation, running }: RunningOperation) {
  return { operation: encodeOperation(operation), attempt: encodeAttempt(running) };
}
