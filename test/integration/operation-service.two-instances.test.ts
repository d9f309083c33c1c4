// Operations on two instances of one Redis: each sees at once what the other does, without polling, and neither gives
// away what the other gave.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { OperationClient } from '../support/operation-client.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration, startInstance } from '../support/test-instance.ts';

const waitTimeout = duration(60_000);
const LOOKING_MS = 3_000;

let redis: RedisProcess;
let instances: Instance[];
let clients: OperationClient[];

beforeAll(async () => {
  redis = await RedisProcess.server({});
  await redis.start();
  instances = [];
  for (let index = 0; index < 2; index++) {
    const instance = await startInstance(singleRedis(redis));
    instances.push(instance);
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
  }
  clients = instances.map(({ address }) => new OperationClient(address));
});
afterAll(async () => {
  for (const client of clients ?? []) client.close();
  for (const instance of instances ?? []) await instance.stop();
  await redis?.stop();
});

function client(index: number): OperationClient {
  const found = clients[index % 2];
  if (!found) throw new Error('there are two');
  return found;
}

test('each of fifty claimers at two instances gets one operation, and none is given twice', {
  timeout: 60_000,
}, async () => {
  const [type, resource] = [`t-${randomUUID()}`, `r-${randomUUID()}`];
  const claims = Array.from({ length: 50 }, (_, index) =>
    client(index).claim({ types: [type], waitTimeout, owner: `w${index}` }, { timeoutMs: 60_000 }),
  );
  // In bursts and one by one, at both instances: the claims already wait, come too late, or come just in time.
  for (let index = 0; index < 50; index += 10) {
    const burst = Array.from({ length: 10 }, (_, at) => ({ resource, operationId: `o${index + at}`, type }));
    if (index % 20 === 0) await Promise.all(burst.map((fields, at) => client(at).begin(fields)));
    else for (const [at, fields] of burst.entries()) await client(at).begin(fields);
  }
  const claimed = (await Promise.all(claims)).map(({ claimed: [one] }) => one);
  expect(new Set(claimed.map((one) => one?.operation?.operationId)).size).toBe(50);
  expect(new Set(claimed.map((one) => one?.attempt?.fencingToken)).size).toBe(50);
  for (const one of claimed) {
    expect(one?.operation).toMatchObject({ attemptNumber: 1, state: OperationState.OPERATION_STATE_RUNNING });
  }
  expect((await client(0).claim({ types: [type] })).claimed).toEqual([]);
});

test('a caller that waits or watches at one instance is woken by an end at the other', async () => {
  const attempt = await client(0).started({ resource: `r-${randomUUID()}`, operationId: 'o' });
  const { resource, operationId } = attempt;
  const watch = client(1).watch({ filter: { resource } });
  await watch.event('snapshotComplete');
  const told = watch.all('operation').length;
  const waits = Array.from({ length: 20 }, () => client(1).wait({ resource, operationId, waitTimeout }));
  await client(1).get(attempt); // what came before it on the same connection has arrived
  const completedMs = performance.now();
  await client(0).complete(attempt);
  for (const { done } of await Promise.all(waits)) expect(done).toBe(true);
  const { state } = await watch.event('operation', { count: told + 1 });
  expect(performance.now() - completedMs).toBeLessThan(5_000); // long before waitTimeout
  expect(state).toBe(OperationState.OPERATION_STATE_SUCCEEDED);
  watch.call.cancel();
});

/** The scripts that Redis ran in a few seconds in which nothing happened. */
async function scriptsRun(): Promise<number> {
  return redis.withClient(async (own) => {
    await own.config('RESETSTAT');
    await new Promise((resolve) => setTimeout(resolve, LOOKING_MS)); // it counts this long, and waits for nothing
    const [, calls = '0'] = /cmdstat_evalsha:calls=(\d+)/.exec(await own.info('commandstats')) ?? [];
    return Number(calls);
  });
}

test('hundreds of calls that wait send Redis nothing while nothing happens', {
  timeout: 60_000,
}, async () => {
  const attempt = await client(0).started({ resource: `r-${randomUUID()}`, operationId: 'o' });
  const { resource, operationId } = attempt;
  const over = new AbortController();
  const wait = (index: number) =>
    client(index).wait({ resource, operationId, waitTimeout }, { signal: over.signal, timeoutMs: 60_000 });
  const claim = (index: number) =>
    client(index).claim(
      { types: [`t-${randomUUID()}`], waitTimeout },
      { signal: over.signal, timeoutMs: 60_000 },
    );
  // One of each at each instance, so that both listen already: ticks, and the mark of a watcher, are sent anyway.
  const calls: Promise<unknown>[] = [wait(0), wait(1), claim(0), claim(1)];
  await Promise.all([client(0).get(attempt), client(1).get(attempt)]);
  const few = await scriptsRun();
  for (let index = 0; index < 200; index++) calls.push(wait(index), claim(index));
  await Promise.all([client(0).get(attempt), client(1).get(attempt)]);
  await eventually(async () => (await scriptsRun()) <= few + 2, {
    what: 'no more scripts than without them, once each has asked',
    withinMs: 4 * LOOKING_MS,
  });
  over.abort();
  await Promise.allSettled(calls);
});
