// The TypeScript client when things go wrong around it: servers that aren't there, aren't what they seem, stop, or
// never come back. Each ends in time in an error with a sentence that says what to do, and no process hangs because of
// it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as httpServer } from 'node:http';
import { type AddressInfo, type Server, createServer as tcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type Client,
  createClient,
  type LeaseEvent,
  LeaseLostError,
  UnavailableError,
} from '../../src/client/client.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { clientTo, proxyTo, refusal, started, thrown } from '../support/sdk-rig.ts';
import { singleRedis } from '../support/store-kinds.ts';

const TLS = join(import.meta.dirname, '../support/tls');
const pem = (name: string): string => readFileSync(join(TLS, name), 'utf8');
const path = (name: string): string => join(TLS, name);
const SERVER_TLS = {
  LEASEHOLD_SERVER_TLS_CERT_FILE: path('server.crt'),
  LEASEHOLD_SERVER_TLS_KEY_FILE: path('server.key'),
};
const MUTUAL_TLS = { ...SERVER_TLS, LEASEHOLD_SERVER_TLS_CLIENT_CA_FILE: path('ca.crt') };

async function listening(server: Server): Promise<HostPort> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo; // not a pipe: see above
  return { host: '127.0.0.1', port };
}

const nowhere = async (): Promise<HostPort> => ({ host: '127.0.0.1', port: await freePort() });

/** All kinds of calls, each with a second of time, side by side, so that a test takes as long as one of them. */
async function reasons(client: Client): Promise<unknown[]> {
  const bounds = { timeoutMs: 1_000 };
  const startedMs = performance.now();
  const calls = [
    client.acquire('a', { waitMs: 1_000 }),
    client.withLock('b', () => expect.fail('it was held'), { waitMs: 1_000 }),
    client.acquireMany(['c'], { waitMs: 1_000 }),
    client.locks.get('d', bounds),
    client.operations.get('e', '1', bounds),
    client.locks.watch(bounds).next(),
  ];
  const errors = await Promise.all(calls.map(refusal));
  expect(performance.now() - startedMs).toBeLessThan(8_000);
  return [...new Set(errors.map(({ name, reason }) => `${name} ${reason}`))];
}

describe('no server to speak to', () => {
  test('A call where no server listens fails with SERVER_UNREACHABLE', { timeout: 30_000 }, async () => {
    const client = clientTo(await nowhere());
    expect(await reasons(client)).toEqual(['UnavailableError SERVER_UNREACHABLE']);
  });

  test('A call to a web server fails with UnavailableError', { timeout: 30_000 }, async () => {
    const client = clientTo(await listening(httpServer((_, response) => response.end('hello'))));
    expect(await refusal(client.serverInfo({ timeoutMs: 1_500 }))).toMatchObject({
      name: 'UnavailableError',
    });
  });

  test('A call to a server that accepts and says nothing fails in time with NO_ANSWER', {
    timeout: 30_000,
  }, async () => {
    const client = clientTo(await listening(tcpServer(() => {})));
    const error = await refusal(client.serverInfo({ timeoutMs: 1_000 }));
    expect(error).toMatchObject({ name: 'UnavailableError', reason: 'NO_ANSWER' });
    const startedMs = performance.now();
    const held = await refusal(client.acquire('x', { waitMs: 500 }));
    expect(held).toMatchObject({ name: 'UnavailableError', reason: 'NO_ANSWER' });
    expect(performance.now() - startedMs).toBeLessThan(6_000);
  });

  test('A call that does not wait fails within 3 s where no server listens', {
    timeout: 30_000,
  }, async () => {
    const client = clientTo([await nowhere(), await nowhere()]);
    const startedMs = performance.now();
    const calls = [
      client.tryAcquire('a'),
      client.acquire('b', { waitMs: 0 }),
      client.acquireMany(['c', 'd'], { waitMs: 0 }),
      client.locks.acquireUnkept('e', { waitMs: 0 }),
    ];
    for (const error of await Promise.all(calls.map(refusal))) {
      expect(error).toMatchObject({ name: 'UnavailableError', reason: 'SERVER_UNREACHABLE' });
    }
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  test('timeoutMs bounds the whole call, with a wait or without, whatever the server does', {
    timeout: 30_000,
  }, async () => {
    const silent = await listening(tcpServer(() => {}));
    const { address } = await started();
    await using _taken = await clientTo(address).acquire('taken');
    const startedMs = performance.now();
    const took = async (call: Promise<unknown>) => {
      const { name } = await refusal(call);
      // A try has 3 s where nothing bounds it, and the waits have a minute.
      return [name, performance.now() - startedMs < 2_900];
    };
    const bound = { timeoutMs: 1_500 };
    const calls = [silent, await nowhere()].flatMap((to) => {
      const client = clientTo(to);
      return [
        client.tryAcquire('taken', bound),
        client.acquire('taken', { ...bound, waitMs: 60_000 }),
        client.acquireMany(['taken'], { ...bound, waitMs: 60_000 }),
        client.locks.acquireUnkept('taken', { ...bound, waitMs: 60_000 }),
        client.elect('taken').campaign(bound),
      ];
    });
    const there = clientTo(address);
    const contended = [
      there.acquire('taken', { ...bound, waitMs: 60_000 }),
      there.acquireMany(['taken'], { ...bound, waitMs: 60_000 }),
      there.elect('taken').campaign(bound),
    ];
    const [unavailable, refused] = await Promise.all([
      Promise.all(calls.map(took)),
      Promise.all(contended.map(took)),
    ]);
    expect(unavailable).toEqual(calls.map(() => ['UnavailableError', true]));
    expect(refused).toEqual(contended.map(() => ['ContendedError', true]));
  });

  test('A client works over a link with a round trip of more than 3 s', { timeout: 60_000 }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    proxy.delayMs = 1_700;
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const lease = (await client.tryAcquire('slow', { timeoutMs: 30_000 })) ?? expect.fail('contended');
    const renewed = Promise.withResolvers<void>();
    const other = client.acquire('other', {
      ttlMs: 20_000,
      onEvent: ({ kind }) => kind === 'renewed' && renewed.resolve(),
    });
    const info = await client.serverInfo();
    expect([info.store, (await other).state]).toEqual(['memory', 'held']);
    await renewed.promise;
    expect(lease.state).toBe('held');
    await lease.release();
    expect((await clientTo(address).locks.get('slow')).state).toBe('free');
  });

  test('Calls go to the second address when the first does not answer', { timeout: 30_000 }, async () => {
    const { address } = await started();
    const client = clientTo([await nowhere(), address], { random: () => 0 });
    expect(await client.withLock('second', () => 'held')).toBe('held');
  });
});

test.each(['127.0.0.1', 'http://127.0.0.1:50051', '127.0.0.1:0', ''])(
  'The address %j is refused at once',
  (address) => {
    expect(() => createClient({ addresses: address })).toThrow(
      /addresses: .* is not host:port\. Give the host/,
    );
  },
);

describe('TLS that does not fit', () => {
  const bounds = { timeoutMs: 1_500 };

  test('A client without TLS hears that the server may want it', { timeout: 30_000 }, async () => {
    const { address } = await started(SERVER_TLS);
    const error = await refusal(clientTo(address).serverInfo(bounds));
    expect(error.message).toMatch(/may want TLS/);
    expect(error).toBeInstanceOf(UnavailableError);
  });

  test('A server without TLS, a wrong authority and a wrong name are TLS_FAILED', {
    timeout: 30_000,
  }, async () => {
    const plain = await started();
    const { address } = await started(SERVER_TLS);
    const ca = pem('ca.crt');
    const clients = [
      clientTo(plain.address, { tls: true }),
      clientTo(address, { tls: true }),
      clientTo(address, { tls: { ca: pem('other-ca.crt') } }),
      clientTo(address, { tls: { ca, serverName: 'elsewhere.example' } }),
    ];
    const errors = await Promise.all(clients.map((client) => refusal(client.serverInfo(bounds))));
    expect(errors.map(({ reason }) => reason)).toEqual(Array(4).fill('TLS_FAILED'));
    const right = clientTo(address, { tls: { ca, serverName: 'localhost' } });
    expect((await right.serverInfo()).store).toBe('memory');
  });

  test('A server with mutual TLS refuses a client without a certificate and a stranger, and takes its own', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started(MUTUAL_TLS);
    const ca = pem('ca.crt');
    const without = await refusal(clientTo(address, { tls: { ca } }).serverInfo(bounds));
    const stranger = { ca, cert: pem('stranger.crt'), key: pem('stranger.key') };
    const strange = await refusal(clientTo(address, { tls: stranger }).serverInfo(bounds));
    expect([without.name, strange.name]).toEqual(['UnavailableError', 'UnavailableError']);
    const known = clientTo(address, { tls: { ca, cert: pem('client.crt'), key: pem('client.key') } });
    expect(await known.withLock('mutual', () => 1)).toBe(1);
  });

  test.each([
    ['tls.ca', { ca: 'junk', cert: 'junk', key: 'junk' }],
    ['tls.ca', { ca: '/etc/ssl/ca.pem' }],
    ['tls.ca', { ca: '' }],
    ['tls.ca', { ca: Buffer.from('junk') }],
    ['tls.ca', { ca: pem('ca.crt').replace(/\n[A-Za-z0-9+/]{10}/, '\n!!!!!!!!!!') }],
    ['tls.ca', { ca: pem('ca.crt') + pem('other-ca.crt').slice(0, 200) + pem('ca.crt').slice(-60) }],
    ['tls.cert', { cert: 'junk', key: pem('client.key') }],
    ['tls.cert', { key: pem('client.key') }],
    ['tls.key', { cert: pem('client.crt') }],
    ['tls.key', { cert: pem('client.crt'), key: 'junk' }],
    ['tls.key', { cert: pem('client.crt'), key: pem('stranger.key') }],
    ['tls.serverName', { serverName: '' }],
  ])(
    'TLS that can never work is refused when the client is made, by the name of its part: %s, case %#',
    (option, tls) => {
      let error: unknown;
      try {
        createClient({ addresses: 'a:1', tls });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ name: 'InvalidArgumentError', violations: [{ option }] });
      expect(String(error)).not.toContain(pem('client.key').slice(100, 140));
    },
  );

  test('Several authorities in one text, and text around them, are taken', async () => {
    const { address } = await started(SERVER_TLS);
    const ca = `# ours\n${pem('other-ca.crt')}\n# theirs\n${pem('ca.crt')}`;
    const client = clientTo(address, { tls: { ca: Buffer.from(ca), serverName: 'localhost' } });
    expect((await client.serverInfo()).store).toBe('memory');
  });
});

test('A missing or wrong token is refused at once, a new one is used, and a client cannot force a release', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'tokens');
  const good = 'a-token-of-32-characters-or-more';
  writeFileSync(file, `billing client ${good}\n`, { mode: 0o600 });
  const { address } = await started({ LEASEHOLD_AUTH_TOKENS_FILE: file });
  const startedMs = performance.now();
  for (const more of [{}, { token: 'wrong' }]) {
    const client = clientTo(address, more);
    const errors = await Promise.all([
      refusal(client.acquire('x', { waitMs: 60_000 })),
      refusal(client.locks.get('x')),
      refusal(client.operations.worker({ types: 'a', handler: () => {} }).finished),
      refusal(client.locks.watch().next()),
    ]);
    expect(errors.map(({ name }) => name)).toEqual(Array(4).fill('UnauthenticatedError'));
  }
  expect(performance.now() - startedMs).toBeLessThan(5_000); // a repeat would not help
  let token = 'wrong';
  const client = clientTo(address, { token: () => token });
  await refusal(client.serverInfo());
  token = good;
  expect(await client.withLock('x', () => 1)).toBe(1);
  expect(await refusal(client.locks.forceRelease('x'))).toMatchObject({ name: 'PermissionDeniedError' });
});

test('A lease stays held while the token function throws, and is renewed once it works again', {
  timeout: 30_000,
}, async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  let isBroken = false;
  let asked = 0;
  const token = (): string => {
    asked++;
    if (isBroken) throw new Error('the vault is sealed');
    return 'a-token';
  };
  const client = clientTo({ host: proxy.host, port: proxy.port }, { token });
  const events: LeaseEvent['kind'][] = [];
  const lease = await client.acquire('vault', { ttlMs: 6_000, onEvent: ({ kind }) => events.push(kind) });
  [isBroken, asked] = [true, 0];
  proxy.drop();
  await eventually(() => asked > 1, { what: 'another try after the throw', withinMs: 5_000 });
  isBroken = false;
  const before = events.length;
  await eventually(() => events.slice(before).includes('renewed'), { what: 'a renewal', withinMs: 5_000 });
  expect(lease.state).toBe('held');
  await lease.release();
});

test('Bad input is refused at once, with each field', async () => {
  const { address } = await started();
  const client = clientTo(address);
  const error = await refusal(client.acquire('', { ttlMs: 1, waitMs: 60_000 }));
  expect(error).toMatchObject({
    name: 'InvalidArgumentError',
    violations: [{ field: 'spec.resource' }, { field: 'spec.ttl' }],
  });
  expect(error.message).toMatch(/^resource: must have .*; ttlMs: must be from 1 s to /);
  const many = await refusal(client.acquireMany(['a', { resource: 'b', minHoldMs: 1e15 / 10 }]));
  expect(many.message).toMatch(/^resources\[1\]\.minHoldMs: must be from 0 s to /);
});

describe('a server that goes away while a lease is held', () => {
  test('The signal aborts at the local deadline when the server has gone for good', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const work = client.withLock(
      'gone',
      async (lease) => {
        await proxy.refuse();
        proxy.drop();
        const [fromMs, leftMs] = [performance.now(), lease.remainingMs()];
        await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
        const tookMs = performance.now() - fromMs;
        expect([tookMs > leftMs - 100, tookMs < leftMs + 1_000]).toEqual([true, true]);
        lease.signal.throwIfAborted();
      },
      { ttlMs: 3_000 },
    );
    const error = await refusal(work);
    expect(error).toMatchObject({ name: 'LeaseLostError', loss: 'deadline', reason: 'LEASE_LOST' });
    await proxy.accept();
  });

  test('Work that ignores the signal of a lost lease still ends in LeaseLostError', {
    timeout: 30_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const client = clientTo({ host: proxy.host, port: proxy.port });
    const work = async (): Promise<void> => {
      await proxy.refuse();
      proxy.drop();
      // A process that is too busy to fire its timers: the clocks count.
      const untilMs = performance.now() + 2_500;
      while (performance.now() < untilMs);
    };
    expect(await thrown(client.withLock('busy', work, { ttlMs: 2_000 }))).toBeInstanceOf(LeaseLostError);
    await proxy.accept();
  });

  test('A lease stays held under its token when its server goes away and comes back', {
    timeout: 60_000,
  }, async () => {
    const redis = await RedisProcess.server();
    onTestFinished(() => redis.stop());
    await redis.start();
    const port = await freePort();
    const environment = { ...singleRedis(redis), LEASEHOLD_SERVER_ADDRESS: `127.0.0.1:${port}` };
    const first = await started({ ...environment, LEASEHOLD_SERVER_DRAIN_TIMEOUT: '500ms' });
    await eventually(() => first.store.status().usable, { what: 'a usable store', withinMs: 20_000 });
    const client = clientTo({ host: '127.0.0.1', port });
    const events: LeaseEvent['kind'][] = [];
    const lease = await client.acquire('restart', { ttlMs: 5_000, onEvent: ({ kind }) => events.push(kind) });
    await first.stop();
    await started(environment);
    const before = events.length;
    const isRenewed = (): boolean => events.slice(before).filter((kind) => kind === 'renewed').length >= 6;
    await eventually(isRenewed, { what: 'renewals for longer than its TTL', withinMs: 30_000 });
    expect(lease.state).toBe('held');
    expect((await client.locks.get('restart')).holders[0]?.fencingToken).toBe(lease.fencingToken);
    expect(await lease.release()).toBe(true);
  });
});

test('A server that restarts without its memory loses the lease long before its deadline', async () => {
  const port = await freePort();
  const environment = {
    LEASEHOLD_SERVER_ADDRESS: `127.0.0.1:${port}`,
    LEASEHOLD_SERVER_DRAIN_TIMEOUT: '500ms',
  };
  const first = await started(environment);
  const client = clientTo({ host: '127.0.0.1', port });
  const lease = await client.acquire('forgotten');
  await first.stop();
  await started(environment);
  await eventually(() => lease.signal.aborted, { what: 'the loss', withinMs: 12_000 });
  expect(lease.loss).toMatchObject({ loss: 'unknown-lease', reason: 'LEASE_LOST' });
  expect(await client.withLock('forgotten', ({ fencingToken }) => fencingToken)).toBeGreaterThan(
    lease.fencingToken,
  );
});

test('A closed client ends calls in progress and refuses further ones', async () => {
  const { address } = await started();
  const client = clientTo(address);
  const lease = await client.acquire('closed');
  const waiting = refusal(client.acquire('closed'));
  const watching = refusal(
    (async () => {
      for await (const _ of client.locks.watch());
    })(),
  );
  await eventually(async () => (await client.locks.get('closed')).waiterCount === 1, {
    what: 'the wait',
    withinMs: 5_000,
  });
  client.close();
  expect([(await waiting).reason, (await watching).reason]).toEqual(['CLIENT_CLOSED', 'CLIENT_CLOSED']);
  expect((await refusal(client.locks.get('closed'))).reason).toBe('CLIENT_CLOSED');
  expect(lease.state).toBe('held'); // until its deadline: no one has released it
});

test('A worker that is stopped while the answer to its claim is on its way gives the operation back', async () => {
  const instance = await started();
  const proxy = await proxyTo(instance.address);
  const direct = clientTo(instance.address);
  const worker = clientTo(proxy).operations.worker({ types: 'mail', handler: () => {} });
  // Its first claim has been answered: the next one waits.
  await direct.operations.begin('a', '1', { type: 'mail' });
  const stateOf = async (id: string) => (await direct.operations.get('a', id)).state;
  await eventually(async () => (await stateOf('1')) === 'succeeded', { what: 'its first', withinMs: 5_000 });
  proxy.holdReplies();
  await direct.operations.begin('a', '2', { type: 'mail' });
  await eventually(async () => (await stateOf('2')) === 'running', { what: 'its claim', withinMs: 5_000 });
  const stopped = worker.stop();
  proxy.heal();
  await stopped;
  expect(await stateOf('2')).toBe('pending');
});

test('The close of a client stops its workers: their handlers are told, and stop() resolves', async () => {
  const { address } = await started();
  const client = clientTo(address);
  const errors: unknown[] = [];
  const handled: string[] = [];
  const told = Promise.withResolvers<unknown>();
  const worker = client.operations.worker({
    types: 'mail',
    handler: async ({ signal }) => {
      signal.addEventListener('abort', () => told.resolve(signal.reason));
      await told.promise;
    },
    onError: (error) => errors.push(error),
    onHandled: ({ kind }) => handled.push(kind),
  });
  await client.operations.begin('r', '1', { type: 'mail' });
  await eventually(() => worker.running === 1, { what: 'its work', withinMs: 5_000 });
  client.close();
  expect(await told.promise).toMatchObject({ reason: 'WORKER_STOPPING' });
  await worker.finished;
  await worker.stop();
  expect([errors, handled]).toEqual([[], ['unrecorded']]);
  expect(() => client.operations.worker({ types: 'mail', handler: () => {} })).toThrow(
    /The client is closed/,
  );
});

describe('a process that has nothing else to do', () => {
  const PROGRAM = join(import.meta.dirname, '../support/sdk-program.ts');

  function run(...args: string[]): { child: ChildProcess; lines: string[]; ended: Promise<number | null> } {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    const lines: string[] = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      rest += part;
      const complete = rest.split('\n');
      rest = complete.pop() ?? '';
      lines.push(...complete);
    });
    return { child, lines, ended: once(child, 'close').then(([code]: (number | null)[]) => code ?? null) };
  }

  test('A process ends by itself after its last call, without close()', { timeout: 60_000 }, async () => {
    const { address } = await started();
    const server = formatHostPort(address);
    const client = clientTo(address);
    await using _taken = await client.acquire('taken');
    const programs = [run('lock', server), run('contend', server, 'taken'), run('nobody', '127.0.0.1:1')];
    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    expect(programs.map(({ lines }) => lines.at(-1))).toEqual(['end', 'end', 'end']);
    expect(programs.map(({ lines }) => lines[0])).toEqual([
      expect.stringMatching(/^token \d+$/),
      'contended',
      'UnavailableError',
    ]);
  });

  test('A process ends at once after close(), with a lease held, a worker and a wait', {
    timeout: 60_000,
  }, async () => {
    const { address } = await started();
    const program = run('close', formatHostPort(address));
    await eventually(() => program.lines.includes('end'), { what: 'the close', withinMs: 40_000 });
    const closedMs = performance.now();
    expect(await program.ended).toBe(0);
    expect(performance.now() - closedMs).toBeLessThan(1_500);
    expect(program.lines).toEqual(['held LeaseholdError', 'end']);
  });

  test('A process ends at once after its test server has stopped', { timeout: 60_000 }, async () => {
    const program = run('server', '127.0.0.1:1');
    await eventually(() => program.lines.includes('end'), { what: 'the stop', withinMs: 40_000 });
    const stoppedMs = performance.now();
    expect(await program.ended).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(1_500);
  });

  test('A process that forgets its lease keeps it until somebody releases it, and ends then', {
    timeout: 60_000,
  }, async () => {
    const { address } = await started();
    const client = clientTo(address);
    const program = run('leak', formatHostPort(address), 'leaked');
    await eventually(() => program.lines.includes('end'), { what: 'its lease', withinMs: 40_000 });
    const endMs = performance.now();
    const isHeld = async (): Promise<boolean> => (await client.locks.get('leaked')).state === 'held';
    // Longer than its TTL of 2 s.
    await eventually(() => performance.now() - endMs > 3_000, { what: '3 s', withinMs: 5_000 });
    expect([await isHeld(), program.child.exitCode]).toEqual([true, null]);
    const [leaseId = ''] = program.lines;
    expect(await client.locks.release({ resource: 'leaked', leaseId })).toBe(true);
    expect(await program.ended).toBe(0);
  });

  test('A process holds its lease while its server is away, and ends when the lease is lost', {
    timeout: 60_000,
  }, async () => {
    const { address } = await started();
    const proxy = await proxyTo(address);
    const program = run('hold', formatHostPort({ host: proxy.host, port: proxy.port }));
    await eventually(() => program.lines.length > 0, { what: 'its lease', withinMs: 40_000 });
    await proxy.refuse();
    proxy.drop();
    expect(await program.ended).toBe(0);
    expect(program.lines.slice(1)).toEqual(['deadline', 'end']);
    await proxy.accept();
  });
});
