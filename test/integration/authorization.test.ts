// Which caller is allowed to call what, over a real channel: with tokens, without, and when they change while the
// server runs.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Metadata } from '@grpc/grpc-js';
import { pino } from 'pino';
import { describe, expect, type TestContext, test, vi } from 'vitest';
import { LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceService } from '../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { type Instance, serve } from '../../src/server/instance.ts';
import { serveAlone } from '../../src/server/serve-alone.ts';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { HealthClient, LOCK_SERVICE } from '../support/health-client.ts';
import { hold, keepAlive } from '../support/lease-stream.ts';
import { rawError, rawStreamError } from '../support/raw-call.ts';
import { TestClient, testEnvironment } from '../support/test-instance.ts';

type AtEnd = TestContext['onTestFinished'];

const CLIENT = 'client-token-0123456789';
const ADMIN = 'admin-token-0123456789';
const NEXT = 'next-token-0123456789';
const TLS_FILES = join(import.meta.dirname, '../support/tls');
const TLS = {
  LEASEHOLD_SERVER_TLS_CERT_FILE: join(TLS_FILES, 'server.crt'),
  LEASEHOLD_SERVER_TLS_KEY_FILE: join(TLS_FILES, 'server.key'),
};
const RPCS = [...Object.entries(LockServiceService), ...Object.entries(OperationStoreServiceService)];

function tokensFile(atEnd: AtEnd, content = `billing client ${CLIENT}\nops admin ${ADMIN}\n`): string {
  const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
  atEnd(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'tokens');
  writeFileSync(path, content);
  return path;
}

/** Replaces the file as a careful operator does, so that no reader ever sees half a file. */
function replaceFile(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

function sinkOf(log: Record<string, unknown>[]): Writable {
  return new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
}

/** An instance and what it logs. */
async function served(
  atEnd: AtEnd,
  overrides: Record<string, string>,
): Promise<{ instance: Instance; log: Record<string, unknown>[] }> {
  const log: Record<string, unknown>[] = [];
  const config = loadConfig({ env: testEnvironment(overrides) });
  const instance = await serve(config, pino({ level: 'trace' }, sinkOf(log)));
  atEnd(() => instance.stop());
  return { instance, log };
}

function clientOf(atEnd: AtEnd, address: { host: string; port: number }, token?: string): TestClient {
  const client = new TestClient(address, undefined, token);
  atEnd(() => client.close());
  return client;
}

function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (error: unknown) => (error instanceof CallError ? `${error.code} ${error.reason}` : String(error)),
  );
}

const UNAUTHENTICATED = '16 UNAUTHENTICATED';
const PERMISSION_DENIED = '7 PERMISSION_DENIED';

describe.concurrent('with a tokens file', () => {
  test.for(RPCS)('%s needs a token, whatever its request', async ([, { path, responseStream }], context) => {
    const atEnd = context.onTestFinished;
    const { instance } = await served(atEnd, { LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd) });
    const { stub } = clientOf(atEnd, instance.address);
    const call = responseStream ? rawStreamError : rawError;
    for (const bytes of [Buffer.alloc(0), Buffer.from([0xff, 0xff])]) {
      const error = await call(stub, path, bytes);
      expect(error.code).toBe('UNAUTHENTICATED');
      expect(error.details['google.rpc.ErrorInfo']).toMatchObject({
        reason: 'UNAUTHENTICATED',
        domain: 'leasehold',
      });
    }
  });

  test('health and reflection need no token', async ({ onTestFinished: atEnd }) => {
    const { instance } = await served(atEnd, { LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd) });
    const health = new HealthClient(instance.address);
    atEnd(() => health.close());
    const watched = health.watch(LOCK_SERVICE);
    await eventually(() => watched.at(-1) === 'SERVING', { what: 'readiness', withinMs: 5_000 });
  });

  test('a token in another form, or an unknown one, is refused', async ({ onTestFinished: atEnd }) => {
    const { instance } = await served(atEnd, { LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd) });
    const { stub } = clientOf(atEnd, instance.address);
    const ask = (authorization: string) => {
      const metadata = new Metadata();
      metadata.set('authorization', authorization);
      const asked = new Promise((resolve, reject) =>
        stub.getServerInfo({}, metadata, (error, answer) =>
          error ? reject(new CallError(error)) : resolve(answer),
        ),
      );
      return outcome(asked);
    };
    for (const value of [CLIENT, `Basic ${CLIENT}`, 'Bearer', `Bearer ${CLIENT}x`, `Bearer ${CLIENT} x`]) {
      expect([value, await ask(value)]).toEqual([value, UNAUTHENTICATED]);
    }
    expect(await ask(`Bearer ${CLIENT.slice(0, -1)}`)).toBe(UNAUTHENTICATED);
    expect(await ask(`bearer ${CLIENT}`)).toBe('ok');
  });

  test('a client can do all but force a release, an admin can do that too, and both are on record', async ({
    onTestFinished: atEnd,
  }) => {
    const { instance, log } = await served(atEnd, { LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd) });
    const [client, admin, stranger] = [CLIENT, ADMIN, NEXT].map((token) =>
      clientOf(atEnd, instance.address, token),
    );
    if (!client || !admin || !stranger) throw new Error('unreachable: three tokens were given');
    const { lease } = await client.acquire({ resource: 'unary' });
    if (!lease) throw new Error('no lease');
    const holding = hold(client, { resource: 'streamed' });
    await holding.event('granted');
    const keeping = keepAlive(client, [lease]);
    await keeping.event('renewed');
    expect(await hold(stranger, { resource: 'streamed' }).ended()).toBe(UNAUTHENTICATED);
    expect(await keepAlive(stranger, [lease]).ended()).toBe(UNAUTHENTICATED);
    const request = { resource: 'unary', fencingToken: lease.fencingToken, reason: 'stuck since noon' };
    expect(await outcome(stranger.forceRelease(request))).toBe(UNAUTHENTICATED);
    expect(await outcome(client.forceRelease(request))).toBe(PERMISSION_DENIED);
    expect(keeping.kinds()).not.toContain('lost');
    expect(await outcome(admin.forceRelease(request))).toBe('ok');
    await keeping.event('lost');
    holding.call.cancel();

    const denials = log.filter(({ msg }) => msg === 'force release denied');
    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
    expect(denials).toMatchObject([
      { level: 40, caller: '', role: '', peer, code: 'UNAUTHENTICATED' },
      { level: 40, caller: 'billing', role: 'client', peer, code: 'PERMISSION_DENIED' },
    ]);
    expect(log.filter(({ msg }) => msg === 'force release')).toMatchObject([
      {
        level: 30,
        ...request,
        fencingToken: lease.fencingToken.toString(),
        immediate: false,
        count: 1,
        outcome: 'ok',
        caller: 'ops',
        role: 'admin',
        peer,
      },
    ]);
    const everything = JSON.stringify(log);
    for (const secret of [CLIENT, ADMIN, NEXT, lease.leaseId]) expect(everything).not.toContain(secret);
  });

  test('a forced release that fails is on record too', async ({ onTestFinished: atEnd }) => {
    const { instance, log } = await served(atEnd, {
      LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd),
      LEASEHOLD_REDIS_ADDRESS: '127.0.0.1:1',
    });
    const admin = clientOf(atEnd, instance.address, ADMIN);
    expect(await outcome(admin.forceRelease({ resource: 'r', immediate: true }))).toBe(
      '14 REDIS_UNAVAILABLE',
    );
    const [record] = log.filter(({ msg }) => msg === 'force release');
    expect(record).toMatchObject({
      outcome: 'REDIS_UNAVAILABLE',
      resource: 'r',
      immediate: true,
      caller: 'ops',
    });
    expect(record).not.toHaveProperty('count');
  });

  test.for([
    ['0.0.0.0:0 in plain text', 1, '0.0.0.0:0', {}],
    ['0.0.0.0:0 with TLS', 0, '0.0.0.0:0', TLS],
    ['127.0.0.1:0 in plain text', 0, '127.0.0.1:0', {}],
    ['[::1]:0 in plain text', 0, '[::1]:0', {}],
  ] as const)('on %s it warns %d times of tokens on the wire', async ([, times, address, tls], context) => {
    const atEnd = context.onTestFinished;
    const { log } = await served(atEnd, {
      ...tls,
      LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd),
      LEASEHOLD_SERVER_ADDRESS: address,
    });
    expect(log.filter(({ msg }) => String(msg).includes('plain text'))).toHaveLength(times);
  });
});

describe.concurrent('without a tokens file', () => {
  test('without a tokens file everyone can call everything but forced releases', async ({
    onTestFinished: atEnd,
  }) => {
    const { instance, log } = await served(atEnd, {});
    const client = clientOf(atEnd, instance.address);
    await client.acquire({ resource: 'r' });
    expect(await outcome(client.forceRelease({ resource: 'r' }))).toBe(PERMISSION_DENIED);
    expect(await outcome(clientOf(atEnd, instance.address, ADMIN).forceRelease({ resource: 'r' }))).toBe(
      PERMISSION_DENIED,
    );
    expect((await client.getLock('r')).lock?.holders).toMatchObject([{ revoked: false }]);
    expect(log.filter(({ msg }) => msg === 'force release denied')).toMatchObject([
      { caller: 'anonymous', role: 'client' },
      { caller: 'anonymous', role: 'client' },
    ]);
    expect(instance.reloadTokens).toBeUndefined();
  });

  test('without a tokens file everyone can force releases if the operator says so', async ({
    onTestFinished: atEnd,
  }) => {
    const { instance, log } = await served(atEnd, { LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true' });
    const client = clientOf(atEnd, instance.address);
    await client.acquire({ resource: 'r' });
    expect((await client.forceRelease({ resource: 'r' })).releasedCount).toBe(1);
    expect(log.filter(({ msg }) => msg === 'force release')).toMatchObject([
      { caller: 'anonymous', role: 'admin' },
    ]);
  });
});

describe.concurrent('SIGHUP', { timeout: 40_000 }, () => {
  test('SIGHUP reads the tokens again: new ones count, old ones no longer do, and open streams go on', async ({
    onTestFinished: atEnd,
  }) => {
    const path = tokensFile(atEnd);
    const server = CommandLine.serve({ LEASEHOLD_AUTH_TOKENS_FILE: path, LEASEHOLD_LOG_LEVEL: 'trace' });
    atEnd(() => server.kill());
    const address = await server.address();
    const [old, renewed] = [clientOf(atEnd, address, CLIENT), clientOf(atEnd, address, NEXT)];
    const holding = hold(old, { resource: randomUUID(), ttl: { seconds: 1n, nanos: 0 } });
    await holding.event('granted');
    expect(await outcome(renewed.getServerInfo())).toBe(UNAUTHENTICATED);

    replaceFile(path, `billing client ${NEXT}\nbilling client ${CLIENT}\n`);
    server.signal('SIGHUP');
    await server.logged(/"tokens":2,"msg":"tokens read again"/);
    expect(await outcome(renewed.getServerInfo())).toBe('ok');
    expect(await outcome(old.getServerInfo())).toBe('ok');

    replaceFile(path, `billing client ${NEXT}\nbilling ${CLIENT}\n`);
    server.signal('SIGHUP');
    await server.logged(/"level":50,.*tokens:2: expected three words.*the former tokens stay in force/);
    expect(await outcome(old.getServerInfo())).toBe('ok');

    replaceFile(path, `billing client ${NEXT}\n`);
    server.signal('SIGHUP');
    await server.logged(/"tokens":1,"msg":"tokens read again"/);
    expect(await outcome(old.getServerInfo())).toBe(UNAUTHENTICATED);
    expect(await outcome(renewed.getServerInfo())).toBe('ok');
    const renewals = holding.all('renewed').length;
    await holding.event('renewed', { count: renewals + 3 });

    server.signal('SIGTERM');
    expect(await server.exit()).toBe(0);
    for (const token of [CLIENT, NEXT]) expect(`${server.stdout}${server.stderr}`).not.toContain(token);
  });

  test('SIGHUP between the reading of the tokens and the first call is not lost: the tokens are read again', async ({
    onTestFinished: atEnd,
  }) => {
    const path = tokensFile(atEnd);
    const log: Record<string, unknown>[] = [];
    const config = loadConfig({ env: testEnvironment({ LEASEHOLD_AUTH_TOKENS_FILE: path }) });
    const signals = ['SIGHUP', 'SIGTERM', 'SIGINT'] as const;
    const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
    const added = (signal: NodeJS.Signals) =>
      process.listeners(signal).filter((listener) => !before.get(signal as 'SIGHUP')?.includes(listener));
    // Not the calls that the mock notes: Vitest clears those of every mock when a test beside this one begins.
    const exits: unknown[] = [];
    const exit = vi.spyOn(process, 'exit').mockImplementation(((code: unknown) => exits.push(code)) as never);
    atEnd(() => {
      for (const signal of signals) for (const listener of added(signal)) process.off(signal, listener);
      exit.mockRestore();
    });
    // It reads the tokens before it returns, and binds its port afterwards.
    const serving = serveAlone(config, pino({ level: 'trace' }, sinkOf(log)));
    replaceFile(path, `billing client ${NEXT}\n`);
    for (const listener of added('SIGHUP')) listener('SIGHUP');
    expect(log.filter(({ msg }) => msg === 'serving')).toEqual([]);
    await serving;
    expect(log.filter(({ msg }) => msg === 'tokens read again')).toMatchObject([{ tokens: 1 }]);
    for (const listener of added('SIGTERM')) listener('SIGTERM');
    await eventually(() => exits.length > 0, { what: 'the end', withinMs: 10_000 });
    expect(exits).toEqual([0]);
  });

  test('SIGHUP without a tokens file ends the process, as when its terminal is closed', async ({
    onTestFinished: atEnd,
  }) => {
    const server = CommandLine.serve();
    atEnd(() => server.kill());
    await server.address();
    server.signal('SIGHUP');
    expect(await server.exit()).toBe('SIGHUP');
  });

  test('a broken tokens file at the start ends with status 2, and names the line but no token', async ({
    onTestFinished: atEnd,
  }) => {
    const server = CommandLine.serve({ LEASEHOLD_AUTH_TOKENS_FILE: tokensFile(atEnd, `ops ${ADMIN}\n`) });
    atEnd(() => server.kill());
    expect(await server.exit()).toBe(2);
    expect(server.stderr).toMatch(
      /^LEASEHOLD_AUTH_TOKENS_FILE: auth\.tokens_file: .*tokens:1: expected three words/,
    );
    expect(`${server.stdout}${server.stderr}`).not.toContain(ADMIN);
  });
});
