// The demo as a user runs it, and its verdict: what it says must follow from the records, and a broken promise must
// show. Tests of failovers are elsewhere.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Belief, Journal, overlaps, promisesKept, shrinkingTokens } from '../../scripts/demo/journal.ts';
import { isInOrder, type Served } from '../../scripts/demo/queue-act.ts';
import { createClient } from '../../src/client/client.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';

const DEMO = join(import.meta.dirname, '../../scripts/demo.ts');
const WIDEST = 110;

interface Run {
  readonly stop: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<{ readonly code: number | null }>;
  readonly output: () => string;
}

function start(atEnd: (stop: () => void) => void, ...args: readonly string[]): Run {
  const child = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  atEnd(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const ended = once(child, 'close').then(([code]: (number | null)[]) => ({ code: code ?? null }));
  return { stop: (signal) => child.kill(signal), ended, output: () => output };
}

test('The demo survives a crash and two failovers, keeps its promises and says what each of them cost', {
  timeout: 180_000,
}, async ({ onTestFinished }) => {
  const run = start(onTestFinished);
  const { code } = await run.ended;
  const output = run.output();
  expect({ code, output }).toMatchObject({ code: 0 });
  expect(output).toMatch(/callers served in the order of arrival +yes\n/);
  // Its TTL of 3 s and the allowance of 2 s count from the grant, and the kill came a little later.
  const [, freed] =
    /first one served, after its holder was killed +(\d+\.\d) s after it\n/.exec(output) ?? [];
  expect(Number(freed)).toBeGreaterThan(3);
  expect(output).toMatch(/from a release to the next grant, median +\d+\.\d ms\n/);
  expect(output).toMatch(/two workers held the lease at once +never\n/);
  expect(output).toMatch(/every token larger than the one before +yes\n/);

  const [, roll = '', full = ''] = output.split(/\n {2}the primary was killed[^\n]*\n/);
  const number = (pattern: RegExp, text: string): number => Number(pattern.exec(text)?.[1]);
  for (const act of [roll, full]) {
    expect(act).toMatch(/new primary named by the Sentinels +\d+\.\d s after it\n/);
    expect(act).toMatch(/first renewal after the kill +\d+\.\d s after it\n/);
  }
  // Without a roll call it would be 17 s from the adoption on.
  expect(roll).toMatch(/end of the quarantine +early, by the roll call, /);
  expect(number(/first new lock +(\d+\.\d) s after it\n/, roll)).toBeLessThan(17);
  expect(roll).toMatch(/the lease that the new primary lacked +put back, and renewed\n/);
  expect(number(/leases put back, by the metrics of the servers +(\d+)\n/, roll)).toBeGreaterThan(0);
  expect(full).toMatch(/the roll call waited for +server-b\n/);
  expect(number(/end of the quarantine +in full, (\d+\.\d) s after it was adopted\n/, full)).toBeGreaterThan(
    16,
  );
  expect(number(/first new lock +(\d+\.\d) s after it\n/, full)).toBeGreaterThan(17);

  expect(output).toMatch(/roll call waits for .*server-b, last seen \d+\.\d s ago/);
  expect(output).toMatch(/new locks [·▪]+\n +K *S *R *X *S *Q\n/);
  expect(output.split('\n').filter((line) => line.length > WIDEST)).toEqual([]);
  expect(output).not.toContain('\u001b');
});

test('Ctrl-C ends the demo with everything it has started', { timeout: 60_000 }, async ({
  onTestFinished,
}) => {
  const run = start(onTestFinished);
  await eventually(() => /holds it/.test(run.output()), { what: 'a holder', withinMs: 40_000 });
  run.stop('SIGINT');
  const { code } = await run.ended;
  expect(code).toBe(130);
  const [, port] = /the primary is 127\.0\.0\.1:(\d+)/.exec(run.output()) ?? [];
  await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow(/fetch failed/);
});

test('The demo that stays has locks, waiters, operations and a configuration to try commands on, until Ctrl-C', {
  timeout: 60_000,
}, async ({ onTestFinished }) => {
  const run = start(onTestFinished, '--stay');
  await eventually(() => run.output().includes('Ctrl-C ends it'), {
    what: 'the invitation',
    withinMs: 40_000,
  });
  const found = (pattern: RegExp): string => pattern.exec(run.output())?.[1] ?? `no ${pattern}`;
  const servers = found(/LEASEHOLD_CLIENT_SERVER=(\S+)/).split(',');
  const configFile = found(/config +(\S+)/);
  const admin = found(/server-b .* admin (\S+)/);

  expect(await (await fetch(admin)).text()).toContain('leasehold_');
  const { redis } = loadConfig({ file: configFile, env: {} });
  const sentinels = redis?.kind === 'sentinel' ? redis.sentinels.map(formatHostPort) : [];
  expect(sentinels.join(' ')).toBe(found(/sentinels (.+)/));
  expect(redis?.bootstrap).toBe('wait');
  const client = createClient({ addresses: servers });
  onTestFinished(() => client.close());
  const { locks, operations } = client;
  await eventually(async () => (await locks.get('billing/nightly')).waiterCount > 1, {
    what: 'waiters',
    withinMs: 15_000,
  });
  const runs = async (): Promise<boolean> => {
    const first = await operations.list({ states: ['running'] }).next();
    return first.done !== true;
  };
  await eventually(runs, { what: 'a running operation', withinMs: 15_000 });

  run.stop('SIGTERM');
  expect({ ...(await run.ended), output: run.output() }).toMatchObject({ code: 0 });
  const port = found(/primary +127\.0\.0\.1:(\d+)/);
  for (const address of [`127.0.0.1:${port}`, ...servers, admin.split('/')[2]])
    await expect(fetch(`http://${address}`)).rejects.toThrow(/fetch failed/);
  expect(existsSync(configFile)).toBe(false);
});

test('The demo names an option that it does not have', async ({ onTestFinished }) => {
  const run = start(onTestFinished, '--stai');
  expect(await run.ended).toEqual({ code: 2 });
  expect(run.output()).toBe('npm run demo: "--stai" is none of its options. The only one is --stay.\n');
});

const belief = (worker: string, token: bigint, fromMs: number, untilMs?: number): Belief => ({
  worker,
  token,
  fromMs,
  untilMs,
});

test('The demo finds overlapping beliefs and shrinking tokens, and fails on them', () => {
  const good = [belief('a', 1n, 0, 10), belief('b', 2n, 10, 20), belief('a', 3n, 25)];
  expect(overlaps(good, 30)).toEqual([]);
  expect(shrinkingTokens(good)).toEqual([]);
  expect(overlaps([belief('a', 1n, 0, 10), belief('b', 2n, 9, 20)], 30)).toEqual([
    'a (1) and b (2) for 1 ms',
  ]);
  expect(overlaps([belief('a', 1n, 0), belief('b', 2n, 9, 20)], 30)).toEqual(['a (1) and b (2) for 11 ms']);
  expect(shrinkingTokens([belief('b', 2n, 5, 8), belief('a', 3n, 0, 4)])).toEqual(['b: 2 after 3']);

  const judged = (beliefs: readonly Belief[]): boolean => {
    const journal = new Journal();
    journal.beliefs.push(...beliefs);
    return promisesKept(journal, 30);
  };
  expect(judged(good)).toBe(true);
  expect(judged([belief('a', 1n, 0, 10), belief('b', 2n, 9, 20)])).toBe(false);
  expect(judged([belief('a', 2n, 0, 10), belief('b', 1n, 10, 20)])).toBe(false);
});

test('The demo fails on a queue that is served out of order or with a token that does not grow', () => {
  const served = (name: string, token: bigint): Served => ({ name, token, grantedMs: 0, releasedMs: 0 });
  const queue = { arrived: ['a', 'b'], crashedToken: 1n, killedMs: 0 };
  expect(isInOrder({ ...queue, served: [served('a', 2n), served('b', 3n)] })).toBe(true);
  expect(isInOrder({ ...queue, served: [served('b', 2n), served('a', 3n)] })).toBe(false);
  expect(isInOrder({ ...queue, served: [served('a', 3n), served('b', 2n)] })).toBe(false);
  expect(isInOrder({ ...queue, served: [served('a', 1n), served('b', 2n)] })).toBe(false);
  expect(isInOrder({ ...queue, served: [served('a', 2n)] })).toBe(false);
});
