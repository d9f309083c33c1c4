// Makes the load, in a process of its own: so many callers, each Acquire and Release of a resource that nobody else
// wants, one call after the other. Gets its orders from the parent and answers with what it saw.
import { randomUUID } from 'node:crypto';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { AcquireRequest, LockServiceClient } from '../generated/leasehold/v1/lock_service.ts';

export interface LoadOrder {
  readonly address: string;
  readonly callers: number;
  readonly forMs: number;
}

export interface Load {
  /** Acquire and Release, both answered. */
  readonly cycles: number;
  readonly tookMs: number;
  readonly acquireP50Ms: number;
  readonly acquireP99Ms: number;
  readonly releaseP50Ms: number;
  readonly releaseP99Ms: number;
}

type Callback = (error: ServiceError | null) => void;

async function load({ address, callers, forMs }: LoadOrder): Promise<Load> {
  const client = new LockServiceClient(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  const acquires = createHistogram();
  const releases = createHistogram();
  const startMs = performance.now();
  let cycles = 0;
  const timed = (histogram: RecordableHistogram, call: (callback: Callback) => void): Promise<void> => {
    const sentMs = performance.now();
    return new Promise((resolve, reject) =>
      call((error) => {
        histogram.record(Math.max(1, Math.round((performance.now() - sentMs) * 1_000)));
        if (error) reject(error);
        else resolve();
      }),
    );
  };
  const caller = async (_: unknown, index: number): Promise<void> => {
    const resource = `bench-${index}`;
    while (performance.now() - startMs < forMs) {
      const leaseId = randomUUID();
      const request = AcquireRequest.fromPartial({ spec: { resource, leaseId, owner: 'bench' } });
      await timed(acquires, (callback) => client.acquire(request, callback));
      await timed(releases, (callback) => client.release({ resource, leaseId }, callback));
      cycles++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startMs;
  client.close();
  return {
    cycles,
    tookMs,
    acquireP50Ms: acquires.percentile(50) / 1_000,
    acquireP99Ms: acquires.percentile(99) / 1_000,
    releaseP50Ms: releases.percentile(50) / 1_000,
    releaseP99Ms: releases.percentile(99) / 1_000,
  };
}

process.on('message', (order: LoadOrder) => {
  load(order).then(
    (seen) => process.send?.(seen),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
