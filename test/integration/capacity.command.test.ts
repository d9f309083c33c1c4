// `leasehold capacity` as a user calls it: the examples of docs/capacity.md, wrong options, and --calibrate, which must
// leave a Redis as it was, whatever becomes of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { examplesOf, shownOf } from '../../bench/capacity-examples.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { ended, leasehold } from '../support/cli-rig.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { LEAST_USER, leastRights, leastUserLine } from '../support/redis/least-user.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/capacity.md'), 'utf8');
const EXAMPLES = examplesOf(PAGE);

test('docs/capacity.md shows a team, a company and a million leases', () => {
  expect(EXAMPLES.length).toBeGreaterThanOrEqual(3);
});

test.for(EXAMPLES)('docs/capacity.md shows what "$command" prints', { timeout: 30_000 }, async (example) => {
  const { code, stdout, stderr } = await ended(undefined, example.args);
  expect([shownOf(example, stdout), stderr]).toEqual([example.output, '']);
  expect(code).toBe(stdout.includes("This doesn't fit") ? 1 : 0);
});

test('Wrong options of capacity end with exit code 2 and a sentence', { timeout: 30_000 }, async () => {
  const { code, stdout, stderr } = await ended(undefined, [
    'capacity',
    '--locks',
    '5',
    '--hold-streams',
    '6',
  ]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^leasehold: --hold-streams is 6, more than --locks \(5\): .*\.$/m);
});

test('What does not fit is said in a sentence, with exit code 1; --json says the same', {
  timeout: 30_000,
}, async () => {
  const args = ['capacity', '--locks', '1000000000', '--operations', '1000000000', '--payload', '100kb'];
  const { code, stdout } = await ended(undefined, args);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^This doesn't fit: .*memory needs \d+ [TP]B and may use 3.2 GB.*\.$/m);
  const json = await ended(undefined, [...args, '--json']);
  const {
    fits,
    resources,
    first_full: firstFull,
  } = JSON.parse(json.stdout) as {
    fits: boolean;
    resources: { name: string; full_at_times: number }[];
    first_full: string;
  };
  expect([json.code, fits, resources[0]?.name]).toEqual([1, false, firstFull]);
  expect(resources[0]?.full_at_times).toBeLessThan(0.001);
});

interface Calibrated {
  readonly figures: {
    readonly calibration: { readonly redis_cpu: number; readonly calibration: { readonly prefix: string } };
  };
}

test('--calibrate scales the figures, with the least Redis user, and leaves nothing in Redis', {
  timeout: 60_000,
}, async () => {
  const redis = await RedisProcess.server({ directives: [leastUserLine(leastRights('The user at Redis'))] });
  onTestFinished(() => redis.stop());
  await redis.start();
  await redis.withClient((client) => client.set('leasehold:{0}:meta', 'of others'));
  const file = configFile(`address: ["${formatHostPort(redis.listens)}"]`);
  const startedMs = performance.now();
  const args = ['capacity', '--calibrate', '--config', file];
  const { code, stdout, stderr } = await ended(undefined, [...args, '--json']);
  expect([code, stderr]).toEqual([0, expect.stringContaining(formatHostPort(redis.listens))]);
  expect(performance.now() - startedMs).toBeLessThan(15_000 + 5_000); // and the start of the program
  const { redis_cpu: scale, calibration } = (JSON.parse(stdout) as Calibrated).figures.calibration;
  expect(scale).toBeGreaterThan(0.05);
  expect(calibration.prefix).toMatch(/^leasehold:\{0\}:calibration-/);
  expect(await redis.withClient((client) => client.keys('*'))).toEqual(['leasehold:{0}:meta']);
  expect(await redis.withClient((client) => client.get('leasehold:{0}:meta'))).toBe('of others');

  // Ended in the middle, it leaves nothing either.
  const started = leasehold(undefined, args);
  const made = () => redis.withClient((client) => client.dbsize());
  await eventually(async () => (await made()) > 1, { what: 'keys of its own', withinMs: 20_000, everyMs: 5 });
  started.signal('SIGTERM');
  expect(await started.exit()).toBe(143);
  expect(await redis.withClient((client) => client.keys('*'))).toEqual(['leasehold:{0}:meta']);
});

test('--calibrate that cannot remove its keys, because Redis has frozen, says which may be left', {
  timeout: 60_000,
}, async () => {
  const redis = await RedisProcess.server({ directives: [leastUserLine(leastRights('The user at Redis'))] });
  onTestFinished(() => redis.stop());
  await redis.start();
  const file = configFile(`address: ["${formatHostPort(redis.listens)}"]`);
  const started = leasehold(undefined, ['capacity', '--calibrate', '--config', file]);
  const made = () => redis.withClient((client) => client.dbsize());
  await eventually(async () => (await made()) > 0, { what: 'keys of its own', withinMs: 20_000, everyMs: 5 });
  await redis.pause();
  expect(await started.exit()).toBe(75);
  expect(started.stderr).toMatch(/keys that begin with leasehold:\{0\}:calibration-\w+: may be left on /);
  expect(started.stderr).not.toContain('left nothing behind');
});

test('--calibrate without a Redis that answers ends with exit code 75 and a sentence', {
  timeout: 30_000,
}, async () => {
  const file = configFile(`address: ["127.0.0.1:${await freePort()}"]`);
  const { code, stdout, stderr } = await ended(undefined, ['capacity', '--calibrate', '--config', file]);
  expect([code, stdout]).toEqual([75, '']);
  expect(stderr).toMatch(/--calibrate measured nothing, and left nothing behind: /);
});

function configFile(redis: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-capacity-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'leasehold.yaml');
  const { username, password } = LEAST_USER;
  writeFileSync(file, `redis:\n  ${redis}\n  username: ${username}\n  password: ${password}\n`);
  return file;
}
