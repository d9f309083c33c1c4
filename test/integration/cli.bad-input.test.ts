// What can be wrong about a command: its options, its environment, its server. Each is told in a sentence, in time, and
// the process ends.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ended } from '../support/cli-rig.ts';
import { freePort } from '../support/ports.ts';
import { started } from '../support/sdk-rig.ts';

const TLS = join(import.meta.dirname, '../support/tls');
const path = (name: string): string => join(TLS, name);

test.for([
  [['run', 'r', '--ttl', '5', '--', 'true'], /--ttl .*'5' is invalid.*such as 30s/],
  [['run', 'r', '--wait', 'soon', '--', 'true'], /--wait .*'soon' is invalid/],
  [['run', 'r', '--permits', '5/2', '--', 'true'], /--permits .*more than its limit/],
  [['run', 'r', '--permits', '1', '--', 'true'], /--permits .*such as 1\/5/],
  [['run', 'r', '--shared', '--permits', '1/2', '--', 'true'], /--permits .*cannot be used with .*--shared/],
  [['run', 'r', '--metadata', 'x', '--', 'true'], /--metadata .*such as job=nightly/],
  [['run', 'r', '-E', '256', '--', 'true'], /--conflict-exit-code .*0 to 255/],
  [['run', 'r', '--server', 'here', '--', 'true'], /--server .*"here" is not host:port/],
  [['run', 'r', '--tls-cert', 'x', '--', 'true'], /--tls-cert: give --tls-key, too/],
  [['run', 'r', '--token-file', '/none', '--', 'true'], /--token-file: .*\/none/],
  [['run', 'r', '--tls-ca', '/none', '--', 'true'], /--tls-ca: .*\/none/],
  [['run', 'r', '--token', 'x', '--', 'true'], /unknown option '--token'/],
  [['run', 'r'], /after "--" what to run/],
  [['run', 'r', '--'], /after "--" what to run/],
  [['run', 'r', 'true'], /too many arguments/],
  [['run', '--', 'true'], /missing required argument 'resource'/],
  [['renew', 'r', '--fencing-token', '1'], /--lease-id .*not specified/],
  [['locks', 'ls', '--state', 'gone'], /--state .*held, min-hold/],
  [['locks'], /force-release/],
  [['locks', 'lst'], /unknown command 'lst'/],
  [['completion', 'csh'], /'csh' is invalid/],
] as const)('%j', { timeout: 30_000 }, async ([args, message]) => {
  const { code, stdout, stderr } = await ended(undefined, args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^\s+at /m);
});

test.for([
  [
    { LEASEHOLD_CLIENT_SERVRE: 'a:1' },
    'LEASEHOLD_CLIENT_SERVRE: unknown environment variable. Did you mean LEASEHOLD_CLIENT_SERVER?',
  ],
  [{ LEASEHOLD_CLIENT_TLS: 'maybe' }, 'LEASEHOLD_CLIENT_TLS: "maybe" is neither true nor false'],
  [{ LEASEHOLD_CLIENT_TIMEOUT: '3' }, 'LEASEHOLD_CLIENT_TIMEOUT'],
] as const)('%j', { timeout: 30_000 }, async ([environment, message]) => {
  const { code, stderr } = await ended(undefined, ['locks', 'ls'], environment);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

describe('what a server refuses', { timeout: 60_000 }, () => {
  test('names the option', async () => {
    const { address } = await started();
    for (const [args, option] of [
      [['run', 'r', '--ttl', '5h', '--', 'true'], '--ttl: '],
      [['run', 'r', '--owner', 'x'.repeat(300), '--', 'true'], '--owner: '],
      [['run', 'r', '--metadata', 'Bad Key=1', '--', 'true'], '--metadata'],
      [['run', '', '--', 'true'], 'RESOURCE: '],
      [['release', 'r', '--lease-id', 'x'], '--lease-id: '],
      [['ops', 'show', 'r', ''], 'ID: '],
    ] as const) {
      const { code, stderr } = await ended(address, args);
      expect([code, stderr.slice(0, 11 + option.length)]).toEqual([2, `leasehold: ${option}`]);
    }
  });
});

describe('servers that are none', { timeout: 60_000 }, () => {
  /** Ends within the time that it was given, and a second or two for the process itself. */
  async function refused(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    code: number,
  ) {
    const beginMs = performance.now();
    const end = await ended(undefined, [...args, '--timeout', '1s'], environment);
    expect(end).toMatchObject({ code, stdout: '' });
    expect(performance.now() - beginMs).toBeLessThan(8_000);
    expect(end.stderr).toMatch(/^leasehold: [A-Z].*\.\n$/);
    expect(end.stderr).not.toContain('createClient');
    return end.stderr;
  }

  const at = (port: number) => ({ LEASEHOLD_CLIENT_SERVER: `127.0.0.1:${port}` });

  test('nobody listens: 75, by every command', async () => {
    const environment = {
      ...at(await freePort()),
      LEASEHOLD_CLIENT_LEASE_ID: '9b0ee1f2-4b3c-4a6e-9a52-0f6a2d0c1e11',
    };
    for (const args of [
      ['acquire', 'r'],
      ['release', 'r'],
      ['renew', 'r', '--fencing-token', '1'],
      ['locks', 'ls'],
      ['locks', 'watch'],
      ['ops', 'wait', 'r', 'x'],
      ['info'],
    ]) {
      expect(await refused(args, environment, 75)).toMatch(/No connection to 127.0.0.1:\d+ .*Check --server/);
    }
    const run = await ended(undefined, ['run', 'r', '--timeout', '1s', '--', 'echo', 'ran'], environment);
    expect(run).toMatchObject({ code: 75, stdout: '' });
  });

  test('one that accepts and says nothing: 75', async () => {
    const silent: Server = createServer();
    onTestFinished(() => void silent.close());
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    await refused(['info'], at(port), 75);
  });

  test('TLS that does not fit: 75, and which options to look at', async () => {
    const secure = await started({
      LEASEHOLD_SERVER_TLS_CERT_FILE: path('server.crt'),
      LEASEHOLD_SERVER_TLS_KEY_FILE: path('server.key'),
    });
    const plain = await started();
    expect(await refused(['info'], at(secure.address.port), 75)).toMatch(/may want TLS/);
    expect(await refused(['info', '--tls'], at(secure.address.port), 75)).toContain('Compare --tls');
    expect(await refused(['info', '--tls'], at(plain.address.port), 75)).toContain('Compare --tls');
    const right = await ended(secure.address, ['info', '--tls-ca', path('ca.crt')]);
    expect(right).toMatchObject({ code: 0, stderr: '' });
  });

  test('a token that is wrong, or none: 77', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'leasehold-tokens-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const tokens = join(folder, 'tokens');
    writeFileSync(tokens, 'worker client worker-token-0123456789abcdef\n');
    writeFileSync(join(folder, 'mine'), 'worker-token-0123456789abcdef\n');
    const { address } = await started({ LEASEHOLD_AUTH_TOKENS_FILE: tokens });
    expect(await refused(['locks', 'ls'], at(address.port), 77)).toContain('--token-file');
    await refused(['locks', 'ls'], { ...at(address.port), LEASEHOLD_CLIENT_TOKEN: 'wrong' }, 77);
    expect((await ended(address, ['locks', 'ls', '--token-file', join(folder, 'mine')])).code).toBe(0);
    const force = ['locks', 'force-release', 'r', '--token-file', join(folder, 'mine')];
    expect(await refused(force, at(address.port), 77)).toContain('administrator');
    const run = await ended(address, ['run', 'r', '--token-file', join(folder, 'mine'), '--', 'echo', 'ran']);
    expect(run).toMatchObject({ code: 0, stdout: 'ran\n' });
  });
});
