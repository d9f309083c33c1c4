// What speaks against a failover, and whether it counts: the drill's own objections and the findings of an examination
// of the deployment, less what the user accepts by name.

import type { Objection } from '../drill/objections.ts';
import { printable } from './text.ts';

/** One thing that is not as it should be. */
export interface SafetyFinding {
  readonly check: string;
  /** `error`: a reason not to fail over. Anything else is not. */
  readonly severity: string;
  readonly subject: string;
  readonly seen: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
}

export interface SafetyVerdict {
  readonly blocking: readonly SafetyFinding[];
  /** Would block, but the user has named them. */
  readonly accepted: readonly SafetyFinding[];
  /** What the user has named and nobody found: a misspelt name, or something that is right by now. */
  readonly needless: readonly string[];
}

export function verdictOn(
  objections: readonly Objection[],
  examined: readonly SafetyFinding[],
  acceptedChecks: readonly string[],
): SafetyVerdict {
  const own = objections.map((objection) => ({ ...objection, severity: 'error' }));
  const errors = [...own, ...examined].filter(({ severity }) => severity === 'error');
  const isAccepted = ({ check }: SafetyFinding): boolean => acceptedChecks.includes(check);
  return {
    blocking: errors.filter((finding) => !isAccepted(finding)),
    accepted: errors.filter(isAccepted),
    needless: acceptedChecks.filter((name) => !errors.some(({ check }) => check === name)),
  };
}

export function findingText({ check, subject, seen, why, fix }: Omit<SafetyFinding, 'severity'>): string {
  const because = why === undefined ? '' : `: ${why}`;
  const help = fix === undefined ? '' : `. To put it right: ${fix}`;
  return printable(`${check}: ${subject}: ${seen}${because}${help}`);
}
