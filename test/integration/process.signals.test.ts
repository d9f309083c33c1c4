// The process while it serves and at its end: signals, draining with open calls and watches, and what it logs.
import { randomUUID } from 'node:crypto';
import { describe, expect, type TestContext, test } from 'vitest';
import { LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { HealthClient, LOCK_SERVICE } from '../support/health-client.ts';
import { rawCall } from '../support/raw-call.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { TestClient } from '../support/test-instance.ts';

type AtEnd = TestContext['onTestFinished'];

function server(atEnd: AtEnd, overrides?: Record<string, string>): CommandLine {
  const started = CommandLine.serve(overrides);
  atEnd(() => started.kill());
  return started;
}

function clientOf(atEnd: AtEnd, address: { host: string; port: number }): TestClient {
  const client = new TestClient(address);
  atEnd(() => client.close());
  return client;
}

async function redisFor(atEnd: AtEnd, auth?: { username: string; password: string }): Promise<RedisProcess> {
  const redis = await RedisProcess.server(auth ? { auth } : {});
  atEnd(() => redis.stop());
  await redis.start();
  return redis;
}

async function failure(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError)) throw new Error('the call succeeded');
  return error;
}

describe.concurrent('the process', { timeout: 90_000 }, () => {
  test.for(['SIGTERM', 'SIGINT'] as const)(
    'on %s the server drains and ends with status 0',
    async (signal, context) => {
      const atEnd = context.onTestFinished;
      const redis = await redisFor(atEnd);
      const instance = server(atEnd, {
        ...singleRedis(redis),
        LEASEHOLD_REDIS_COMMAND_TIMEOUT: '8s',
        LEASEHOLD_SERVER_DRAIN_TIMEOUT: '8s',
      });
      const address = await instance.address();
      await instance.logged(/primary in use/);
      const client = clientOf(atEnd, address);
      const other = clientOf(atEnd, address);
      const health = new HealthClient(address);
      atEnd(() => health.close());
      const watched = health.watch(LOCK_SERVICE);
      await other.getServerInfo();
      await eventually(() => watched.at(-1) === 'SERVING', { what: 'readiness', withinMs: 5_000 });

      await redis.pause();
      const call = client.acquire({ resource: 'in-progress' });
      await client.getServerInfo(); // on the same connection, after it
      instance.signal(signal);
      await eventually(() => watched.at(-1) === 'NOT_SERVING', { what: 'unreadiness', withinMs: 3_000 });
      const refused = await failure(other.acquire({ resource: 'new' }));
      expect(refused.code).toBe(14); // UNAVAILABLE, because it drains or because nobody listens any more
      await redis.resume();
      expect((await call).lease?.resource).toBe('in-progress');
      expect(await instance.exit(7_000)).toBe(0);
      expect(watched.slice(-3)).toEqual(['SERVING', 'NOT_SERVING', 'ended']);
      expect(instance.stdout).toMatch(/"msg":"draining".*\n.*"msg":"stopped"/s);
      expect(instance.stderr).toBe('');
    },
  );

  test('a lease outlives the instance that granted it', async ({ onTestFinished: atEnd }) => {
    const redis = await redisFor(atEnd);
    const lease = { resource: 'outlives', leaseId: randomUUID() };
    const first = server(atEnd, singleRedis(redis));
    await first.logged(/primary in use/);
    const granted = await clientOf(atEnd, await first.address()).acquire(lease);
    first.signal('SIGTERM');
    expect(await first.exit()).toBe(0);
    const second = server(atEnd, singleRedis(redis));
    await second.logged(/primary in use/);
    const client = clientOf(atEnd, await second.address());
    const fencingToken = granted.lease?.fencingToken ?? 0n;
    expect((await client.renew({ ...lease, fencingToken })).lease?.fencingToken).toBe(fencingToken);
  });

  test('a second signal ends the server at once, with status 1', async ({ onTestFinished: atEnd }) => {
    const redis = await redisFor(atEnd);
    const instance = server(atEnd, {
      ...singleRedis(redis),
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '10s',
      LEASEHOLD_SERVER_DRAIN_TIMEOUT: '1m',
    });
    await instance.logged(/primary in use/);
    const client = clientOf(atEnd, await instance.address());
    await redis.pause();
    const call = failure(client.acquire({ resource: 'in-progress' }));
    await client.getServerInfo();
    instance.signal('SIGTERM');
    await instance.logged(/"draining"/);
    instance.signal('SIGTERM');
    expect(await instance.exit(3_000)).toBe(1);
    expect((await call).code).toBe(14);
  });

  test.for(['trace', 'debug'])(
    'the log at %s has no secret and no whole lease id',
    async (level, context) => {
      const atEnd = context.onTestFinished;
      const auth = { username: 'locks', password: `pass-${randomUUID()}` };
      const redis = await redisFor(atEnd, auth);
      const instance = server(atEnd, {
        ...singleRedis(redis),
        LEASEHOLD_REDIS_USERNAME: auth.username,
        LEASEHOLD_REDIS_PASSWORD: auth.password,
        LEASEHOLD_LOG_LEVEL: level,
      });
      await instance.logged(/primary in use/);
      const client = clientOf(atEnd, await instance.address());
      const one = { resource: 'logged', leaseId: randomUUID() };
      const two = { resource: 'logged', leaseId: randomUUID().toUpperCase() };
      const malformed = `${randomUUID()}0`;
      const { lease } = await client.acquire(one);
      await failure(client.acquire(two));
      await failure(client.acquire({ resource: 'logged', leaseId: malformed }));
      await client.renew({ ...one, fencingToken: lease?.fencingToken ?? 0n });
      await failure(client.renew({ ...two, fencingToken: 1n }));
      await client.release(two);
      await client.getLock('logged');
      await rawCall(client.stub, LockServiceService.acquire.path, Buffer.from(`\u000a\u007f${one.leaseId}`));
      // This includes a defect: the log has what Redis says about it, with the command or without.
      await redis.withClient((connection) => connection.set('leasehold:{0}:lock:strange', 'not a lock'));
      await failure(client.acquire({ ...one, resource: 'strange' }));
      await client.release(one);
      await redis.kill();
      await instance.logged(/"no primary"/);
      await failure(client.release(one));

      instance.signal('SIGTERM');
      expect(await instance.exit()).toBe(0);
      const log = `${instance.stdout}${instance.stderr}`.toLowerCase();
      // The log is that detailed: it has each mutation, under the hash of its lease.
      expect(log).toContain(leaseIdHash(one.leaseId));
      expect(log).toContain('"outcome":"lock_contended"');
      expect(log).toContain('"rpc":"release"');
      for (const secret of [auth.password, one.leaseId, two.leaseId, malformed]) {
        expect(log).not.toContain(secret.toLowerCase());
      }
    },
  );
});
