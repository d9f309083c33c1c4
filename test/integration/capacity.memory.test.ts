// The plan of `leasehold capacity` beside a small deployment: what it says of memory is what a real Redis then needs. The
// records are made through the store, as a server makes them, but without gRPC, which would only take longer.
import { createHash, randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { planFor } from '../../src/capacity/capacity-plan.ts';
import { DEFAULT_DEPLOYMENT, type Load } from '../../src/capacity/load.ts';
import { UNIT_FIGURES } from '../../src/capacity/unit-figures.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { INSTANCE_ID, inTime, storeOptions } from '../support/store-harness.ts';

const LOAD: Load = {
  locks: 5_000,
  mode: 'exclusive',
  holdStreams: 0,
  ratePerSecond: 0,
  waitedShare: 0,
  ttlMs: 10 * 60_000,
  waiters: 2_000,
  queueLength: 5,
  operations: 2_000,
  operationsPerSecond: 0,
  payloadBytes: 2_000,
  // Other lengths than those with which the figures were measured.
  nameBytes: 60,
  ownerBytes: 12,
  metadataBytes: 90,
  clients: 1,
};
const AT_ONCE = 64;
const PREFIX = 'leasehold:';
const TOLERANCE = 0.25;
const DAY_MS = 24 * 3_600_000;

async function atOnce(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Without the buffers of connections, which depend on what was sent last. */
async function usedBytes(redis: RedisProcess): Promise<number> {
  const memory = await redis.info('memory');
  return Number(memory.get('used_memory')) - Number(memory.get('mem_clients_normal'));
}

test('The memory that is planned for 5,000 locks, 2,000 operations and 2,000 waiters is what Redis uses, within 25 %', {
  timeout: 120_000,
}, async () => {
  const directives = ['hash-max-listpack-value 512', 'hash-max-listpack-entries 128'];
  const redis = await RedisProcess.server({ directives });
  onTestFinished(() => redis.stop());
  await redis.start();
  const store = new RedisStore(
    storeOptions(redis.listens, { keyPrefix: PREFIX, maxTtlMs: LOAD.ttlMs, maxInFlight: 2 * AT_ONCE }),
  );
  onTestFinished(() => store.close());
  await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 15_000 });
  let calls = 0;
  const stamp = () => ({ instanceId: INSTANCE_ID, callNumber: 2 * ++calls });
  const owner = 'o'.repeat(LOAD.ownerBytes);
  const acquire = (index: number, mayWait: boolean) => {
    const spec = {
      resource: `lock/${index}/`.padEnd(LOAD.nameBytes, 'x'),
      leaseId: randomUUID(),
      owner,
      mode: { kind: 'exclusive' as const },
      metadata: new Map([['note', 'm'.repeat(LOAD.metadataBytes - 'note'.length)]]),
      ttlMs: LOAD.ttlMs,
      minHoldMs: 0,
      maxHoldMs: 0,
    };
    return store.locks.acquire({ spec, stamp: stamp(), mayWait }, inTime(30_000));
  };
  const begin = (index: number) => {
    const spec = {
      resource: `job/${index}/`.padEnd(LOAD.nameBytes, 'x'),
      operationId: randomUUID(),
      type: 'test',
      data: Buffer.alloc(LOAD.payloadBytes, 'text '),
      labels: new Map<string, string>(),
      contentHash: createHash('sha256').update(String(index)).digest('base64url'),
      owner,
      heartbeatTimeoutMs: 20_000,
      timeToLiveMs: 0,
      exclusive: false,
      lock: undefined,
      maxAttempts: 5,
      retention: { succeededMs: DAY_MS, failedMs: DAY_MS, cancelledMs: DAY_MS, deadMs: DAY_MS },
    };
    const command = { spec, claimId: undefined, requestId: randomUUID(), requireLease: undefined };
    return store.operations.begin({ ...command, stamp: stamp() }, inTime(30_000));
  };
  // Scripts, which are there before any load.
  await acquire(LOAD.locks, false);
  await begin(LOAD.operations);
  const seen = [await usedBytes(redis)];
  await atOnce(LOAD.locks, (index) => acquire(index, false));
  seen.push(await usedBytes(redis));
  await atOnce(LOAD.operations, begin);
  seen.push(await usedBytes(redis));
  // At last, since those who don't ask again are forgotten after 30 s.
  await atOnce(LOAD.waiters, (index) => acquire(index % (LOAD.waiters / LOAD.queueLength), true));
  seen.push(await usedBytes(redis));
  const { bucket } = keysFor(PREFIX);
  const recorded = await redis.withClient((client) =>
    Promise.all(['names', 'operations', 'patience'].map((index) => client.zcard(`${bucket}${index}`))),
  );
  expect(recorded).toEqual([LOAD.locks + 1, LOAD.operations + 1, LOAD.waiters]);

  const { locks, operations, waiters } = planFor(LOAD, DEFAULT_DEPLOYMENT, UNIT_FIGURES).redis.data;
  const planned = { locks, operations, waiters, all: locks + operations + waiters };
  const grown = (from: number, to: number): number => (seen[to] ?? 0) - (seen[from] ?? 0);
  const measured = { locks: grown(0, 1), operations: grown(1, 2), waiters: grown(2, 3), all: grown(0, 3) };
  for (const kind of ['all', 'locks', 'operations', 'waiters'] as const) {
    const ratio = planned[kind] / measured[kind];
    expect([kind, ratio > 1 - TOLERANCE && ratio < 1 + TOLERANCE, ratio]).toEqual([kind, true, ratio]);
  }
});
