// Every mutation of operations is repeated after its reply was lost on the way from Redis: the command has committed,
// the caller hears "outcome unknown", and the repeat with the same ids has no second effect.

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Operation, OperationState } from '../../generated/leasehold/v1/operation.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { type HeldAttempt, held, OperationClient, payload } from '../support/operation-client.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { startInstance } from '../support/test-instance.ts';

const KEY = { resource: 'r', operationId: 'o' };

let redis: RedisProcess;
let proxy: TcpProxy;
/** Behind the proxy: the tests' calls go to it. */
let instance: Instance;
let client: OperationClient;
/** Not behind the proxy: it sees what was committed. */
let witness: Instance;
let direct: OperationClient;

beforeEach(async () => {
  redis = await RedisProcess.server({});
  await redis.start();
  proxy = await TcpProxy.start({ target: redis.listens });
  const common = { LEASEHOLD_REDIS_BOOTSTRAP: 'new', LEASEHOLD_REDIS_COMMAND_TIMEOUT: '500ms' };
  instance = await startInstance({ ...common, LEASEHOLD_REDIS_ADDRESS: `${proxy.host}:${proxy.port}` });
  await usable(instance);
  const { host, port } = redis.listens;
  witness = await startInstance({ ...common, LEASEHOLD_REDIS_ADDRESS: `${host}:${port}` });
  await usable(witness);
  client = new OperationClient(instance.address);
  direct = new OperationClient(witness.address);
});
afterEach(async () => {
  client.close();
  direct.close();
  await instance.stop();
  await witness.stop();
  await proxy.close();
  await redis.stop();
});

async function usable({ store }: Instance): Promise<void> {
  await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 10_000 });
}

async function recorded(): Promise<Operation | undefined> {
  return direct.get(KEY).catch(() => undefined);
}

/** Runs a call whose script commits and whose reply never comes; then the proxy works again. */
async function replyLost(
  call: () => Promise<unknown>,
  committed: (operation: Operation | undefined) => boolean,
): Promise<void> {
  proxy.holdReplies();
  const outcome = call().then(
    () => 'answered',
    (error: { reason?: string }) => error.reason,
  );
  await eventually(async () => committed(await recorded()), {
    what: 'the commit',
    withinMs: 5_000,
    everyMs: 5,
  });
  expect(await outcome).toBe('OUTCOME_UNKNOWN');
  const { sinceMs } = instance.store.status();
  proxy.drop();
  proxy.heal();
  const isNew = (): boolean => instance.store.status().sinceMs !== sinceMs && instance.store.status().usable;
  await eventually(isNew, { what: 'a new connection', withinMs: 10_000 });
}

/** Runs the call with its reply lost, and again: the version that the first one made is the last. */
async function twice(call: () => Promise<unknown>, change: (operation: Operation) => boolean): Promise<void> {
  const before = (await recorded())?.version ?? 0n;
  await replyLost(call, (operation) => operation !== undefined && change(operation));
  expect((await recorded())?.version).toBe(before + 1n);
  await call();
  expect((await recorded())?.version).toBe(before + 1n);
}

const { OPERATION_STATE_PENDING: PENDING, OPERATION_STATE_SUCCEEDED: SUCCEEDED } = OperationState;
const started = (): Promise<HeldAttempt> => client.started(KEY);

test('a repeated BeginOperation gets the attempt that was begun', { timeout: 30_000 }, async () => {
  const claimId = randomUUID();
  const begin = () => client.begin({ ...KEY, claimId, requestId: '11111111-2222-4333-8444-555555555555' });
  await replyLost(begin, (operation) => operation !== undefined);
  const { fencingToken } = (await recorded()) ?? {};
  const { operation, attempt, created } = await begin();
  expect([attempt?.fencingToken, created]).toEqual([fencingToken, true]);
  expect(operation).toMatchObject({ attemptNumber: 1, attemptsCounted: 1 });
});

test('a repeated ClaimOperations gets what was claimed, and no more', { timeout: 30_000 }, async () => {
  await client.begin(KEY);
  await client.begin({ ...KEY, operationId: 'other' });
  const claimId = randomUUID();
  await replyLost(
    () => client.claim({ claimId }),
    (operation) => operation?.attemptNumber === 1,
  );
  const { claimed } = await client.claim({ claimId, maxOperations: 5 });
  expect(claimed.map(({ operation }) => operation?.operationId)).toEqual(['o']);
  expect(held(claimed[0] ?? {}).fencingToken).toBe((await recorded())?.fencingToken);
});

test('a ClaimOperations that waits and whose reply is lost asks again by itself', {
  timeout: 30_000,
}, async () => {
  await client.begin(KEY);
  proxy.holdReplies();
  const claim = client.claim({ waitTimeout: { seconds: 12n, nanos: 0 } });
  const isClaimed = async (): Promise<boolean> => (await recorded())?.attemptNumber === 1;
  await eventually(isClaimed, { what: 'the commit', withinMs: 5_000, everyMs: 5 });
  proxy.drop();
  proxy.heal();
  const { claimed } = await claim;
  expect(claimed[0]?.attempt?.fencingToken).toBe((await recorded())?.fencingToken);
  expect(await recorded()).toMatchObject({ attemptNumber: 1 });
});

test('a repeated UpdateOperation takes effect once', { timeout: 30_000 }, async () => {
  const attempt = await started();
  const update = { ...attempt, progress: payload('half'), requestId: randomUUID(), version: 1n };
  update.version = (await recorded())?.version ?? 0n; // a version that is out of date at the repeat
  await twice(
    () => client.update(update),
    ({ progress }) => progress !== undefined,
  );
});

test('a repeated CompleteOperation takes effect once', { timeout: 30_000 }, async () => {
  const complete = { ...(await started()), requestId: randomUUID() };
  await twice(
    () => client.complete(complete),
    ({ state }) => state === SUCCEEDED,
  );
});

test('a repeated YieldOperation takes effect once, and does not yield the next attempt', {
  timeout: 30_000,
}, async () => {
  const attempt = await started();
  const request = { ...attempt, requestId: randomUUID() };
  await replyLost(
    () => client.yield(request),
    (operation) => operation?.state === PENDING,
  );
  const next = await client.started(KEY);
  await client.yield(request);
  expect(await recorded()).toMatchObject({
    attemptNumber: 2,
    attemptsCounted: 1,
    fencingToken: next.fencingToken,
  });
});

test('a repeated CancelOperation takes effect once', { timeout: 30_000 }, async () => {
  await started();
  const cancel = { ...KEY, reason: 'why', requestId: randomUUID() };
  await twice(
    () => client.cancel(cancel),
    ({ cancelRequested }) => cancelRequested,
  );
});

test('a repeated RetryOperation takes effect once, although the next attempt failed too', {
  timeout: 30_000,
}, async () => {
  const fail = async (attempt: HeldAttempt): Promise<unknown> => {
    const outcome = { $case: 'error' as const, value: { code: 13, message: 'broken', details: [] } };
    return client.complete({ ...attempt, outcome });
  };
  await fail(await started());
  const request = { ...KEY, requestId: randomUUID() };
  await replyLost(
    () => client.retry(request),
    (operation) => operation?.state === PENDING,
  );
  await fail(await started());
  expect(await client.retry(request)).toMatchObject({ state: OperationState.OPERATION_STATE_FAILED });
});

test('a repeated DeleteOperation removes nothing', { timeout: 30_000 }, async () => {
  await client.begin(KEY);
  await replyLost(
    () => client.delete(KEY),
    (operation) => operation === undefined,
  );
  expect(await client.delete(KEY)).toEqual({ deleted: false });
});
