// The doctor where an address is not what it seems, and where a node answers slowly or not as it should: each is told
// of, and the examination ends in time.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, type TestContext, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Finding } from '../../src/doctor/examination.ts';
import { examine } from '../../src/doctor/examine.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { freePort } from '../support/ports.ts';
import { bulk } from '../support/redis/resp.ts';
import { answersOfVersion, ScriptedServer } from '../support/redis/scripted-server.ts';
import { testEnvironment } from '../support/test-instance.ts';
import { directly, ownRedis, proxyTo, startSentinels, throughSentinels } from '../support/watched-redis.ts';

const WITHIN_MS = 15_000;

async function bad(environment: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  const began = performance.now();
  const { findings } = await examine(loadConfig({ env: testEnvironment(environment) }));
  expect(performance.now() - began).toBeLessThan(WITHIN_MS);
  return findings.filter(({ severity }) => severity === 'error' || severity === 'warning');
}

async function scripted(
  { onTestFinished }: TestContext,
  answer: Parameters<typeof ScriptedServer.start>[0],
): Promise<HostPort> {
  const server = await ScriptedServer.start(answer);
  onTestFinished(() => server.close());
  return server.listens;
}

test('a node that needs 700 ms for each answer is told of as slow, and the examination ends in time', async (context) => {
  const redis = await ownRedis(context.onTestFinished);
  const proxy = await proxyTo(context.onTestFinished, redis);
  proxy.delayMs = 350; // on the way there and on the way back
  const found = await bad(directly(proxy));
  const slow = found.find(({ check }) => check === 'round-trip');
  expect(slow?.seen).toMatch(/it answers after \d/);
  const blind = found.filter(({ check }) => check === 'rights-to-look');
  expect(blind.map(({ seen }) => seen)).toContainEqual(expect.stringContaining('answers so slowly'));
});

test('a Sentinel named as the Redis is told of as a Sentinel', async (context) => {
  const address = await scripted(context, ([name = '']) =>
    name === 'INFO' ? bulk('# Server\r\nredis_version:7.2.16\r\nredis_mode:sentinel\r\n') : undefined,
  );
  const found = await bad(directly(address));
  expect(found).toContainEqual(
    expect.objectContaining({
      check: 'reach-redis',
      severity: 'error',
      seen: expect.stringContaining('it is a Sentinel'),
      fix: expect.stringContaining('redis.failover_cluster: true'),
    }),
  );
  expect(found.map(({ check }) => check)).not.toContain('rights-to-look');
});

test('a primary that the Sentinels announce by an address that cannot be reached from here is an error', async (context) => {
  const port = await freePort();
  const sentinels = await startSentinels(context.onTestFinished, 3, { host: '127.0.0.1', port });
  const found = await bad(throughSentinels(sentinels));
  expect(found.filter(({ severity }) => severity === 'error')).toEqual([
    expect.objectContaining({
      check: 'reach-redis',
      subject: `127.0.0.1:${port}`,
      seen: expect.stringMatching(/^the primary can't be asked: .*ECONNREFUSED/),
    }),
  ]);
});

test('a Redis among the Sentinels is told of as a Redis', async (context) => {
  const redis = await ownRedis(context.onTestFinished);
  const sentinels = await startSentinels(context.onTestFinished, 2, redis.listens);
  const addresses = [...sentinels.map(({ address }) => address), redis.listens].map(formatHostPort);
  const found = await bad({
    ...throughSentinels(sentinels),
    LEASEHOLD_REDIS_ADDRESS: addresses.join(','),
  });
  expect(found.find(({ check }) => check === 'reach-sentinels')).toMatchObject({
    subject: formatHostPort(redis.listens),
    severity: 'warning',
    fix: expect.stringContaining('this is a Redis'),
  });
});

test('a Redis that is too old, and answers half of the questions with errors, is examined as far as it goes', async (context) => {
  const address = await scripted(context, answersOfVersion('6.2.6'));
  const found = await bad(directly(address));
  expect(found.find(({ check }) => check === 'version')).toMatchObject({
    severity: 'error',
    seen: 'Redis 6.2.6 runs',
  });
  expect(found.filter(({ check }) => check === 'rights-to-look').length).toBeGreaterThan(2);
});

test('a web server in place of a Redis is told of, and the examination ends in time', async ({
  onTestFinished,
}) => {
  const server = createServer((_request, response) => response.end('hello'));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // listening on TCP
  const found = await bad({ LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${port}` });
  expect(found.find(({ check }) => check === 'reach-redis')).toMatchObject({
    severity: 'error',
    subject: `127.0.0.1:${port}`,
  });
});

test('an address that nothing listens on, under a name that does not resolve, is told of', async () => {
  const found = await bad({ LEASEHOLD_REDIS_ADDRESS: 'no-such-host.invalid:6379' });
  expect(found.find(({ check }) => check === 'reach-redis')).toMatchObject({
    severity: 'error',
    subject: 'no-such-host.invalid:6379',
    seen: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|no connection within/),
  });
});
