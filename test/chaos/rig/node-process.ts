// A Node program of a run as a process of its own: a server or a client. Owns its life and the file with its output. An
// end that nobody asked for is reported, since it is a defect whatever else happens.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { guardFromOrphaning, releaseFromGuard } from '../../support/redis/orphan-guard.ts';

export interface NodeProgram {
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  /** Modules that are loaded before the script. */
  readonly preload: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The file for its output; lines of an earlier process of this name stay. */
  readonly logFile: string;
  /** Called when it ends and nobody told it to. */
  readonly onCrash: (what: string) => void;
}

export class NodeProcess {
  readonly #program: NodeProgram;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;
  readonly #logStart: number;
  #mayEnd = false;

  private constructor(program: NodeProgram, child: ChildProcess, logStart: number) {
    this.#program = program;
    this.#child = child;
    this.#logStart = logStart;
    const { pid } = child;
    if (pid !== undefined) guardFromOrphaning('pid', pid);
    this.#ended = once(child, 'exit').then(([code, signal]) => {
      if (pid !== undefined) releaseFromGuard('pid', pid);
      const how: number | string = code ?? signal ?? 'gone';
      if (!this.#mayEnd) program.onCrash(`${program.name} ended by itself (${how}): ${this.lastWords()}`);
      return how;
    });
  }

  static start(program: NodeProgram): NodeProcess {
    const log = openSync(program.logFile, 'a');
    const logStart = readFileSync(program.logFile, 'utf8').length;
    const imports = program.preload.flatMap((file) => ['--import', pathToFileURL(file).href]);
    const child = spawn(process.execPath, [...imports, program.script, ...(program.args ?? [])], {
      env: { PATH: process.env.PATH ?? '', ...program.environment },
      stdio: ['ignore', log, log],
      // A process group of its own: a Ctrl-C at the terminal is for the runner, which then stops everything in order.
      detached: true,
    });
    closeSync(log);
    return new NodeProcess(program, child, logStart);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The output of this process. */
  printed(): string {
    return readFileSync(this.#program.logFile, 'utf8').slice(this.#logStart);
  }

  /** The error that it died of, with its place, if it printed one; otherwise the end of its output. */
  lastWords(): string {
    const lines = this.printed().trim().split('\n').slice(-30);
    const death = lines.findLastIndex((line) => /^\w*Error\b|"level":60/.test(line));
    return (death < 0 ? lines.slice(-3) : lines.slice(death, death + 3)).join(' | ').slice(0, 1_000);
  }

  /** Freezes it (SIGSTOP). */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** A crash (SIGKILL). Returns when it is gone. */
  async kill(): Promise<void> {
    this.#mayEnd = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** An orderly end (SIGTERM). Returns what was wrong with it, or undefined; kills it after `withinMs`. */
  async end(withinMs: number): Promise<string | undefined> {
    const { name } = this.#program;
    if (!this.isRunning) return undefined;
    this.#mayEnd = true;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), withinMs);
    const how = await this.#ended.finally(() => clearTimeout(timer));
    if (how === 0) return undefined;
    if (how === 'SIGKILL') return `${name} did not end within ${withinMs} ms of SIGTERM: ${this.lastWords()}`;
    return `${name} ended with ${how} on SIGTERM: ${this.lastWords()}`;
  }
}
