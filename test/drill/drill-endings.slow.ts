// How a drill can end other than well: interrupted in each phase, with losses, with a failover that doesn't happen or
// that somebody else causes. Each test begins with a deployment that is as good as new. The TTL is so short that no
// lease survives a failover: the quarantine is over in 6 s.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { CommandLine } from '../support/command-line.ts';
import { DrillRig } from '../support/drill-rig.ts';
import { eventually } from '../support/eventually.ts';
import type { ClusterMember } from '../support/redis/sentinel-cluster.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const MAX_TTL_MS = 2_000;
const DRILL_WITHIN_MS = 60_000;
const TEST_MS = { timeout: 180_000 };

let rig: DrillRig;

beforeAll(async () => {
  rig = await DrillRig.start({ maxTtlMs: MAX_TTL_MS });
});

beforeEach(() => rig.granting());

afterAll(() => rig.stop());

/** Waits until the drill says so on stderr. */
async function says(drill: CommandLine, text: string): Promise<void> {
  await eventually(() => drill.stderr.includes(text), { what: `"${text}" of ${drill}`, withinMs: 60_000 });
}

async function onSentinels(...command: readonly [string, ...string[]]): Promise<void> {
  for (const { process } of rig.cluster.sentinels) {
    await process.withClient((client) => client.call(...command));
  }
}

async function replicas(): Promise<readonly ClusterMember[]> {
  const primary = await rig.cluster.primary();
  return rig.cluster.nodes.filter((node) => node !== primary);
}

test.each([
  ['while its load starts', 'the load starts', ['--before', '1m'], 'The drill has caused no failover.'],
  ['during the switch', 'during: asks the Sentinel', [], 'The failover to 127.0.0.1:'],
  ['in the quarantine', 'a new reign: quarantine', [], 'The failover to 127.0.0.1:'],
  ['after it', 'after: grants are back', ['--settle', '1m'], 'is over: all servers grant.'],
])('Ctrl-C %s ends a drill and leaves no lock and no operation', TEST_MS, async (_when, line, args, told) => {
  const drill = rig.drill('--yes', ...args);
  await says(drill, line);
  drill.signal('SIGINT');
  expect(await drill.exit(DRILL_WITHIN_MS)).toBe('SIGINT');
  expect(drill.stderr).toContain('interrupted.');
  expect(drill.stderr).toContain(told);
  expect(drill.stdout).toBe('');
  expect(await rig.left(drill)).toEqual([]);
});

test(
  'A second Ctrl-C ends a drill at once, and it says what it leaves and how far the failover is',
  TEST_MS,
  async () => {
    const drill = rig.drill('--yes');
    await says(drill, 'a new reign: quarantine');
    drill.signal('SIGINT');
    await says(drill, 'takes back its load');
    drill.signal('SIGINT');
    expect(await drill.exit(2_000)).toBe(130);
    expect(drill.stderr).toMatch(
      /left behind under leasehold-drill\/\w+\/: (\d+ leases?|locks whose [a-z ]+), to end by \d\d:\d\d:\d\d UTC/,
    );
    expect(drill.stderr).toMatch(/The failover to 127\.0\.0\.1:\d+ (goes on without the drill|is over)/);
    // The operations stay longer: it has said until when.
    await eventually(async () => (await rig.locksLeft(drill)).length === 0, {
      what: 'the end of the locks',
      withinMs: 30_000,
    });
  },
);

test(
  'Losses and grants that stay away for longer than allowed fail a drill, and the text says so',
  TEST_MS,
  async () => {
    const drill = rig.drill('--yes', '--max-without-grants', '3s');
    expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
    expect(drill.stdout).toMatch(
      /NOT passed: .* without new grants, and 3\.0 s are allowed; 6 leases .* lost/,
    );
    expect(drill.stdout).toMatch(/leases kept +0 of 6\n/);
    expect(drill.stdout).toMatch(/violations +0 /);
    expect(await rig.left(drill)).toEqual([]);
  },
);

test('The same losses pass where they are allowed', TEST_MS, async () => {
  const drill = rig.drill('--yes', '--max-lost', '100');
  expect({ code: await drill.exit(DRILL_WITHIN_MS), output: `${drill}` }).toMatchObject({ code: 0 });
  expect(drill.stdout).toMatch(/\nPassed\.\n$/);
});

test(
  'A failover that is not finished in time fails the drill, which says that it may still come',
  TEST_MS,
  async () => {
    // The Sentinels don't notice that the replicas are frozen, choose one, and wait for its promotion in vain.
    await onSentinels('SENTINEL', 'SET', rig.cluster.masterName, 'down-after-milliseconds', '60000');
    const frozen = await replicas();
    try {
      const drill = rig.drill('--yes', '--within', '3s', '--max-lost', '100');
      await says(drill, 'before: the load runs');
      await Promise.all(frozen.map(({ process }) => process.pause()));
      expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
      expect(drill.stdout).toMatch(
        /NOT passed: no failover happened: no Sentinel named another primary within 3\.0 s/,
      );
      expect(drill.stdout).toContain('no other primary was named');
    } finally {
      await Promise.all(frozen.map(({ process }) => process.resume()));
      await onSentinels('SENTINEL', 'SET', rig.cluster.masterName, 'down-after-milliseconds', '1000');
    }
  },
);

test('A Sentinel that refuses the failover fails the drill with its own words', TEST_MS, async () => {
  await onSentinels('ACL', 'SETUSER', 'default', '-sentinel|failover');
  try {
    const drill = rig.drill('--yes', '--json');
    expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
    const report = JSON.parse(drill.stdout);
    expect(report).not.toHaveProperty('new_primary');
    expect(report).toMatchObject({
      passed: false,
      complaints: [expect.stringMatching(/says "NOPERM .*so its user needs the right \+sentinel\|failover/)],
      leases: { held: 6, kept: 6 },
    });
  } finally {
    await onSentinels('ACL', 'SETUSER', 'default', '+sentinel|failover');
  }
});

test('--observe measures a failover after a crash of the primary', TEST_MS, async () => {
  const primary = await rig.cluster.primary();
  const drill = rig.drill('--observe', '--json', '--within', '30s', '--max-lost', '100');
  await says(drill, 'for a failover that somebody else causes');
  await primary.process.kill();
  try {
    expect({ code: await drill.exit(DRILL_WITHIN_MS), output: `${drill}` }).toMatchObject({ code: 0 });
    const report = JSON.parse(drill.stdout);
    expect(report).toMatchObject({
      cause: 'observe',
      former_primary: formatHostPort(primary.address),
      new_primary: formatHostPort((await rig.cluster.primary()).address),
    });
    // Down-after is 1 s, and nothing can be renewed before the switch.
    expect(report.without_renewals_ms).toBeGreaterThan(900);
    expect(drill.stderr).not.toContain('asks the Sentinel');
  } finally {
    await primary.process.restart();
  }
});

test('A crash of the new primary fails a drill, which names the primary that is left', TEST_MS, async () => {
  const drill = rig.drill('--yes', '--json', '--max-lost', '100', '--max-without-grants', '1m');
  await says(drill, 'a new reign: quarantine');
  const promoted = await rig.cluster.primary();
  await promoted.process.kill();
  try {
    expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
    const { address } = await rig.cluster.primary();
    expect(address).not.toEqual(promoted.address);
    expect(JSON.parse(drill.stdout)).toMatchObject({
      new_primary: formatHostPort(address),
      complaints: [
        `${formatHostPort(promoted.address)} did not stay the primary: another failover followed, to ${formatHostPort(address)}`,
      ],
    });
    expect(await rig.left(drill)).toEqual([]);
  } finally {
    await promoted.process.restart();
  }
});

test('--observe ends when no failover comes within its time', TEST_MS, async () => {
  const drill = rig.drill('--observe', '--within', '2s');
  expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
  expect(drill.stdout).toContain('NOT passed: no failover happened within 2.0 s (--within).');
});

test.each([
  ['n', 'n\n'],
  ['Ctrl-D', '\u0004'],
])('A drill on a terminal asks, and %s in answer touches nothing', TEST_MS, async (_what, typed) => {
  const before = await rig.cluster.primary();
  const command = [
    'drill',
    'failover',
    '--config',
    rig.configFile,
    '--server',
    rig.addresses.join(','),
    '--rest',
    '1s',
  ];
  const child = spawn('script', ['-qec', [process.execPath, MAIN, ...command].join(' '), '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await eventually(() => output.includes('Fail over now? [y/N]'), {
    what: `a question: ${output}`,
    withinMs: 30_000,
  });
  expect(output).toContain('nothing new is granted for about 6 s');
  child.stdin.write(typed);
  const [code] = await once(child, 'close');
  expect(code).toBe(1);
  expect(output).toContain('not confirmed, and nothing was touched');
  expect(await rig.cluster.primary()).toBe(before);
});

test('Without a majority of the Sentinels a drill is refused', TEST_MS, async () => {
  const [first, second] = rig.cluster.sentinels;
  await Promise.all([first?.process.kill(), second?.process.kill()]);
  try {
    const drill = rig.drill('--yes');
    expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
    expect(drill.stderr).toMatch(/sentinel-majority: Sentinels: 1 of 3 answer/);
    expect(drill.stderr).toContain('refused, and nothing was touched');
  } finally {
    await Promise.all([first?.process.restart(), second?.process.restart()]);
  }
});
