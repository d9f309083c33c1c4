// Secrets in files that somebody rotates while the server runs: each connection uses what the files hold then.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { describe, expect, type TestContext, test } from 'vitest';
import type { ClientTlsConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { currentSecrets } from '../../src/deployment/current-secrets.ts';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { TestClient } from '../support/test-instance.ts';
import { ownRedis } from '../support/watched-redis.ts';

const TLS = join(import.meta.dirname, '../support/tls');

function folder({ onTestFinished }: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'secrets-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** Redis takes only this password from now on, and has cut all connections. */
async function rotate(redis: RedisProcess, password: string): Promise<void> {
  await redis.withClient(async (client) => {
    await client.call('ACL', 'SETUSER', 'locks', 'resetpass', `>${password}`);
    await client.call('CLIENT', 'KILL', 'USER', 'locks');
  });
}

describe.concurrent('secrets that are rotated', { timeout: 60_000 }, () => {
  test('a server logs in with the password that its file holds when it connects', async (context) => {
    const file = join(folder(context), 'password');
    writeFileSync(file, 'first\n');
    const redis = await ownRedis(context.onTestFinished, {
      directives: ['user locks on >first ~* &* +@all'],
    });
    const server = CommandLine.serve({
      ...singleRedis(redis),
      LEASEHOLD_REDIS_USERNAME: 'locks',
      LEASEHOLD_REDIS_PASSWORD_FILE: file,
    });
    context.onTestFinished(() => server.kill());
    const inUse = (): number => server.stdout.split('primary in use').length - 1;
    const connected = (times: number): Promise<boolean> =>
      eventually(() => inUse() >= times, { what: `connection ${times} of ${server}`, withinMs: 20_000 });
    await connected(1);

    writeFileSync(file, 'second\n');
    await rotate(redis, 'second');
    await connected(2);
    expect(server.stdout).not.toContain('WRONGPASS');

    // A file that is gone or half written: the last good password goes on.
    writeFileSync(file, '');
    await rotate(redis, 'second');
    await connected(3);
    const trouble =
      /"level":50.*"reason":"the file is empty".*"the password cannot be read again; the former one stays/;
    expect(server.stdout).toMatch(trouble);
    rmSync(file);
    await rotate(redis, 'second');
    await connected(4);
    expect(server.stdout).toMatch(/"level":50.*"reason":"cannot read the file: there is no such file"/);
    expect(server.stdout).not.toMatch(/"(first|second)/);
    const client = new TestClient(await server.address());
    context.onTestFinished(() => client.close());
    expect((await client.acquire({ resource: 'a' })).lease?.resource).toBe('a');
  });

  test('several server processes log in with the password that the file holds when they connect', async (context) => {
    const file = join(folder(context), 'password');
    writeFileSync(file, 'first');
    const redis = await ownRedis(context.onTestFinished, {
      directives: ['user locks on >first ~* &* +@all'],
    });
    const server = CommandLine.serve({
      ...singleRedis(redis),
      LEASEHOLD_SERVER_WORKERS: '2',
      LEASEHOLD_REDIS_USERNAME: 'locks',
      LEASEHOLD_REDIS_PASSWORD_FILE: file,
    });
    context.onTestFinished(() => server.kill());
    const inUse = (): number => server.stdout.split('primary in use').length - 1;
    await eventually(() => inUse() >= 2, { what: `two connections of ${server}`, withinMs: 30_000 });
    writeFileSync(file, 'second');
    await rotate(redis, 'second');
    await eventually(() => inUse() >= 4, { what: `two more connections of ${server}`, withinMs: 20_000 });
    expect(server.stdout).not.toContain('WRONGPASS');
  });
});

describe.concurrent('certificates that clients see and that are renewed', { timeout: 60_000 }, () => {
  interface Renewed {
    readonly server: CommandLine;
    /** Puts a file of test/support/tls, or several one after the other, in the place of one that the server reads. */
    place(name: string, ...from: string[]): void;
    /** A caller with a connection of its own. */
    caller(ca: string, pair?: string): TestClient;
  }

  async function started(context: TestContext, mutual: boolean): Promise<Renewed> {
    const path = folder(context);
    const place = (name: string, ...from: string[]): void =>
      writeFileSync(join(path, name), from.map((file) => readFileSync(join(TLS, file), 'utf8')).join(''));
    place('tls.crt', 'server.crt');
    place('tls.key', 'server.key');
    place('ca.crt', 'ca.crt');
    const server = CommandLine.serve({
      LEASEHOLD_SERVER_TLS_CERT_FILE: join(path, 'tls.crt'),
      LEASEHOLD_SERVER_TLS_KEY_FILE: join(path, 'tls.key'),
      ...(mutual ? { LEASEHOLD_SERVER_TLS_CLIENT_CA_FILE: join(path, 'ca.crt') } : {}),
    });
    context.onTestFinished(() => server.kill());
    const address = await server.address();
    const caller = (ca: string, pair?: string): TestClient => {
      const client = new TestClient(address, channel(ca, pair));
      context.onTestFinished(() => client.close());
      return client;
    };
    return { server, place, caller };
  }

  function channel(ca: string, pair: string | undefined): ChannelCredentials {
    const pem = (name: string): Buffer => readFileSync(join(TLS, name));
    const own = pair === undefined ? undefined : { key: pem(`${pair}.key`), cert: pem(`${pair}.crt`) };
    // Whom the certificate names is not the question here, only who signed it.
    const anyName = { checkServerIdentity: () => undefined };
    return credentials.createSsl(pem(ca), own?.key, own?.cert, anyName);
  }

  async function isServed(client: TestClient): Promise<boolean> {
    return client.getServerInfo().then(
      () => true,
      () => false,
    );
  }

  test('a new connection is served with the certificate that the file holds by now, and an open one goes on', async (context) => {
    const { server, place, caller } = await started(context, false);
    const before = caller('ca.crt');
    expect((await before.acquire({ resource: 'a' })).lease?.resource).toBe('a');
    expect(await isServed(caller('other-ca.crt'))).toBe(false);

    // Only one of the two files is there yet: what they held before goes on.
    place('tls.crt', 'stranger.crt');
    await eventually(() => server.stdout.includes('server.tls cannot be read again'), {
      what: 'the error in the log',
      withinMs: 30_000,
    });
    expect(await isServed(caller('ca.crt'))).toBe(true);
    place('tls.key', 'stranger.key');
    await eventually(() => isServed(caller('other-ca.crt')), {
      what: 'a connection with the new certificate',
      withinMs: 30_000,
      everyMs: 500,
    });
    expect(await isServed(caller('ca.crt'))).toBe(false);
    expect((await before.acquire({ resource: 'b' })).lease?.resource).toBe('b');
    expect(server.stdout).toMatch(/"level":50.*"reason":"[^"]*key values mismatch[^"]*"/);
    expect(server.stdout).toMatch(/"level":30.*"validTo":".*GMT".*"server\.tls read again"/);
    expect(server.stdout).not.toContain('PRIVATE KEY');
  });

  test('an authority of client certificates that is added to the file is trusted from then on, and a half-written file changes nothing', async (context) => {
    const { server, place, caller } = await started(context, true);
    expect(await isServed(caller('ca.crt', 'client'))).toBe(true);
    expect(await isServed(caller('ca.crt', 'stranger'))).toBe(false);
    place('ca.crt');
    await eventually(() => server.stdout.includes('the file of the authorities holds no certificate'), {
      what: 'the error in the log',
      withinMs: 30_000,
    });
    expect(await isServed(caller('ca.crt', 'client'))).toBe(true);
    place('ca.crt', 'ca.crt', 'other-ca.crt');
    await eventually(() => isServed(caller('ca.crt', 'stranger')), {
      what: 'a connection of the other authority’s client',
      withinMs: 30_000,
      everyMs: 500,
    });
    expect(await isServed(caller('ca.crt', 'client'))).toBe(true);
    expect(await isServed(caller('ca.crt'))).toBe(false);
  });
});

test('certificates for Redis are read at each connection, and a key that does not fit yet leaves the former pair in use', (context) => {
  const path = folder(context);
  const place = (from: string, to: string): void => copyFileSync(join(TLS, from), join(path, to));
  place('ca.crt', 'ca.crt');
  place('client.crt', 'pair.crt');
  place('client.key', 'pair.key');
  const tls: ClientTlsConfig = {
    caFile: join(path, 'ca.crt'),
    clientCertificate: { certFile: join(path, 'pair.crt'), keyFile: join(path, 'pair.key') },
    serverName: 'redis.example',
  };
  const events: string[] = [];
  const observer = {
    commandEnded: () => {},
    event: (level: string, message: string) => void events.push(`${level}: ${message}`),
  };
  const credentials = { username: undefined, password: new Secret('given'), passwordFile: undefined };
  const secrets = currentSecrets(credentials, tls, observer);
  const before = secrets();
  expect(before).toMatchObject({ password: 'given', tls: { servername: 'redis.example' } });

  place('stranger.crt', 'pair.crt');
  expect(secrets().tls).toEqual(before.tls);
  expect(secrets().tls).toEqual(before.tls);
  expect(events).toEqual(['error: the TLS files cannot be read again; what they held stays in use']);

  place('stranger.key', 'pair.key');
  expect(secrets().tls?.cert).not.toEqual(before.tls?.cert);
  expect(secrets().tls?.key).not.toEqual(before.tls?.key);
  // TLS itself takes authorities that are cut off, and then trusts nobody.
  writeFileSync(join(path, 'ca.crt'), '-----BEGIN CERTIFICATE-----\n');
  expect(secrets().tls?.ca).toEqual(before.tls?.ca);
  rmSync(join(path, 'ca.crt'));
  expect(secrets().tls?.ca).toEqual(before.tls?.ca);
  expect(events).toHaveLength(3);
});
