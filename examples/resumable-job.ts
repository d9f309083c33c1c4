// A job that survives its worker: it is recorded once, claimed, and done step by step, and its progress is recorded
// after each step. Kill it in the middle (Ctrl-C) and start it again: it goes on where it was as soon as the former
// attempt is stale. Needs a running server (npm start).
//
//   npx node examples/resumable-job.ts [name of the job] [steps] [host:port]
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import type { Attempt, Operation } from '../generated/leasehold/v1/operation.ts';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
  CompleteOperationRequest,
  type CompleteOperationResponse,
  OperationStoreServiceClient,
  UpdateOperationRequest,
  type UpdateOperationResponse,
} from '../generated/leasehold/v1/operation_store_service.ts';

const [job = 'monthly-report', steps = '20', server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new OperationStoreServiceClient(server, credentials.createInsecure());
const begin = promisify<BeginOperationRequest, BeginOperationResponse>(client.beginOperation.bind(client));
const claim = promisify<ClaimOperationsRequest, ClaimOperationsResponse>(client.claimOperations.bind(client));
const update = promisify<UpdateOperationRequest, UpdateOperationResponse>(
  client.updateOperation.bind(client),
);
const complete = promisify<CompleteOperationRequest, CompleteOperationResponse>(
  client.completeOperation.bind(client),
);

const HEARTBEAT_S = 5n; // each update is a heartbeat: allow more than one step, or keep KeepAliveOperation open
const MARGIN_MS = 250; // the larger of 200 ms and the timeout / 20
let deadlineMs = 0; // on the monotonic clock

// The deadline rule: valid_for counts from the moment just before the call was sent, not from its reply.
function validFrom(sentMs: number, attempt: Attempt | undefined): void {
  const { seconds = 0n, nanos = 0 } = attempt?.validFor ?? {};
  deadlineMs = sentMs + Number(seconds) * 1_000 + nanos / 1e6 - MARGIN_MS;
}

/** The job and our attempt, if it can be claimed within seconds. Each claim has a new claim_id, which is a secret. */
async function claimed(): Promise<{ operation: Operation; attempt: Attempt } | undefined> {
  const request = ClaimOperationsRequest.fromPartial({
    types: [job],
    claimId: randomUUID(),
    owner: `example@${hostname()}`,
    waitTimeout: { seconds: 10n, nanos: 0 },
  });
  const sentMs = performance.now();
  const { operation, attempt } = (await claim(request)).claimed[0] ?? {};
  if (!operation || !attempt) return undefined;
  validFrom(sentMs, attempt);
  return { operation, attempt };
}

// The id comes from what triggers the job, so triggering it twice does it once.
const operationId = new Date().toISOString().slice(0, 7);
const heartbeatTimeout = { seconds: HEARTBEAT_S, nanos: 0 };
const wanted = { resource: `reports/${job}`, operationId, type: job, heartbeatTimeout };
const begun = () => begin(BeginOperationRequest.fromPartial(wanted));
const { created, operation: known } = await begun();
console.log(created ? 'recorded' : `known, ${known?.attemptNumber} attempts so far`);

// If there is nothing to claim, another worker is doing the job or has just finished it. Beginning it again tells
// which.
let found = known?.finishTime ? undefined : await claimed();
while (!found && !(await begun()).operation?.finishTime) found = await claimed();

if (!found) {
  console.log(known?.finishTime ? 'done before' : 'done by another worker');
} else {
  const { operation, attempt } = found;
  const ours = {
    resource: operation.resource,
    operationId: operation.operationId,
    claimId: attempt.claimId,
    fencingToken: attempt.fencingToken,
  };
  const recorded = Number(operation.progress?.value.toString() ?? '0');
  console.log(`attempt ${attempt.number}, fencing token ${attempt.fencingToken}, after step ${recorded}`);
  for (let step = recorded + 1; step <= Number(steps); step++) {
    await sleep(500);
    if (performance.now() >= deadlineMs)
      throw new Error('the attempt is stale: stop, and write nothing more');
    console.log(`step ${step}: UPDATE … WHERE fencing_token <= ${attempt.fencingToken}`);
    const sentMs = performance.now();
    const progress = { typeUrl: 'example.com/Step', value: Buffer.from(String(step)) };
    const written = await update(
      UpdateOperationRequest.fromPartial({ ...ours, progress, requestId: randomUUID() }),
    );
    validFrom(sentMs, written.attempt); // throws STALE_ATTEMPT when another worker has taken over
  }
  const result = { typeUrl: 'example.com/Report', value: Buffer.from(`${steps} steps`) };
  const outcome = { $case: 'result' as const, value: result };
  await complete(CompleteOperationRequest.fromPartial({ ...ours, outcome, requestId: randomUUID() }));
  console.log('completed');
}
client.close();
