// Holds a lock the right way: acquire, renew, send the fencing token with every write, stop at the deadline, release.
// Needs a running server (npm start). Run it twice at the same time to see the second one wait its turn.
//
//   npx node examples/hold-a-lock.ts [resource] [seconds of work] [host:port]
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
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

const [resource = 'nightly-billing', seconds = '6', server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new LockServiceClient(server, credentials.createInsecure());
const acquire = promisify<AcquireRequest, AcquireResponse>(client.acquire.bind(client));
const renew = promisify<RenewRequest, RenewResponse>(client.renew.bind(client));
const release = promisify<ReleaseRequest, ReleaseResponse>(client.release.bind(client));

const TTL_S = 20;
const WAIT_S = 600n; // a caller whose wait ends in vain starts again at the tail of the queue
const MARGIN_MS = 1_000; // the larger of 200 ms and TTL / 20
const leaseId = randomUUID(); // identifies this acquisition: the same for all tries, and a secret
let deadlineMs = 0; // on the monotonic clock, which no clock step moves
let wallDeadlineMs = 0; // for a machine that was suspended: its monotonic clock may have stopped

// The deadline rule: valid_for counts from the moment just before the call was sent, not from its reply.
function validFrom(sentMs: number, lease: Lease | undefined): void {
  const validForMs = Number(lease?.validFor?.seconds ?? 0n) * 1_000 + (lease?.validFor?.nanos ?? 0) / 1e6;
  const leftMs = sentMs + validForMs - MARGIN_MS - performance.now();
  deadlineMs = Math.max(deadlineMs, performance.now() + leftMs);
  wallDeadlineMs = Math.max(wallDeadlineMs, Date.now() + leftMs);
}
const mayWork = (): boolean => performance.now() < deadlineMs && Date.now() < wallDeadlineMs;

async function acquired(): Promise<bigint> {
  const spec = {
    resource,
    leaseId,
    owner: `example@${hostname()}`,
    ttl: { seconds: BigInt(TTL_S), nanos: 0 },
  };
  for (;;) {
    const sentMs = performance.now();
    try {
      // valid_for counts from before the call, however long it waits
      const wait = { $case: 'waitTimeout' as const, value: { seconds: WAIT_S, nanos: 0 } };
      const { lease } = await acquire(AcquireRequest.fromPartial({ spec, wait }));
      validFrom(sentMs, lease);
      if (lease && mayWork()) return lease.fencingToken;
    } catch (error) {
      const { code, details } = error as ServiceError; // every call rejects with this
      if (code !== status.ABORTED && code !== status.UNAVAILABLE) throw error;
      console.log(`not yet: ${details}`);
    }
    await sleep(500 + Math.random() * 500); // jitter: callers that failed together should not come back together
  }
}

async function keepRenewing(fencingToken: bigint, done: AbortSignal): Promise<void> {
  while (!done.aborted && mayWork()) {
    await sleep(TTL_S * 250, undefined, { signal: done }).catch(() => undefined);
    if (done.aborted) return;
    const sentMs = performance.now();
    try {
      const { lease } = await renew({ resource, leaseId, fencingToken, ttl: undefined });
      if (mayWork()) validFrom(sentMs, lease); // nothing that arrives after the deadline revives the lease
      console.log(`renewed, ${((deadlineMs - performance.now()) / 1_000).toFixed(1)} s left`);
    } catch (error) {
      console.log(`not renewed: ${(error as ServiceError).details}`); // the next try may succeed; the deadline stays
      if ((error as ServiceError).code === status.ABORTED) deadlineMs = 0; // LEASE_LOST
    }
  }
}

const done = new AbortController();
try {
  const fencingToken = await acquired();
  console.log(`holding ${resource} with fencing token ${fencingToken}`);
  void keepRenewing(fencingToken, done.signal);
  for (let step = 1; step <= Number(seconds); step++) {
    if (!mayWork()) throw new Error('the lease has ended: stop, and write nothing more');
    console.log(`step ${step}: UPDATE … WHERE fencing_token <= ${fencingToken}`);
    await sleep(1_000);
  }
} finally {
  done.abort();
  const { released } = await release({ resource, leaseId });
  console.log(released ? 'released' : 'there was nothing to release');
  client.close();
}
