// The plan of `leasehold capacity` beside a small deployment: what it says of memory is what a real Redis then needs.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { planFor } from '../../src/capacity/capacity-plan.ts';
import { DEFAULT_DEPLOYMENT, type Load } from '../../src/capacity/load.ts';
import { UNIT_FIGURES } from '../../src/capacity/unit-figures.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { OperationClient } from '../support/operation-client.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const LOAD: Load = {
  locks: 5_000,
  mode: 'exclusive',
  holdStreams: 0,
  ratePerSecond: 0,
  waitedShare: 0,
  ttlMs: 60_000,
  waiters: 500,
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
const TOLERANCE = 0.25;

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

test('The memory that is planned for 5,000 locks, 2,000 operations and 500 waiters is what Redis uses, within 25 %', {
  timeout: 60_000,
}, async () => {
  const directives = ['hash-max-listpack-value 512', 'hash-max-listpack-entries 128'];
  const redis = await RedisProcess.server({ directives });
  onTestFinished(() => redis.stop());
  await redis.start();
  const instance = await startInstance({
    LEASEHOLD_REDIS_ADDRESS: formatHostPort(redis.listens),
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_LOCKS_MAX_TTL: '2m',
  });
  const [locks, operations] = [new TestClient(instance.address), new OperationClient(instance.address)];
  onTestFinished(async () => {
    locks.cancelAll();
    locks.close();
    operations.close();
    await instance.stop();
  });
  const spec = (index: number) => ({
    resource: `lock/${index}/`.padEnd(LOAD.nameBytes, 'x'),
    owner: 'o'.repeat(LOAD.ownerBytes),
    ttl: duration(LOAD.ttlMs),
    metadata: new Map([['note', 'm'.repeat(LOAD.metadataBytes - 'note'.length)]]),
  });
  await eventually(async () => (await locks.getServerInfo()).info?.serving === true, {
    what: 'a usable Redis',
    withinMs: 15_000,
  });
  // Scripts and connections, which exist before any load.
  const [warm, first] = [
    { resource: 'warm', leaseId: randomUUID() },
    { resource: 'warm', operationId: 'first' },
  ];
  await locks.acquire(warm);
  await locks.release(warm);
  await operations.complete(await operations.started(first));
  const data = { typeUrl: 'example.com/T', value: Buffer.alloc(LOAD.payloadBytes, 'text ') };
  const before = await usedBytes(redis);
  await atOnce(LOAD.locks, (index) => locks.acquire(spec(index)));
  for (let index = 0; index < LOAD.waiters; index++) {
    const wait = { $case: 'waitTimeout' as const, value: duration(120_000) };
    locks.acquire(spec(index % (LOAD.waiters / LOAD.queueLength)), wait, 120_000).catch(() => {});
  }
  await atOnce(LOAD.operations, (index) =>
    operations.begin({
      resource: `job/${index}/`.padEnd(LOAD.nameBytes, 'x'),
      operationId: randomUUID(),
      owner: 'o'.repeat(LOAD.ownerBytes),
      data,
    }),
  );
  const waiting = () => redis.withClient((client) => client.zcard('leasehold:{0}:patience'));
  await eventually(async () => (await waiting()) === LOAD.waiters, { what: 'all waiters', withinMs: 20_000 });
  const measured = (await usedBytes(redis)) - before;

  const { data: planned } = planFor(LOAD, DEFAULT_DEPLOYMENT, UNIT_FIGURES).redis;
  const ratio = (planned.total - planned.empty) / measured;
  expect(ratio).toBeGreaterThan(1 - TOLERANCE);
  expect(ratio).toBeLessThan(1 + TOLERANCE);
});
