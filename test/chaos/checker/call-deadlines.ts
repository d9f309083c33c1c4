// Judges that nothing hangs: every call has ended by the deadline that its caller set, whatever its outcome.
//
// Caught: a command that waits for ever on a connection to a frozen primary; a stream that a dying server never ended;
// a waiter whose timer was lost with its instance. Time in which the caller itself stood still doesn't count, and a
// client that was killed has no calls to end.

import type { Call, Run } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

/** For timers that fire late on a busy machine. */
const SLACK_MS = 2_000;

export function checkCallDeadlines(run: Run): Findings {
  const finder = new Finder('call deadlines');
  for (const call of run.calls) {
    const { began, ended } = call;
    const endMs = ended?.atMs ?? run.endedAtMs;
    if (run.wasKilled(began.by, began.atMs, endMs)) continue;
    const allowedMs = began.deadlineMs + SLACK_MS + run.pausedMs(began.by, began.atMs, endMs);
    if (endMs <= allowedMs) continue;
    const late = seconds(endMs - began.deadlineMs);
    finder.violation(
      endMs,
      `${tell(call)} ${ended ? `ended ${late} after` : `is open, ${late} past`} its deadline`,
    );
  }
  finder.count('calls judged', run.calls.length);
  return finder.findings();
}

function tell({ began: { rpc, call, by, lock } }: Call): string {
  return `${rpc} ${call} of ${by}${lock ? ` for ${lock.resource}` : ''}`;
}
