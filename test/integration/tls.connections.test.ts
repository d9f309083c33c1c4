// TLS on both sides of an instance: from clients, and to a Redis that demands everything that a guarded one can demand.
// The certificates are in test/support/tls.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { describe, expect, type TestContext, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { valuesOf } from '../support/exposition.ts';
import { freePort } from '../support/ports.ts';
import { findRedis } from '../support/redis/find-redis.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { startInstance, TestClient } from '../support/test-instance.ts';

const FOLDER = join(import.meta.dirname, '../support/tls');
const UNAVAILABLE = 14;

function path(name: string): string {
  return join(FOLDER, name);
}

function pem(name: string): Buffer {
  return readFileSync(path(name));
}

const SERVER_TLS = {
  LEASEHOLD_SERVER_TLS_CERT_FILE: path('server.crt'),
  LEASEHOLD_SERVER_TLS_KEY_FILE: path('server.key'),
};

async function started(
  { onTestFinished }: TestContext,
  overrides: Readonly<Record<string, string>>,
): Promise<Instance> {
  const instance = await startInstance(overrides);
  onTestFinished(() => instance.stop());
  return instance;
}

function clientWith(
  { onTestFinished }: TestContext,
  instance: Instance,
  channel: ChannelCredentials,
): TestClient {
  const client = new TestClient(instance.address, channel);
  onTestFinished(() => client.close());
  return client;
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError)) throw new Error('the call succeeded');
  return error.code;
}

describe.concurrent('clients to Leasehold', () => {
  test('an instance with a server certificate serves over TLS only', async (context) => {
    const instance = await started(context, SERVER_TLS);
    const trusting = clientWith(context, instance, credentials.createSsl(pem('ca.crt')));
    expect((await trusting.acquire({ resource: 'tls' })).lease?.resource).toBe('tls');
    const plain = clientWith(context, instance, credentials.createInsecure());
    expect(await codeOf(plain.getServerInfo())).toBe(UNAVAILABLE);
    const distrusting = clientWith(context, instance, credentials.createSsl(pem('other-ca.crt')));
    expect(await codeOf(distrusting.getServerInfo())).toBe(UNAVAILABLE);
  });

  test('an instance that demands client certificates refuses none and a stranger’s, and serves the right one', async (context) => {
    const instance = await started(context, {
      ...SERVER_TLS,
      LEASEHOLD_SERVER_TLS_CLIENT_CA_FILE: path('ca.crt'),
    });
    const ca = pem('ca.crt');
    const nobody = clientWith(context, instance, credentials.createSsl(ca));
    expect(await codeOf(nobody.getServerInfo())).toBe(UNAVAILABLE);
    const pair = (name: string): ChannelCredentials =>
      credentials.createSsl(ca, pem(`${name}.key`), pem(`${name}.crt`));
    expect(await codeOf(clientWith(context, instance, pair('stranger')).getServerInfo())).toBe(UNAVAILABLE);
    const known = clientWith(context, instance, pair('client'));
    expect((await known.acquire({ resource: 'mtls' })).lease?.resource).toBe('mtls');
  });

  test('a key that is not the certificate’s keeps the instance from starting', async () => {
    const overrides = { ...SERVER_TLS, LEASEHOLD_SERVER_TLS_KEY_FILE: path('client.key') };
    await expect(startInstance(overrides)).rejects.toThrow(/key/i);
  });
});

describe.concurrent('Leasehold to Redis', () => {
  const auth = { username: 'locks', password: 'correct-horse-battery' };

  /** A Redis that speaks TLS only to clients with a certificate, a name and a password. */
  async function guardedRedis(context: TestContext): Promise<{ redis: RedisProcess; tlsPort: number }> {
    // A container would need copies of the certificates.
    if ((await findRedis()).mode === 'docker') context.skip('a container does not see the certificates');
    const tlsPort = await freePort();
    const redis = await RedisProcess.server({
      auth,
      directives: [
        `tls-port ${tlsPort}`,
        `tls-cert-file ${path('server.crt')}`,
        `tls-key-file ${path('server.key')}`,
        `tls-ca-cert-file ${path('ca.crt')}`,
        'tls-auth-clients yes',
      ],
    });
    context.onTestFinished(() => redis.stop());
    try {
      await redis.start();
    } catch (error) {
      if (!/tls/i.test(await redis.log())) throw error;
      // A Redis that was built without TLS says "Bad directive".
      context.skip('this redis-server was built without TLS');
    }
    return { redis, tlsPort };
  }

  function environment(tlsPort: number): Record<string, string> {
    return {
      LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${tlsPort}`,
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
      LEASEHOLD_REDIS_USERNAME: auth.username,
      LEASEHOLD_REDIS_PASSWORD: auth.password,
      LEASEHOLD_REDIS_DB: '3',
      LEASEHOLD_REDIS_TLS_CA_FILE: path('ca.crt'),
      LEASEHOLD_REDIS_TLS_CERT_FILE: path('client.crt'),
      LEASEHOLD_REDIS_TLS_KEY_FILE: path('client.key'),
    };
  }

  async function usable(instance: Instance): Promise<void> {
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
  }

  test('an instance connects to Redis with TLS certificates on both sides, an ACL user, its password and database 3, and its monitor does', async (context) => {
    const { redis, tlsPort } = await guardedRedis(context);
    const monitoring = { LEASEHOLD_MONITORING_POLL_INTERVAL: '1s' };
    const instance = await started(context, { ...environment(tlsPort), ...monitoring });
    const client = clientWith(context, instance, credentials.createInsecure());
    await usable(instance);
    const lease = { resource: 'guarded', leaseId: randomUUID() };
    await client.acquire(lease);
    const keys = await redis.withClient(async (connection) => {
      await connection.select(3);
      return connection.keys('*');
    });
    expect(keys).toContain('leasehold:{0}:lock:guarded');
    expect(await redis.withClient((connection) => connection.dbsize())).toBe(0);
    await eventually(
      async () => valuesOf(await instance.metricsText(), 'leasehold_deployment_leases').join() === '1',
      { what: 'the count of the monitor', withinMs: 15_000 },
    );
    expect(await client.release(lease)).toEqual({ released: true });
  });

  for (const [name, overrides, reason] of [
    ['another authority', { LEASEHOLD_REDIS_TLS_CA_FILE: path('other-ca.crt') }, /certificate|verify/i],
    ['another name than the certificate’s', { LEASEHOLD_REDIS_TLS_SERVER_NAME: 'redis.other' }, /altnames/i],
    ['a wrong password', { LEASEHOLD_REDIS_PASSWORD: 'wrong-horse' }, /WRONGPASS|invalid username/i],
  ] as const) {
    test(`an instance with ${name} gets no connection to Redis, and does not tell callers why`, async (context) => {
      const { tlsPort } = await guardedRedis(context);
      const instance = await started(context, { ...environment(tlsPort), ...overrides });
      const client = clientWith(context, instance, credentials.createInsecure());
      await eventually(() => reason.test(instance.store.status().reason), {
        what: 'the reason in the status',
        withinMs: 8_000,
      });
      const error = await client.acquire({ resource: 'a' }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: UNAVAILABLE, reason: 'REDIS_UNAVAILABLE' });
      expect((error as CallError).message).not.toMatch(/certificate|altnames|WRONGPASS|horse|127\.0/i);
    });
  }
});
