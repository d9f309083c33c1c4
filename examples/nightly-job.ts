// cron starts it on every host, and one host runs the job: min_hold keeps the resource taken until the last host's
// clock has struck. The job can take hours: it renews its lease, and max_hold bounds a job that hangs. Needs a running
// server (npm start).
//
//   npx node examples/nightly-job.ts [host:port]
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import type { Lease } from '../generated/leasehold/v1/lease.ts';
import {
  AcquireRequest,
  type AcquireResponse,
  LockServiceClient,
  type ReleaseRequest,
  type ReleaseResponse,
  type RenewRequest,
  type RenewResponse,
} from '../generated/leasehold/v1/lock_service.ts';

const [server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new LockServiceClient(server, credentials.createInsecure());
const acquire = promisify<AcquireRequest, AcquireResponse>(client.acquire.bind(client));
const renew = promisify<RenewRequest, RenewResponse>(client.renew.bind(client));
const release = promisify<ReleaseRequest, ReleaseResponse>(client.release.bind(client));

const RENEW_EVERY_MS = 5_000; // a quarter of the TTL
const MARGIN_MS = 1_000; // the larger of 200 ms and TTL / 20
const mine = { resource: 'nightly-report', leaseId: randomUUID() };
const bounds = { minHold: { seconds: 600n, nanos: 0 }, maxHold: { seconds: 4n * 3_600n, nanos: 0 } };
const validUntil = (sentMs: number, lease: Lease | undefined): number =>
  sentMs + Number(lease?.validFor?.seconds ?? 0n) * 1_000 + (lease?.validFor?.nanos ?? 0) / 1e6 - MARGIN_MS;

async function job(fencingToken: bigint, validUntilMs: number): Promise<void> {
  let stopAtMs = validUntilMs;
  const renewing = setInterval(async () => {
    const sentMs = performance.now();
    const { lease } = await renew({ ...mine, fencingToken, ttl: undefined }).catch(
      ({ details }: ServiceError) => {
        console.log(`not renewed: ${details}`); // the next try may succeed; the deadline stays
        return { lease: undefined };
      },
    );
    // Nothing that arrives after the deadline revives the lease.
    if (performance.now() < stopAtMs) stopAtMs = Math.max(stopAtMs, validUntil(sentMs, lease));
  }, RENEW_EVERY_MS);
  try {
    for (let page = 1; page <= 7; page++) {
      if (performance.now() >= stopAtMs) throw new Error('the lease has ended: stop, and write nothing more');
      console.log(`page ${page}: UPDATE … WHERE fencing_token <= ${fencingToken}`);
      await sleep(1_000);
    }
  } finally {
    clearInterval(renewing);
    await release(mine);
  }
}

try {
  const sentMs = performance.now();
  const spec = { ...mine, ...bounds, owner: `cron@${hostname()}` };
  const { lease } = await acquire(AcquireRequest.fromPartial({ spec })); // no wait: the second host has nothing to do
  await job(lease?.fencingToken ?? 0n, validUntil(sentMs, lease));
} catch (error) {
  console.log(`not run here: ${(error as ServiceError).details ?? error}`);
  process.exitCode = 1;
}
client.close();
