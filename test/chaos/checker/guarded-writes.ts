// Judges promise 2 at the guarded resource, the only place where it matters in the end: the tokens of the writes that
// it accepts never decrease, and no valid holder is refused because of a larger token.
//
// Caught: a grant whose token is smaller than one before (a counter that a failover set back), so that the guard
// refuses a holder that has every right; and a guard that lets a late writer through. A client that stood still, woke
// up past its deadline and was refused is not a violation but counts as fenced. That is what tokens are for.

import { type HoldInterval, holdIntervals } from './hold-intervals.ts';
import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

export function checkGuardedWrites(run: Run): Findings {
  const finder = new Finder('guarded writes');
  const released = releasedAt(holdIntervals(run));
  for (const [resource, writes] of grouped(run.of('written'), (one) => one.resource)) {
    let highest = 0n;
    for (const { atMs, token, by, believedUntilMs, accepted } of writes) {
      const number = BigInt(token);
      const isLate = number < highest;
      if (accepted) {
        finder.count('accepted writes');
        if (isLate) {
          finder.violation(
            atMs,
            `${resource} took a write of ${by} with token ${token} after one with ${highest}`,
          );
        }
        if (number > highest) highest = number;
      } else if (!isLate) {
        finder.violation(atMs, `${resource} refused ${by} with token ${token}, the highest was ${highest}`);
      } else if (atMs < Math.min(believedUntilMs, released.get(keyOf(resource, token)) ?? believedUntilMs)) {
        const left = seconds(believedUntilMs - atMs);
        finder.violation(
          atMs,
          `${resource} refused ${by} with token ${token} within its belief (${left} were left): ${highest} had been there`,
        );
      } else {
        finder.count('fenced writes');
      }
    }
  }
  return finder.findings();
}

/** A write that it then released may arrive after the next holder's: nothing was promised to it any more. */
function releasedAt(intervals: readonly HoldInterval[]): Map<string, number> {
  return new Map(
    intervals
      .filter(({ why }) => why === 'released')
      .map(({ resource, token, toMs }) => [keyOf(resource, token), toMs]),
  );
}

function keyOf(resource: string, token: string): string {
  return JSON.stringify([resource, token]);
}
