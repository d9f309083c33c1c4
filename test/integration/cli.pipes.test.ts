// What the command line prints into a pipe whose reader is slow, gone, or a shell that evaluates it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { ended, leasehold } from '../support/cli-rig.ts';
import { bareEnvironment } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo } from '../support/sdk-rig.ts';
import { startInstance } from '../support/test-instance.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
/** More than a pipe and the reader's own buffer take, at some 1,500 bytes a lock. */
const LOCKS = 600;
/** Longer than the command works. The reader is late on purpose: nothing here waits for anything. */
const LATE_MS = 3_000;

let server: Instance;
beforeAll(async () => {
  server = await startInstance();
  return () => server.stop();
});

/** Runs leasehold, and reads nothing of it until it has ended, or for LATE_MS. */
async function readLate(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: bareEnvironment({ LEASEHOLD_CLIENT_SERVER: formatHostPort(server.address), ...environment }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const closed = once(child, 'close');
  await Promise.race([once(child, 'exit'), sleep(LATE_MS)]);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const [code] = await closed;
  return { code, ...texts };
}

describe('a reader that is late', { timeout: 60_000 }, () => {
  test.for([[['--json']], [[]]])(
    'leasehold locks ls %j prints every lock to a reader that is late, and ends with 0',
    async ([options = []]) => {
      const client = clientTo(server.address);
      const owner = 'o'.repeat(250);
      const note = 'n'.repeat(250);
      const metadata = { a: note, b: note, c: note, d: note };
      const prefix = `late${options.length}/${'r'.repeat(350)}`;
      await Promise.all(
        Array.from({ length: LOCKS }, (_, n) => client.acquire(`${prefix}/${n}`, { owner, metadata })),
      );
      const { code, stdout, stderr } = await readLate(['locks', 'ls', '--prefix', prefix, ...options]);
      expect([code, stderr]).toEqual([0, '']);
      const headings = options.length === 0 ? 1 : 0;
      expect(stdout.split('\n')).toHaveLength(LOCKS + headings + 1);
      client.close();
    },
  );

  test('A server that refuses its configuration tells a late reader everything that is wrong with it', async () => {
    const wrong = Array.from({ length: 3_000 }, (_, n) => [`LEASEHOLD_${'X'.repeat(100)}_${n}`, '1']);
    const { code, stderr } = await readLate(['serve', '--check-config'], Object.fromEntries(wrong));
    expect(code).toBe(2);
    expect(stderr.trimEnd().split('\n')).toHaveLength(wrong.length);
  });

  test('A message that is longer than a pipe arrives whole at a reader that is late', async () => {
    const wrong = 'x'.repeat(120_000);
    const late = `"$@" 2>&1 >/dev/null | { sleep ${LATE_MS / 1_000}; cat; }`;
    const command = [process.execPath, MAIN, 'info', '--server', wrong];
    const { stdout } = await promisify(execFile)('sh', ['-c', late, 'sh', ...command], { maxBuffer: 1e6 });
    const kept = stdout.replaceAll(wrong, '…');
    expect(kept).toContain(`"…" is not host:port, such as 127.0.0.1:50051.\n`);
  });
});

describe('a shell that evaluates', { timeout: 60_000 }, () => {
  /** Runs a script in which `leasehold` is the command. */
  async function script(shell: string, text: string) {
    const child = spawn(shell, ['-c', `leasehold() { "${process.execPath}" "${MAIN}" "$@"; }; ${text}`], {
      env: bareEnvironment({ LEASEHOLD_CLIENT_SERVER: formatHostPort(server.address) }),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, stdout };
  }
  const shells = ['sh', 'bash', 'dash', 'zsh'].filter((name) =>
    (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name))),
  );

  test.for(shells)(
    'A script in %s under set -e does not go on when it evaluates an acquire that failed',
    async (shell) => {
      const holder = await clientTo(server.address).acquire(`evaluated/${shell}`);
      for (const [options, code] of [
        ['-n', 1],
        ['-n -E 9', 9],
        ['-n -E 0', 1], // The code 0 was asked for, and there is no lock all the same.
        ['--wait soon', 2],
        ['-n --server 127.0.0.1:1 --timeout 500ms', 75],
      ] as const) {
        const text = `set -e; eval "$(leasehold acquire evaluated/${shell} ${options})"; echo went on`;
        expect([options, await script(shell, text)]).toEqual([options, { code, stdout: '' }]);
      }
      const renewed = `set -e; eval "$(leasehold renew other --fencing-token 1 --lease-id ${holder.leaseId})"; echo went on`;
      expect(await script(shell, renewed)).toEqual({ code: 76, stdout: '' });
      await holder.release();
      const right = `set -e; eval "$(leasehold acquire evaluated/${shell})"; echo "token $fencing_token"`;
      expect(await script(shell, right)).toEqual({ code: 0, stdout: expect.stringMatching(/^token \d+\n$/) });
    },
  );

  test('A script without set -e does not go on with the lease before when it evaluates an acquire that failed', async () => {
    const text = `eval "$(leasehold acquire earlier)"; eval "$(leasehold acquire earlier -n)"; echo "$?:$lease_id$fencing_token"`;
    expect(await script('sh', text)).toEqual({ code: 0, stdout: '1:\n' });
  });

  test('The safe form ends a script when its acquire fails, and sets the variables when it does not', async () => {
    const text = `lease=$(leasehold acquire safe -n) || exit; eval "$lease"; echo "token $fencing_token"`;
    expect((await script('sh', text)).stdout).toMatch(/^token \d+\n$/);
    expect(await script('sh', text)).toEqual({ code: 1, stdout: '' });
  });

  test('An acquire that a signal ends prints text that fails, and --json and --help print none', async () => {
    await clientTo(server.address).acquire('waited');
    for (const [signal, code] of [
      ['TERM', 143],
      ['INT', 130],
    ] as const) {
      const waiting = leasehold(server.address, ['acquire', 'waited', '-v']);
      await eventually(() => /waiting for waited/.test(waiting.stderr), { what: 'a wait', withinMs: 20_000 });
      waiting.signal(`SIG${signal}`);
      await waiting.exit(5_000);
      expect(waiting.stdout).toMatch(new RegExp(`; \\(exit ${code}\\)\n$`));
    }
    expect(await ended(server.address, ['acquire', 'waited', '-n', '--json'])).toMatchObject({
      code: 1,
      stdout: '',
    });
    expect((await ended(server.address, ['acquire', '--help'])).stdout).not.toContain('(exit');
  });
});
