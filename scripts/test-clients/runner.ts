// A language's runner as a child process: commands in, answers out, one JSON object per line. Owns the process, and
// matches answers to commands.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { guardFromOrphaning, releaseFromGuard } from '../../test/support/redis/orphan-guard.ts';
import type { Values } from './client-scenario.ts';

export interface RunnerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What the client threw: code, reason, message, and whatever else the runner reports. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly fields: Values;

  constructor(fields: Values) {
    super(JSON.stringify(fields));
    this.fields = fields;
  }
}

const VALUES = z.record(z.string(), z.unknown());
const ANSWER = z.object({ id: z.number(), ok: VALUES.optional(), error: VALUES.optional() });
const EXITS_WITHIN_MS = 10_000;
/** The longest that a scenario lets a client wait is a minute. */
const ANSWERS_WITHIN_MS = 120_000;
const KEPT_LINES = 40;

interface Pending {
  readonly resolve: (answer: Values) => void;
  readonly reject: (error: Error) => void;
}

export class Runner {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #log: string[] = [];
  #ids = 0;

  constructor({ command, args, cwd, environment }: RunnerCommand) {
    this.#child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { pid, stdout, stderr, stdin } = this.#child;
    if (pid !== undefined) guardFromOrphaning('pid', pid);
    if (stdout) createInterface(stdout).on('line', (line) => this.#read(line));
    if (stderr) createInterface(stderr).on('line', (line) => this.#note(line));
    stdin?.on('error', () => {}); // 'close' reports its end.
    this.#child.once('error', (error) => this.#fail(`did not start: ${error.message}`));
    this.#child.once('close', (code, signal) => {
      if (pid !== undefined) releaseFromGuard('pid', pid);
      this.#fail(`ended with ${code ?? signal}`);
    });
  }

  /** The last lines that it wrote to stderr. */
  get log(): string {
    return this.#log.join('\n');
  }

  /** Throws ClientError, and Error when the runner has ended or doesn't answer. */
  ask(verb: string, args: Values): Promise<Values> {
    this.#ids += 1;
    const id = this.#ids;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#pending.delete(id);
        reject(
          new Error(`the runner has not answered "${verb}" for ${ANSWERS_WITHIN_MS / 1_000} s\n${this.log}`),
        );
      }, ANSWERS_WITHIN_MS);
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(late);
          settle(value);
        };
      this.#pending.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#child.stdin?.write(`${JSON.stringify({ id, verb, args })}\n`);
    });
  }

  /** Its process gets no time, as in a suspended container. Its connections stay open. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Closes the runner's input, which has to end it. Throws if it hangs. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.thaw(); // A scenario that failed may have left it frozen.
    const ended = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), EXITS_WITHIN_MS);
    this.#child.stdin?.end();
    const [code, signal] = await ended;
    clearTimeout(timer);
    if (code !== 0)
      throw new Error(`the runner did not exit when its input ended: ${code ?? signal}\n${this.log}`);
  }

  #read(line: string): void {
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      this.#note(line); // A library has printed it.
      return;
    }
    const { id, ok, error } = ANSWER.parse(parsed);
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error) pending?.reject(new ClientError(error));
    else pending?.resolve(ok ?? {});
  }

  #note(line: string): void {
    this.#log.push(line);
    if (this.#log.length > KEPT_LINES) this.#log.shift();
    if (process.env.LEASEHOLD_TEST_LOG) console.error(line);
  }

  #fail(why: string): void {
    for (const { reject } of this.#pending.values()) reject(new Error(`the runner ${why}\n${this.log}`));
    this.#pending.clear();
  }
}
