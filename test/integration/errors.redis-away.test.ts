// What callers hear while a single Redis is frozen, dead, full or refuses: which reason, how soon, and that a call of
// unknown outcome does not take effect late. Failovers under Sentinel have tests of their own.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { describe, expect, type TestContext, test } from 'vitest';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import {
  AcquireRequest,
  GetLockRequest,
  LockServiceService,
  ReleaseRequest,
  RenewRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from '../support/eventually.ts';
import { type RawError, rawCall, rawError } from '../support/raw-call.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { type Rig, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const COMMAND_TIMEOUT_MS = 3_000;
/** What a call may take beyond the command timeout. */
const GRACE_MS = 2_000;
/** Less than the command timeout: the server waited for nothing. */
const AT_ONCE_MS = 2_500;

type RedisRig = Rig & { readonly redis: RedisProcess };

async function redisRig(
  { onTestFinished }: TestContext,
  overrides: Readonly<Record<string, string>> = {},
): Promise<RedisRig> {
  const rig = await startRig('redis', {
    LEASEHOLD_REDIS_COMMAND_TIMEOUT: `${COMMAND_TIMEOUT_MS}ms`,
    ...overrides,
  });
  onTestFinished(() => rig.stop());
  const { redis } = rig;
  if (!redis) throw new Error('a rig without Redis');
  return { ...rig, redis };
}

function acquireBytes(resource: string): Uint8Array {
  const spec = LeaseSpec.fromPartial({ resource, leaseId: randomUUID() });
  return AcquireRequest.encode({ spec, wait: undefined }).finish();
}

/** Every rpc that needs the store, with a valid request. */
function everyCall(resource: string): readonly (readonly [path: string, bytes: Uint8Array])[] {
  const named = { resource, leaseId: randomUUID() };
  return [
    [LockServiceService.acquire.path, acquireBytes(resource)],
    [
      LockServiceService.renew.path,
      RenewRequest.encode({ ...named, fencingToken: 1n, ttl: undefined }).finish(),
    ],
    [LockServiceService.release.path, ReleaseRequest.encode(named).finish()],
    [LockServiceService.getLock.path, GetLockRequest.encode({ resource }).finish()],
    [LockServiceService.listLocks.path, new Uint8Array()],
    [LockServiceService.listContendedLocks.path, new Uint8Array()],
    [LockServiceService.listSuspectedDeadlocks.path, new Uint8Array()],
  ];
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; tookMs: number }> {
  const startedMs = performance.now();
  return { value: await work, tookMs: performance.now() - startedMs };
}

function expectNothingInternal(error: RawError, { redis }: RedisRig): void {
  expect(error.everything).not.toMatch(
    /127\.0\.0\.1|localhost|ECONN|EPIPE|EVALSHA|WRONGTYPE|\bOOM\b|maxmemory|NOSCRIPT|\.lua|\.ts\b|node_modules|\n\s+at |leasehold:\{/,
  );
  expect(error.everything).not.toContain(String(redis.listens.port));
  expect(error.details['google.rpc.ErrorInfo']?.domain).toBe('leasehold');
}

function retryMs({ details }: RawError): number {
  const delay = details['google.rpc.RetryInfo']?.retryDelay;
  return delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : Number.NaN;
}

describe.concurrent('a Redis that is away', { timeout: 30_000 }, () => {
  test('while Redis is frozen every call ends in time and none takes effect late, and afterwards all works again', async (context) => {
    const rig = await redisRig(context);
    const { client, redis } = rig;
    const held = { resource: 'held', leaseId: randomUUID() };
    const { lease } = await client.acquire({ ...held, ttl: duration(30_000) });

    await redis.pause();
    // Still on the connection that worked a moment ago: sent, and no reply.
    const sent = await Promise.all(
      [...everyCall('frozen-1'), ...everyCall('frozen-2')].map(([path, bytes]) =>
        timed(rawError(client.stub, path, bytes)),
      ),
    );
    for (const { value: error, tookMs } of sent) {
      expect(error.code).toBe('UNAVAILABLE');
      expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('OUTCOME_UNKNOWN');
      expect(retryMs(error)).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(COMMAND_TIMEOUT_MS + GRACE_MS);
      expectNothingInternal(error, rig);
    }

    const info = await timed(client.getServerInfo());
    expect(info.tookMs).toBeLessThan(AT_ONCE_MS);
    expect(info.value.info?.instanceId).not.toBe('');

    // The store notices the silence, and from then on sends nothing.
    await eventually(async () => !(await client.getServerInfo()).info?.serving, {
      what: 'GetServerInfo that says so',
      withinMs: 20_000,
    });
    for (const [path, bytes] of everyCall('frozen-3')) {
      const { value: error, tookMs } = await timed(rawError(client.stub, path, bytes));
      expect(error.code).toBe('UNAVAILABLE');
      expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('REDIS_UNAVAILABLE');
      expect(retryMs(error)).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(AT_ONCE_MS);
      expectNothingInternal(error, rig);
    }

    await redis.resume();
    await eventually(() => client.acquire({ resource: 'after' }), { what: 'a grant', withinMs: 10_000 });
    // The commands were in Redis's socket buffer all the time, and it has read them by now.
    for (const resource of ['frozen-1', 'frozen-2', 'frozen-3']) {
      expect((await client.getLock(resource)).lock?.state).toBe(LockState.LOCK_STATE_FREE);
    }
    const renewed = await client.renew({ ...held, fencingToken: lease?.fencingToken ?? 0n });
    expect(renewed.lease?.fencingToken).toBe(lease?.fencingToken);
  });

  test('after a short freeze no call of unknown outcome takes effect late, even on the same connection', async (context) => {
    const { client, redis } = await redisRig(context);
    await redis.pause();
    const errors = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        rawError(client.stub, LockServiceService.acquire.path, acquireBytes(`short-${index}`)),
      ),
    );
    expect(new Set(errors.map(({ details }) => details['google.rpc.ErrorInfo']?.reason))).toEqual(
      new Set(['OUTCOME_UNKNOWN']),
    );
    await redis.resume();
    // After them, on the same connection.
    await eventually(() => client.acquire({ resource: 'behind' }), { what: 'a grant', withinMs: 20_000 });
    for (let index = 0; index < 20; index++) {
      expect((await client.getLock(`short-${index}`)).lock?.holderCount).toBe(0);
    }
  });

  test('valid_for counts from before a slow Redis was asked, not from its reply', async (context) => {
    const { client, redis } = await redisRig(context, { LEASEHOLD_REDIS_COMMAND_TIMEOUT: '5s' });
    await redis.pause();
    const answer = timed(client.acquire({ resource: 'slow', ttl: duration(5_000) }));
    await sleep(600);
    await redis.resume();
    const { value, tookMs } = await answer;
    expect(tookMs).toBeGreaterThan(500);
    const { seconds = 0n, nanos = 0 } = value.lease?.validFor ?? {};
    expect(Number(seconds) * 1_000 + nanos / 1e6).toBeLessThan(5_000 + 300);
  });

  test("a call ends at its caller's deadline, and its command does nothing later", async (context) => {
    const { client, redis, instance } = await redisRig(context, {
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '5s',
      LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0',
    });
    await redis.pause();
    const call = client.acquire({ resource: 'deadline' }, undefined, 300);
    const { value: error, tookMs } = await timed(call.catch((thrown: unknown) => thrown));
    expect(error).toBeInstanceOf(CallError);
    expect((error as CallError).code).toBe(status.DEADLINE_EXCEEDED);
    expect(tookMs).toBeLessThan(300 + GRACE_MS);
    // The server has given up as well, and names the deadline.
    const { host, port } = instance.adminAddress ?? { host: '', port: 0 };
    await eventually(
      async () => {
        const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
        return text.includes('leasehold_calls_total{method="Acquire",code="DEADLINE_EXCEEDED"} 1');
      },
      { what: 'the end of the call in the metrics', withinMs: 10_000 },
    );
    await redis.resume();
    await eventually(() => client.acquire({ resource: 'later' }), { what: 'a grant', withinMs: 20_000 });
    expect((await client.getLock('deadline')).lock?.state).toBe(LockState.LOCK_STATE_FREE);
  });

  test('a call beyond the bound of calls in flight is refused at once, and later ones are served again', async (context) => {
    const rig = await redisRig(context, {
      LEASEHOLD_REDIS_MAX_IN_FLIGHT: '3',
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '8s',
    });
    const { client, redis } = rig;
    await redis.pause();
    const call = (resource: string): Promise<Buffer | RawError> =>
      rawCall(client.stub, LockServiceService.acquire.path, acquireBytes(resource));
    const within = [call('in-flight-0'), call('in-flight-1'), call('in-flight-2')];
    for (let index = 0; index < 5; index++) {
      const { value: error, tookMs } = await timed(call(`excess-${index}`));
      if (Buffer.isBuffer(error)) throw new Error('granted by a frozen Redis');
      expect(error.code).toBe('UNAVAILABLE');
      expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('OVERLOADED');
      expect(retryMs(error)).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(AT_ONCE_MS);
      expectNothingInternal(error, rig);
    }
    await redis.resume();
    for (const outcome of await Promise.all(within)) expect(Buffer.isBuffer(outcome)).toBe(true);
    expect((await client.getLock('excess-0')).lock?.state).toBe(LockState.LOCK_STATE_FREE);
  });

  test('a dead Redis is REDIS_UNAVAILABLE at once, and the error does not tell its address', async (context) => {
    const rig = await redisRig(context);
    await rig.redis.kill();
    await eventually(() => !rig.instance.store.status().usable, { what: 'the loss', withinMs: 5_000 });
    for (const [path, bytes] of everyCall('dead')) {
      const { value: error, tookMs } = await timed(rawError(rig.client.stub, path, bytes));
      expect(error.code).toBe('UNAVAILABLE');
      expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('REDIS_UNAVAILABLE');
      expect(retryMs(error)).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(AT_ONCE_MS);
      expectNothingInternal(error, rig);
    }
  });

  test('an empty Redis is not adopted as new by an instance that has seen the deployment', async (context) => {
    const rig = await redisRig(context, { LEASEHOLD_LOCKS_MAX_TTL: '20s' });
    await rig.redis.restart({ empty: true });
    await eventually(async () => (await rig.client.getServerInfo()).info?.quarantineRemaining !== undefined, {
      what: 'a quarantine',
      withinMs: 8_000,
    });
    const error = await rawError(rig.client.stub, LockServiceService.acquire.path, acquireBytes('q'));
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('QUARANTINE');
    // max_ttl, 2 s for an old primary and 2 s for the clocks; a little of that has passed. But a roll call may end it.
    const { quarantineRemaining } = (await rig.client.getServerInfo()).info ?? {};
    expect(Number(quarantineRemaining?.seconds)).toBeGreaterThan(13);
    expect(Number(quarantineRemaining?.seconds)).toBeLessThanOrEqual(24);
    expect(retryMs(error)).toBe(2_000);
    expectNothingInternal(error, rig);
    expect((await rig.client.getLock('q')).lock?.state).toBe(LockState.LOCK_STATE_FREE);
  });

  test('a full Redis is STORE_FULL with QuotaFailure, and held leases can be renewed and released', async (context) => {
    const rig = await redisRig(context);
    const held = { resource: 'held', leaseId: randomUUID() };
    const { lease } = await rig.client.acquire(held);
    await rig.redis.withClient((redis) => redis.config('SET', 'maxmemory', '1'));
    const error = await rawError(rig.client.stub, LockServiceService.acquire.path, acquireBytes('full'));
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
    expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('STORE_FULL');
    expect(error.details['google.rpc.QuotaFailure']?.violations).toMatchObject([{ subject: 'store' }]);
    expectNothingInternal(error, rig);
    await rig.client.renew({ ...held, fencingToken: lease?.fencingToken ?? 0n });
    expect(await rig.client.release(held)).toEqual({ released: true });
    await rig.redis.withClient((redis) => redis.config('SET', 'maxmemory', '0'));
    expect((await rig.client.getLock('full')).lock?.state).toBe(LockState.LOCK_STATE_FREE);
  });

  test('an error from unfit data in Redis keeps the words of Redis in the log', async (context) => {
    const rig = await redisRig(context);
    // What another program wrote in the place of a lock.
    await rig.redis.withClient(async (redis) => {
      await redis.set('leasehold:{0}:lock:strange', 'not a lock');
      await redis.zadd('leasehold:{0}:names', 0, 'strange');
      await redis.set('leasehold:{0}:contention', 'not a hash');
    });
    for (const [path, bytes] of everyCall('strange')) {
      const error = await rawError(rig.client.stub, path, bytes);
      expect(['UNAVAILABLE', 'INTERNAL']).toContain(error.code);
      expectNothingInternal(error, rig);
    }
    await rig.client.acquire({ resource: 'sound' });
  });
});
