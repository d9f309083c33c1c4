// A client process of the chaos suite by itself, against one server without faults: it does everything that it is for,
// records it well, and ends when it is told to.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ChaosClientArguments } from '../chaos/client/chaos-client-main.ts';
import { type Guard, type GuardAnswer, startGuard } from '../chaos/client/guard.ts';
import type { Role } from '../chaos/client/roles.ts';
import { type Event, nowMs } from '../chaos/history.ts';
import { eventually } from '../support/eventually.ts';
import { guardFromOrphaning, releaseFromGuard } from '../support/redis/orphan-guard.ts';
import { ServerProcess } from '../support/server-process.ts';

const MAIN = join(import.meta.dirname, '../chaos/client/chaos-client-main.ts');
const MAX_TTL_MS = 2_000;
const ENDS_WITHIN_MS = 15_000;
const EVERY_ROLE: readonly Role[] = [
  'hold',
  'unary',
  'shared',
  'permits',
  'many',
  'leader',
  'begin',
  'work',
  'read',
  'watch',
];

let folder: string;
let server: ServerProcess;
let guard: Guard;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'leasehold-chaos-client-'));
  server = await ServerProcess.start({ environment: { LEASEHOLD_LOCKS_MAX_TTL: '2s' } });
  guard = await startGuard({ historyFile: historyOf('guard') });
  return async () => {
    await guard.stop();
    await server.kill();
    rmSync(folder, { recursive: true });
  };
});

const historyOf = (name: string): string => join(folder, `${name}.jsonl`);

/** Throws where a line is not JSON. */
function eventsOf(name: string): Event[] {
  const lines = readFileSync(historyOf(name), 'utf8').split('\n');
  expect(lines.pop()).toBe(''); // the last line is whole, too
  return lines.map((line) => JSON.parse(line) as Event);
}

interface Started {
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

function start(name: string, roles: readonly Role[], more: Partial<ChaosClientArguments> = {}): Started {
  const options: ChaosClientArguments = {
    name,
    servers: [formatHostPort(server.address)],
    guardPath: guard.path,
    historyFile: historyOf(name),
    seed: 7,
    maxTtlMs: MAX_TTL_MS,
    roles,
    ...more,
  };
  const child = spawn(process.execPath, [MAIN, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const { pid } = child;
  if (pid !== undefined) guardFromOrphaning('pid', pid);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    if (pid !== undefined) releaseFromGuard('pid', pid);
  });
  return { child, stderr: () => stderr };
}

/** The exit code, and how long the end took. */
async function terminated({ child }: Started): Promise<{ code: number | null; tookMs: number }> {
  const toldMs = nowMs();
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
  return { code: child.exitCode, tookMs: nowMs() - toldMs };
}

const ofKind = <K extends Event['kind']>(events: readonly Event[], kind: K) =>
  events.filter((event): event is Extract<Event, { kind: K }> => event.kind === kind);

test('the guarded resource accepts no smaller token than the largest it has seen', async () => {
  const own = await startGuard({ historyFile: historyOf('own-guard') });
  const socket = connect(own.path);
  const answers: boolean[] = [];
  createInterface(socket).on('line', (line) => answers.push((JSON.parse(line) as GuardAnswer).accepted));
  const looked = { by: 'me', lookedAtMs: 1, believedUntilMs: 2 };
  // Compared as numbers, and for each resource by itself.
  const tokens = ['9', '9', '10', '9', '10'].map((token) => ({ resource: 'a', token, ...looked }));
  const writes = [...tokens, { resource: 'b', token: '1', ...looked }];
  socket.write(writes.map((write) => `${JSON.stringify(write)}\n`).join(''));
  await eventually(() => answers.length === writes.length, { what: 'all answers', withinMs: 5_000 });
  expect(answers).toEqual([true, true, true, false, true, true]);
  await own.stop();
  const log = ofKind(eventsOf('own-guard'), 'written');
  expect(log.map(({ resource, token, accepted, highest }) => [resource, token, accepted, highest])).toEqual([
    ['a', '9', true, '0'],
    ['a', '9', true, '9'],
    ['a', '10', true, '9'],
    ['a', '9', false, '10'],
    ['a', '10', true, '10'],
    ['b', '1', true, '0'],
  ]);
});

describe('three clients side by side', () => {
  const NAMES = ['client-1', 'client-2', 'client-3'];
  const RPCS = [
    'Hold',
    'Acquire',
    'AcquireMany',
    'Renew',
    'Release',
    'CheckFencingToken',
    'BeginOperation',
    'ClaimOperations',
    'UpdateOperation',
    'CompleteOperation',
    'GetOperation',
    'ListOperations',
  ];
  const KINDS: Event['kind'][] = ['call-began', 'call-ended', 'believed', 'belief-ended', 'queued', 'noted'];

  test('chaos clients make calls of every kind, believe only what they were told, and end on SIGTERM', {
    timeout: 90_000,
  }, async () => {
    const clients = NAMES.map((name) => start(name, EVERY_ROLE));
    const all = (): Event[] => NAMES.flatMap(eventsOf);
    await eventually(
      () => {
        const events = all();
        const rpcs = new Set(ofKind(events, 'call-began').map(({ rpc }) => rpc));
        const kinds = new Set(events.map(({ kind }) => kind));
        const missing = [
          ...RPCS.filter((rpc) => !rpcs.has(rpc)),
          ...KINDS.filter((kind) => !kinds.has(kind)),
        ];
        if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
        return true;
      },
      { what: 'calls of every kind', withinMs: 60_000, everyMs: 500 },
    );
    for (const ended of await Promise.all(clients.map(terminated))) {
      expect(ended.code).toBe(0);
      expect(ended.tookMs).toBeLessThan(ENDS_WITHIN_MS);
    }
    expect(clients.map(({ stderr }) => stderr())).toEqual(['', '', '']);
    const events = all();
    callsAreWhole(events);
    beliefsAreSound(events);
    const written = ofKind(eventsOf('guard'), 'written');
    expect(written.length).toBeGreaterThan(50);
    // Without faults no holder is ever late.
    expect(written.filter(({ accepted }) => !accepted)).toEqual([]);
  });
});

/** Checks that each call ended, once, before its deadline, and that each id is unique. */
function callsAreWhole(events: readonly Event[]): void {
  const began = new Map(ofKind(events, 'call-began').map((call) => [call.call, call]));
  const ended = ofKind(events, 'call-ended');
  expect(began.size).toBe(ofKind(events, 'call-began').length);
  expect(new Set(ended.map(({ call }) => call)).size).toBe(ended.length);
  expect(ended.length).toBe(began.size);
  for (const { call, atMs, outcome, reason } of ended) {
    const { deadlineMs = 0, atMs: sinceMs = Infinity, ...asked } = began.get(call) ?? {};
    expect(atMs, call).toBeLessThan(deadlineMs + 1_000);
    expect(atMs, call).toBeGreaterThanOrEqual(sinceMs);
    expect(reason === '', JSON.stringify({ ...asked, reason })).toBe(outcome === 'ok');
    expect(['INVALID_ARGUMENT', 'INTERNAL', 'LEASE_ID_REUSED'], JSON.stringify(asked)).not.toContain(reason);
  }
}

/** Checks that no two exclusive leases or attempts overlap, and that each has its end. */
function beliefsAreSound(events: readonly Event[]): void {
  const spans = new Map<string, { resource: string; fromMs: number; toMs: number; ended: boolean }>();
  for (const event of events) {
    if (event.kind === 'believed' && event.mode === 'exclusive') {
      const key = `${event.resource} ${event.leaseId}`;
      const span = spans.get(key) ?? { resource: event.resource, fromMs: event.atMs, toMs: 0, ended: false };
      spans.set(key, { ...span, toMs: Math.max(span.toMs, event.untilMs) });
    }
    if (event.kind === 'belief-ended') {
      const span = spans.get(`${event.resource} ${event.leaseId}`);
      if (span) Object.assign(span, { toMs: Math.min(span.toMs, event.atMs), ended: true });
    }
  }
  expect([...spans.values()].filter(({ ended }) => !ended)).toEqual([]);
  const sorted = [...spans.values()].sort((a, b) => a.fromMs - b.fromMs);
  for (const [index, span] of sorted.entries()) {
    const next = sorted.slice(index + 1).find(({ resource }) => resource === span.resource);
    if (next) expect(next.fromMs, JSON.stringify([span, next])).toBeGreaterThanOrEqual(span.toMs);
  }
}

test('a chaos client that is killed leaves only whole lines', { timeout: 60_000 }, async () => {
  const { child } = start('killed', EVERY_ROLE);
  await eventually(() => eventsOf('killed').length > 100, { what: 'some history', withinMs: 30_000 });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const events = eventsOf('killed');
  expect(ofKind(events, 'noted').map(({ what }) => what)).not.toContain('stopped');
  expect(ofKind(events, 'call-ended').length).toBeLessThanOrEqual(ofKind(events, 'call-began').length);
});

test('a chaos client that no server answers ends on SIGTERM too', { timeout: 60_000 }, async () => {
  const client = start('alone', EVERY_ROLE, { servers: ['127.0.0.1:1'] });
  await eventually(() => ofKind(eventsOf('alone'), 'call-ended').length > 10, {
    what: 'some calls',
    withinMs: 30_000,
  });
  const { code, tookMs } = await terminated(client);
  expect([code, client.stderr()]).toEqual([0, '']);
  expect(tookMs).toBeLessThan(ENDS_WITHIN_MS);
  const outcomes = new Set(ofKind(eventsOf('alone'), 'call-ended').map(({ outcome }) => outcome));
  expect(outcomes).not.toContain('ok');
});
