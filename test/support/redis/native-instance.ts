// A redis-server as a child process with a temporary folder of its own. Owns the process, the folder and the log.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeRuntime } from './find-redis.ts';
import { guardFromOrphaning, releaseFromGuard, temporaryFolder } from './orphan-guard.ts';
import type { InstanceSpec, RedisInstance, Signal } from './redis-instance.ts';

const CONFIG_FILE = 'node.conf';
const LOG_FILE = 'redis.log';
const KEPT_FOLDER = 'kept';
/** While Redis rewrites its append-only file, files come and go under a copy. */
const COPIES_TRIED = 20;

export class NativeInstance implements RedisInstance {
  readonly #runtime: NativeRuntime;
  readonly #spec: InstanceSpec;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #isConfigured = false;

  constructor(runtime: NativeRuntime, spec: InstanceSpec) {
    this.#runtime = runtime;
    this.#spec = spec;
    this.#folder = join(temporaryFolder(), spec.name);
  }

  async start(): Promise<void> {
    if (!this.#isConfigured) {
      mkdirSync(this.#folder, { recursive: true });
      await writeFile(join(this.#folder, CONFIG_FILE), this.#spec.config);
      this.#isConfigured = true;
    }
    const log = openSync(join(this.#folder, LOG_FILE), 'a');
    const mode = this.#spec.isSentinel ? ['--sentinel'] : [];
    // A process group of its own: a Ctrl-C at the terminal is for us, and we then stop our processes in order.
    const child = spawn(this.#runtime.executable, [CONFIG_FILE, ...mode], {
      cwd: this.#folder,
      env: { ...this.#runtime.env, ...this.#spec.environment },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const { pid } = child;
    if (pid !== undefined) {
      // This comes before anything is awaited: if we crashed in between, it would run for ever.
      guardFromOrphaning('pid', pid);
      child.once('exit', () => releaseFromGuard('pid', pid));
    }
    await once(child, 'spawn');
    this.#child = child;
    child.unref();
  }

  async isRunning(): Promise<boolean> {
    return this.#running() !== undefined;
  }

  async signal(signal: Signal): Promise<void> {
    this.#running()?.kill(signal);
  }

  async ended(): Promise<void> {
    const child = this.#running();
    if (child === undefined) return;
    child.ref();
    await once(child, 'exit');
  }

  async wipe(): Promise<void> {
    for (const entry of await this.#dataEntries()) {
      await rm(join(this.#folder, entry), { recursive: true, force: true });
    }
  }

  async keepData(): Promise<void> {
    for (let tried = 1; ; tried += 1) {
      try {
        await rm(this.#kept, { recursive: true, force: true });
        mkdirSync(this.#kept);
        for (const entry of await this.#dataEntries()) {
          await cp(join(this.#folder, entry), join(this.#kept, entry), { recursive: true });
        }
        return;
      } catch (error) {
        if (tried === COPIES_TRIED) throw error;
      }
    }
  }

  async restoreData(): Promise<void> {
    await this.wipe();
    await cp(this.#kept, this.#folder, { recursive: true });
  }

  async log(): Promise<string> {
    return readFile(join(this.#folder, LOG_FILE), 'utf8').catch(() => '');
  }

  async dispose(): Promise<void> {
    await this.signal('SIGKILL');
    await this.ended();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get #kept(): string {
    return join(this.#folder, KEPT_FOLDER);
  }

  async #dataEntries(): Promise<string[]> {
    const others = [CONFIG_FILE, LOG_FILE, KEPT_FOLDER];
    return (await readdir(this.#folder)).filter((entry) => !others.includes(entry));
  }

  #running(): ChildProcess | undefined {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null ? child : undefined;
  }
}
