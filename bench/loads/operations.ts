// Workers that run operations: each begins, updates and completes its own operations, or claims operations that were
// begun before and completes those.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
  CompleteOperationRequest,
  OperationStoreServiceClient,
  UpdateOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { Operations, OperationsOrder } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { duration, promised } from './promised.ts';

interface Running {
  readonly resource: string;
  readonly operationId: string;
  readonly claimId: string;
  readonly fencingToken: bigint;
}

const TYPE = 'bench';
const RESULT = { typeUrl: 'type.googleapis.com/google.protobuf.Empty', value: Buffer.alloc(0) };
const CLAIM_WAIT_MS = 5_000;

export async function operations({ address, mode, workers, count }: OperationsOrder): Promise<Operations> {
  const client = new OperationStoreServiceClient(address, credentials.createInsecure());
  const first = new Latencies();
  const run = randomUUID();
  const startedMs = performance.now();
  let next = 0;
  let calls = 0;
  let done = 0;

  const begin = async (index: number): Promise<Running> => {
    const ids = { resource: `${run}/${index}`, operationId: randomUUID(), claimId: randomUUID() };
    const request = { ...ids, type: TYPE, owner: 'bench', requestId: randomUUID() };
    const { attempt } = await first.of(() =>
      promised<BeginOperationResponse>((answer) =>
        client.beginOperation(BeginOperationRequest.fromPartial(request), answer),
      ),
    );
    calls++;
    return { ...ids, fencingToken: attempt?.fencingToken ?? 0n };
  };
  const claim = async (): Promise<Running | undefined> => {
    const claimId = randomUUID();
    const waitTimeout = duration(CLAIM_WAIT_MS);
    const request = ClaimOperationsRequest.fromPartial({
      types: [TYPE],
      claimId,
      owner: 'bench',
      waitTimeout,
    });
    const { claimed } = await first.of(() =>
      promised<ClaimOperationsResponse>((answer) => client.claimOperations(request, answer)),
    );
    calls++;
    const [found] = claimed;
    if (!found?.operation || !found.attempt) return undefined;
    const { resource, operationId } = found.operation;
    return { resource, operationId, claimId, fencingToken: found.attempt.fencingToken };
  };
  const update = async (running: Running): Promise<void> => {
    const labels = new Map([['step', '1']]);
    const request = { ...running, setLabels: labels, requestId: randomUUID() };
    await promised((answer) => client.updateOperation(UpdateOperationRequest.fromPartial(request), answer));
    calls++;
  };
  const complete = async (running: Running): Promise<void> => {
    const outcome = { $case: 'result' as const, value: RESULT };
    const request = { ...running, outcome, requestId: randomUUID() };
    await promised((answer) =>
      client.completeOperation(CompleteOperationRequest.fromPartial(request), answer),
    );
    calls++;
    done++;
  };
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const running = mode === 'run' ? await begin(index) : await claim();
      if (!running) throw new Error('nothing left to claim');
      if (mode === 'run') await update(running);
      await complete(running);
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  client.close();
  return {
    operations: done,
    calls,
    tookMs: performance.now() - startedMs,
    firstP50Ms: first.percentile(50),
    firstP99Ms: first.percentile(99),
  };
}
