// What instances say of attempts in a roll call, and what becomes of it: the scripts, played step by step by instances
// that exist only here. The rules are in test/conformance/roll-call.suite.ts; here is what needs more than one
// instance, or a look at the keys.
import { expect, test } from 'vitest';
import type { OperationSpec } from '../../src/domain/operation.ts';
import { beginArguments, lifeArguments, statesBefore } from '../../src/store/redis/operation-arguments.ts';
import { redisOfFile } from '../support/redis/redis-of-file.ts';
import { ScriptedReign } from '../support/scripted-reigns.ts';
import { EXCLUSIVE_LOCK } from '../support/store-operations.ts';

const MAX_TTL_MS = 30_000;

const { client } = redisOfFile();

/** Returns the words of the reply. */
function begin(
  reign: ScriptedReign,
  operationId: string,
  { claimId, ...overrides }: Partial<OperationSpec> & { readonly claimId?: string } = {},
): Promise<readonly string[]> {
  const spec: OperationSpec = {
    resource: 'r',
    operationId,
    type: 't',
    data: undefined,
    labels: new Map(),
    contentHash: 'same',
    owner: '',
    heartbeatTimeoutMs: 5_000,
    timeToLiveMs: 0,
    exclusive: false,
    lock: undefined,
    maxAttempts: 3,
    retention: { succeededMs: 60_000, failedMs: 60_000, cancelledMs: 60_000, deadMs: 60_000 },
    ...overrides,
  };
  const stamp = { instanceId: 'x', callNumber: 2 };
  const args = beginArguments({ spec, claimId, stamp, requestId: '', requireLease: undefined });
  return reign.run('begin-operation', 'x', ...lifeArguments(MAX_TTL_MS), ...args, statesBefore('claim'));
}

/** `kind`: 'x' for one of an exclusive operation. */
async function say(
  reign: ScriptedReign,
  instance: string,
  operationId: string,
  { claim = 'c', token = '7', kind = '-', leftMs = 20_000 } = {},
): Promise<void> {
  const told = [`r\t${operationId}`, `${claim} ${token} ${kind}`, leftMs * 1_000];
  expect((await reign.run('answer-attempts', instance, ...told))[0]).toBe('noted');
}

test('an attempt that a former primary found dead is not run twice after a retry', async () => {
  const before = await ScriptedReign.begin(client(), 'x');
  const [word, , , , , , , , , run = ''] = await begin(before, 'o', { claimId: 'c', maxAttempts: 1 });
  expect(word).toBe('begun');
  const token = run.split('\t')[9] ?? '';
  await before.passTicked(8_000, 'x');
  const next = await before.promoted();
  expect((await begin(next, 'o'))[9]).toMatch(/^dead\t/);
  await say(next, 'x', 'o', { token });
  expect((await next.answer('x')).leftMs).toBe(0);
  expect((await next.run('retry-operation', 'x', 'r\to', 0, statesBefore('retry'), ''))[0]).toBe('changed');
  const [refused, , left] = await begin(next, 'o', { claimId: 'd' });
  expect(refused).toBe('quarantined');
  expect(Number(left)).toBeGreaterThan(20_000_000);
  await next.passTicked(22_100, 'x');
  expect((await begin(next, 'o', { claimId: 'd' }))[0]).toBe('begun');
});

test('of what two instances say of one operation the later deadline counts', async () => {
  const next = await (await ScriptedReign.begin(client(), 'x', 'y')).promoted();
  await say(next, 'x', 'o', { token: '8', leftMs: 5_000 });
  await say(next, 'y', 'o', { token: '7', leftMs: 15_000 });
  for (const instance of ['x', 'y']) await next.answer(instance);
  const [word, , left] = await begin(next, 'o', { claimId: 'd' });
  expect([word, left]).toEqual(['quarantined', '17000000']);
});

test('an exclusive operation waits for the one of the others that lasts longest, and not for its own', async () => {
  const next = await (await ScriptedReign.begin(client(), 'x')).promoted();
  const ends = [
    ['1', 5_000],
    ['2', 25_000],
    ['3', 15_000],
    ['4', 10_000],
  ] as const;
  for (const [id, leftMs] of ends) await say(next, 'x', id, { kind: 'x', leftMs });
  await next.answer('x');
  expect((await begin(next, '2', { exclusive: true }))[0]).toBe('open');
  expect((await begin(next, '9'))[0]).toBe('open');
  await next.passTicked(16_900, 'x');
  expect((await begin(next, '2', { exclusive: true }))[0]).toBe('open');
  await next.passTicked(200, 'x');
  expect((await begin(next, '9'))[0]).toBe('open');
  expect((await begin(next, '2', { exclusive: true }))[0]).toBe('begun');
});

test('an exclusive operation is open beside none that was forgotten, and others are', async () => {
  const next = await (await ScriptedReign.begin(client(), 'x')).promoted();
  await say(next, 'x', '1', { leftMs: 5_000 });
  await next.answer('x');
  expect((await begin(next, '2', { exclusive: true }))[0]).toBe('open');
  expect((await begin(next, '3', { claimId: 'd' }))[0]).toBe('begun');
});

test('ticks remove all bars after the full end of the quarantine, and none before', async () => {
  const next = await (await ScriptedReign.begin(client(), 'x')).promoted();
  const bars = async (): Promise<number> => {
    const [, , , more] = await next.tick('x');
    return more === '1' ? bars() : (await next.keys()).filter((key) => key === 'bars').length;
  };
  for (let id = 0; id < 300; id++) await say(next, 'x', String(id), { leftMs: 1_000 });
  await next.answer('x');
  await next.passTicked(20_000, 'x');
  expect(await bars()).toBe(1);
  await next.passTicked(15_000, 'x');
  expect(await bars()).toBe(0);
});

function tokenOf(reply: readonly string[]): string {
  return reply[9]?.split('\t')[9] ?? '';
}

function leaseTextOf(reply: readonly string[]): string {
  return (reply[6] ?? '').split(' ').slice(2).join(' ');
}

async function claimAs(reign: ScriptedReign, instance: string, claim: string): Promise<readonly string[]> {
  const args = ['', claim, '', '""', `${instance}/4`, 1, 1_000, 0, 't'];
  return reign.run('claim-operations', instance, ...lifeArguments(MAX_TTL_MS), ...args);
}

async function beatOf(reign: ScriptedReign, instance: string, claim: string, token: string): Promise<string> {
  const reply = await reign.run('heartbeat-operations', instance, 'r\to', claim, token, `x/2`, 'take');
  return reply[2] ?? '';
}

/** An attempt goes on whose lease is put back after it has lapsed here, and is over 13 s later; returns that reign. */
async function goesOnAndEnds(maxAttempts: number): Promise<ScriptedReign> {
  const before = await ScriptedReign.begin(client(), 'x', 'y');
  const reply = await begin(before, 'o', { claimId: 'c', maxAttempts, lock: EXCLUSIVE_LOCK });
  const token = tokenOf(reply);
  const next = await before.promoted();
  await next.passTicked(13_000, 'y');
  await say(next, 'x', 'o', { token, leftMs: 2_000 });
  const leases = [{ resource: 'r', leaseId: 'c', text: leaseTextOf(reply), leftMs: 2_000 }];
  await next.answer('x', { leases });
  expect((await next.answer('y')).leftMs).toBe(0);
  expect(await beatOf(next, 'x', 'c', token)).toBe('renewed');
  await next.passTicked(5_000, 'y');
  expect((await claimAs(next, 'y', 'd')).slice(0, 3)).toEqual(['claimed', expect.anything(), '7000000']);
  await next.passTicked(8_000, 'y');
  return next;
}

test('a last attempt whose lease a late answer puts back goes on, and is dead when it is over', async () => {
  const reign = await goesOnAndEnds(1);
  expect(await reign.keys()).not.toContain('claimable:t');
  expect((await begin(reign, 'o'))[9]).toMatch(/^dead\t/);
});

test('an attempt whose lease a late answer puts back goes on, and is stale when it is over', async () => {
  const reign = await goesOnAndEnds(3);
  expect(await reign.keys()).toContain('claimable:t');
  expect((await begin(reign, 'o'))[9]).toMatch(/^running\t/);
});

test('an attempt of an isolated primary that is chosen again is not brought to life beside a later one', async () => {
  const isolated = await ScriptedReign.begin(client(), 'x', 'y');
  await begin(isolated, 'o', { heartbeatTimeoutMs: 30_000 });
  const first = await claimAs(isolated, 'x', 'c');
  expect(first[0]).toBe('claimed');
  const token = first[12]?.split('\t')[9] ?? '';
  const ruling = await isolated.promoted();
  for (let second = 1; second <= 36; second++) {
    await isolated.passTicked(1_000, 'x');
    await ruling.tick('y');
    // Nobody is told of this one.
    if (second === 20) expect(await beatOf(isolated, 'x', 'c', token)).toBe('renewed');
  }
  const second = await claimAs(ruling, 'y', 'd');
  expect(second[0]).toBe('claimed');
  const later = second[12]?.split('\t')[9] ?? '';
  expect(Number(later)).toBeGreaterThan(Number(token));
  const again = await isolated.promoted();
  await say(again, 'y', 'o', { claim: 'd', token: later, leftMs: 30_000 });
  await again.answer('y');
  await again.answer('x');
  expect(await beatOf(again, 'x', 'c', token)).not.toBe('renewed');
});
