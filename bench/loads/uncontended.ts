// Callers that each take and release a lock that nobody else wants, one call after the other.

import type { Uncontended, UncontendedOrder } from '../load-order.ts';
import { etcdLocks } from '../peers/etcd-peer.ts';
import { leaseholdByFrames, leaseholdByGrpcJs } from '../peers/leasehold-peer.ts';
import type { LockPeer } from '../peers/lock-peer.ts';
import { redlock } from '../peers/redlock-peer.ts';
import { setNx } from '../peers/set-nx-peer.ts';
import { Latencies } from './latencies.ts';

const PEERS: Readonly<
  Record<UncontendedOrder['peer'], (address: string, connections?: number) => Promise<LockPeer>>
> = {
  frames: leaseholdByFrames,
  grpc: leaseholdByGrpcJs,
  'set-nx': setNx,
  redlock,
  etcd: etcdLocks,
};

export async function uncontended(order: UncontendedOrder): Promise<Uncontended> {
  const { address, peer, callers, forMs, connections } = order;
  const locks = await PEERS[peer](address, connections);
  const ready = await Promise.all(Array.from({ length: callers }, (_, index) => locks.caller(index)));
  const acquires = new Latencies();
  const releases = new Latencies();
  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  let cycles = 0;
  await Promise.all(
    ready.map(async (caller) => {
      while (performance.now() - startMs < forMs) {
        await acquires.of(() => caller.acquire());
        await releases.of(() => caller.release());
        cycles++;
      }
    }),
  );
  const tookMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  locks.close();
  const { p50Ms, p99Ms, p999Ms } = acquires.percentiles();
  return {
    cycles,
    tookMs,
    acquireP50Ms: p50Ms,
    acquireP99Ms: p99Ms,
    ...(p999Ms === undefined ? {} : { acquireP999Ms: p999Ms }),
    releaseP50Ms: releases.percentile(50),
    releaseP99Ms: releases.percentile(99),
    generatorCpuUs: user + system,
  };
}
