// So many callers, each Acquire and Release of a resource that nobody else wants, one call after the other: of a
// server, or, as the peer, of Redis itself in the way that most teams write by hand (SET NX PX, and a script that
// compares and deletes).
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { Redis } from 'ioredis';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { Uncontended, UncontendedOrder } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { promised } from './promised.ts';

interface Locks {
  acquire(resource: string, id: string): Promise<unknown>;
  release(resource: string, id: string): Promise<unknown>;
  close(): void;
}

const TTL_MS = '20000';
const COMPARE_AND_DELETE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

export async function uncontended({ address, peer, callers, forMs }: UncontendedOrder): Promise<Uncontended> {
  const locks = peer === 'grpc' ? overGrpc(address) : await inRedis(address);
  const acquires = new Latencies();
  const releases = new Latencies();
  const startMs = performance.now();
  let cycles = 0;
  const caller = async (_: unknown, index: number): Promise<void> => {
    const resource = `bench-${index}`;
    while (performance.now() - startMs < forMs) {
      const id = randomUUID();
      await acquires.of(() => locks.acquire(resource, id));
      await releases.of(() => locks.release(resource, id));
      cycles++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startMs;
  locks.close();
  return {
    cycles,
    tookMs,
    acquireP50Ms: acquires.percentile(50),
    acquireP99Ms: acquires.percentile(99),
    releaseP50Ms: releases.percentile(50),
    releaseP99Ms: releases.percentile(99),
  };
}

function overGrpc(address: string): Locks {
  const client = new LockServiceClient(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  return {
    acquire: (resource, leaseId) => {
      const request = AcquireRequest.fromPartial({ spec: { resource, leaseId, owner: 'bench' } });
      return promised((done) => client.acquire(request, done));
    },
    release: (resource, leaseId) => promised((done) => client.release({ resource, leaseId }, done)),
    close: () => client.close(),
  };
}

async function inRedis(address: string): Promise<Locks> {
  const redis = new Redis({ ...parseHostPort(address, 1), protocol: 2 });
  const sha = String(await redis.script('LOAD', COMPARE_AND_DELETE));
  return {
    async acquire(resource, id) {
      if ((await redis.set(resource, id, 'PX', TTL_MS, 'NX')) !== 'OK') throw new Error('the lock is taken');
    },
    async release(resource, id) {
      if ((await redis.evalsha(sha, 1, resource, id)) !== 1) throw new Error('the lock was lost');
    },
    close: () => redis.disconnect(),
  };
}
