// What can be wrong with a command: its options, its environment, its server. Each is reported in a sentence, in time,
// and the process ends.
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
  [['run', 'r', '--permits', '5/2', '--', 'true'], /--permits .*more than the limit/],
  [['run', 'r', '--permits', '1', '--', 'true'], /--permits .*such as 1\/5/],
  [['run', 'r', '--shared', '--permits', '1/2', '--', 'true'], /--permits .*cannot be used with .*--shared/],
  [['run', 'r', '--metadata', 'x', '--', 'true'], /--metadata .*such as job=nightly/],
  [['run', 'r', '-E', '256', '--', 'true'], /--conflict-exit-code .*0 to 255/],
  [['run', 'r', '--server', 'here', '--', 'true'], /--server .*"here" is not host:port/],
  [['run', 'r', '--tls-cert', 'x', '--', 'true'], /--tls-cert needs --tls-key, too/],
  [['run', 'r', '--token-file', '/none', '--', 'true'], /--token-file: .*\/none/],
  [['run', 'r', '--tls-ca', '/none', '--', 'true'], /--tls-ca: .*\/none/],
  [['run', 'r', '--token', 'x', '--', 'true'], /unknown option '--token'/],
  [['run', 'r'], /command to run after "--"/],
  [['run', 'r', '--'], /command to run after "--"/],
  [['run', 'r', 'true'], /too many arguments/],
  [['run', '--', 'true'], /missing required argument 'resource'/],
  [['renew', 'r', '--fencing-token', '1'], /--lease-id .*not specified/],
  [['locks', 'ls', '--state', 'gone'], /--state .*held, min-hold/],
  [['locks', 'top', '--limit', '0'], /--limit .*whole number from 1/],
  [['locks', 'top', '--watch', '10ms'], /--watch .*500ms or more/],
  [['locks'], /force-release/],
  [['locks', 'lst'], /unknown command 'lst'/],
  [['completion', 'csh'], /'csh' is invalid/],
] as const)(
  'leasehold %j is refused with exit code 2 and a sentence',
  { timeout: 30_000 },
  async ([args, message]) => {
    const { code, stdout, stderr } = await ended(undefined, args);
    // A shell may evaluate what the commands for scripts print, and that must fail.
    expect([code, stdout]).toEqual([2, args[0] === 'renew' ? '(exit 2)\n' : '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  },
);

test('The suggestion for a misspelt command is a line of its own', { timeout: 30_000 }, async () => {
  const { stderr } = await ended(undefined, ['runn']);
  expect(stderr.split('\n').slice(0, 2)).toEqual([
    "leasehold: unknown command 'runn'",
    '(Did you mean run?)',
  ]);
  expect((await ended(undefined, ['a\nb\u001b'])).stderr).toMatch(
    /^leasehold: unknown command 'a\ufffdb\ufffd'$/m,
  );
});

test.for([
  [
    { LEASEHOLD_CLIENT_SERVRE: 'a:1' },
    'LEASEHOLD_CLIENT_SERVRE: unknown environment variable. Did you mean LEASEHOLD_CLIENT_SERVER?',
  ],
  [{ LEASEHOLD_CLIENT_TLS: 'maybe' }, 'LEASEHOLD_CLIENT_TLS: "maybe" is neither true nor false'],
  [{ LEASEHOLD_CLIENT_TIMEOUT: '3' }, 'LEASEHOLD_CLIENT_TIMEOUT'],
] as const)(
  'The environment %j is refused with the name of the variable',
  { timeout: 30_000 },
  async ([environment, message]) => {
    const { code, stderr } = await ended(undefined, ['locks', 'ls'], environment);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  },
);

test('A command takes a token from its environment without the newline at its end, and never prints a token', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tokens = join(folder, 'tokens');
  const token = 'worker-token-0123456789abcdef';
  writeFileSync(tokens, `worker client ${token}\n`);
  const { address } = await started({ LEASEHOLD_AUTH_TOKENS_FILE: tokens });
  const from = (text: string) => ended(address, ['locks', 'ls'], { LEASEHOLD_CLIENT_TOKEN: text });
  expect((await from(`${token}\n`)).code).toBe(0);
  for (const text of [`${token}\n${token}`, `Bearer ${token}`]) {
    const { code, stdout, stderr } = await from(text);
    expect(code).toBe(2);
    expect(stderr).toContain('LEASEHOLD_CLIENT_TOKEN does not hold a token');
    expect(stdout + stderr).not.toContain('worker-token');
  }
  const instead = await ended(address, ['locks', 'ls'], { LEASEHOLD_CLIENT_TOKEN_FILE: token });
  expect([instead.code, instead.stderr.includes('worker-token')]).toEqual([2, false]);
});

describe('a refusal by the server', { timeout: 60_000 }, () => {
  test('A refusal by the server names the option', async () => {
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

const FOR_SHELLS: ReadonlySet<string | undefined> = new Set(['acquire', 'renew']);

describe('a server that cannot be used', { timeout: 60_000 }, () => {
  /** The command ends within its --timeout, plus a second or two for the process itself. */
  async function refused(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    code: number,
  ) {
    const beginMs = performance.now();
    const end = await ended(undefined, [...args, '--timeout', '1s'], environment);
    // What a shell evaluates fails with the same code; everything else prints nothing.
    expect(end).toMatchObject({
      code,
      stdout: expect.stringMatching(FOR_SHELLS.has(args[0]) ? /\(exit 75\)\n$/ : /^$/),
    });
    expect(performance.now() - beginMs).toBeLessThan(8_000);
    expect(end.stderr).toMatch(/^leasehold: [A-Z].*\.\n$/);
    expect(end.stderr).not.toContain('createClient');
    return end.stderr;
  }

  const at = (port: number) => ({ LEASEHOLD_CLIENT_SERVER: `127.0.0.1:${port}` });

  test('Every command ends with 75 when nothing listens at the address', async () => {
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

  test('A command ends with 75 when the server accepts the connection and stays silent', async () => {
    const silent: Server = createServer();
    onTestFinished(() => void silent.close());
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    await refused(['info'], at(port), 75);
  });

  test('A command ends with 75 when its TLS does not match the server, and names the options to check', async () => {
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

  test('A command ends with 77 when its token is missing, wrong or not allowed to do this', async () => {
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
