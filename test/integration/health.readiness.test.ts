// What load balancers, Kubernetes and Prometheus see of an instance: grpc.health.v1 and the admin port.
import { request } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import { describe, expect, type TestContext, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import { serve } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { HealthClient, LOCK_SERVICE } from '../support/health-client.ts';
import { freePort } from '../support/ports.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { startInstance, TestClient, testEnvironment } from '../support/test-instance.ts';

const OPERATIONS = 'leasehold.v1.OperationStoreService';
const WITH_ADMIN = { LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' };

interface Reply {
  readonly code: number;
  readonly text: string;
  readonly type: string;
}

/** Sends the target unchanged; fetch would change it. */
function http(address: HostPort | undefined, path: string, method = 'GET'): Promise<Reply> {
  if (!address) throw new Error('no admin port');
  return new Promise((resolve, reject) => {
    const call = request({ ...address, path, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ code: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' }),
      );
    });
    call.once('error', reject).setTimeout(5_000, () => call.destroy(new Error('no answer')));
    call.end();
  });
}

function healthOf({ onTestFinished }: TestContext, address: HostPort): HealthClient {
  const health = new HealthClient(address);
  onTestFinished(() => health.close());
  return health;
}

describe.concurrent('health', () => {
  test('health follows the store: before it is usable, while it is, 10 s after it went away, and when it is back', {
    timeout: 45_000,
  }, async (context) => {
    const redis = await RedisProcess.server();
    context.onTestFinished(() => redis.stop());
    const instance = await startInstance({ ...singleRedis(redis), ...WITH_ADMIN });
    context.onTestFinished(() => instance.stop());
    const health = healthOf(context, instance.address);
    const watched = health.watch(LOCK_SERVICE);
    const ready = async (): Promise<number> => (await http(instance.adminAddress, '/readyz')).code;

    await eventually(() => watched.length === 1, { what: 'the first state', withinMs: 5_000 });
    expect(watched).toEqual(['NOT_SERVING']);
    expect(await health.check(LOCK_SERVICE)).toBe('NOT_SERVING');
    expect(await health.check(OPERATIONS)).toBe('NOT_SERVING');
    expect(await health.check('')).toBe('SERVING');
    expect(await ready()).toBe(503);
    expect((await http(instance.adminAddress, '/healthz')).code).toBe(200);

    await redis.start();
    await eventually(() => watched.length === 2, { what: 'readiness', withinMs: 10_000 });
    expect(watched).toEqual(['NOT_SERVING', 'SERVING']);
    expect(await health.check(LOCK_SERVICE)).toBe('SERVING');
    expect(await ready()).toBe(200);

    await redis.kill();
    await eventually(() => !instance.store.status().usable, { what: 'the loss', withinMs: 5_000 });
    const lostAtMs = performance.now();
    // Clients retry over short breaks, so health does not change for 10 s.
    expect(await health.check(LOCK_SERVICE)).toBe('SERVING');
    await eventually(() => watched.length === 3, { what: 'unreadiness', withinMs: 12_000 });
    expect(performance.now() - lostAtMs).toBeGreaterThan(9_500);
    expect(watched.at(-1)).toBe('NOT_SERVING');
    expect(await health.check('')).toBe('SERVING');
    expect(await ready()).toBe(503);

    await redis.start();
    await eventually(() => watched.length === 4, { what: 'readiness again', withinMs: 10_000 });
    expect(watched.at(-1)).toBe('SERVING');
    expect(await ready()).toBe(200);
  });

  test('an instance that drains is not ready, and ends its health watches', async (context) => {
    const instance = await startInstance();
    const health = healthOf(context, instance.address);
    const watched = health.watch(LOCK_SERVICE);
    const process = health.watch('');
    await eventually(() => watched.length === 1 && process.length === 1, {
      what: 'the first states',
      withinMs: 5_000,
    });
    const startedMs = performance.now();
    await instance.stop();
    expect(performance.now() - startedMs).toBeLessThan(6_000);
    await eventually(() => watched.length === 3 && process.length === 2, {
      what: 'the end of the watches',
      withinMs: 2_000,
    });
    expect(watched).toEqual(['SERVING', 'NOT_SERVING', 'ended']);
    expect(process).toEqual(['SERVING', 'ended']);
  });

  test('the health of an unknown service is NOT_FOUND', async (context) => {
    const instance = await startInstance();
    context.onTestFinished(() => instance.stop());
    await expect(healthOf(context, instance.address).check('leasehold.v1.Other')).rejects.toThrow(
      /NOT_FOUND/,
    );
  });
});

describe.concurrent('the admin port', () => {
  test('the admin port shows calls, store and readiness in the form that Prometheus reads', async (context) => {
    const instance = await startInstance(WITH_ADMIN);
    const client = new TestClient(instance.address);
    context.onTestFinished(async () => {
      client.close();
      await instance.stop();
    });
    await client.acquire({ resource: 'a' });
    await client.acquire({ resource: 'a' }).catch(() => undefined);
    await client.acquire({ resource: '' }).catch(() => undefined);
    const { code, text, type } = await http(instance.adminAddress, '/metrics');
    expect(code).toBe(200);
    expect(type).toMatch(/^text\/plain; version=/);
    const lines = text.split('\n');
    for (const line of [
      'leasehold_calls_total{method="Acquire",code="OK"} 1',
      'leasehold_calls_total{method="Acquire",code="ABORTED"} 1',
      'leasehold_calls_total{method="Acquire",code="INVALID_ARGUMENT"} 1',
      'leasehold_call_duration_seconds_count{method="Acquire"} 3',
      'leasehold_store_commands_total{command="acquire-lock",outcome="granted"} 1',
      'leasehold_store_commands_total{command="acquire-lock",outcome="contended"} 1',
      'leasehold_ready 1',
      'leasehold_store_usable 1',
      'leasehold_quarantine_remaining_seconds 0',
    ]) {
      expect(lines).toContain(line);
    }
    expect(text).toMatch(/^leasehold_info\{version="[^"]+",instance_id="[0-9a-f]{16}",store="memory"\} 1$/m);
    expect(text).toMatch(/^process_cpu_seconds_total \d/m);
  });

  test('the admin port answers what it knows, and survives any other request', async (context) => {
    const instance = await startInstance(WITH_ADMIN);
    context.onTestFinished(() => instance.stop());
    const get = (path: string, method?: string): Promise<Reply> => http(instance.adminAddress, path, method);
    expect(await get('/healthz')).toMatchObject({ code: 200, text: 'ok\n' });
    expect(await get('/readyz?verbose')).toMatchObject({ code: 200, text: 'ready\n' });
    expect(await get('/readyz', 'HEAD')).toMatchObject({ code: 200, text: '' });
    expect(await get('/healthz', 'POST')).toMatchObject({ code: 405 });
    for (const path of ['/', '//', '///', '/%', '/metrics/', '/readyz/../metrics', 'http://[', '*']) {
      expect([path, (await get(path)).code]).toEqual([path, 404]);
    }
    await rubbish(instance.adminAddress);
    expect((await get('/healthz')).code).toBe(200);
  });

  test('an admin port that is taken keeps the instance from starting, and nothing of it is left', async (context) => {
    const first = await startInstance(WITH_ADMIN);
    context.onTestFinished(() => first.stop());
    const port = await freePort();
    const admin = first.adminAddress ?? { host: '', port: 0 };
    const config = loadConfig({
      env: testEnvironment({
        LEASEHOLD_SERVER_ADDRESS: `127.0.0.1:${port}`,
        LEASEHOLD_ADMIN_ADDRESS: `${admin.host}:${admin.port}`,
      }),
    });
    await expect(serve(config, pino({ level: 'silent' }))).rejects.toThrow(/EADDRINUSE|in use/);
    await expect(connects(port)).resolves.toBe(false);
  });
});

/** Sends bytes that no HTTP client sends. */
async function rubbish(address: HostPort | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ ...address, port: address?.port ?? 0 });
    socket.once('connect', () => socket.write('\0\u0001 not HTTP\r\n\r\n'));
    socket.resume().once('close', () => resolve());
    socket.once('error', () => undefined);
  });
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
