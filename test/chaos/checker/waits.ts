// Judges promise 3, that nobody waits in vain: once the last fault is healed and the quarantine is over, a resource
// that nobody holds is granted to its live waiter, at the latest when the TTL of an unseen holder is over as well.
//
// Caught: the hand-over's message is lost with a connection, and nobody refreshes the queue; a waiter that a failover
// forgot is never enqueued again; an offer of a dead instance blocks the queue for good.
//
// The time in which others believe that they hold the resource does not count: a long queue is no fault.

import { holdIntervals } from './hold-intervals.ts';
import { grouped, type Run, type Span } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

/** How long a grant may take after all that: a refresh of the queue, an offer that lapses, a busy machine. */
export const GRANT_WITHIN_MS = 10_000;

interface Wait extends Span {
  readonly resource: string;
  readonly by: string;
  readonly call: string;
  readonly isGranted: boolean;
}

export function checkWaits(run: Run): Findings {
  const finder = new Finder('waits');
  const waits = waitsOf(run);
  finder.count('waits', waits.length);
  finder.count('waits served', waits.filter(({ isGranted }) => isGranted).length);
  const healMs = run.faults.length === 0 ? run.beganAtMs : run.lastHealMs;
  if (healMs === undefined) return finder.findings();
  const { quarantineMs = 0, maxTtlMs = 0 } = run.terms ?? {};
  const freeMs = maxTtlMs + GRANT_WITHIN_MS;
  const held = grouped(holdIntervals(run), ({ resource }) => resource);
  for (const wait of waits) {
    const fromMs = Math.max(wait.fromMs, healMs + quarantineMs);
    if (fromMs >= wait.toMs) continue;
    finder.count('waits judged after the last fault');
    const gap = longestGap(held.get(wait.resource) ?? [], { fromMs, toMs: wait.toMs });
    if (gap.toMs - gap.fromMs <= freeMs) continue;
    const text = `${wait.by} waited for ${wait.resource} in ${wait.call} while nobody held it`;
    finder.violation(gap.toMs, `${text} for ${seconds(gap.toMs - gap.fromMs)}, after all faults were healed`);
  }
  return finder.findings();
}

/** Each call that was told a position in the queue, until it was granted or ended. */
function waitsOf(run: Run): Wait[] {
  const calls = new Map(run.calls.map((call) => [call.began.call, call]));
  const granted = new Map(
    run
      .of('believed')
      .toReversed()
      .map(({ resource, leaseId, atMs }) => [`${resource} ${leaseId}`, atMs]),
  );
  return [...grouped(run.of('queued'), ({ call }) => call).values()].flatMap(([first]) => {
    if (!first) return [];
    const { call, by, resource, leaseId, atMs: fromMs } = first;
    const endMs = calls.get(call)?.ended?.atMs ?? run.endedAtMs;
    if (run.wasKilled(by, fromMs, endMs)) return [];
    const grantMs = granted.get(`${resource} ${leaseId}`) ?? Number.POSITIVE_INFINITY;
    const isOk = calls.get(call)?.ended?.outcome === 'ok';
    return [
      { resource, by, call, fromMs, toMs: Math.min(endMs, grantMs), isGranted: isOk || grantMs <= endMs },
    ];
  });
}

function longestGap(held: readonly Span[], { fromMs, toMs }: Span): Span {
  let longest: Span = { fromMs, toMs: fromMs };
  let freeMs = fromMs;
  for (const one of [...held.toSorted((a, b) => a.fromMs - b.fromMs), { fromMs: toMs, toMs }]) {
    const untilMs = Math.min(one.fromMs, toMs);
    if (untilMs - freeMs > longest.toMs - longest.fromMs) longest = { fromMs: freeMs, toMs: untilMs };
    freeMs = Math.max(freeMs, one.toMs);
  }
  return longest;
}
