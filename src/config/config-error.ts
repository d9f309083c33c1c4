// What is thrown when the configuration cannot be used: every problem found, not just the first. Messages are made
// by those who find the problem, and never hold a secret.

export interface ConfigProblem {
  /** The key's path as written in the file, such as `redis.address[1]`; empty when the file as a whole is meant. */
  readonly key: string;
  readonly message: string;
  /** Where it was given: `leasehold.yaml:7`, `LEASEHOLD_REDIS_DB`, or just the file for what is missing. */
  readonly source: string;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  /** @param problems at least one; the error's message has one line for each. */
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

function formatProblem(problem: ConfigProblem): string {
  const where = problem.key === '' ? problem.source : `${problem.source}: ${problem.key}`;
  return `${where}: ${problem.message}`;
}
