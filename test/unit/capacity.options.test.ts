// The options of `leasehold capacity`: what is refused, with the option's name and what would have been right.
import { Command, CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { DEFAULT_DEPLOYMENT } from '../../src/capacity/load.ts';
import { NAME_BYTES, OWNER_BYTES } from '../../src/capacity/unit-costs.ts';
import { deploymentOf, loadOf } from '../../src/cli/capacity-action.ts';
import { addCapacityCommand } from '../../src/cli/capacity-command.ts';
import type { CapacityOptions } from '../../src/cli/capacity-options.ts';
import { Exit } from '../../src/cli/exit.ts';

/** Parses the arguments as the program does, without running anything. */
function parsed(args: readonly string[]): CapacityOptions {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addCapacityCommand(program, {});
  const command = program.commands[0] ?? program;
  let options: CapacityOptions | undefined;
  command.action((given: CapacityOptions) => {
    options = given;
  });
  program.parse(['capacity', ...args], { from: 'user' });
  if (!options) throw new Error('the command was not called');
  return options;
}

test.for([
  [['--locks', 'many'], /--locks .*'many' is invalid.*whole number from 0 to 1,000,000,000/],
  [['--locks', '-1'], /--locks/],
  [['--locks', '1.5'], /--locks .*whole number/],
  [['--locks', '99999999999'], /--locks .*1,000,000,000/],
  [['--locks', '5', '--hold-streams', '6'], /--hold-streams is 6, more than --locks \(5\)/],
  [['--rate', '1e9'], /--rate .*'1e9' is invalid.*from 0 to 10,000,000/],
  [['--waited', '101'], /--waited .*from 0 to 100/],
  [['--ttl', '20'], /--ttl .*such as 30s/],
  [['--ttl', '10ms'], /--ttl .*from 1s to 24h/],
  [['--mode', 'both'], /--mode .*exclusive, shared, permits/],
  [['--locks', '1', '--waiters', '50'], /--waiters is 50, more than fit behind --locks \(1\)/],
  [['--queue-length', '0'], /--queue-length .*from 1 to 20,000/],
  [['--payload', '9gb', '--operations', '1'], /--payload .*at most 2mb/],
  [['--payload', '1kb'], /--payload is of operations/],
  [['--name', '513'], /--name .*from 1 to 512/],
  [['--owner', '257'], /--owner .*from 0 to 256/],
  [['--metadata', '2049'], /--metadata .*from 0 to 2,048/],
  [['--replicas', '17'], /--replicas .*from 0 to 16/],
  [['--redis-memory', '0gb'], /--redis-memory .*such as 4gb/],
  [['--redis-memory', '4'], /--redis-memory .*such as 4gb/],
  [['--network', '1gb'], /--network .*such as 1gbit/],
  [['--fragmentation', '0.5'], /--fragmentation .*from 1 to 10/],
  [['surplus'], /too many arguments/],
] as const)('leasehold capacity %j is refused with a sentence', ([args, message]) => {
  try {
    loadOf(parsed(args));
  } catch (error) {
    expect(error instanceof CommanderError || error instanceof Exit).toBe(true);
    expect((error as Error).message).toMatch(message);
    return;
  }
  expect.unreachable('it was accepted');
});

test('The presets are those of the figures and of the deployment that the docs describe', () => {
  expect(deploymentOf(parsed([]))).toEqual(DEFAULT_DEPLOYMENT);
  expect(loadOf(parsed([]))).toMatchObject({ nameBytes: NAME_BYTES, ownerBytes: OWNER_BYTES });
});

test('What is not given follows from what is: streams from locks, waits from waiters, connections from both', () => {
  expect(loadOf(parsed([]))).toMatchObject({ locks: 1_000, holdStreams: 1_000, waitedShare: 0, clients: 1 });
  expect(loadOf(parsed(['--waiters', '5']))).toMatchObject({ waitedShare: 1, queueLength: 5 });
  expect(loadOf(parsed(['--locks', '2500', '--waited', '40']))).toMatchObject({
    clients: 3,
    waitedShare: 0.4,
  });
  const given = parsed(['--redis-memory', '2gb', '--network', '500mbit', '--ttl', '1m', '--payload', '3KB']);
  expect(given).toMatchObject({ redisMemory: 2 ** 31, network: 62_500_000, ttl: 60_000, payload: 3_072 });
});
