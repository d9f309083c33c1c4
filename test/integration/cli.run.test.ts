// `leasehold run` and `leasehold elect` against a real server: who holds when, signals, and every exit code except that
// of a loss, which is in cli.loss.test.ts.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { ended, leasehold } from '../support/cli-rig.ts';
import { bareEnvironment, CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { clientTo } from '../support/sdk-rig.ts';
import { startInstance } from '../support/test-instance.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const SCRIPT = '/usr/bin/script';

let server: Instance;
beforeAll(async () => {
  server = await startInstance();
  return () => server.stop();
});

const run = (...args: string[]) => ended(server.address, ['run', ...args]);

/** Prints each signal that it gets, and exits with `code` at the first one that isn't USR1. */
const counting = (code: number): string[] => [
  process.execPath,
  '-e',
  `for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'])
     process.on(s, () => { console.log('got', s); if (s !== 'SIGUSR1') setTimeout(() => process.exit(${code}), 300) });
   setTimeout(() => {}, 60_000); console.log('ready')`,
];

async function isWaiting(resource: string): Promise<void> {
  const client = clientTo(server.address);
  const waits = async () => (await client.locks.get(resource)).waiterCount > 0;
  await eventually(waits, { what: `a waiter for ${resource}`, withinMs: 20_000 });
}

describe('leasehold run', { timeout: 60_000 }, () => {
  test('The command finds its lease in the environment, and its exit code is passed on', async () => {
    const { code, stdout, stderr } = await run('env', '--', 'sh', '-c', 'env | grep LEASEHOLD_; exit 3');
    expect([code, stderr]).toEqual([3, '']);
    expect(stdout).toMatch(/^LEASEHOLD_FENCING_TOKEN=\d+$/m);
    expect(stdout).toMatch(/^LEASEHOLD_RESOURCE=env$/m);
    expect(stdout).not.toContain('LEASE_ID'); // A secret: anyone who has it can release.
    expect((await clientTo(server.address).locks.get('env')).state).toBe('free');
  });

  test('The command is started without a shell, and its arguments stay as they are', async () => {
    const { code, stdout } = await run('words', '--', 'printf', '%s|', '-n', '$HOME', '--', '--ttl', 'a b');
    expect([code, stdout]).toEqual([0, '-n|$HOME|--|--ttl|a b|']);
  });

  test.for([
    ['a signal ends the command', ['sh', '-c', 'kill -KILL $$'], 137, ''],
    ['the command does not exist', ['no-such-command'], 127, 'no-such-command: there is no such command'],
    ['the command is not a program', ['/etc/passwd'], 126, "/etc/passwd: it can't be executed"],
  ] as const)('leasehold run has an exit code for this: %s', async ([, command, expected, message]) => {
    const { code, stderr } = await run('codes', '--', ...command);
    expect(code).toBe(expected);
    expect(stderr).toContain(message);
    expect((await clientTo(server.address).locks.get('codes')).state).toBe('free');
  });

  test('leasehold run ends with 1, or with the code of -E, when others hold the lock, and names them', async () => {
    const client = clientTo(server.address, { owner: 'somebody@else' });
    await using _lease = await client.acquire('contended');
    const plain = await run('-n', 'contended', '--', 'echo', 'ran');
    expect(plain).toMatchObject({ code: 1, stdout: '' });
    expect(plain.stderr).toContain('somebody@else');
    expect(plain.stderr).not.toContain('waitMs');
    expect(await run('contended', '--wait', '200ms', '-E', '9', '--', 'echo', 'ran')).toMatchObject({
      code: 9,
      stdout: '',
    });
  });

  test('leasehold run passes on --shared, --permits, --owner and --metadata', async () => {
    const client = clientTo(server.address);
    await using _one = await client.acquire('shared', { mode: 'shared' });
    expect((await run('-n', '--shared', 'shared', '--', 'true')).code).toBe(0);
    await using _two = await client.acquire('permits', { mode: { permits: 2, limit: 3 } });
    expect((await run('-n', '--permits', '2/3', 'permits', '--', 'true')).code).toBe(1);
    expect((await run('-n', '--permits', '1/3', 'permits', '--', 'true')).code).toBe(0);
    const holder = leasehold(server.address, [
      ...[
        'run',
        'described',
        '--owner',
        'me',
        '--metadata',
        'job=nightly',
        '--metadata',
        'a=b=c',
        '--ttl',
        '3s',
      ],
      ...['--', ...counting(0)],
    ]);
    await holder.logged(/ready/);
    const [described] = (await client.locks.get('described')).holders;
    expect(described).toMatchObject({ owner: 'me', metadata: { job: 'nightly', a: 'b=c' } });
  });

  test('A second run waits for the first, reports its position, and gets a larger token', async () => {
    const first = leasehold(server.address, ['run', 'queue', '--owner', 'first', '--', ...counting(0)]);
    await first.logged(/ready/);
    const second = leasehold(server.address, [
      'run',
      '-v',
      'queue',
      '--',
      'sh',
      '-c',
      'echo $LEASEHOLD_FENCING_TOKEN',
    ]);
    await eventually(() => /waiting for queue: position 1 in the queue; held by first/.test(second.stderr), {
      what: 'the position in the queue',
      withinMs: 20_000,
    });
    const [holder] = (await clientTo(server.address).locks.get('queue')).holders;
    expect(second.stdout).toBe('');
    first.signal('SIGTERM');
    expect([await first.exit(), await second.exit()]).toEqual([0, 0]);
    expect(BigInt(second.stdout.trim())).toBeGreaterThan(holder?.fencingToken ?? 0n);
    expect(first.stderr).toBe(''); // No progress is printed where nobody reads it.
  });

  test.for([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 'SIGINT'],
  ] as const)('%s ends a run that waits, which leaves the queue', async ([signal, expected]) => {
    const client = clientTo(server.address);
    await using _lease = await client.acquire(`waiting-${signal}`);
    const waiting = leasehold(server.address, ['run', `waiting-${signal}`, '--', 'echo', 'ran']);
    await isWaiting(`waiting-${signal}`);
    waiting.signal(signal);
    expect(await waiting.exit(5_000)).toBe(expected);
    expect([waiting.stdout, waiting.stderr]).toEqual(['', '']);
    expect((await client.locks.get(`waiting-${signal}`)).waiterCount).toBe(0);
  });

  test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s is passed on to the command, which decides what to do',
    async (signal) => {
      const running = leasehold(server.address, ['run', `running-${signal}`, '--', ...counting(7)]);
      await running.logged(/ready/);
      running.signal('SIGUSR1');
      await running.logged(/got SIGUSR1/);
      running.signal(signal);
      await running.logged(new RegExp(`got ${signal}`));
      // The lock is held until the command has ended, and no longer.
      const client = clientTo(server.address);
      expect((await client.locks.get(`running-${signal}`)).state).toBe('held');
      expect(await running.exit(10_000)).toBe(7);
      expect(running.stdout.split('got').length).toBe(3);
      expect((await client.locks.get(`running-${signal}`)).state).toBe('free');
    },
  );

  // This is the `script` of util-linux: macOS has another one, with other arguments.
  test.skipIf(!existsSync(SCRIPT))('Ctrl-C at a terminal reaches the command once', async () => {
    const command = [process.execPath, MAIN, 'run', 'terminal', '--', ...counting(7)];
    const quoted = command.map((word) => `'${word.replace(/'/g, `'\\''`)}'`).join(' ');
    const terminal = spawn(SCRIPT, ['--quiet', '--return', '--command', `exec ${quoted}`, '/dev/null'], {
      env: bareEnvironment({ LEASEHOLD_CLIENT_SERVER: formatHostPort(server.address) }),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let output = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const exit = new Promise((resolve) => terminal.once('close', resolve));
    await eventually(() => output.includes('ready'), {
      what: 'the command at the terminal',
      withinMs: 20_000,
    });
    expect(output).toMatch(/leasehold: holding terminal with fencing token \d+/);
    terminal.stdin.write('\u0003');
    expect(await exit).toBe(7);
    expect(output.match(/got SIGINT/g)).toHaveLength(1);
  });

  test('With --min-hold, the resource stays taken after the command has ended', async () => {
    expect((await run('cron', '--min-hold', '1h', '--', 'true')).code).toBe(0);
    expect(await run('-n', 'cron', '--', 'echo', 'ran')).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('leasehold elect', { timeout: 60_000 }, () => {
  test('leasehold elect runs the command in every term that it wins', async () => {
    const client = clientTo(server.address);
    const candidate = leasehold(server.address, [
      ...['elect', 'office', '--ttl', '2s', '--max-hold', '2s', '--', 'sh', '-c'],
      'echo term $LEASEHOLD_FENCING_TOKEN; exec sleep 60',
    ]);
    await candidate.logged(/term \d+\nterm \d+\n/);
    const [first = 0, second = 0] = [...candidate.stdout.matchAll(/\d+/g)].map(Number);
    expect(second).toBeGreaterThan(first);
    expect(candidate.stderr).toMatch(
      /^leasehold: The lease on office ends in .* The command was told to end/,
    );
    expect(candidate.stderr).toContain('standing for election to office again');
    candidate.signal('SIGTERM');
    expect(await candidate.exit()).toBe(143);
    expect((await client.locks.get('office')).state).toBe('free');
  });

  test('leasehold elect stands again when its servers come back', async () => {
    const environment = { LEASEHOLD_SERVER_ADDRESS: `127.0.0.1:${await freePort()}` };
    const first = CommandLine.serve(environment);
    onTestFinished(() => first.kill());
    const candidate = leasehold(await first.address(), [
      ...['elect', 'office', '--ttl', '2s', '--timeout', '500ms', '--', 'sh', '-c'],
      'echo term $LEASEHOLD_FENCING_TOKEN; exec sleep 60',
    ]);
    await candidate.logged(/term \d+\n/);
    await first.kill();
    const stands = () => /standing for election/.test(candidate.stderr);
    await eventually(stands, { what: 'the end of the term', withinMs: 20_000 });
    const second = CommandLine.serve(environment);
    onTestFinished(() => second.kill());
    await candidate.logged(/term \d+\nterm \d+\n/);
    candidate.signal('SIGINT');
    expect(await candidate.exit()).toBe('SIGINT');
  });

  test('leasehold elect ends with its command', async () => {
    expect((await ended(server.address, ['elect', 'resigns', '--', 'sh', '-c', 'exit 4'])).code).toBe(4);
    expect((await clientTo(server.address).locks.get('resigns')).state).toBe('free');
  });
});
