// The page /doctor of the admin port: of one server, of a supervisor, and of a server without a Redis; and the
// certificates that the doctor looks at, which need a Redis that speaks TLS.
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { examinationFromJson } from '../../src/doctor/examination-json.ts';
import { examine } from '../../src/doctor/examine.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { freePort } from '../support/ports.ts';
import { findRedis } from '../support/redis/find-redis.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { startInstance, testEnvironment } from '../support/test-instance.ts';
import { ownRedis } from '../support/watched-redis.ts';
import { startedWorkers } from '../support/worker-rig.ts';

const PASSWORD = 'correct-horse';
const TLS = join(import.meta.dirname, '../support/tls');
const YEAR_MS = 365.25 * 86_400_000;

interface Page {
  readonly status: number;
  readonly text: string;
}

async function startedAdmin(
  { onTestFinished }: TestContext,
  overrides: Readonly<Record<string, string>>,
): Promise<() => Promise<Page>> {
  const instance = await startInstance({ LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0', ...overrides });
  onTestFinished(() => instance.stop());
  const { adminAddress } = instance;
  return async () => {
    const response = await fetch(`http://${adminAddress ? formatHostPort(adminAddress) : ''}/doctor`);
    return { status: response.status, text: await response.text() };
  };
}

test('the admin port tells what the doctor finds, as JSON without any secret, and examines once for all who ask at a time', async (context) => {
  const redis = await ownRedis(context.onTestFinished, { auth: { password: PASSWORD } });
  const page = await startedAdmin(context, { ...singleRedis(redis), LEASEHOLD_REDIS_PASSWORD: PASSWORD });
  const [one, other] = await Promise.all([page(), page()]);
  expect(one.status).toBe(200);
  expect(other).toEqual(one);
  expect(one.text).not.toContain(PASSWORD);
  expect(JSON.parse(one.text)).toMatchObject({
    worst: 'warning',
    deployment: `${formatHostPort(redis.listens)}: 1 Redis node`,
    findings: expect.arrayContaining([
      expect.objectContaining({
        check: 'sentinels-in-use',
        severity: 'warning',
        subject: 'redis.failover_cluster',
      }),
      expect.objectContaining({
        check: 'reach-redis',
        severity: 'ok',
        subject: formatHostPort(redis.listens),
      }),
    ]),
  });
  expect(examinationFromJson(one.text)?.findings.length).toBeGreaterThan(10);
});

test('the admin port tells of a Redis that is away, and answers in time', async (context) => {
  const port = await freePort();
  const page = await startedAdmin(context, { LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${port}` });
  const { status, text } = await page();
  expect(status).toBe(200);
  const errors = examinationFromJson(text)?.findings.filter(({ severity }) => severity === 'error');
  expect(errors?.map(({ check, subject }) => `${check} ${subject}`)).toEqual([
    `reach-redis 127.0.0.1:${port}`,
  ]);
});

test('the admin port of a server that keeps its locks in memory says that there is nothing to examine', async (context) => {
  const page = await startedAdmin(context, {});
  const { status, text } = await page();
  expect(status).toBe(404);
  expect(JSON.parse(text)).toEqual({ error: expect.stringContaining('no redis section') });
});

test('with several workers, the supervisor examines', async ({ onTestFinished }) => {
  const { rig, redis } = await startedWorkers(onTestFinished, 2);
  const { status, text } = await rig.admin('/doctor');
  expect(status).toBe(200);
  const findings = examinationFromJson(text)?.findings ?? [];
  expect(findings).toContainEqual(
    expect.objectContaining({ check: 'max-ttl', severity: 'ok', subject: 'locks.max_ttl' }),
  );
  // The deployment has data by now, and the server was started with bootstrap: new.
  expect(findings).toContainEqual(expect.objectContaining({ check: 'bootstrap', severity: 'warning' }));
  expect(findings).toContainEqual(
    expect.objectContaining({ check: 'reach-redis', severity: 'ok', subject: formatHostPort(redis.listens) }),
  );
}, 60_000);

test('certificates that expire are told of, those in files and the one that Redis presents', async (context) => {
  // A container would need copies of the certificates.
  if ((await findRedis()).mode === 'docker') context.skip('a container does not see the certificates');
  const port = await freePort();
  const redis = await RedisProcess.server({
    auth: { password: PASSWORD },
    directives: [
      `tls-port ${port}`,
      `tls-cert-file ${join(TLS, 'server.crt')}`,
      `tls-key-file ${join(TLS, 'server.key')}`,
      `tls-ca-cert-file ${join(TLS, 'ca.crt')}`,
      'tls-auth-clients no',
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
  const config = loadConfig({
    env: testEnvironment({
      LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${port}`,
      LEASEHOLD_REDIS_PASSWORD: PASSWORD,
      LEASEHOLD_REDIS_TLS_CA_FILE: join(TLS, 'ca.crt'),
    }),
  });
  const told = async (aheadMs: number): Promise<readonly string[]> => {
    const clock = { ...systemClock, wallMs: () => Date.now() + aheadMs };
    const { findings } = await examine(config, { clock });
    const ours = findings.filter(({ check }) => check === 'certificates');
    return ours
      .map(({ severity, subject, seen }) => `${severity} ${subject} ${/expired?s?/.exec(seen)?.[0]}`)
      .sort();
  };
  expect(await told(0)).toEqual([`ok 127.0.0.1:${port} expires`, 'ok redis.tls.ca_file expires']);
  // They are valid for 100 years from the day when they were made.
  expect(await told(101 * YEAR_MS)).toEqual([
    `error 127.0.0.1:${port} expired`,
    'error redis.tls.ca_file expired',
  ]);
});
