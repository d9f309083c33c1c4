// The options that several commands share, and how their texts become values. Commander names the option of a text that
// is refused; the errors thrown here add what would have been right.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LeaseOptions } from '../client/client.ts';
import { CLIENT_VARIABLES } from '../config/client-environment.ts';
import { parseDurationMs } from '../config/duration.ts';
import { parseHostPort } from '../domain/host-port.ts';

export interface ConnectionOptions {
  readonly server: readonly string[];
  readonly tls?: true;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly tokenFile?: string;
  readonly timeout: number;
}

export interface OutputOptions {
  readonly json?: true;
}

/** How a lease is acquired: by `run` and `acquire`, and in part by `elect`. */
export interface LeaseFlags {
  readonly shared?: true;
  readonly permits?: { readonly permits: number; readonly limit: number };
  readonly ttl?: number;
  readonly minHold?: number;
  readonly maxHold?: number;
  readonly owner?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface WaitFlags {
  /** Milliseconds; Infinity waits forever. */
  readonly wait: number;
  readonly conflictExitCode: number;
  readonly verbose?: true;
}

const DEFAULT_SERVER = '127.0.0.1:50051';
const DEFAULT_TIMEOUT_MS = 10_000;
const LEAST_INTERVAL_MS = 500;

export function withConnection(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .addOption(
      new Option('--server <host:port,…>', 'one or more servers of one deployment')
        .env(CLIENT_VARIABLES.server)
        .argParser(servers)
        .default([DEFAULT_SERVER], DEFAULT_SERVER),
    )
    .addOption(
      new Option('--timeout <duration>', 'how long to wait for an answer')
        .env(CLIENT_VARIABLES.timeout)
        .argParser(duration)
        .default(DEFAULT_TIMEOUT_MS, '10s'),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        `a file that contains the token (or the token itself in ${CLIENT_VARIABLES.token})`,
      ).env(CLIENT_VARIABLES.tokenFile),
    )
    .addOption(
      new Option(
        '--tls',
        `use TLS (or ${CLIENT_VARIABLES.tls}=true); each of the following options implies it`,
      ),
    )
    .addOption(
      new Option('--tls-ca <file>', 'trust these certificate authorities (PEM)').env(CLIENT_VARIABLES.tlsCa),
    )
    .addOption(
      new Option('--tls-cert <file>', 'the certificate of this client (PEM)').env(CLIENT_VARIABLES.tlsCert),
    )
    .addOption(
      new Option('--tls-key <file>', 'the key of that certificate (PEM)').env(CLIENT_VARIABLES.tlsKey),
    )
    .addOption(
      new Option(
        '--tls-server-name <name>',
        "the name in the servers' certificates, if it isn't their host",
      ).env(CLIENT_VARIABLES.tlsServerName),
    );
}

/** Everything about a lease except its mode, which an election does not have. */
export function withLease(command: Command): Command {
  return command
    .optionsGroup('Lease:')
    .option('--ttl <duration>', 'how long the resource stays taken if its holder dies', duration)
    .option(
      '--min-hold <duration>',
      'keep the resource taken at least this long, even if the lease is released sooner',
      duration,
    )
    .option('--max-hold <duration>', 'never hold the lease longer than this', duration)
    .addOption(
      new Option('--owner <text>', 'the name of the holder that others see (default: pid@host)').env(
        CLIENT_VARIABLES.owner,
      ),
    )
    .option('--metadata <key=value>', 'shown to people who inspect the lock; can be repeated', pairs);
}

export function withMode(command: Command): Command {
  return command
    .optionsGroup('Lease:')
    .addOption(new Option('--shared', 'hold the lock together with other shared holders'))
    .addOption(
      new Option('--permits <n/limit>', 'hold n of a limited number of permits, for example 1/5')
        .argParser(permits)
        .conflicts('shared'),
    );
}

export function withWait(command: Command): Command {
  return command
    .optionsGroup('Waiting:')
    .addOption(
      new Option('--wait <duration>', 'how long to wait for the lock: forever, 0, or a duration such as 30s')
        .argParser(waiting)
        .default(Number.POSITIVE_INFINITY, 'forever'),
    )
    .addOption(new Option('-n, --no-wait', 'do not wait: the same as --wait 0'))
    .option('-E, --conflict-exit-code <n>', 'the exit code when others hold it', exitCode, 1)
    .option('-v, --verbose', 'report the wait and the lease even if stderr is not a terminal');
}

export function withJson(command: Command, what = 'print one JSON document'): Command {
  return command.optionsGroup('Output:').option('--json', what);
}

/** On one line: commander wraps it to the width of the terminal. */
export function paragraph(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** Milliseconds; for --no-wait, commander sets `wait` to false. */
export function waitMsOf({ wait }: { readonly wait: number | boolean }): number {
  return typeof wait === 'number' ? wait : 0;
}

export function leaseOptionsOf(flags: LeaseFlags): LeaseOptions {
  const { shared, permits, ttl, minHold, maxHold, owner, metadata } = flags;
  return {
    mode: shared ? 'shared' : permits,
    ttlMs: ttl,
    minHoldMs: minHold,
    maxHoldMs: maxHold,
    owner,
    metadata,
  };
}

export function duration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined)
    throw new InvalidArgumentError('Give a whole number and a unit (ms, s, m, h), such as 30s.');
  return ms;
}

export function waiting(text: string): number {
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  if (text === '0') return 0;
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('Give forever, 0, or a duration such as 30s or 5m.');
  return ms;
}

export function permits(text: string): { readonly permits: number; readonly limit: number } {
  const [, n, limit] = /^([1-9]\d{0,6})\/([1-9]\d{0,6})$/.exec(text) ?? [];
  if (n === undefined || limit === undefined) {
    throw new InvalidArgumentError('Give a number of permits and their limit, such as 1/5.');
  }
  if (Number(n) > Number(limit)) throw new InvalidArgumentError('The first number is more than the limit.');
  return { permits: Number(n), limit: Number(limit) };
}

export function pairs(
  text: string,
  previous: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give a key and a value, such as job=nightly.');
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

export function several(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, ...text.split(',')];
}

/** For options that take one or more of a fixed set of words. */
export function severalOf<Word extends string>(words: readonly Word[]) {
  return (text: string, previous: readonly Word[] = []): readonly Word[] => {
    const given = text.split(',').map((part) => {
      const word = words.find((candidate) => candidate === part);
      if (word === undefined) throw new InvalidArgumentError(`Give one or more of ${words.join(', ')}.`);
      return word;
    });
    return [...previous, ...given];
  };
}

export function fencingToken(text: string): bigint {
  if (!/^[1-9]\d{0,18}$/.test(text))
    throw new InvalidArgumentError('Give the whole number that came with the lease.');
  return BigInt(text);
}

/** How often something is looked at. */
export function interval(text: string): number {
  const ms = duration(text);
  if (ms < LEAST_INTERVAL_MS) throw new InvalidArgumentError('Give 500ms or more.');
  return ms;
}

export function number(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number from 1.');
  return Number(text);
}

function exitCode(text: string): number {
  const code = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(code <= 255)) throw new InvalidArgumentError('Give a whole number from 0 to 255.');
  return code;
}

function servers(text: string): readonly string[] {
  const addresses = text.split(',').map((address) => address.trim());
  const wrong = addresses.find((address) => parseHostPort(address, 1) === undefined);
  if (wrong !== undefined)
    throw new InvalidArgumentError(`"${wrong}" is not host:port, such as ${DEFAULT_SERVER}.`);
  return addresses;
}
