// Loaded before a process that is measured (node --expose-gc --import): answers the parent's question with what the
// process has used so far. The measured program itself knows nothing of it.

export interface Usage {
  /** User and system time since the start. */
  readonly cpuUs: number;
  /** Resident, after a forced collection when the question asks for one. */
  readonly memoryBytes: number;
  /** Of that, what JavaScript's objects take. */
  readonly heapBytes: number;
}

export type UsageQuestion = 'usage' | 'usage-after-collection';

process.on('message', (question: UsageQuestion) => {
  if (question === 'usage-after-collection') {
    // Twice: the first leaves what has finalizers.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const usage: Usage = { cpuUs: user + system, memoryBytes: rss, heapBytes: heapUsed };
  process.send?.(usage);
});
