// What /metrics says of operations after a known piece of work, over a real channel and Redis: exact counts, summed
// over two instances, of which either can be the one that sees an operation die.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OperationsDefinition } from '../../generated/google/longrunning/operations.ts';
import type { Timestamp } from '../../generated/google/protobuf/timestamp.ts';
import { LockServiceDefinition } from '../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceDefinition } from '../../generated/leasehold/v1/operation_store_service.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { type Labels, MetricSamples } from '../support/metric-samples.ts';
import { OperationClient } from '../support/operation-client.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration, startInstance } from '../support/test-instance.ts';

const failure = { $case: 'error' as const, value: { code: 13, message: 'broken', details: [] } };
const fresh = (): string => randomUUID();

let redis: RedisProcess;
let instances: Instance[];
let clients: OperationClient[];
let client: OperationClient;

beforeAll(async () => {
  redis = await RedisProcess.server();
  await redis.start();
  const environment = { ...singleRedis(redis), LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' };
  instances = [await startInstance(environment), await startInstance(environment)];
  for (const { store } of instances) {
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 30_000 });
  }
  clients = instances.map(({ address }) => new OperationClient(address));
  client = clients[0] as OperationClient; // there are two
});
afterAll(async () => {
  for (const each of clients ?? []) each.close();
  for (const instance of instances ?? []) await instance.stop();
  await redis?.stop();
});

/** Counts of one type, over both instances. */
async function counts(type: string) {
  const scrapes = await Promise.all(instances.map((instance) => MetricSamples.scrape(instance)));
  const sum = (name: string, labels: Labels = {}): number =>
    scrapes.reduce((total, scrape) => total + scrape.sum(name, { type, ...labels }), 0);
  const by = (name: string, label: string): Record<string, number> => {
    const values = scrapes.flatMap((scrape) => scrape.values(name, label));
    const found = [...new Set(values)].map((value) => [value, sum(name, { [label]: value })] as const);
    return Object.fromEntries(found.filter(([, count]) => count > 0));
  };
  return {
    begins: by('leasehold_operation_begins_total', 'outcome'),
    claims: by('leasehold_operation_claims_total', 'kind'),
    ends: by('leasehold_operation_ends_total', 'state'),
    retries: sum('leasehold_operation_retries_total'),
    pending: sum('leasehold_operation_pending_duration_seconds_count'),
    pendingSeconds: sum('leasehold_operation_pending_duration_seconds_sum'),
    runs: sum('leasehold_operation_run_duration_seconds_count'),
    runSeconds: sum('leasehold_operation_run_duration_seconds_sum'),
  };
}

test('a begin is counted as created once, as existing when it is repeated, and as refused when it fails', async () => {
  const [type, resource, requestId] = [fresh(), fresh(), fresh()];
  await client.begin({ type, resource, operationId: 'a', requestId });
  await client.begin({ type, resource, operationId: 'a', requestId });
  await client.begin({ type, resource, operationId: 'a' });
  const other = { type, resource, operationId: 'a', data: { typeUrl: 'example.com/Other' } };
  await expect(client.begin(other)).rejects.toMatchObject({ reason: 'OPERATION_EXISTS' });
  expect((await counts(type)).begins).toEqual({ created: 1, existing: 2, refused: 1 });
});

test('claims, ends and retries are counted once, however often they are repeated', async () => {
  const [type, resource, claimId, requestId] = [fresh(), fresh(), fresh(), fresh()];
  for (const operationId of ['a', 'b', 'c', 'd']) await client.begin({ type, resource, operationId });
  const claim = { types: [type], claimId, maxOperations: 2 };
  for (const each of clients) expect((await each.claim(claim)).claimed).toHaveLength(2);
  expect((await counts(type)).claims).toEqual({ pending: 2 });

  const [one, other] = (await client.claim(claim)).claimed.map(({ operation, attempt }) => ({
    resource,
    operationId: operation?.operationId ?? '',
    claimId,
    fencingToken: attempt?.fencingToken ?? 0n,
  }));
  if (!one || !other) throw new Error('two were claimed');
  for (const each of clients) await each.complete({ ...one, requestId });
  for (const each of clients) await each.yield({ ...other, requestId });
  expect(await counts(type)).toMatchObject({ ends: { succeeded: 1 }, retries: 1, runs: 2 });

  const again = await client.claimed({ types: [type] });
  await client.complete({ ...again, outcome: failure });
  for (const each of clients) await each.retry({ ...again, requestId });
  for (const each of clients) await each.cancel({ ...again, reason: 'enough' });
  const last = await client.claimed({ types: [type] });
  for (const each of clients) await each.cancel({ ...last, reason: 'asked for' }); // it runs: this is no end
  expect(await counts(type)).toMatchObject({
    claims: { pending: 4 },
    ends: { succeeded: 1, failed: 1, cancelled: 1 },
    retries: 2,
    runs: 3,
    pending: 4,
  });
});

test('pending and run durations are those of the records', async () => {
  const [type, resource] = [fresh(), fresh()];
  const { operation: begun } = await client.begin({ type, resource, operationId: 'a' });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const attempt = await client.claimed({ types: [type] });
  const started = await client.get(attempt);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ended = await client.complete(attempt);
  const seconds = (from: Timestamp | undefined, to: Timestamp | undefined): number => {
    if (!from || !to) throw new Error('the record lacks a time');
    return Number(to.seconds - from.seconds) + (to.nanos - from.nanos) / 1e9;
  };
  const { pendingSeconds, runSeconds } = await counts(type);
  expect(pendingSeconds).toBeCloseTo(seconds(begun?.createTime, started.startTime), 2);
  expect(runSeconds).toBeCloseTo(seconds(ended.startTime, ended.finishTime), 2);
  expect(pendingSeconds).toBeGreaterThanOrEqual(0.29);
  expect(runSeconds).toBeGreaterThanOrEqual(0.29);
});

test('an operation that dies is counted once over all instances, and one that is taken over as stale', {
  timeout: 30_000,
}, async () => {
  const [type, left] = [fresh(), fresh()];
  const silent = { heartbeatTimeout: duration(1_000), claimId: fresh() };
  for (let index = 0; index < 3; index++) {
    await client.begin({ type, resource: fresh(), operationId: 'a', ...silent, maxAttempts: 1 });
  }
  await client.begin({ type: left, resource: left, operationId: 'b', ...silent });
  await client.begin({ type: left, resource: left, operationId: 'c', ...silent });
  await client.claimed({ types: [left], waitTimeout: duration(20_000) });
  await eventually(
    async () => {
      const answer = await client.claim({ types: [left] });
      return answer.claimed.length === 1;
    },
    { what: 'the take-over by a begin', withinMs: 10_000 },
  );
  expect((await counts(left)).claims).toEqual({ stale: 2 });
  await eventually(async () => (await counts(type)).ends.dead === 3, { what: 'deaths', withinMs: 10_000 });
  for (const each of clients) expect((await each.claim({ types: [type] })).claimed).toEqual([]);
  expect((await counts(type)).ends).toEqual({ dead: 3 });
});

test('the heartbeats of a kept attempt show how late they are', async () => {
  const [instance] = instances;
  if (!instance) throw new Error('an instance');
  const attempt = await client.started({ resource: fresh(), operationId: 'a' });
  const before = await MetricSamples.scrape(instance);
  const stream = client.keepAlive(attempt);
  const name = 'leasehold_operation_heartbeat_lag_seconds';
  await eventually(
    async () => {
      const now = await MetricSamples.scrape(instance);
      return now.sum(`${name}_count`) > before.sum(`${name}_count`) && now.sum('leasehold_kept_attempts') > 0;
    },
    { what: 'a heartbeat', withinMs: 10_000 },
  );
  await client.complete(attempt);
  await stream.ended;
});

test('the types after the fiftieth are counted as other', async () => {
  const types = Array.from({ length: 60 }, (_, index) => `type-${index}`);
  for (const type of types) await client.begin({ type, resource: fresh(), operationId: 'a' });
  const [instance] = instances;
  if (!instance) throw new Error('an instance');
  const scrape = await MetricSamples.scrape(instance);
  const labels = scrape.values('leasehold_operation_begins_total', 'type');
  expect(labels).toContain('other');
  expect(labels).toHaveLength(51);
  const counted = types.reduce(
    (sum, type) => sum + scrape.sum('leasehold_operation_begins_total', { type }),
    0,
  );
  expect(counted + scrape.sum('leasehold_operation_begins_total', { type: 'other' })).toBeGreaterThanOrEqual(
    60,
  );
});

test('every rpc has a count of defects from the start, so that the first one is an increase', async ({
  onTestFinished,
}) => {
  const instance = await startInstance({});
  onTestFinished(() => instance.stop());
  const scrape = new MetricSamples(await instance.metricsText());
  const own = [LockServiceDefinition, OperationStoreServiceDefinition];
  const rpcs = [
    ...own.flatMap(({ methods }) => Object.values(methods).map(({ name }): string => name)),
    ...Object.values(OperationsDefinition.methods).map(({ name }) => `Operations.${name}`),
  ];
  expect(scrape.values('leasehold_calls_total', 'method')).toEqual(rpcs.toSorted());
  expect(scrape.values('leasehold_calls_total', 'code')).toEqual(['INTERNAL']);
  expect(scrape.sum('leasehold_calls_total')).toBe(0);
});

test('a scrape shows how the process does: event-loop delay, garbage collection, memory, CPU', async () => {
  const [instance] = instances;
  if (!instance) throw new Error('an instance');
  const scrape = await MetricSamples.scrape(instance);
  expect(scrape.sum('process_resident_memory_bytes')).toBeGreaterThan(1e7);
  expect(scrape.sum('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(scrape.sum('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  expect(scrape.text).toContain('# TYPE nodejs_gc_duration_seconds histogram');
});
