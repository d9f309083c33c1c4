// The command `capacity`: its options with their presets, and examples. What it does is in capacity-action.ts. The presets
// are those of src/capacity, which no other command should wait for; a test compares them.

import { type Command, Option } from 'commander';
import { LIMITS } from '../domain/limits.ts';
import { bandwidth, type CapacityOptions, number, payload, size, ttl, whole } from './capacity-options.ts';
import { paragraph, withJson } from './options.ts';
import type { Env } from './program-context.ts';

const LARGEST_COUNT = 1e9;
const LARGEST_RATE = 1e7;
const MODES = ['exclusive', 'shared', 'permits'] as const;

export function addCapacityCommand(program: Command, env: Env): void {
  const count = whole(LARGEST_COUNT);
  const rate = number(0, LARGEST_RATE);
  const command = program
    .command('capacity')
    .description('what a load needs of Redis, the network and the servers, and what runs out first')
    .optionsGroup('Load:')
    .option('--locks <n>', 'locks that are held at once', count, 1_000)
    .addOption(new Option('--mode <mode>', 'how they are held').choices(MODES).default('exclusive'))
    .option('--hold-streams <n>', 'those that streams keep, as the clients do (default: all)', count)
    .option('--rate <n>', 'locks that are taken and given back a second', rate, 0)
    .option(
      '--waited <percent>',
      'how many of those come after a wait in a queue (default: 100 with --waiters)',
      number(0, 100),
    )
    .addOption(new Option('--ttl <duration>', 'of each lease').argParser(ttl).default(20_000, '20s'))
    .option('--waiters <n>', 'calls that wait at once', count, 0)
    .option('--queue-length <n>', 'waiters of one lock', whole(LIMITS.waitersPerResource, 1), 10)
    .option('--operations <n>', 'operations that are recorded at once, finished ones included', count, 0)
    .option('--operation-rate <n>', 'operations that are begun and finished a second', rate, 0)
    .option('--payload <size>', 'data, progress and result of one, together', payload, 0)
    .option('--name <bytes>', "of a resource's name", whole(LIMITS.resourceBytes, 1), 32)
    .option('--owner <bytes>', "of an owner's name", whole(LIMITS.ownerBytes), 24)
    .option('--metadata <bytes>', 'of all metadata of a lock', whole(LIMITS.metadataTotalBytes), 0)
    .option('--clients <n>', 'processes of clients (default: as many as the streams need)', count)
    .optionsGroup('Deployment:')
    .option('--replicas <n>', 'replicas of Redis', whole(LIMITS.minAcks), 2)
    .option('--sentinels <n>', 'Sentinels; 0: a single Redis', whole(99), 3)
    .addOption(sizeOption('--backlog <size>', 'repl-backlog-size of Redis', '1mb'))
    .option('--fragmentation <ratio>', 'memory for each byte used', number(1, 10), 1.2)
    .addOption(sizeOption('--redis-memory <size>', 'memory of a Redis node', '4gb'))
    .addOption(sizeOption('--redis-disk <size>', 'disk of a Redis node', '50gb'))
    .addOption(
      new Option('--network <bandwidth>', 'of a Redis node, each way: 1gbit, 500mbit')
        .argParser(bandwidth)
        .default(bandwidth('1gbit'), '1gbit'),
    )
    .addOption(sizeOption('--server-memory <size>', 'memory of one server process', '2gb'))
    .optionsGroup('Figures:')
    .option(
      '--calibrate',
      paragraph(`measure the Redis of --config and this machine for some seconds, and scale the figures of CPU by
        that; it takes and gives back locks under a prefix of its own`),
    )
    .option('--config <file>', 'the configuration of a server, for --calibrate (or LEASEHOLD_CONFIG)')
    .addHelpText(
      'after',
      `
Examples:
  leasehold capacity --locks 5000 --rate 200 --waiters 300
  leasehold capacity --locks 1000000 --ttl 30s --redis-memory 8gb --json
  leasehold capacity --locks 5000 --calibrate --config /etc/leasehold.yaml

Exit codes: 0 it fits, 1 it doesn't, 2 wrong usage, 75 no measurement (--calibrate). See docs/capacity.md.`,
    )
    .action(async (options: CapacityOptions) =>
      (await import('./capacity-action.ts')).showCapacity(options, env),
    );
  withJson(command);
}

function sizeOption(flags: string, description: string, preset: string): Option {
  return new Option(flags, description).argParser(size).default(size(preset), preset);
}
