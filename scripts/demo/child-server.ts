// A server in a process of its own, for the demo and the benchmarks: any script that logs JSON lines and says "serving"
// with its address. Owns the start and end of the process; the callers decide what to ask the server.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type HostPort, parseHostPort } from '../../src/domain/host-port.ts';
import { guardFromOrphaning, releaseFromGuard } from '../../test/support/redis/orphan-guard.ts';

/** Leasehold's own program and its argument. */
export const LEASEHOLD: readonly string[] = [join(import.meta.dirname, '../../src/main.ts'), 'serve'];

const STARTS_WITHIN_MS = 20_000;
const STOPS_WITHIN_MS = 5_000;
const KEPT_LINES = 20;

export interface ChildServerOptions {
  /** The script, followed by its arguments. */
  readonly script: readonly string[];
  /** Added to this process's environment, which is passed on without its LEASEHOLD_ variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** Additional arguments for node. */
  readonly nodeArguments?: readonly string[];
}

export class ChildServer {
  readonly address: HostPort;
  /** Its IPC channel is open (`send`, `on('message')`). */
  readonly process: ChildProcess;
  #stopping = false;

  private constructor(child: ChildProcess, address: HostPort) {
    this.process = child;
    this.address = address;
  }

  /** Returns when it serves. */
  static async start(options: ChildServerOptions): Promise<ChildServer> {
    // It gets a process group of its own: Ctrl-C at the terminal reaches only us, and we stop our processes in order.
    const child = spawn(process.execPath, [...(options.nodeArguments ?? []), ...options.script], {
      env: { ...foreignEnvironment(), ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    if (child.pid !== undefined) guardFromOrphaning('pid', child.pid);
    const lines: string[] = [];
    const address = new Promise<HostPort>((resolve, reject) => {
      const read = (line: string): void => {
        lines.push(line);
        if (lines.length > KEPT_LINES) lines.shift();
        const serving = addressIn(line);
        if (serving) resolve(serving);
      };
      for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', read);
      child.once('error', reject);
      child.once('close', () => reject(new Error(`the server ended. It printed:\n${lines.join('\n')}`)));
      setTimeout(() => reject(new Error('the server did not start in time')), STARTS_WITHIN_MS).unref();
    });
    try {
      return new ChildServer(child, await address);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Rejects if the server ends without being asked to. */
  async diedEarly(): Promise<never> {
    await this.#ended();
    if (this.#stopping) return new Promise(() => undefined);
    throw new Error(`the server at port ${this.address.port} ended by itself`);
  }

  /** Asks the server to end in order, and kills it if that takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.process.kill('SIGTERM');
    const late = setTimeout(() => this.process.kill('SIGKILL'), STOPS_WITHIN_MS);
    await this.#ended();
    clearTimeout(late);
    if (this.process.pid !== undefined) releaseFromGuard('pid', this.process.pid);
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
