// Readers hold the lock together, a writer holds it alone; nobody overtakes, so readers can't starve a writer. Needs a
// running server (npm start). Start some readers, a writer, and one more reader: it waits behind the writer.
//
//   npx node examples/readers-and-writer.ts read|write [host:port]
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import {
  AcquireRequest,
  type AcquireResponse,
  LockServiceClient,
  type ReleaseRequest,
  type ReleaseResponse,
} from '../generated/leasehold/v1/lock_service.ts';

const [role = 'read', server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new LockServiceClient(server, credentials.createInsecure());
const acquire = promisify<AcquireRequest, AcquireResponse>(client.acquire.bind(client));
const release = promisify<ReleaseRequest, ReleaseResponse>(client.release.bind(client));

const WORK_MS = 3_000; // shorter than the lease, so it needs no renewal
const MARGIN_MS = 1_000; // the larger of 200 ms and TTL / 20
const mode =
  role === 'write' ? { $case: 'exclusive' as const, value: {} } : { $case: 'shared' as const, value: {} };
const spec = { resource: 'price-list', leaseId: randomUUID(), owner: `${role}@${process.pid}`, mode };
const wait = { $case: 'waitTimeout' as const, value: { seconds: 60n, nanos: 0 } };
try {
  const sentMs = performance.now(); // valid_for counts from before the call, however long it waited
  const { lease } = await acquire(AcquireRequest.fromPartial({ spec, wait }));
  // 0.1 % less, because clocks drift apart.
  const stopAtMs = sentMs + Number(lease?.validFor?.seconds ?? 0n) * 999 - MARGIN_MS;
  console.log(`${role}s with token ${lease?.fencingToken}`);
  const doneMs = performance.now() + WORK_MS;
  while (performance.now() < Math.min(stopAtMs, doneMs)) await sleep(100);
} finally {
  const { released } = await release({ resource: spec.resource, leaseId: spec.leaseId });
  console.log(released ? 'released' : 'there was nothing to release');
  client.close();
}
