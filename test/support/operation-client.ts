// The smallest client of the operation store for tests: promises instead of callbacks, errors with their details
// decoded, streams with all their events so far. It has no retries and no deadline rule, so tests see each answer as it
// came.

import { randomUUID } from 'node:crypto';
import { type Client, type ClientUnaryCall, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Any } from '../../generated/google/protobuf/any.ts';
import type { Attempt, Operation } from '../../generated/leasehold/v1/operation.ts';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
  CancelOperationRequest,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
  CompleteOperationRequest,
  DeleteOperationRequest,
  type DeleteOperationResponse,
  KeepAliveOperationRequest,
  type KeepAliveOperationResponse,
  ListOperationsRequest,
  type ListOperationsResponse,
  OperationStoreServiceClient,
  RetryOperationRequest,
  UpdateOperationRequest,
  type UpdateOperationResponse,
  WaitOperationRequest,
  type WaitOperationResponse,
  WatchOperationsRequest,
  type WatchOperationsResponse,
  YieldOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { EventStream } from './event-stream.ts';

type Fields<T extends { fromPartial(object: never): unknown }> = Parameters<T['fromPartial']>[0];

export interface Key {
  readonly resource: string;
  readonly operationId: string;
}

export interface HeldAttempt extends Key {
  readonly claimId: string;
  readonly fencingToken: bigint;
}

/** An Any of a type that nobody here knows, since payloads are opaque. */
export function payload(text: string): Any {
  return { typeUrl: 'example.com/Text', value: Buffer.from(text) };
}

/** A call with a deadline far above what the server promises, so that a call that hangs fails its test. */
export function unaryCall<Response>(
  client: Client,
  method: string,
  request: object,
  { timeoutMs = 15_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    // All unary methods of generated clients have this form.
    const invoke = (client as unknown as Record<string, (...args: unknown[]) => ClientUnaryCall>)[method];
    const options = { deadline: Date.now() + timeoutMs };
    const call = invoke?.call(
      client,
      request,
      new Metadata(),
      options,
      (error: ServiceError | null, response: Response) =>
        error ? reject(new CallError(error)) : resolve(response),
    );
    signal?.addEventListener('abort', () => call?.cancel());
  });
}

export class OperationClient {
  readonly stub: OperationStoreServiceClient;

  constructor(address: { host: string; port: number }) {
    this.stub = new OperationStoreServiceClient(formatHostPort(address), credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    });
  }

  begin(fields: Fields<typeof BeginOperationRequest>): Promise<BeginOperationResponse> {
    return this.#call('beginOperation', BeginOperationRequest.fromPartial({ type: 'test', ...fields }));
  }

  /** Begins it, and starts an attempt for this caller. */
  async started(fields: Fields<typeof BeginOperationRequest>): Promise<HeldAttempt> {
    const { operation, attempt } = await this.begin({ claimId: randomUUID(), ...fields });
    return held({ operation, attempt });
  }

  async get({ resource, operationId }: Key): Promise<Operation> {
    return record(await this.#call('getOperation', { resource, operationId }));
  }

  list(fields: Fields<typeof ListOperationsRequest> = {}): Promise<ListOperationsResponse> {
    return this.#call('listOperations', ListOperationsRequest.fromPartial(fields));
  }

  claim(
    fields: Fields<typeof ClaimOperationsRequest>,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<ClaimOperationsResponse> {
    const request = ClaimOperationsRequest.fromPartial({ types: ['test'], claimId: randomUUID(), ...fields });
    return unaryCall(this.stub, 'claimOperations', request, options);
  }

  /** Claims one operation; fails when there is none. */
  async claimed(fields: Fields<typeof ClaimOperationsRequest>): Promise<HeldAttempt> {
    const { claimed } = await this.claim(fields);
    return held(claimed[0] ?? {});
  }

  update(fields: Fields<typeof UpdateOperationRequest>): Promise<UpdateOperationResponse> {
    return this.#call('updateOperation', UpdateOperationRequest.fromPartial(fields));
  }

  async complete(fields: Fields<typeof CompleteOperationRequest>): Promise<Operation> {
    const outcome = { $case: 'result' as const, value: payload('done') };
    return record(
      await this.#call('completeOperation', CompleteOperationRequest.fromPartial({ outcome, ...fields })),
    );
  }

  async yield(fields: Fields<typeof YieldOperationRequest>): Promise<Operation> {
    return record(await this.#call('yieldOperation', YieldOperationRequest.fromPartial(fields)));
  }

  async cancel(fields: Fields<typeof CancelOperationRequest>): Promise<Operation> {
    return record(await this.#call('cancelOperation', CancelOperationRequest.fromPartial(fields)));
  }

  async retry(fields: Fields<typeof RetryOperationRequest>): Promise<Operation> {
    return record(await this.#call('retryOperation', RetryOperationRequest.fromPartial(fields)));
  }

  delete(fields: Fields<typeof DeleteOperationRequest>): Promise<DeleteOperationResponse> {
    return this.#call('deleteOperation', DeleteOperationRequest.fromPartial(fields));
  }

  wait(
    fields: Fields<typeof WaitOperationRequest>,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<WaitOperationResponse> {
    return unaryCall(this.stub, 'waitOperation', WaitOperationRequest.fromPartial(fields), options);
  }

  keepAlive(
    attempt: HeldAttempt,
    fields: Fields<typeof KeepAliveOperationRequest> = {},
  ): EventStream<KeepAliveOperationResponse> {
    const request = KeepAliveOperationRequest.fromPartial({ ...attempt, ...fields });
    return new EventStream(this.stub.keepAliveOperation(request, new Metadata()));
  }

  watch(fields: Fields<typeof WatchOperationsRequest> = {}): EventStream<WatchOperationsResponse> {
    const request = WatchOperationsRequest.fromPartial(fields);
    return new EventStream(this.stub.watchOperations(request, new Metadata()));
  }

  close(): void {
    this.stub.close();
  }

  #call<Response>(method: string, request: object): Promise<Response> {
    return unaryCall(this.stub, method, request);
  }
}

/** The attempt of an answer that must have one. */
export function held({
  operation,
  attempt,
}: {
  operation?: Operation | undefined;
  attempt?: Attempt | undefined;
}): HeldAttempt {
  if (!operation || !attempt) throw new Error('the answer has no attempt');
  const { resource, operationId } = operation;
  const { claimId, fencingToken } = attempt;
  return { resource, operationId, claimId, fencingToken };
}

function record({ operation }: { operation?: Operation | undefined }): Operation {
  if (!operation) throw new Error('the answer has no operation');
  return operation;
}
