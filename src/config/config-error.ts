// The error for a configuration that cannot be used: it holds every problem, not just the first. Owns how a problem is
// written on a line, and the words for a file that cannot be opened. The code that finds a problem writes its message,
// and never puts a secret in it.

export interface ConfigProblem {
  /** The path of the key as in the file, such as `redis.address[1]`; empty for a problem of the whole source. */
  readonly key: string;
  readonly message: string;
  /** Where the key was given: `leasehold.yaml:7`, `LEASEHOLD_REDIS_DB`; the file alone for a key that is missing. */
  readonly source: string;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  /** @param problems at least one; the message of the error has one line for each. */
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

function formatProblem(problem: ConfigProblem): string {
  const where = problem.key === '' ? problem.source : `${problem.source}: ${problem.key}`;
  return `${where}: ${problem.message}`;
}

/**
 * Why a file could not be opened, in words for the person who named it. It never shows the path: only the caller knows
 * whether a path is safe to show.
 */
export function fileTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'no permission to read it';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return typeof code === 'string' ? `error ${code}` : 'unknown error';
  }
}
