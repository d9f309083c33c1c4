// Loaded before a process that is measured (node --expose-gc --import): answers the parent's question with what the
// process has used so far. The measured program itself knows nothing of it.

export interface Usage {
  /** User and system time since the start. */
  readonly cpuUs: number;
  /** Resident, after a forced collection when the question asks for one. */
  readonly memoryBytes: number;
}

export type UsageQuestion = 'usage' | 'usage-after-collection';

process.on('message', (question: UsageQuestion) => {
  if (question === 'usage-after-collection') {
    // Twice: the first leaves what has finalizers.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { user, system } = process.cpuUsage();
  const usage: Usage = { cpuUs: user + system, memoryBytes: process.memoryUsage.rss() };
  process.send?.(usage);
});
