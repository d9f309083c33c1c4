// The verdict on a run: all checks over its history, one after the other. Each check has a file of its own, which
// says what it judges and which interleaving it would catch.

import type { Event } from '../history.ts';
import { checkBeliefs } from './beliefs.ts';
import { type Figures, figuresOf } from './figures.ts';
import { checkGrants } from './grants.ts';
import { checkGuardedWrites } from './guarded-writes.ts';
import { Run } from './run.ts';
import type { Findings, Undecided, Violation } from './verdict.ts';

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly figures: Figures;
  readonly undecided: readonly Undecided[];
}

const CHECKS: readonly ((run: Run) => Findings)[] = [checkGuardedWrites, checkGrants, checkBeliefs];

export function checkHistory(events: readonly Event[]): Verdict {
  const run = new Run(events);
  const findings = CHECKS.map((check) => check(run));
  const counts = Object.assign({}, ...findings.map((one) => one.counts)) as Readonly<Record<string, number>>;
  return {
    violations: findings.flatMap(({ violations }) => violations).toSorted((a, b) => a.atMs - b.atMs),
    undecided: findings.flatMap(({ undecided }) => undecided),
    figures: figuresOf(run, counts),
  };
}
