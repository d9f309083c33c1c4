// `leasehold run` when its lease is lost: everything that runs under it is dead before somebody else can have the
// resource. The commands here ignore SIGTERM, and so do their descendants, which are not children of ours.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { leasehold } from '../support/cli-rig.ts';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { clientTo, started } from '../support/sdk-rig.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { hasEnded } from '../support/worker-rig.ts';

/** A command that starts a process which writes beats into a file until it is killed. */
function beating(): {
  readonly command: string[];
  readonly beats: () => readonly { pid: number; atMs: number }[];
} {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-loss-'));
  const file = join(folder, 'beats');
  writeFileSync(file, '');
  const beats = () =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([pid = 0, atMs = 0]) => ({ pid, atMs }));
  onTestFinished(() => {
    const pid = beats().at(-1)?.pid ?? 0;
    if (pid > 0 && !hasEnded(pid)) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const beat = `const { appendFileSync } = require('node:fs');
    process.on('SIGTERM', () => console.log('told'));
    setInterval(() => appendFileSync(${JSON.stringify(file)}, process.pid + ' ' + Date.now() + '\\n'), 10);`;
  return {
    command: [
      'sh',
      '-c',
      `trap '' TERM; '${process.execPath}' -e '${beat.replaceAll("'", `'\\''`)}'; echo gone`,
    ],
    beats,
  };
}

describe('a lost lease', { timeout: 60_000 }, () => {
  test.for(['frozen', 'killed'] as const)(
    'When its server is %s, the command and its descendants are dead before the next grant',
    async (how) => {
      const redis = await RedisProcess.server({});
      onTestFinished(() => redis.stop());
      await redis.start();
      const own = CommandLine.serve(singleRedis(redis));
      onTestFinished(() => own.kill());
      await own.logged(/primary in use/);
      const other = await started(singleRedis(redis));
      const { command, beats } = beating();
      const holder = leasehold(await own.address(), ['run', 'r', '--ttl', '4s', '--', ...command]);
      await eventually(() => beats().length > 20, { what: 'beats', withinMs: 20_000 });
      const client = clientTo(other.address);
      const next = client.acquire('r', { waitMs: 30_000 });
      own.signal(how === 'frozen' ? 'SIGSTOP' : 'SIGKILL');
      await next;
      const grantedAtMs = Date.now();
      const seen = beats();
      const last = seen.at(-1);
      expect(last?.atMs).toBeLessThan(grantedAtMs);
      expect(hasEnded(last?.pid ?? 0)).toBe(true);
      expect(await holder.exit(5_000)).toBe(76);
      expect(beats()).toHaveLength(seen.length);
      expect(holder.stdout).toBe('told\n');
      expect(holder.stderr).toMatch(/The lease on r ends in .* was told to end and will be killed in/);
      if (process.env.LEASEHOLD_TEST_LOG)
        console.log(`${how}: dead ${grantedAtMs - (last?.atMs ?? 0)} ms before the next grant`);
    },
  );

  test('When an administrator force-releases the lock, the command is told at once and killed within the grace', async () => {
    const tokens = join(mkdtempSync(join(tmpdir(), 'leasehold-tokens-')), 'tokens');
    writeFileSync(
      tokens,
      'worker client worker-token-0123456789abcdef\nops admin admin-token-0123456789abcdef\n',
    );
    const server = await started({ LEASEHOLD_AUTH_TOKENS_FILE: tokens });
    const { command, beats } = beating();
    const holder = leasehold(server.address, ['run', 'r', '--grace', '2s', '--', ...command], {
      LEASEHOLD_CLIENT_TOKEN: 'worker-token-0123456789abcdef',
    });
    await eventually(() => beats().length > 20, { what: 'beats', withinMs: 20_000 });
    const admin = clientTo(server.address, { token: 'admin-token-0123456789abcdef' });
    const beginMs = performance.now();
    await admin.locks.forceRelease('r');
    await holder.logged(/told/, 1_500);
    expect(await holder.exit(5_000)).toBe(76);
    expect(performance.now() - beginMs).toBeGreaterThan(1_000);
    expect(performance.now() - beginMs).toBeLessThan(3_000);
    expect(hasEnded(beats().at(-1)?.pid ?? 0)).toBe(true);
    expect(holder.stderr).toMatch(/^leasehold: The lease on r is lost: an administrator force-released it\./);
  });

  test('At the end of --max-hold, a command that obeys SIGTERM is not killed, and the lock is free at once', async () => {
    const server = await started();
    const holder = leasehold(server.address, [
      ...['run', '-v', 'r', '--ttl', '3s', '--max-hold', '3s', '--grace', '1s', '--', 'sh', '-c'],
      'trap "echo in order; exit 0" TERM; while :; do sleep 0.05; done',
    ]);
    expect(await holder.exit(10_000)).toBe(76);
    expect(holder.stdout).toBe('in order\n');
    expect(holder.stderr).toMatch(
      /The lease on r ends in .*, at the end of its --max-hold\. The command was told to end/,
    );
    expect(holder.stderr).not.toContain('could not be renewed');
    expect((await clientTo(server.address).locks.get('r')).state).toBe('free');
  });

  test('A run that was stopped past its deadline kills the command as soon as it goes on', async () => {
    const server = await started();
    const { command, beats } = beating();
    // The server renews for as long as the connection looks alive, so --max-hold has to end the lease.
    const holder = leasehold(server.address, [
      'run',
      'r',
      '--ttl',
      '7s',
      '--max-hold',
      '7s',
      '--',
      ...command,
    ]);
    await eventually(() => beats().length > 5, { what: 'beats', withinMs: 20_000 });
    holder.signal('SIGSTOP');
    await using _next = await clientTo(server.address).acquire('r', { waitMs: 20_000 });
    const resumedAtMs = Date.now();
    holder.signal('SIGCONT');
    expect(await holder.exit(5_000)).toBe(76);
    const last = beats().at(-1);
    expect((last?.atMs ?? 0) - resumedAtMs).toBeLessThan(1_000);
    expect(hasEnded(last?.pid ?? 0)).toBe(true);
    expect(holder.stdout).toBe('');
  });

  test('A --grace of more than half the lease is refused before anything runs', async () => {
    const server = await started();
    const holder = leasehold(server.address, [
      'run',
      'r',
      '--ttl',
      '4s',
      '--grace',
      '3s',
      '--',
      'echo',
      'ran',
    ]);
    expect(await holder.exit()).toBe(2);
    expect(holder.stdout).toBe('');
    expect(holder.stderr).toMatch(/^leasehold: --grace: 3 s is more than half/);
    expect((await clientTo(server.address).locks.get('r')).state).toBe('free');
  });
});

// The watchdog reads what has been started from /proc.
describe.skipIf(process.platform !== 'linux')('a run that is killed', { timeout: 60_000 }, () => {
  test('When leasehold run is killed, its command is told to end, and is dead before the next grant', async () => {
    const server = await started();
    const { command, beats } = beating();
    const holder = leasehold(server.address, ['run', 'r', '--ttl', '5s', '--grace', '2s', '--', ...command]);
    await eventually(() => beats().length > 20, { what: 'beats', withinMs: 20_000 });
    const next = clientTo(server.address).acquire('r', { waitMs: 30_000 });
    holder.signal('SIGKILL');
    await next;
    const grantedAtMs = Date.now();
    const last = beats().at(-1);
    expect(last?.atMs).toBeLessThan(grantedAtMs);
    expect(hasEnded(last?.pid ?? 0)).toBe(true);
    expect(await holder.exit(5_000)).toBe('SIGKILL');
    expect(holder.stdout).toBe('told\n');
  });

  test('When leasehold run is killed, a command that obeys SIGTERM can end in order', async () => {
    const server = await started();
    const holder = leasehold(server.address, [
      ...['run', 'r', '--', 'sh', '-c'],
      'trap "sleep 0.5; echo in order; exit 0" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    await holder.logged(/ready/);
    holder.signal('SIGKILL');
    await holder.logged(/in order/, 30_000);
    expect(await holder.exit(5_000)).toBe('SIGKILL');
  });

  test('When leasehold run is killed after it has told the command to end, the command is killed at once', async () => {
    const server = await started();
    const { command, beats } = beating();
    const holder = leasehold(server.address, [
      ...['run', 'r', '--ttl', '20s', '--max-hold', '20s', '--grace', '9s', '--', ...command],
    ]);
    await holder.logged(/told/, 30_000);
    const toldAtMs = performance.now();
    holder.signal('SIGKILL');
    expect(await holder.exit(10_000)).toBe('SIGKILL');
    // Its files are closed, which is what `exit` waits for, a moment before it is gone.
    const pid = beats().at(-1)?.pid ?? 0;
    await eventually(() => hasEnded(pid), { what: 'the end of the command', withinMs: 5_000 });
    expect(performance.now() - toldAtMs).toBeLessThan(5_000);
  });

  test('When the command ends by itself, the watchdog ends with it, and leaves alone what runs in the background', async () => {
    const server = await started();
    const text = 'cat /proc/$PPID/task/*/children; sleep 60 >/dev/null 2>&1 & echo background $!';
    const holder = leasehold(server.address, ['run', 'r', '--', 'sh', '-c', text]);
    expect(await holder.exit()).toBe(0);
    const [, children = '', background = ''] = /^([\d ]+)\s*background (\d+)\n$/.exec(holder.stdout) ?? [];
    onTestFinished(() => void process.kill(Number(background), 'SIGKILL'));
    const pids = children.trim().split(' ').map(Number);
    expect(pids).toHaveLength(2); // the command and the watchdog
    await eventually(() => pids.every(hasEnded), {
      what: 'the end of the watchdog',
      withinMs: 5_000,
    });
    expect(hasEnded(Number(background))).toBe(false);
  });
});
