// What the primary of Redis needs of its machine: memory with all that comes on top of the data, CPU, network, disk. A
// replica needs the same, since any of them may become the primary.

import type { Deployment, Load } from './load.ts';
import { type MemoryNeed, memoryNeed } from './memory-need.ts';
import type { Traffic } from './traffic.ts';
import type { UnitFigures } from './unit-costs.ts';

export interface RedisNeed {
  /** What INFO calls used_memory, without the buffers. */
  readonly data: MemoryNeed;
  readonly fragmentationBytes: number;
  readonly backlogBytes: number;
  /** What replicas have yet to get while they are sent a snapshot. */
  readonly replicaBufferBytes: number;
  readonly clientBufferBytes: number;
  /** Copied while a snapshot is taken, because what it reads must not change. */
  readonly copyOnWriteBytes: number;
  readonly memoryBytes: number;
  /** Of its one core: 1 is all of it. */
  readonly cpuShare: number;
  readonly inBytesPerSecond: number;
  /** To the servers, and to all replicas. */
  readonly outBytesPerSecond: number;
  readonly replicationBytesPerSecond: number;
  readonly aofBytesPerSecond: number;
  /** A snapshot, and an append-only file that was just rewritten. */
  readonly snapshotBytes: number;
  readonly snapshotSeconds: number;
  /** Until the append-only file has doubled and is rewritten; Infinity if nothing is written. */
  readonly rewriteEverySeconds: number;
  /** The append-only file before its rewrite ends, the new one, what is written meanwhile, and a snapshot. */
  readonly diskBytes: number;
}

/** A normal client of Redis with what it has sent and not read yet. */
const BYTES_PER_CONNECTION = 40 * 1_024;
const MIB = 2 ** 20;
/** `auto-aof-rewrite-min-size`, as Redis comes. */
const SMALLEST_REWRITE_BYTES = 64 * MIB;

export function redisNeed(
  load: Load,
  deployment: Deployment,
  figures: UnitFigures,
  traffic: Traffic,
  connections: number,
): RedisNeed {
  const { replicas, fragmentation, backlogBytes, networkBytesPerSecond } = deployment;
  const { snapshot } = figures;
  const { cost, streamRenewals, calls } = traffic;
  const data = memoryNeed(load, figures.memory);
  const snapshotBytes = data.total * snapshot.fileShare;
  const snapshotSeconds = (data.total / MIB) * (snapshot.msPerMib / 1_000);
  const syncSeconds = snapshotSeconds + snapshotBytes / networkBytesPerSecond;
  const writingCalls = Object.values(calls).reduce((sum, rate) => sum + rate, 0) - calls.renew;
  const copiedPerSecond =
    (streamRenewals + calls.renew) * snapshot.copiedPerRenewal + writingCalls * snapshot.copiedPerCall;
  const fragmentationBytes = data.total * (fragmentation - 1);
  // One buffer feeds all replicas, and the backlog is a part of it.
  const replicaBufferBytes = replicas === 0 ? 0 : cost.replicationBytes * syncSeconds;
  const clientBufferBytes = connections * BYTES_PER_CONNECTION;
  // No more can be copied than there is.
  const copyOnWriteBytes = Math.min(copiedPerSecond * snapshotSeconds, data.total * fragmentation);
  const backlog = replicas === 0 ? 0 : backlogBytes;
  const memoryBytes =
    data.total + fragmentationBytes + backlog + replicaBufferBytes + clientBufferBytes + copyOnWriteBytes;
  const grownBytes = Math.max(2 * snapshotBytes, SMALLEST_REWRITE_BYTES);
  return {
    data,
    fragmentationBytes,
    backlogBytes: backlog,
    replicaBufferBytes,
    clientBufferBytes,
    copyOnWriteBytes,
    memoryBytes,
    cpuShare: cost.redisCpuUs / 1e6,
    inBytesPerSecond: cost.redisInBytes,
    outBytesPerSecond: cost.redisOutBytes + replicas * cost.replicationBytes,
    replicationBytesPerSecond: replicas * cost.replicationBytes,
    aofBytesPerSecond: cost.aofBytes,
    snapshotBytes,
    snapshotSeconds,
    rewriteEverySeconds: (grownBytes - snapshotBytes) / cost.aofBytes,
    diskBytes: grownBytes + snapshotBytes + cost.aofBytes * snapshotSeconds + snapshotBytes,
  };
}
