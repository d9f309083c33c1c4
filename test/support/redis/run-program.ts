// Runs a program to its end and gives back what it printed. Owns nothing else: no shell, no retries.
import { execFile } from 'node:child_process';

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Also return what it wrote to standard error, after the rest. */
  readonly withErrors?: boolean;
}

/** Its standard output. Throws when the program is missing, exits with another code than 0, or takes too long. */
export function runCommand(file: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { timeoutMs, cwd, env = process.env, withErrors = false } = options;
  return new Promise((resolve, reject) => {
    const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const;
    execFile(file, [...args], { ...limits, cwd, env }, (error, stdout, stderr) => {
      if (error === null) return resolve(withErrors ? stdout + stderr : stdout);
      const said = stderr.trim().split('\n').slice(-3).join(' ') || error.message;
      reject(new Error(`${file}: ${said}`, { cause: error }));
    });
  });
}
