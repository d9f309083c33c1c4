// `leasehold drill …`: its options and examples. What it does is in drill-action.ts.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { duration, paragraph, withConnection, withJson } from './options.ts';
import type { Env } from './program-context.ts';

/** A drill is no benchmark. */
const LOAD_LIMITS = { holders: 1_000, acquiresPerSecond: 500, queues: 100, operations: 100 } as const;
const CHECK_NAME = /^[a-z0-9-]+$/;
/** The type of the operations has 128 characters at most, and it begins with the prefix. */
const LONGEST_PREFIX = 100;
/** The load runs while it waits, and its records stay in memory and in Redis. */
const LONGEST_WAIT_MS = 3_600_000;

export function addDrillCommands(program: Command, env: Env): void {
  const drill = program
    .command('drill')
    .description('rehearse a failover of Redis and measure what it costs');
  const failover = drill
    .command('failover')
    .summary('rehearse or observe a failover of Redis, under a load of its own')
    .description(
      paragraph(`Fails Redis over (SENTINEL FAILOVER) under a small load of its own, and reports what it cost: how long
        nothing was renewed and nothing new was granted, what was lost, and whether all promises were kept. It looks
        first whether that is safe, says what it will do, and asks.`),
    )
    .option('--config <file>', 'the configuration file of the servers (or LEASEHOLD_CONFIG)')
    .option('-y, --yes', 'do not ask: for cron')
    .option('--observe', 'cause nothing: measure a failover that somebody else causes')
    .option('--svg <file>', 'draw a picture of it into this file')
    .optionsGroup('Times:')
    .addOption(span('--before <duration>', 'how long the load runs before, for comparison', 10_000, '10s'))
    .addOption(
      new Option('--within <duration>', 'how long to wait for the Sentinels to switch, up to 1h')
        .argParser(within)
        .default(60_000, '1m'),
    )
    .addOption(span('--settle <duration>', 'how long the load goes on once grants are back', 10_000, '10s'))
    .option(
      '--rest <duration>',
      'how long ago the last failover must be (default: twice the failover-timeout)',
      duration,
    )
    .optionsGroup('Load:')
    .addOption(count('--holders <n>', 'leases held all the time', 20, 2, LOAD_LIMITS.holders))
    .addOption(count('--rate <n>', 'new locks per second', 20, 1, LOAD_LIMITS.acquiresPerSecond))
    .addOption(count('--queues <n>', 'resources with waiters', 2, 0, LOAD_LIMITS.queues))
    .addOption(count('--operations <n>', 'operations that run all the time', 2, 0, LOAD_LIMITS.operations))
    .option('--ttl <duration>', 'the TTL of the leases (default: that of the servers)', duration)
    .addOption(
      new Option('--prefix <text>', 'begins the names of all locks and operations of the load')
        .argParser(prefix)
        .default('leasehold-drill/'),
    )
    .optionsGroup('Exit code 1 if it costs more than:')
    .addOption(span('--max-without-renewals <duration>', 'time without renewals', 15_000, '15s'))
    .option(
      '--max-without-grants <duration>',
      'time without new grants (default: 20s, and the quarantine where no roll call ends it)',
      duration,
    )
    .addOption(count('--max-lost <n>', 'leases and operations lost', 0, 0, Number.MAX_SAFE_INTEGER))
    .optionsGroup('Safety:')
    .addOption(
      new Option('--accept <check,…>', 'go on in spite of these findings; can be repeated').argParser(checks),
    )
    .addHelpText(
      'after',
      `
Examples:
  leasehold drill failover --config /etc/leasehold.yaml --server a:50051,b:50051
  leasehold drill failover --yes --config /etc/leasehold.yaml --json --svg drill.svg
  leasehold drill failover --observe --within 10m --config /etc/leasehold.yaml

Exit codes: 0 within what is allowed; 1 not: refused as unsafe, no failover, too long, something lost or a promise
broken; 2 wrong usage; 75 no server; 77 the token was refused; 130 Ctrl-C, 143 SIGTERM.`,
    )
    .action(async (options) => (await import('./drill-action.ts')).drillFailover(options, env));
  withConnection(withJson(failover));
}

function span(flags: string, description: string, ms: number, shown: string): Option {
  return new Option(flags, description).argParser(duration).default(ms, shown);
}

function within(text: string): number {
  const ms = duration(text);
  if (ms > LONGEST_WAIT_MS) throw new InvalidArgumentError('Give up to 1h, such as 10m.');
  return ms;
}

function count(flags: string, description: string, usual: number, least: number, most: number): Option {
  const parse = (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Give a whole number ${range}.`);
  };
  return new Option(flags, description).argParser(parse).default(usual);
}

function prefix(text: string): string {
  const whole = text.endsWith('/') ? text : `${text}/`;
  if (/^[A-Za-z0-9._/-]+$/.test(whole) && whole.length <= LONGEST_PREFIX) return whole;
  throw new InvalidArgumentError(
    `Give 1 to ${LONGEST_PREFIX} letters, digits, dots, dashes, underscores and slashes.`,
  );
}

function checks(text: string, previous: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => !CHECK_NAME.test(name))) {
    throw new InvalidArgumentError('Give names of checks, such as redis-version.');
  }
  return [...previous, ...names];
}
