// The command as a user starts it: arguments and environment in, output and exit code out. It is for tests of the
// process itself; a test that only needs an instance uses server-process.ts or, in this process, test-instance.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { guardFromOrphaning, releaseFromGuard } from './redis/orphan-guard.ts';
import { testEnvironment } from './test-instance.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const STARTS_WITHIN_MS = 60_000;

/** For a process with no configuration but `more`: where programs are, and what is compiled already. */
export function bareEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  return { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }), ...more };
}

export class CommandLine {
  /** All output so far. */
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // 'close' and not 'exit', because only then all output has been read.
    this.#exited = once(child, 'close').then(([code, signal]) => code ?? signal);
    const { pid } = child;
    if (pid !== undefined) {
      guardFromOrphaning('pid', pid);
      child.once('exit', () => releaseFromGuard('pid', pid));
    }
  }

  /** `environment` is all the configuration there is. */
  static start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): CommandLine {
    const env = bareEnvironment(environment);
    return new CommandLine(
      spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
  }

  /** A server on free ports. */
  static serve(overrides: Readonly<Record<string, string>> = {}): CommandLine {
    return CommandLine.start(['serve'], testEnvironment({ LEASEHOLD_LOG_LEVEL: 'info', ...overrides }));
  }

  /** The address where it serves, as its log says. */
  async address(): Promise<{ host: string; port: number }> {
    const [, host = '', port] = await eventually(
      () => /"address":"([^":]+):(\d+)".*"msg":"serving"/.exec(this.stdout) ?? false,
      { what: `"serving" in the log of ${this}`, withinMs: STARTS_WITHIN_MS },
    );
    return { host, port: Number(port) };
  }

  /** Waits for a line in the log. */
  async logged(pattern: RegExp, withinMs = STARTS_WITHIN_MS): Promise<void> {
    await eventually(() => pattern.test(this.stdout), { what: `${pattern} in the log of ${this}`, withinMs });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code, or the name of the signal that ended it; fails if it runs for longer. */
  async exit(withinMs = STARTS_WITHIN_MS): Promise<number | string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this} still runs after ${withinMs} ms`)), withinMs);
    });
    return Promise.race([this.#exited, late]).finally(() => clearTimeout(timer));
  }

  /** Ends it at once, if it still runs. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  toString(): string {
    return `leasehold (stdout: ${this.stdout.slice(-2_000)}; stderr: ${this.stderr.slice(-2_000)})`;
  }
}
