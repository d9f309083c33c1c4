// What docs/runbooks.md tells people to say to Redis and to the Sentinels, asked of real ones: they know each command,
// each section of INFO and each setting. Whether it helps is not tried here.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { commandsIn, RUNBOOKS } from '../support/runbook-commands.ts';

/** Commands for all nodes, after the options of redis-cli; those for the primary. */
const toNodes = [
  ...commandsIn(RUNBOOKS, ['primary']).map((words) => words.slice(1)),
  ...commandsIn(RUNBOOKS, ['redis-cli']).map((words) =>
    words
      .slice(1)
      .filter((word, index, all) => !/^-[hp]$/.test(word) && !/^-[hp]$/.test(all[index - 1] ?? '')),
  ),
].filter(([name, section]) => name !== undefined && !(name === 'INFO' && section === 'sentinel'));
/** In small letters they are lines of a configuration. */
const toSentinels = commandsIn(RUNBOOKS, ['sentinel'])
  .map((words) => words.slice(1))
  .filter(([name = '']) => /^[A-Z]/.test(name));

let redis: RedisProcess;
let sentinel: RedisProcess;

beforeAll(async () => {
  redis = await RedisProcess.server();
  await redis.start();
  sentinel = await RedisProcess.sentinel({
    self: { id: 'a'.repeat(40), address: redis.listens },
    others: [],
    deployment: {
      masterName: 'mymaster',
      primary: redis.listens,
      replicas: [],
      quorum: 1,
      downAfterMs: 60_000,
      failoverTimeoutMs: 60_000,
    },
  });
  await sentinel.start();
});
afterAll(async () => {
  await sentinel?.stop();
  await redis?.stop();
});

test('Redis knows every command, section and setting that the runbooks name', async () => {
  expect(toNodes.length).toBeGreaterThan(25);
  const client = redis.client();
  for (const [name = '', ...args] of toNodes) {
    const line = [name, ...args].join(' ');
    const [command, subcommand] = (await client.command(
      'INFO',
      name,
      `${name}|${args[0] ?? ''}`,
    )) as unknown[];
    expect(command, line).not.toBeNull();
    const subcommands = Array.isArray(command) ? ((command[9] ?? []) as unknown[]) : [];
    if (subcommands.length > 0) expect(subcommand, line).not.toBeNull();
    if (name === 'INFO') expect(await client.info(args[0] ?? ''), line).not.toBe('');
    if (name === 'CONFIG') expect(await client.config('GET', args[1] ?? ''), line).toHaveLength(2);
  }
});

test('Sentinels know every command that the runbooks name', async () => {
  expect(toSentinels.length).toBeGreaterThan(10);
  const client = sentinel.client();
  const help = ((await client.call('SENTINEL', 'HELP')) as string[]).join('\n');
  for (const [name = ''] of toSentinels) expect(help).toMatch(new RegExp(`^${name}( |$)`, 'm'));
  expect(await client.info('sentinel')).toContain('sentinel_tilt');
});
