// The records of what happened in a demo, and what follows from them. The summary uses nothing else. All moments are
// milliseconds on the monotonic clock of this one process, so that they can be compared.

export type Rpc = 'Acquire' | 'Renew' | 'Release';

/** A span in which a worker believed that it was the holder. */
export interface Belief {
  readonly worker: string;
  readonly token: bigint;
  readonly fromMs: number;
  /** Undefined while it still holds. */
  untilMs: number | undefined;
}

export interface Renewal {
  readonly token: bigint;
  readonly atMs: number;
}

export class Journal {
  readonly beliefs: Belief[] = [];
  readonly renewals: Renewal[] = [];
  /** The number of calls by rpc and outcome. */
  readonly calls = new Map<Rpc, Map<string, number>>();

  count(rpc: Rpc, outcome: string): void {
    const ofRpc = this.calls.get(rpc) ?? new Map<string, number>();
    ofRpc.set(outcome, (ofRpc.get(outcome) ?? 0) + 1);
    this.calls.set(rpc, ofRpc);
  }
}

/** The verdict of the demo: there were never two holders at once, and tokens only grew. */
export function promisesKept({ beliefs }: Journal, nowMs: number): boolean {
  return overlaps(beliefs, nowMs).length === 0 && shrinkingTokens(beliefs).length === 0;
}

/** The pairs of spans that overlap, one line each. A span that hasn't ended reaches to `nowMs`. */
export function overlaps(beliefs: readonly Belief[], nowMs: number): string[] {
  const found: string[] = [];
  for (const [index, one] of beliefs.entries()) {
    for (const other of beliefs.slice(index + 1)) {
      const fromMs = Math.max(one.fromMs, other.fromMs);
      const untilMs = Math.min(one.untilMs ?? nowMs, other.untilMs ?? nowMs);
      if (fromMs < untilMs) {
        const forMs = Math.round(untilMs - fromMs);
        found.push(`${one.worker} (${one.token}) and ${other.worker} (${other.token}) for ${forMs} ms`);
      }
    }
  }
  return found;
}

/** The grants whose token is not larger than the token before, one line each. */
export function shrinkingTokens(beliefs: readonly Belief[]): string[] {
  const inOrder = beliefs.toSorted((a, b) => a.fromMs - b.fromMs);
  return inOrder.flatMap(({ worker, token }, index) => {
    const before = inOrder[index - 1];
    return before && token <= before.token ? [`${worker}: ${token} after ${before.token}`] : [];
  });
}

/** The longest time between two successive renewals of one lease around `momentMs`; undefined if there were none. */
export function renewalGapMs(renewals: readonly Renewal[], momentMs: number): number | undefined {
  const before = renewals.findLast(({ atMs }) => atMs < momentMs);
  const after = renewals.find(({ atMs, token }) => atMs >= momentMs && token === before?.token);
  return before && after && after.atMs - before.atMs;
}
