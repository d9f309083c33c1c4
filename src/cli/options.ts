// The options that several commands share, and how the texts of options become values. A text that is none is refused
// by commander in a sentence that names the option; what is thrown here says what would have been right.

import { type Command, InvalidArgumentError, Option } from 'commander';
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

/** How a lease is acquired: of `run`, `acquire`, and in part of `elect`. */
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
  /** Milliseconds; Infinity: for ever. */
  readonly wait: number;
  readonly conflictExitCode: number;
  readonly verbose?: true;
}

const DEFAULT_SERVER = '127.0.0.1:50051';
const DEFAULT_TIMEOUT_MS = 10_000;

export function withConnection(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .addOption(
      new Option('--server <host:port,…>', 'one or several instances of one deployment')
        .env(CLIENT_VARIABLES.server)
        .argParser(servers)
        .default([DEFAULT_SERVER], DEFAULT_SERVER),
    )
    .addOption(
      new Option('--timeout <duration>', 'how long to go without an answer')
        .env(CLIENT_VARIABLES.timeout)
        .argParser(duration)
        .default(DEFAULT_TIMEOUT_MS, '10s'),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        `a file with the token; else the token in ${CLIENT_VARIABLES.token}`,
      ).env(CLIENT_VARIABLES.tokenFile),
    )
    .addOption(
      new Option('--tls', `use TLS (or ${CLIENT_VARIABLES.tls}=true); each of the following does, too`),
    )
    .addOption(new Option('--tls-ca <file>', 'trust these authorities, in PEM').env(CLIENT_VARIABLES.tlsCa))
    .addOption(
      new Option('--tls-cert <file>', 'certificate of this client, in PEM').env(CLIENT_VARIABLES.tlsCert),
    )
    .addOption(new Option('--tls-key <file>', 'and its key, in PEM').env(CLIENT_VARIABLES.tlsKey))
    .addOption(
      new Option(
        '--tls-server-name <name>',
        "the name in the servers' certificates, if it isn't the host",
      ).env(CLIENT_VARIABLES.tlsServerName),
    );
}

/** Everything about one lease but its mode, which an election has none of. */
export function withLease(command: Command): Command {
  return command
    .optionsGroup('Lease:')
    .option('--ttl <duration>', 'how long the resource stays taken if its holder dies', duration)
    .option('--min-hold <duration>', 'keep it taken at least this long, also when released sooner', duration)
    .option('--max-hold <duration>', 'never hold it longer than this', duration)
    .addOption(
      new Option('--owner <text>', 'tells people who holds it (default: pid@host)').env(
        CLIENT_VARIABLES.owner,
      ),
    )
    .option('--metadata <key=value>', 'shown to whoever looks at the lock; may be repeated', pairs);
}

export function withMode(command: Command): Command {
  return command
    .optionsGroup('Lease:')
    .addOption(new Option('--shared', 'hold it together with others that share it'))
    .addOption(
      new Option('--permits <n/limit>', 'hold n of a limited number of permits, such as 1/5')
        .argParser(permits)
        .conflicts('shared'),
    );
}

export function withWait(command: Command): Command {
  return command
    .optionsGroup('Waiting:')
    .addOption(
      new Option('--wait <duration>', 'how long to wait for it: forever, 30s, 0')
        .argParser(waiting)
        .default(Number.POSITIVE_INFINITY, 'forever'),
    )
    .addOption(new Option('-n, --no-wait', 'do not wait: the same as --wait 0'))
    .option('-E, --conflict-exit-code <n>', 'the exit code when others hold it', exitCode, 1)
    .option('-v, --verbose', 'tell of the wait and of the lease also where stderr is no terminal');
}

export function withJson(command: Command, what = 'print one JSON document'): Command {
  return command.optionsGroup('Output:').option('--json', what);
}

/** A text as it is wrapped again, to the width of the terminal. */
export function paragraph(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** Milliseconds of `wait`, which commander makes `false` of for --no-wait. */
export function waitMsOf({ wait }: { readonly wait: number | boolean }): number {
  return typeof wait === 'number' ? wait : 0;
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
  if (ms === undefined) throw new InvalidArgumentError('Give "forever", 0, or a duration such as 30s or 5m.');
  return ms;
}

export function permits(text: string): { readonly permits: number; readonly limit: number } {
  const [, n, limit] = /^([1-9]\d{0,6})\/([1-9]\d{0,6})$/.exec(text) ?? [];
  if (n === undefined || limit === undefined) {
    throw new InvalidArgumentError('Give how many, and of how many, such as 1/5.');
  }
  if (Number(n) > Number(limit)) throw new InvalidArgumentError('It is more than its limit.');
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

/** For options that take some words only, one or several of them. */
export function severalOf<Word extends string>(words: readonly Word[]) {
  return (text: string, previous: readonly Word[] = []): readonly Word[] => {
    const given = text.split(',').map((part) => {
      const word = words.find((candidate) => candidate === part);
      if (word === undefined) throw new InvalidArgumentError(`Give one or several of ${words.join(', ')}.`);
      return word;
    });
    return [...previous, ...given];
  };
}

export function fencingToken(text: string): bigint {
  if (!/^[1-9]\d{0,18}$/.test(text))
    throw new InvalidArgumentError('Give the whole number that was granted.');
  return BigInt(text);
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
