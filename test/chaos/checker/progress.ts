// Judges that the service comes back. Where no fault disturbs it for the quarantine and a bound, something new is
// granted in that time if anybody asked. While the one fault of a liveness run stays, grants and renewals go on
// wherever that fault leaves a server able to serve.
//
// Caught: an instance that never adopts the new reign; an instance that keeps asking a Sentinel that is gone; a
// quarantine that every hiccup begins again; a switch of primaries after which all grant and none renew.

import { type HoldInterval, holdIntervals } from './hold-intervals.ts';
import type { Call, Run, Span } from './recorded-run.ts';
import { grantMoments, renewalMoments } from './run-figures.ts';
import { Finder, type Findings, seconds } from './verdict.ts';
import { GRANT_WITHIN_MS } from './waits.ts';

const ASKS_FOR_GRANTS = ['Acquire', 'AcquireMany', 'Hold'];
/** Time for detection, election, and the first answer of the new primary, before the quarantine begins. */
const SWITCH_WITHIN_MS = 15_000;

export function checkProgress(run: Run): Findings {
  const finder = new Finder('progress');
  const grants = grantMoments(run);
  const holds = holdIntervals(run);
  const { quarantineMs = 0, maxTtlMs = 0 } = run.terms ?? {};
  const backWithinMs = SWITCH_WITHIN_MS + quarantineMs + maxTtlMs + GRANT_WITHIN_MS;
  for (const { fromMs, toMs } of peaceful(run, backWithinMs)) {
    const asked = run.calls.filter((call) =>
      asksInVain(call, holds, { fromMs: toMs - GRANT_WITHIN_MS, toMs }),
    );
    if (asked.length === 0) continue;
    finder.count('returns judged');
    if (grants.some((atMs) => atMs > fromMs && atMs <= toMs)) continue;
    const text = `nothing was granted within ${seconds(toMs - fromMs)} after the last fault was healed`;
    finder.violation(toMs, `${text}, and ${asked.length} calls asked`);
  }
  if (run.terms?.mode === 'liveness') checkStanding(run, finder, grants, backWithinMs);
  return finder.findings();
}

/**
 * Whether a client asked in this time for something that nobody held. Claims don't count, since there may be nothing to
 * claim.
 */
function asksInVain({ began, ended }: Call, holds: readonly HoldInterval[], { fromMs, toMs }: Span): boolean {
  const endMs = ended?.atMs ?? began.deadlineMs;
  if (!ASKS_FOR_GRANTS.includes(began.rpc) || began.atMs >= toMs || endMs <= fromMs) return false;
  const asked = (began.locks ?? (began.lock ? [began.lock] : [])).map(({ resource }) => resource);
  return !holds.some((one) => asked.includes(one.resource) && one.fromMs < toMs && one.toMs > fromMs);
}

/** The spans that begin when the last open fault is healed and in which no other fault begins. */
function peaceful(run: Run, lengthMs: number): Span[] {
  return run.faults
    .filter(({ healedMs }) => Number.isFinite(healedMs))
    .map(({ healedMs: fromMs }) => ({ fromMs, toMs: fromMs + lengthMs }))
    .filter(({ fromMs, toMs }) => {
      const others = run.faults.filter(({ healedMs }) => healedMs !== fromMs);
      return (
        toMs <= run.endedAtMs &&
        !others.some(({ began, healedMs }) => began.atMs <= toMs && healedMs >= fromMs)
      );
    });
}

function checkStanding(run: Run, finder: Finder, grants: readonly number[], backWithinMs: number): void {
  const lastAskedMs = run.calls.at(-1)?.began.atMs ?? run.endedAtMs;
  const renewals = renewalMoments(run);
  for (const { began, healedMs } of run.faults) {
    if (began.mayProgress === false) continue;
    const fromMs = began.atMs + backWithinMs;
    const toMs = Math.min(healedMs, lastAskedMs);
    // A fault that is healed early does not stay; it is judged by what follows its healing.
    if (toMs < fromMs + GRANT_WITHIN_MS) {
      if (healedMs === Number.POSITIVE_INFINITY) {
        finder.undecided(`${began.fault} stayed for ${seconds(toMs - began.atMs)}, too short to judge`);
      }
      continue;
    }
    finder.count('standing faults judged');
    for (const [what, moments] of [['granted', grants] as const, ['renewed', renewals] as const]) {
      if (moments.some((atMs) => atMs >= fromMs && atMs <= toMs)) continue;
      const since = `${seconds(toMs - began.atMs)} of ${began.fault} (${began.detail})`;
      finder.violation(toMs, `nothing was ${what} any more in ${since}, though somebody could serve`);
    }
  }
}
