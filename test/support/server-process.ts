// A server as a child process, as users run it: for tests that must tell instances apart, freeze or kill them, for the
// demo and for the benchmarks. It is Leasehold itself, or any script that logs JSON lines and says "serving" with its
// address. Owns the start and the end of the process; tests ask it over gRPC.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { type HostPort, parseHostPort } from '../../src/domain/host-port.ts';
import { guardFromOrphaning, releaseFromGuard } from './redis/orphan-guard.ts';
import { testEnvironment } from './test-instance.ts';

/** The command that starts the server. */
export const LEASEHOLD: readonly string[] = [join(import.meta.dirname, '../../src/main.ts'), 'serve'];

const SOURCE_ADDRESS = pathToFileURL(join(import.meta.dirname, 'redis/source-address.ts')).href;
const STARTS_WITHIN_MS = 60_000;
/** A server drains for 10 s if it is not told otherwise. */
const STOPS_WITHIN_MS = 15_000;
const KEPT_LINES = 20;

export interface ServerProcessOptions {
  /** The script and its arguments; LEASEHOLD when not given. */
  readonly script?: readonly string[];
  /** Added to the tests' own configuration, and to this process's environment without its LEASEHOLD_ variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** Further arguments for node. */
  readonly nodeArguments?: readonly string[];
  /** Its connections leave from this address, so that a partition can tell it apart. */
  readonly sourceAddress?: string;
}

export class ServerProcess {
  readonly address: HostPort;
  /** Has a channel for messages (`send`, `on('message')`). */
  readonly process: ChildProcess;
  #isAskedToEnd = false;

  private constructor(child: ChildProcess, address: HostPort, lastLines: readonly string[]) {
    this.process = child;
    this.address = address;
    child.once('close', () => {
      if (!this.#isAskedToEnd) console.error(`${this.#hasEnded()}. It printed:\n${lastLines.join('\n')}`);
    });
  }

  /** Returns when it serves. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const { script = LEASEHOLD, environment, nodeArguments = [], sourceAddress } = options;
    const preload = sourceAddress === undefined ? [] : ['--import', SOURCE_ADDRESS];
    // A process group of its own: a Ctrl-C at the terminal is for us, and we then stop our processes in order.
    const child = spawn(process.execPath, [...nodeArguments, ...preload, ...script], {
      env: {
        ...foreignEnvironment(),
        ...testEnvironment({ LEASEHOLD_LOG_LEVEL: 'info', ...environment }),
        ...(sourceAddress === undefined ? {} : { LEASEHOLD_TEST_SOURCE_ADDRESS: sourceAddress }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) {
      guardFromOrphaning('pid', pid);
      child.once('exit', () => releaseFromGuard('pid', pid));
    }
    const lines: string[] = [];
    const address = new Promise<HostPort>((resolve, reject) => {
      const read = (line: string): void => {
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
        if (process.env.LEASEHOLD_TEST_LOG) console.log(line);
        const serving = addressIn(line);
        if (serving) resolve(serving);
      };
      for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', read);
      const fail = (what: string) =>
        reject(new Error(`the server ${what}. It printed:\n${lines.join('\n')}`));
      child.once('error', reject);
      child.once('close', () => fail('ended'));
      setTimeout(() => fail('did not start in time'), STARTS_WITHIN_MS).unref();
    });
    try {
      return new ServerProcess(child, await address, lines);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Rejects when it ends and nobody asked it to. */
  async diedEarly(): Promise<never> {
    await this.#ended();
    if (this.#isAskedToEnd) return new Promise(() => undefined);
    throw new Error(this.#hasEnded());
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#isAskedToEnd = true;
    this.process.kill('SIGKILL');
    await this.#ended();
  }

  /** Asks it to stop, and returns when it has drained and ended; it is killed if that takes too long. */
  async stop(): Promise<void> {
    this.#isAskedToEnd = true;
    this.process.kill('SIGTERM');
    const late = setTimeout(() => this.process.kill('SIGKILL'), STOPS_WITHIN_MS);
    await this.#ended();
    clearTimeout(late);
  }

  #hasEnded(): string {
    return `the server at port ${this.address.port} has ended by itself`;
  }

  async #ended(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    await once(this.process, 'exit');
  }
}

function foreignEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LEASEHOLD_')));
}

function addressIn(line: string): HostPort | undefined {
  if (!line.includes('"serving"')) return undefined;
  const { msg, address } = JSON.parse(line) as { msg?: string; address?: string }; // our own log line
  return msg === 'serving' ? parseHostPort(address ?? '', 1) : undefined;
}
