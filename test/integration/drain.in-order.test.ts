// How an instance ends: calls in progress can finish, nothing new begins, and no client can keep it from stopping.
// process.signals.test.ts shows the same with a real process and signals.
import { once } from 'node:events';
import { connect } from 'node:http2';
import { describe, expect, type TestContext, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from '../support/eventually.ts';
import { startRig } from '../support/store-kinds.ts';
import { startInstance, TestClient } from '../support/test-instance.ts';

const DRAIN_MS = 700;

async function timed(work: Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work;
  return performance.now() - startedMs;
}

/** A client that opens a stream and then neither says anything nor goes away. */
async function stuckClient(
  atEnd: TestContext['onTestFinished'],
  { host, port }: { host: string; port: number },
  path: string,
): Promise<{ readonly destroyed: boolean }> {
  const session = connect(`http://${host}:${port}`);
  session.on('error', () => undefined);
  atEnd(() => session.destroy());
  await once(session, 'connect');
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  // An answer on the same connection proves that the server has the stream by now.
  await new Promise((resolve, reject) =>
    session.ping((error) => (error ? reject(error) : resolve(undefined))),
  );
  return session;
}

describe.concurrent('draining', () => {
  test('an instance without clients ends at once', async () => {
    const instance = await startInstance({ LEASEHOLD_SERVER_DRAIN_TIMEOUT: '10s' });
    expect(await timed(instance.stop())).toBeLessThan(5_000);
  });

  test('an idle connection does not delay the end of an instance', async ({ onTestFinished }) => {
    const instance = await startInstance({ LEASEHOLD_SERVER_DRAIN_TIMEOUT: '10s' });
    const client = new TestClient(instance.address);
    onTestFinished(() => client.close());
    await client.acquire({ resource: 'a' });
    expect(await timed(instance.stop())).toBeLessThan(5_000);
    const error = await client.acquire({ resource: 'b' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CallError);
    expect((error as CallError).code).toBe(14);
  });

  for (const path of [
    '/leasehold.v1.LockService/Acquire',
    '/leasehold.v1.LockService/Hold',
    '/grpc.health.v1.Health/Watch',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  ]) {
    test(`a client that never finishes ${path} delays the end of an instance by no more than the drain timeout`, async ({
      onTestFinished,
    }) => {
      const instance = await startInstance({
        LEASEHOLD_SERVER_DRAIN_TIMEOUT: `${DRAIN_MS}ms`,
        LEASEHOLD_SERVER_REFLECTION: 'true',
      });
      const client = await stuckClient(onTestFinished, instance.address, path);
      expect(await timed(instance.stop())).toBeLessThan(DRAIN_MS + 4_000);
      await eventually(() => client.destroyed, { what: 'the end of the connection', withinMs: 3_000 });
    });
  }

  test('a call in progress is answered before the instance ends', async ({ onTestFinished }) => {
    const rig = await startRig('redis', {
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '5s',
      LEASEHOLD_SERVER_DRAIN_TIMEOUT: '5s',
    });
    onTestFinished(async () => {
      rig.client.close();
      await rig.redis?.stop();
    });
    await rig.redis?.pause();
    const call = rig.client.acquire({ resource: 'in-progress' });
    const info = new TestClient(rig.instance.address);
    onTestFinished(() => info.close());
    await info.getServerInfo(); // sent later and answered, so the first has arrived
    let hasStopped = false;
    const stopped = rig.instance.stop().then(() => {
      hasStopped = true;
    });
    const refused = await rig.client.acquire({ resource: 'new' }).catch((thrown: unknown) => thrown);
    expect((refused as CallError).code).toBe(14);
    expect(hasStopped).toBe(false);
    await rig.redis?.resume();
    expect((await call).lease?.resource).toBe('in-progress');
    await stopped;
  });

  test('a drain cuts a call that outlives the drain timeout, and the log says so', async ({
    onTestFinished,
  }) => {
    const rig = await startRig('redis', {
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '8s',
      LEASEHOLD_SERVER_DRAIN_TIMEOUT: `${DRAIN_MS}ms`,
    });
    onTestFinished(async () => {
      rig.client.close();
      await rig.redis?.stop();
    });
    await rig.redis?.pause();
    const call = rig.client.acquire({ resource: 'cut' }).catch((thrown: unknown) => thrown);
    const info = new TestClient(rig.instance.address);
    onTestFinished(() => info.close());
    await info.getServerInfo();
    expect(await timed(rig.instance.stop())).toBeLessThan(DRAIN_MS + 4_000);
    const error = await call;
    expect(error).toBeInstanceOf(CallError);
    expect([1, 14]).toContain((error as CallError).code); // CANCELLED or UNAVAILABLE: the connection is gone
  });
});
