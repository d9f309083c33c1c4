// What the command line prints into a pipe whose reader is slow, gone, or a shell that evaluates it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { startInstance } from '../support/instance.ts';
import { clientTo } from '../support/sdk-rig.ts';

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
    env: {
      PATH: process.env.PATH ?? '',
      LEASEHOLD_CLIENT_SERVER: formatHostPort(server.address),
      ...environment,
    },
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
