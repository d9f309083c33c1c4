// The container engine of this machine and its compose command, version 2 (`docker compose`) or 1 (`docker-compose`).
// Owns how to find and call them; the callers decide what to run.
import { runCommand } from '../../test/support/redis/run-program.ts';

const LOOK_MS = 15_000;
const COMMAND_MS = 120_000;

export interface Engine {
  readonly version: string;
  readonly compose: readonly string[];
  readonly composeVersion: string;
}

/** Returns a string that says why, if there is none. */
export async function findEngine(): Promise<Engine | string> {
  let version: string;
  try {
    version = await docker(['version', '--format', '{{.Server.Version}}'], LOOK_MS);
  } catch (error) {
    return `no Docker engine answers (${error instanceof Error ? error.message : String(error)})`;
  }
  for (const compose of [['docker', 'compose'], ['docker-compose']]) {
    const composeVersion = await run([...compose, 'version', '--short'], LOOK_MS).catch(() => undefined);
    if (composeVersion !== undefined) return { version, compose, composeVersion };
  }
  return 'there is neither "docker compose" nor "docker-compose"';
}

/** Returns what the command prints, without white space around it. */
export function docker(args: readonly string[], timeoutMs = COMMAND_MS): Promise<string> {
  return run(['docker', ...args], timeoutMs);
}

export async function run(
  [program = '', ...args]: readonly string[],
  timeoutMs: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  return (await runCommand(program, args, { timeoutMs, env })).trim();
}

/** The lines of a text that aren't empty. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
