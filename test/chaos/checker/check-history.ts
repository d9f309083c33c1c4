// The verdict on a run: all checks over its history, one after the other. Each check has a file of its own, which says
// what it judges and which interleaving it would catch.

import type { Event } from '../history.ts';
import { checkAcknowledgedOperations } from './acknowledged-operations.ts';
import { checkBeliefs } from './beliefs.ts';
import { checkCallDeadlines } from './call-deadlines.ts';
import { checkGhosts } from './ghosts.ts';
import { checkGrants } from './grants.ts';
import { checkGuardedWrites } from './guarded-writes.ts';
import { checkKeptLeases } from './kept-leases.ts';
import { checkLeaks } from './leaks.ts';
import { checkProgress } from './progress.ts';
import { checkQueueOrder } from './queue-fairness.ts';
import { checkRecordOrder } from './record-order.ts';
import { Run } from './recorded-run.ts';
import { checkRetries } from './retries.ts';
import { checkRollCalls } from './roll-calls.ts';
import { type Figures, figuresOf } from './run-figures.ts';
import { checkTokenAnswers } from './token-answers.ts';
import type { Findings, Undecided, Violation } from './verdict.ts';
import { checkWaits } from './waits.ts';

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
  readonly undecided: readonly Undecided[];
}

const CHECKS: readonly { readonly judges: readonly string[]; readonly check: (run: Run) => Findings }[] = [
  { judges: ['guarded writes'], check: checkGuardedWrites },
  { judges: ['tokens'], check: checkGrants },
  { judges: ['beliefs', 'leaders', 'attempts'], check: checkBeliefs },
  { judges: ['token answers'], check: checkTokenAnswers },
  { judges: ['roll call'], check: checkRollCalls },
  { judges: ['kept leases'], check: checkKeptLeases },
  { judges: ['ghosts'], check: checkGhosts },
  { judges: ['acknowledged operations'], check: checkAcknowledgedOperations },
  { judges: ['order of operations'], check: checkRecordOrder },
  { judges: ['retries'], check: checkRetries },
  { judges: ['call deadlines'], check: checkCallDeadlines },
  { judges: ['waits'], check: checkWaits },
  { judges: ['progress'], check: checkProgress },
  { judges: ['queue order'], check: checkQueueOrder },
  { judges: ['leaks'], check: checkLeaks },
];

/** Names the check that a violation can come from. */
export const CHECK_NAMES: readonly string[] = CHECKS.flatMap(({ judges }) => judges);

/** Judges by all checks, or only by those of CHECK_NAMES that are given. */
export function checkHistory(events: readonly Event[], only: readonly string[] = CHECK_NAMES): Verdict {
  const run = new Run(events);
  const findings = CHECKS.filter(({ judges }) => judges.some((name) => only.includes(name))).map(
    ({ check }) => check(run),
  );
  const all = findings
    .flatMap(({ violations }) => violations)
    .filter(({ check }) => only.includes(check))
    .toSorted((a, b) => a.atMs - b.atMs);
  // A violation after a fault beyond the stated bounds is reported, but fails nothing.
  const boundsMs = run.faults.find(({ began }) => began.beyondBounds !== undefined)?.began.atMs;
  const violations = all.filter(({ atMs }) => boundsMs === undefined || atMs < boundsMs);
  const counts: Record<string, number> = {};
  for (const one of findings) Object.assign(counts, one.counts);
  if (boundsMs !== undefined) counts['breaches beyond the stated bounds'] = all.length - violations.length;
  return {
    violations,
    undecided: findings.flatMap(({ undecided }) => undecided),
    figures: figuresOf(run, counts),
  };
}
