// Loaded into a process that is measured, before its program (node --expose-gc --import). It answers the parent's
// question with what the process has used so far; the program knows nothing of it.

export interface Usage {
  /** The user and system time since the start. */
  readonly cpuUs: number;
  /** Resident memory, after a forced collection if the question asks for one. */
  readonly memoryBytes: number;
  /** The part of it that JavaScript objects take. */
  readonly heapBytes: number;
}

export type UsageQuestion = 'usage' | 'usage-after-collection';

process.on('message', (question: UsageQuestion) => {
  if (question === 'usage-after-collection') {
    // It collects twice: the first time leaves objects with finalizers.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const usage: Usage = { cpuUs: user + system, memoryBytes: rss, heapBytes: heapUsed };
  process.send?.(usage);
});
