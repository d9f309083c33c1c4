// `leasehold drill failover` against a real Sentinel deployment with two server processes: a drill that passes, what it
// refuses, and that it leaves nothing. The longer cases are in test/drill (`npm run test:drill`).
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { ended } from '../support/cli-rig.ts';
import { DrillRig } from '../support/drill-rig.ts';
import { eventually } from '../support/eventually.ts';
import { startInstance } from '../support/test-instance.ts';

const DRILL_WITHIN_MS = 90_000;

let rig: DrillRig;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'leasehold-drill-test-'));
  rig = await DrillRig.start();
});

afterAll(async () => {
  await rig.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('Without a terminal and without --yes, a drill asks nobody and touches nothing', async () => {
  const drill = rig.drill();
  expect(await drill.exit()).toBe(2);
  expect(drill.stderr).toContain('Give --yes to fail Redis over without a question');
});

test.each([
  ['redis:\n  address: 127.0.0.1:6379\n', [], /names a single Redis.* A failover needs Sentinels/],
  ['locks:\n  max_ttl: 30s\n', [], /has no redis section/],
  ['redis:\n  adress: x:1\n', [], /redis\.adress/],
  ['', ['--holders', '-1'], /--holders.* Give a whole number from 2 to 1000/],
  ['', ['--prefix', 'a b'], /--prefix.* letters, digits/],
  ['', ['--within', '2h'], /--within.* Give up to 1h/],
  ['', ['--svg', '/nowhere/a.svg'], /--svg: ENOENT/],
])('A drill names what is wrong with its configuration or options: %j %j', async (text, args, told) => {
  const file = text === '' ? rig.configFile : join(folder, 'wrong.yaml');
  if (text !== '') writeFileSync(file, text);
  const { code, stderr } = await ended(undefined, ['drill', 'failover', '--yes', '--config', file, ...args]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(told) });
});

test('A drill tells servers in memory, and servers that are not there, from those of its deployment', async () => {
  const memory = await startInstance();
  onTestFinished(() => memory.stop());
  const svg = join(folder, 'refused.svg');
  const other = rig.drill('--yes', '--svg', svg, '--server', formatHostPort(memory.address));
  expect(await other.exit()).toBe(1);
  expect(other.stderr).toMatch(/store: 127\.0\.0\.1:\d+: it keeps its locks in its memory/);
  expect(existsSync(svg)).toBe(false);
  const nobody = rig.drill('--yes', '--timeout', '1s', '--server', '127.0.0.1:1');
  expect(await nobody.exit()).toBe(75);
  expect(nobody.stderr).toContain('Check --server');
});

test('What the doctor calls an error stops a drill before anything is touched', async () => {
  const primary = await rig.cluster.primary();
  const setPolicy = (policy: string) =>
    primary.process.withClient((redis) => redis.config('SET', 'maxmemory-policy', policy));
  onTestFinished(async () => {
    await setPolicy('noeviction');
  });
  await setPolicy('allkeys-lru');
  const drill = rig.drill('--yes', '--json');
  expect(await drill.exit()).toBe(1);
  expect(JSON.parse(drill.stdout)).toMatchObject({ kind: 'refused', findings: [{ check: 'eviction' }] });
  expect(drill.stderr).toContain('refused, and nothing was touched');
  expect(drill.stderr).not.toContain('the load starts');
  expect(await rig.left()).toEqual([]);
  expect(await rig.cluster.primary()).toBe(primary);
});

test(
  'Ctrl-C before the failover ends the drill, causes none, and leaves no lock and no operation',
  async () => {
    const before = await rig.cluster.primary();
    const drill = rig.drill('--yes', '--json', '--before', '1m');
    await eventually(() => drill.stderr.includes('before: the load runs'), {
      what: `the load of ${drill}`,
      withinMs: 30_000,
    });
    expect((await rig.left()).length).toBeGreaterThan(5);
    drill.signal('SIGINT');
    expect(await drill.exit()).toBe('SIGINT');
    const failover = 'The drill has caused no failover.';
    expect(drill.stderr).toContain(`interrupted. ${failover}`);
    expect(JSON.parse(drill.stdout)).toEqual({ kind: 'interrupted', failover });
    expect(await rig.left()).toEqual([]);
    expect(await rig.cluster.primary()).toBe(before);
  },
  DRILL_WITHIN_MS,
);

test(
  'A drill fails over, keeps its leases and operations, reports it in JSON and a picture, and leaves nothing',
  async () => {
    const before = await rig.cluster.primary();
    const svg = join(folder, 'drill.svg');
    const drill = rig.drill('--yes', '--json', '--svg', svg);
    const code = await drill.exit(DRILL_WITHIN_MS);
    expect({ code, output: `${drill}` }).toMatchObject({ code: 0 });
    const report = JSON.parse(drill.stdout);
    expect(report).toMatchObject({
      kind: 'report',
      passed: true,
      complaints: [],
      cause: 'trigger',
      former_primary: `127.0.0.1:${before.address.port}`,
      quarantine_ms: 13_000,
      leases: { held: 6, kept: 6, lost: 0 },
      operations: { lost: 0 },
      violations: [],
    });
    // The servers say how long the quarantine lasts from the adoption on, and no grant comes before its end.
    expect(report.without_grants_ms).toBeGreaterThan(12_000);
    expect(report.without_renewals_ms).toBeLessThan(report.without_grants_ms);
    // Replication is asynchronous here: what the former primary took after the promotion is forgotten.
    expect(report.operations.kept + report.operations.forgotten).toBe(report.operations.begun);
    expect(report.grants_judged).toBeGreaterThan(20);
    expect(report.guarded_writes).toBeGreaterThan(10);
    const acquires = report.latencies.filter(({ kind }: { kind: string }) => kind === 'acquire');
    expect(acquires.map(({ phase }: { phase: string }) => phase)).toEqual(['before', 'during', 'after']);
    for (const { count, p50_ms, p99_ms } of [acquires[0], acquires[2]]) {
      expect(count).toBeGreaterThan(3);
      expect(p50_ms).toBeGreaterThan(0);
      expect(p99_ms).toBeGreaterThanOrEqual(p50_ms);
    }
    expect(acquires[1].failed).toBeGreaterThan(20);
    const told = report.timeline.map(({ what }: { what: string }) => what).join('\n');
    for (const what of [
      'asks the Sentinel',
      '+switch-master',
      'a new reign: quarantine',
      'new grants are back',
    ]) {
      expect(told).toContain(what);
    }
    const after = await rig.cluster.primary();
    expect(after).not.toBe(before);
    expect(report.new_primary).toBe(`127.0.0.1:${after.address.port}`);
    expect(await rig.left()).toEqual([]);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [\s\S]+<\/svg>\n$/);
  },
  DRILL_WITHIN_MS,
);

test(
  'With the replicas gone, a drill is refused before anything is touched',
  async () => {
    const primary = await rig.cluster.primary();
    await Promise.all(
      rig.cluster.nodes.filter((node) => node !== primary).map(({ process }) => process.kill()),
    );
    const drill = rig.drill('--yes', '--json');
    expect(await drill.exit()).toBe(1);
    const { kind, findings } = JSON.parse(drill.stdout);
    expect(kind).toBe('refused');
    expect(findings).toContainEqual(expect.objectContaining({ check: 'replica-ready', severity: 'error' }));
    expect(drill.stderr).toContain('refused, and nothing was touched');
    expect(drill.stderr).not.toContain('the load starts');
    expect(await rig.left()).toEqual([]);
  },
  DRILL_WITHIN_MS,
);
