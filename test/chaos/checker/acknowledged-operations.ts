// Judges promise 6: what an answer said about an operation record is still there later. No answer to a call that began
// afterwards shows an older version or no record, unless a failover may have lost it, judging by the faults that were
// declared.
//
// Caught: Complete is answered with version 5, the primary dies before a replica has it, the new one shows version 4
// (no WAIT; WAIT without a tick on Redis 7.0). A worker would do finished work again.

import { type RecordCall, recordCalls, versionShown } from './record-calls.ts';
import type { Run } from './recorded-run.ts';
import { explainsLoss, losingReigns } from './unexplained-losses.ts';
import { Finder, type Findings } from './verdict.ts';

export function checkAcknowledgedOperations(run: Run): Findings {
  const finder = new Finder('acknowledged operations');
  const losing = losingReigns(run);
  for (const [record, calls] of recordCalls(run).calls) {
    const deletions = calls.filter(({ call, isFailed }) => call.began.rpc === 'DeleteOperation' && !isFailed);
    const answers = calls.filter(
      (one) => versionShown(one) !== undefined && one.toMs !== Number.POSITIVE_INFINITY,
    );
    let acknowledged: RecordCall[] = [];
    const byEnd = answers.toSorted((a, b) => a.toMs - b.toMs);
    let next = 0;
    for (const answer of answers.toSorted((a, b) => a.fromMs - b.fromMs)) {
      for (; (byEnd[next]?.toMs ?? Number.POSITIVE_INFINITY) < answer.fromMs; next++) {
        const earlier = byEnd[next];
        if (earlier) acknowledged.push(earlier);
      }
      const shown = versionShown(answer) ?? 0;
      const isDeleted = (earlier: RecordCall): boolean =>
        deletions.some(({ fromMs, toMs }) => toMs >= earlier.fromMs && fromMs <= answer.toMs);
      const newer = acknowledged.filter((one) => (versionShown(one) ?? 0) > shown);
      // Reported once: a record that is gone stays gone.
      acknowledged = acknowledged.filter((one) => !newer.includes(one));
      const lost = newer.filter((one) => !isDeleted(one));
      const [worst] = lost.toSorted((a, b) => (versionShown(b) ?? 0) - (versionShown(a) ?? 0));
      if (!worst) continue;
      if (explainsLoss(losing, { fromMs: worst.fromMs, toMs: answer.toMs })) {
        finder.count('explained losses');
        continue;
      }
      const text = `${record}: ${tell(worst)} was answered with version ${worst.shown?.version}, and later ${tell(answer)}`;
      const reigns = `reigns ${run.reignAt(worst.toMs)} and ${run.reignAt(answer.toMs)}`;
      finder.violation(
        answer.toMs,
        `${text} with ${shown === 0 ? 'no record' : `version ${shown}`} (${reigns})`,
      );
    }
    finder.count('answers about operations', answers.length);
  }
  return finder.findings();
}

function tell({ call }: RecordCall): string {
  return `${call.began.rpc} ${call.began.call}`;
}
