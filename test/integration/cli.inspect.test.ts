// The commands for scripts and for people who inspect: acquire, renew, release, locks, ops, info, completion.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Instance } from '../../src/server/instance.ts';
import { ended, leasehold } from '../support/cli-rig.ts';
import { clientTo } from '../support/sdk-rig.ts';
import { startInstance } from '../support/test-instance.ts';

const FISH = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, 'fish')));
const ADMIN = 'admin-token-0123456789abcdef';

let server: Instance;
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-tokens-'));
  const tokens = join(folder, 'tokens');
  writeFileSync(tokens, `ops admin ${ADMIN}\n`);
  server = await startInstance({ LEASEHOLD_AUTH_TOKENS_FILE: tokens });
  return async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  };
});

const call = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  ended(server.address, args, { LEASEHOLD_CLIENT_TOKEN: ADMIN, ...more });
const sdk = (owner = 'test') => clientTo(server.address, { token: ADMIN, owner });
/** One document per line. */
const documents = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));

describe('leasehold acquire, renew, release', { timeout: 60_000 }, () => {
  test('A script carries a lease from one command to the next', async () => {
    const acquired = await call(['acquire', 'deploy', '--ttl', '30s']);
    expect(acquired).toMatchObject({ code: 0, stderr: '' });
    const pattern = /^lease_id=([0-9a-f-]{36})\nfencing_token=(\d+)\nvalid_for_ms=(\d+)\n$/;
    const [, leaseId = '', token = '', validForMs = ''] = pattern.exec(acquired.stdout) ?? [];
    expect(Number(validForMs)).toBeGreaterThan(20_000);
    const { holders } = await sdk().locks.get('deploy');
    expect(holders[0]?.fencingToken.toString()).toBe(token);

    const secret = { LEASEHOLD_CLIENT_LEASE_ID: leaseId };
    const renewed = await call(['renew', 'deploy', '--fencing-token', token, '--json'], secret);
    expect(documents(renewed.stdout)).toEqual([
      {
        resource: 'deploy',
        lease_id: leaseId,
        fencing_token: token,
        valid_for_ms: expect.any(Number),
        expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    ]);
    expect((await call(['renew', 'deploy', '--fencing-token', `${BigInt(token) + 1n}`], secret)).code).toBe(
      76,
    );
    expect((await call(['release', 'deploy'], secret)).code).toBe(0);
    const again = await call(['release', 'deploy'], secret);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain('there is no lease with this --lease-id');
    expect((await call(['renew', 'deploy', '--fencing-token', token], secret)).code).toBe(76);
  });

  test('leasehold acquire ends with 1, or with the code of -E, when others hold the lock', async () => {
    await using _lease = await sdk().acquire('taken');
    expect((await call(['acquire', 'taken', '-n'])).code).toBe(1);
    expect((await call(['acquire', 'taken', '--wait', '100ms', '-E', '5'])).code).toBe(5);
  });
});

describe('leasehold locks', { timeout: 60_000 }, () => {
  test('leasehold locks lists, shows, watches and force-releases locks', async () => {
    const client = sdk('billing@host');
    const lease = await client.acquire('look/a', { metadata: { job_name: 'x' }, ttlMs: 30_000 });
    await using _shared = await client.acquire('look/b', { mode: 'shared' });

    const table = await call(['locks', 'ls', '--prefix', 'look/']);
    expect(table.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['RESOURCE', 'STATE', 'MODE', 'HOLDER', 'TOKEN', 'ENDS', 'WAITING'],
      [
        'look/a',
        'held',
        'exclusive',
        'billing@host',
        lease.fencingToken.toString(),
        expect.stringMatching(/^in \d+ s$/),
        '-',
      ],
      ['look/b', 'held', 'shared', 'billing@host', expect.any(String), expect.any(String), '-'],
      [''],
    ]);
    const listed = await call(['locks', 'ls', '--prefix', 'look/', '--state', 'held', '--json']);
    expect(documents(listed.stdout)).toMatchObject([{ resource: 'look/a' }, { resource: 'look/b' }]);
    expect((await call(['locks', 'ls', '--prefix', 'nothing/'])).stdout).toBe('');

    const shown = await call(['locks', 'show', 'look/a', '--json']);
    expect(documents(shown.stdout)).toEqual([
      {
        resource: 'look/a',
        state: 'held',
        holders: [
          {
            lease_id_hash: expect.any(String),
            owner: 'billing@host',
            mode: { kind: 'exclusive' },
            fencing_token: lease.fencingToken.toString(),
            acquired_at: expect.stringMatching(/Z$/),
            remaining_ms: expect.any(Number),
            metadata: { job_name: 'x' },
            revoked: false,
          },
        ],
        holder_count: 1,
        waiters: [],
        waiter_count: 0,
        permits_held: 0,
        permits_limit: 0,
      },
    ]);
    expect((await call(['locks', 'show', 'look/a'])).stdout).toMatch(/^state +held$/m);
    expect((await call(['locks', 'show', 'look/free'])).stdout).toMatch(/^state +free$/m);

    const watch = leasehold(server.address, ['locks', 'watch', 'look/a', '--json'], {
      LEASEHOLD_CLIENT_TOKEN: ADMIN,
    });
    await watch.logged(/"snapshot_complete"/);
    const forced = await call(['locks', 'force-release', 'look/a', '--immediate', '--reason', 'test']);
    expect(forced.stdout).toBe('force-released 1 lease; look/a is free\n');
    await watch.logged(/"state":"free"/);
    const changes = documents(watch.stdout);
    expect(changes[0]).toMatchObject({ kind: 'lock', lock: { resource: 'look/a', state: 'held' } });
    expect(changes.at(-1)).toMatchObject({ kind: 'lock', lock: { resource: 'look/a', state: 'free' } });
    watch.signal('SIGINT');
    expect(await watch.exit(5_000)).toBe('SIGINT');
    expect((await call(['locks', 'force-release', 'look/a'])).code).toBe(1);
  });
});

describe('leasehold ops', { timeout: 90_000 }, () => {
  test('leasehold ops lists, shows, awaits, watches, cancels and retries operations', async () => {
    const { operations } = sdk('worker@host');
    await operations.run('reports', 'done', () => ({ pageCount: 7 }), {
      type: 'report',
      labels: { team: 'x' },
    });
    const failing = operations.run('reports', 'failed', () => Promise.reject(new Error('no paper')), {
      type: 'report',
    });
    await expect(failing).rejects.toThrow('no paper');
    await operations.begin('reports', 'pending', { type: 'mail' });

    const table = await call(['ops', 'ls', '--type', 'report', '--state', 'succeeded']);
    const [headings = '', row = ''] = table.stdout.split('\n').map((line) => line.replace(/ {2,}/g, '|'));
    expect(headings).toBe('RESOURCE|ID|TYPE|STATE|OWNER|ATTEMPT|UPDATED|LABELS');
    expect(row).toMatch(/^reports\|done\|report\|succeeded\|worker@host\|1\|.* ago\|team=x$/);
    const listed = documents((await call(['ops', 'ls', '--resource', 'reports', '--json'])).stdout);
    expect(listed).toHaveLength(3);
    const [shown] = documents((await call(['ops', 'show', 'reports', 'done', '--json'])).stdout);
    expect(shown).toMatchObject({
      operation_id: 'done',
      state: 'succeeded',
      result: { pageCount: 7 },
      attempts_counted: 1,
    });
    expect((await call(['ops', 'show', 'reports', 'failed'])).stdout).toMatch(/^error +no paper$/m);
    expect(await call(['ops', 'show', 'reports', 'nothing'])).toMatchObject({ code: 1, stdout: '' });

    expect(await call(['ops', 'wait', 'reports', 'done'])).toMatchObject({
      code: 0,
      stdout: '{"pageCount":7}\n',
    });
    const failed = await call(['ops', 'wait', 'reports', 'failed']);
    expect(failed).toMatchObject({ code: 1, stderr: 'leasehold: reports failed is failed: no paper\n' });
    const late = await call(['ops', 'wait', 'reports', 'pending', '--wait', '100ms']);
    expect(late).toMatchObject({ code: 75, stdout: '' });
    expect(late.stderr).toContain('(--wait)');

    const watch = leasehold(server.address, ['ops', 'watch', '--json'], { LEASEHOLD_CLIENT_TOKEN: ADMIN });
    await watch.logged(/"snapshot_complete"/);
    expect((await call(['ops', 'retry', 'reports', 'failed'])).stdout).toBe('reports failed is pending\n');
    expect((await call(['ops', 'cancel', 'reports', 'pending', '--reason', 'no'])).stdout).toBe(
      'reports pending is cancelled\n',
    );
    await watch.logged(/"state":"cancelled"/);
    expect((await call(['ops', 'retry', 'reports', 'done'])).code).toBe(1);
  });
});

describe('leasehold info, help, completion', { timeout: 60_000 }, () => {
  test('leasehold info prints what the server says about itself', async () => {
    expect((await call(['info'])).stdout).toMatch(/^store +memory$/m);
    const [info] = documents((await call(['info', '--json'])).stdout);
    expect(info).toMatchObject({ store: 'memory', serving: true, default_ttl_ms: 20_000 });
  });

  test('The help of every command has an example', async () => {
    const { stdout } = await ended(undefined, ['--help']);
    expect(stdout).toMatch(/^Exit codes: /m);
    const commands = [
      ...['serve', 'run', 'elect', 'acquire', 'renew', 'release', 'completion'].map((name) => [name]),
      ...['ls', 'show', 'watch', 'force-release'].map((name) => ['locks', name]),
      ...['ls', 'show', 'wait', 'watch', 'cancel', 'retry'].map((name) => ['ops', name]),
    ];
    for (const words of commands) {
      const help = await ended(undefined, [...words, '--help']);
      expect([words, help.code, help.stderr]).toEqual([words, 0, '']);
      expect(help.stdout).toMatch(/^Examples?:\n {2}/m);
      expect(help.stdout).not.toMatch(/null|undefined|Infinity/);
    }
  });

  test('Completion in bash offers commands, options and files', async () => {
    const { stdout } = await ended(undefined, ['completion', 'bash']);
    const folder = mkdtempSync(join(tmpdir(), 'leasehold-completion-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'completion'), stdout);
    writeFileSync(join(folder, 'token-of-mine'), '');
    const offered = async (...words: string[]): Promise<string[]> => {
      const program = `source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _leasehold; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const run = promisify(execFile);
      const { stdout: reply } = await run('bash', ['-c', program, 'bash', 'leasehold', ...words], {
        cwd: folder,
      });
      return reply.trim().split('\n').sort();
    };
    expect(await offered('lo')).toEqual(['locks']);
    expect(await offered('locks', 'f')).toEqual(['force-release']);
    expect(await offered('run', 'demo', '--m')).toEqual(['--max-hold', '--metadata', '--min-hold']);
    expect(await offered('run', 'demo', '--token-file', 'tok')).toEqual(['token-of-mine']);
    expect(await offered('run', 'demo', '--', 'tru')).toContain('true');
    expect(await offered('run', 'demo', '--', 'cat', 'tok')).toEqual(['token-of-mine']);
    expect(await offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'fish', 'zsh']));
    for (const shell of ['zsh', 'fish']) {
      expect((await ended(undefined, ['completion', shell])).stdout).toContain('force-release');
    }
  });

  // Not every machine has a fish.
  test.skipIf(!FISH)(
    'Completion in fish offers commands, shells, and after "--" what the command itself offers',
    async () => {
      const { stdout } = await ended(undefined, ['completion', 'fish']);
      const folder = mkdtempSync(join(tmpdir(), 'leasehold-completion-'));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, 'leasehold.fish'), stdout);
      writeFileSync(join(folder, 'token-of-mine'), '');
      const offered = async (line: string): Promise<string[]> => {
        const args = ['-c', 'source leasehold.fish; complete -C $argv[1]', line];
        const { stdout: reply } = await promisify(execFile)('fish', args, { cwd: folder });
        return reply
          .trim()
          .split('\n')
          .map((each) => each.split('\t')[0] ?? '')
          .sort();
      };
      expect(await offered('leasehold locks f')).toEqual(['force-release']);
      expect(await offered('leasehold completion ')).toEqual(['bash', 'fish', 'zsh']);
      expect(await offered('leasehold run demo -- tru')).toContain('true');
      expect(await offered('leasehold run demo -- cat tok')).toEqual(['token-of-mine']);
      expect(await offered('leasehold run demo -- locks force')).toEqual(['']);
    },
  );
});
