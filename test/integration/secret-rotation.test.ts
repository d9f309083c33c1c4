// Secrets in files that somebody rotates while the server runs: each connection uses what the files hold then.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import type { ClientTlsConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { currentSecrets } from '../../src/server/current-secrets.ts';
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
  rmSync(join(path, 'ca.crt'));
  expect(secrets().tls?.ca).toEqual(before.tls?.ca);
  expect(events).toHaveLength(2);
});
