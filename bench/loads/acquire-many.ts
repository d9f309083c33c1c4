// Many callers, each of which takes a number of resources that nobody else wants, with one AcquireMany or with one
// Acquire after the other, and releases all of them at once.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import {
  AcquireManyRequest,
  AcquireRequest,
  LockServiceClient,
} from '../../generated/leasehold/v1/lock_service.ts';
import { Latencies, type Percentiles } from './latencies.ts';
import { promised } from './promised.ts';

export interface AcquireManyOrder {
  readonly kind: 'acquire-many';
  readonly address: string;
  /** The number of resources per caller. */
  readonly resources: number;
  readonly by: 'one call' | 'single calls';
  readonly callers: number;
  readonly forMs: number;
}

export interface AcquireManySeen {
  /** Sets of resources that were taken and released. */
  readonly resources: number;
  readonly tookMs: number;
  /** The time until a caller has all its resources. */
  readonly taken: Percentiles;
}

export async function acquireMany(order: AcquireManyOrder): Promise<AcquireManySeen> {
  const { address, resources, by, callers, forMs } = order;
  const client = new LockServiceClient(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  const taken = new Latencies();
  const startedMs = performance.now();
  let count = 0;
  const caller = async (_: unknown, index: number): Promise<void> => {
    while (performance.now() - startedMs < forMs) {
      const specs = Array.from({ length: resources }, (_nothing, resource) => {
        return { resource: `bench-${index}-${resource}`, leaseId: randomUUID(), owner: 'bench' };
      });
      await taken.of(async () => {
        if (by === 'one call') {
          await promised((done) => client.acquireMany(AcquireManyRequest.fromPartial({ specs }), done));
        } else {
          for (const spec of specs) {
            await promised((done) => client.acquire(AcquireRequest.fromPartial({ spec }), done));
          }
        }
      });
      await Promise.all(
        specs.map(({ resource, leaseId }) => promised((done) => client.release({ resource, leaseId }, done))),
      );
      count += resources;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startedMs;
  client.close();
  return { resources: count, tookMs, taken: taken.percentiles() };
}
