// When each holder believed that it held, by the deadline rule: from the grant until its deadline, or until it stopped
// by itself. A holder that was killed or stood still goes on believing until its deadline, since nobody told it
// otherwise. No line after the end of a belief revives it: a paused client may still write one when it wakes.

import { grouped, type Run } from './recorded-run.ts';

export interface HoldInterval {
  readonly of: 'lock' | 'attempt';
  readonly resource: string;
  readonly leaseId: string;
  readonly token: string;
  readonly mode: string;
  readonly by: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Why it ended before the deadline; '' if it didn't. */
  readonly why: string;
}

export function holdIntervals(run: Run): HoldInterval[] {
  const keyOf = (one: { readonly resource: string; readonly leaseId: string }): string =>
    JSON.stringify([one.resource, one.leaseId]);
  const ends = grouped(run.of('belief-ended'), keyOf);
  const beliefs = grouped(run.of('believed'), (one) => JSON.stringify([one.of, keyOf(one), one.token]));
  return [...beliefs.values()].flatMap((lines) => {
    const [first] = lines;
    if (!first) return [];
    const { of, resource, leaseId, token, mode, by, atMs: fromMs } = first;
    const end = ends.get(keyOf(first))?.find(({ atMs }) => atMs >= fromMs);
    const stoppedMs = end?.atMs ?? Number.POSITIVE_INFINITY;
    let deadlineMs = first.untilMs;
    for (const { atMs, untilMs } of lines) {
      if (atMs < Math.min(deadlineMs, stoppedMs)) deadlineMs = Math.max(deadlineMs, untilMs);
    }
    const toMs = Math.min(deadlineMs, stoppedMs);
    if (toMs <= fromMs) return [];
    const why = end && stoppedMs < deadlineMs ? end.why : '';
    return [{ of, resource, leaseId, token, mode, by, fromMs, toMs, why }];
  });
}
