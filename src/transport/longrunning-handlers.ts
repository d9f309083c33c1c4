// google.longrunning.Operations over the same records, for clients that know this standard interface but not ours.

import type {
  Operation as OperationMessage,
  OperationsService,
} from '../../generated/google/longrunning/operations.ts';
import { Operation as Metadata } from '../../generated/leasehold/v1/operation.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import { isFinal, type Operation } from '../domain/operation.ts';
import { operationNotFound } from '../service/operation-refusals.ts';
import { ALL_OPERATIONS } from './decode-operation-query.ts';
import { decodeDuration } from './durations.ts';
import { encodeOperation } from './encode-operation.ts';
import type { Handlers } from './grpc/rpc.ts';
import type { OperationServices } from './operation-handlers.ts';
import { decodeOperationName, decodeParentName } from './operation-names.ts';
import { decodedAny, decodedStatus, packedAny, packedEmpty } from './payloads.ts';
import { type CallEnvironment, unary } from './unary-handler.ts';
import { Violations } from './violations.ts';

export function longrunningHandlers(
  { operations, waits }: OperationServices,
  environment: CallEnvironment,
): Handlers<OperationsService> {
  return {
    getOperation: unary('Operations.GetOperation', environment, async ({ name }, context) =>
      encode(await operations.get(decodeOperationName(name), context)),
    ),
    listOperations: unary('Operations.ListOperations', environment, async (request, context) => {
      const violations = new Violations();
      const resource = decodeParentName(violations, 'name', request.name);
      if (request.filter !== '')
        violations.note('filter', 'must be empty: filters are for ListOperations of leasehold.v1');
      const most = violations.pageSize('page_size', request.pageSize);
      violations.refuse();
      if (request.returnPartialSuccess) {
        throw new CoordinationError('NOT_IMPLEMENTED', 'this server does not support return_partial_success');
      }
      const listing = {
        filter: { ...ALL_OPERATIONS, resource },
        most,
        withPayloads: true,
        pageToken: request.pageToken,
      };
      const { operations: listed, nextPageToken } = await operations.list(listing, context);
      return { operations: listed.map(encode), nextPageToken, unreachable: [] };
    }),
    cancelOperation: unary('Operations.CancelOperation', environment, async ({ name }, context) => {
      const command = { ...decodeOperationName(name), reason: '', requestId: '' };
      await operations.cancel(command, context);
      return {};
    }),
    deleteOperation: unary('Operations.DeleteOperation', environment, async ({ name }, context) => {
      const key = decodeOperationName(name);
      if (!(await operations.delete({ ...key, version: 0 }, context))) throw operationNotFound();
      return {};
    }),
    waitOperation: unary('Operations.WaitOperation', environment, async (request, context) => {
      const key = decodeOperationName(request.name);
      const violations = new Violations();
      const { unaryWaitMs } = LIMITS;
      const anyMs = Number.POSITIVE_INFINITY; // the interface cuts longer timeouts, and doesn't refuse them
      const timeout = decodeDuration(request.timeout);
      const waitMs = violations.duration('timeout', timeout, 0, anyMs, unaryWaitMs);
      violations.refuse();
      return encode(await waits.wait(key, Math.min(waitMs, unaryWaitMs), context));
    }),
  };
}

function encode(operation: Operation): OperationMessage {
  const metadata = encodeOperation({
    ...operation,
    data: undefined,
    progress: undefined,
    outcome: undefined,
  });
  return {
    name: metadata.name,
    metadata: packedAny('leasehold.v1.Operation', Metadata.encode(metadata).finish()),
    done: isFinal(operation.state),
    result: encodeResult(operation),
  };
}

function encodeResult({ outcome }: Operation): OperationMessage['result'] {
  switch (outcome?.kind) {
    case undefined:
      return undefined;
    case 'result': {
      const result = decodedAny(outcome.value);
      // The futures of Python, Go and Java fail to unpack an Any without a type.
      return { $case: 'response', value: result?.typeUrl ? result : packedEmpty() };
    }
    case 'error':
      return { $case: 'error', value: decodedStatus(outcome.value) };
  }
}
