// The verdict on a run: all checks over its history, one after the other. Each check has a file of its own, which
// says what it judges and which interleaving it would catch.

import type { Event } from '../history.ts';
import { checkAcknowledgedOperations } from './acknowledged-operations.ts';
import { checkBeliefs } from './beliefs.ts';
import { checkCallDeadlines } from './call-deadlines.ts';
import { type Figures, figuresOf } from './figures.ts';
import { checkGrants } from './grants.ts';
import { checkGuardedWrites } from './guarded-writes.ts';
import { checkLeaks } from './leaks.ts';
import { checkProgress } from './progress.ts';
import { checkQueueOrder } from './queue-order.ts';
import { checkRecordOrder } from './record-order.ts';
import { checkRetries } from './retries.ts';
import { Run } from './run.ts';
import { checkTokenAnswers } from './token-answers.ts';
import type { Findings, Undecided, Violation } from './verdict.ts';
import { checkWaits } from './waits.ts';

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
  readonly undecided: readonly Undecided[];
}

const CHECKS: readonly ((run: Run) => Findings)[] = [
  checkGuardedWrites,
  checkGrants,
  checkBeliefs,
  checkTokenAnswers,
  checkAcknowledgedOperations,
  checkRecordOrder,
  checkRetries,
  checkCallDeadlines,
  checkWaits,
  checkProgress,
  checkQueueOrder,
  checkLeaks,
];

export function checkHistory(events: readonly Event[]): Verdict {
  const run = new Run(events);
  const findings = CHECKS.map((check) => check(run));
  const all = findings.flatMap(({ violations }) => violations).toSorted((a, b) => a.atMs - b.atMs);
  // What a fault beyond the stated bounds leads to is told, and held against nobody.
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
