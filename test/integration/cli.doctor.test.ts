// `leasehold doctor` as a user calls it: what it prints, and how it ends.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SEVERITIES } from '../../src/doctor/examination.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { ended, leasehold } from '../support/cli-rig.ts';
import { environmentOf, startWellKept } from '../support/doctor-rig.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import type { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { startInstance } from '../support/test-instance.ts';

let cluster: SentinelCluster;
let environment: Record<string, string>;

beforeAll(async () => {
  cluster = await startWellKept();
  environment = environmentOf(cluster);
}, 90_000);

afterAll(() => cluster?.stop());

function replica(): RedisProcess {
  const found = cluster.nodes[1];
  if (!found) throw new Error('a cluster has replicas');
  return found.process;
}

async function setPolicy(policy: string): Promise<void> {
  await replica().withClient((client) => client.call('CONFIG', 'SET', 'maxmemory-policy', policy));
}

test('doctor prints what was seen, why it matters and what to do, counts what is fine, and ends with 1 for warnings', async () => {
  const { code, stdout, stderr } = await ended(undefined, ['doctor'], environment);
  expect(stderr).toBe('');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^mymaster: 3 Redis nodes, 3 Sentinels \(examined in \d+ m?s\)\n/);
  expect(stdout).toContain(`WARNING  hosts  deployment
    seen  3 Redis nodes are on 127.0.0.1
    why   when that machine is gone, so are all their copies of the data
    fix   move the Redis nodes to machines that don't fail together
`);
  expect(stdout).toMatch(/\n\d+ warnings.*; \d+ fine \(-v shows them\)\n$/);
  expect(stdout).not.toContain('everything could be looked at');
  const verbose = await ended(undefined, ['doctor', '-v'], environment);
  expect(verbose.stdout).toMatch(/\nrights-to-look +deployment +everything could be looked at\n/);
});

test('doctor --json prints one document with every finding, and ends with 2 for an error', async ({
  onTestFinished,
}) => {
  onTestFinished(() => setPolicy('noeviction'));
  await setPolicy('allkeys-lru');
  const { code, stdout } = await ended(undefined, ['doctor', '--json'], environment);
  expect(code).toBe(2);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  const document = JSON.parse(stdout) as { findings: readonly Record<string, unknown>[] };
  expect(document).toEqual({
    examined_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    took_ms: expect.any(Number),
    deployment: 'mymaster: 3 Redis nodes, 3 Sentinels',
    worst: 'error',
    findings: expect.any(Array),
  });
  for (const finding of document.findings) {
    expect(SEVERITIES).toContain(finding.severity);
    const names = [
      'check',
      'severity',
      'subject',
      'seen',
      ...(finding.severity === 'ok' ? [] : ['why', 'fix']),
    ];
    expect(Object.keys(finding).sort()).toEqual(names.sort());
    for (const name of names) expect(finding[name]).toEqual(expect.stringMatching(/./));
  }
  const { host, port } = replica().listens;
  expect(document.findings[0]).toEqual({
    check: 'eviction',
    severity: 'error',
    subject: `${host}:${port}`,
    seen: 'maxmemory-policy is allkeys-lru',
    why: expect.stringContaining('drops live locks'),
    fix: `redis-cli -h ${host} -p ${port} CONFIG SET maxmemory-policy noeviction && redis-cli -h ${host} -p ${port} CONFIG REWRITE`,
  });
});

test('doctor --admin prints what a running server finds, and needs no configuration', async ({
  onTestFinished,
}) => {
  const instance = await startInstance({ ...environment, LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' });
  onTestFinished(() => instance.stop());
  const admin = `http://${instance.adminAddress ? formatHostPort(instance.adminAddress) : ''}`;
  const { code, stdout, stderr } = await ended(undefined, ['doctor', '--admin', admin]);
  expect(stderr).toBe('');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^mymaster: 3 Redis nodes, 3 Sentinels /);
  expect(stdout).toContain('WARNING  hosts  deployment\n');
});

test('doctor --watch prints what changes, until Ctrl-C', async ({ onTestFinished }) => {
  onTestFinished(() => setPolicy('noeviction'));
  const doctor = leasehold(undefined, ['doctor', '--watch', '1s'], environment);
  const prints = (text: RegExp): Promise<unknown> =>
    eventually(() => text.test(doctor.stdout), {
      what: `${text} in ${doctor.stdout}${doctor.stderr}`,
      withinMs: 30_000,
    });
  await prints(/fine \(-v shows them\)\n$/);
  await setPolicy('volatile-ttl');
  await prints(
    /\n\d\d:\d\d:\d\d {2}new {3}ERROR {4}eviction {2}127\.0\.0\.1:\d+: maxmemory-policy is volatile-ttl\n/,
  );
  await setPolicy('noeviction');
  await prints(/\n\d\d:\d\d:\d\d {2}gone {2}ERROR {4}eviction /);
  doctor.signal('SIGINT');
  expect(await doctor.exit()).toBe('SIGINT');
});

test('doctor ends with 75 where nothing could be examined, and says why', async () => {
  const port = await freePort();
  const cases: readonly (readonly [args: readonly string[], env: Record<string, string>, why: RegExp])[] = [
    [[], {}, /no redis section/],
    [['--config', '/no/such/file.yaml'], {}, /\/no\/such\/file\.yaml: .*no such file/],
    [[], { ...environment, LEASEHOLD_LOCKS_MAX_TTL: 'long' }, /LEASEHOLD_LOCKS_MAX_TTL/],
    [['--admin', `http://127.0.0.1:${port}`], {}, /ECONNREFUSED.*Check --admin/],
    [['--admin', 'http://127.0.0.1:1/'], {}, /Check --admin/],
  ];
  const ends = await Promise.all(cases.map(([args, env]) => ended(undefined, ['doctor', ...args], env)));
  expect(ends.map(({ code }) => code)).toEqual(cases.map(() => 75));
  for (const [index, { stderr, stdout }] of ends.entries()) {
    expect(stderr).toMatch(/^leasehold: /);
    expect(stderr).toMatch(cases[index]?.[2] ?? /never/);
    expect(stdout).toBe('');
  }
});

test('doctor refuses options that make no sense together, and names them', async () => {
  const cases: readonly (readonly [args: readonly string[], why: RegExp])[] = [
    [['--admin', 'localhost:9464'], /--admin <url>.*such as http:\/\/127\.0\.0\.1:9464/],
    [['--admin', 'http://127.0.0.1:9464', '--config', 'a.yaml'], /--admin.*--config/],
    [['--watch', '10ms'], /--watch.*1s or more/],
    [['--watch', 'often'], /--watch.*such as 30s/],
  ];
  const ends = await Promise.all(cases.map(([args]) => ended(undefined, ['doctor', ...args])));
  expect(ends.map(({ code }) => code)).toEqual(cases.map(() => 2));
  for (const [index, { stderr }] of ends.entries()) expect(stderr).toMatch(cases[index]?.[1] ?? /never/);
});

test('with all Redis and all Sentinels away, doctor says so and ends in time', async () => {
  const [sentinel, other] = [await freePort(), await freePort()];
  const began = performance.now();
  const { code, stdout } = await ended(undefined, ['doctor'], {
    ...environment,
    LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${sentinel},127.0.0.1:${other}`,
  });
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(code).toBe(2);
  expect(stdout).toContain(`ERROR    reach-sentinels  127.0.0.1:${sentinel}`);
  expect(stdout).toContain('ERROR    reach-redis  deployment');
});
