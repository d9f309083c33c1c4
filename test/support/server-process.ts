// A Leasehold instance as a child process, as it is run in earnest: for tests that must tell instances apart,
// freeze or kill them. Owns the process's life; what it does is asked over gRPC.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { eventually } from './eventually.ts';
import { testEnvironment } from './instance.ts';
import { guardFromOrphaning, releaseFromGuard } from './redis/orphan-guard.ts';

const ROOT = join(import.meta.dirname, '../..');
const SOURCE_ADDRESS = pathToFileURL(join(import.meta.dirname, 'redis/source-address.ts')).href;
const STARTS_WITHIN_MS = 20_000;

export interface ServerProcessOptions {
  /** The configuration, on top of the tests' own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its connections leave from here, so that a partition can tell it apart. */
  readonly sourceAddress?: string;
}

export class ServerProcess {
  readonly address: { readonly host: string; readonly port: number };
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: { host: string; port: number }) {
    this.#child = child;
    this.address = address;
  }

  /** Returns when it serves. */
  static async start({ environment, sourceAddress }: ServerProcessOptions): Promise<ServerProcess> {
    const preload = sourceAddress ? ['--import', SOURCE_ADDRESS] : [];
    const child = spawn(process.execPath, [...preload, join(ROOT, 'src/main.ts'), 'serve'], {
      env: {
        PATH: process.env.PATH ?? '',
        ...testEnvironment({ LEASEHOLD_LOG_LEVEL: 'info' }),
        ...environment,
        ...(sourceAddress ? { LEASEHOLD_TEST_SOURCE_ADDRESS: sourceAddress } : {}),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (child.pid !== undefined) guardFromOrphaning('pid', child.pid);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (process.env.LEASEHOLD_TEST_LOG) process.stdout.write(text);
    });
    try {
      const [, host, port] = await eventually(
        () => /"address":"([^":]+):(\d+)".*"msg":"serving"/.exec(output) ?? false,
        { what: 'a server that serves', withinMs: STARTS_WITHIN_MS },
      );
      return new ServerProcess(child, { host: String(host), port: Number(port) });
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`the server did not start; it printed:\n${output}`, { cause: error });
    }
  }

  /** Ends it at once. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Asks it to stop, and returns when it has drained and ended. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'exit');
    if (this.#child.pid !== undefined) releaseFromGuard('pid', this.#child.pid);
  }
}
