// Judges that an early end forgets nothing: what a holder believes in when a roll call has ended the quarantine, the
// new primary knows, and its renewals go on.
//
// Caught: the primary dies with the last second of renewals. All instances have answered, but one put back only what it
// had granted, and not what it had renewed: the record lapses while the holder believes, and somebody else is granted
// the resource. (Two holders of one resource show as `beliefs`, but only if somebody asks just then.)
//
// An inherited lease near its deadline is lapsed and blocks until then, by the rule for clocks that differ: such a loss
// is counted and breaks no promise. So is an attempt that its stream calls expired at the deadline that it told last:
// an update, which is another call, may have told a later one.

import { leaseIdHash } from '../../../src/domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../../src/domain/safety.ts';
import type { Looked, SeenHeld } from '../history.ts';
import { type HoldInterval, holdIntervals } from './hold-intervals.ts';
import { type EarlyEnd, earlyEnds } from './quarantine-ends.ts';
import { grouped, type Run, type Span } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

/** What a holder is told of was decided so much earlier, at most. */
const TOLD_WITHIN_MS = 1_500;
/** The lease clock, and the look at it, against the clock of the run. */
const BLUR_MS = 500;
/** The losses that say that nothing is known of the lease; others have a reason of their own. */
const FORGOTTEN = /^lost:(LEASE_LOST|EXPIRED|UNKNOWN_LEASE|UNSPECIFIED)$/;

export function checkKeptLeases(run: Run): Findings {
  const finder = new Finder('kept leases');
  const holds = holdIntervals(run).filter(({ of }) => of === 'lock');
  const isLost = ({ why }: HoldInterval): boolean => why.startsWith('lost:');
  finder.count('holders who lost a lease', holds.filter(isLost).length);
  const ends = earlyEnds(run);
  // Only what is known of this reign alone is judged: until the next one was seen anywhere.
  for (const end of ends) {
    const span = { fromMs: end.overMs, toMs: nextReignMs(run, end) };
    const inherited = holds.filter(({ fromMs, toMs }) => fromMs < end.seen.askedMs && toMs > end.overMs);
    for (const hold of inherited) judgeLoss(run, finder, hold, end, span);
    judgeLooks(run, finder, inherited, end, span);
  }
  return finder.findings();
}

function nextReignMs(run: Run, { reign, overMs }: EarlyEnd): number {
  const other = run.of('seen-registry').find((seen) => {
    return seen.role === 'master' && seen.reign !== reign && seen.atMs > overMs;
  });
  return other?.askedMs ?? run.endedAtMs;
}

function judgeLoss(
  run: Run,
  finder: Finder,
  hold: HoldInterval,
  end: EarlyEnd,
  { fromMs, toMs }: Span,
): void {
  if (!FORGOTTEN.test(hold.why)) return;
  if (hold.toMs < fromMs + TOLD_WITHIN_MS || hold.toMs > toMs) return;
  const untilMs = believedUntilMs(run, hold);
  if (untilMs - hold.toMs < BLUR_MS) return;
  if (hold.why === 'lost:EXPIRED' && isOfAttempt(run, hold)) {
    finder.count('attempts that ran out on their stream');
    return;
  }
  if (!outlivesLapsedRule(untilMs, end)) {
    finder.count('losses by the lapsed rule');
    return;
  }
  const text = `${hold.resource}: ${hold.by} lost token ${hold.token} (${hold.why})`;
  finder.violation(
    hold.toMs,
    `${text} ${seconds(untilMs - hold.toMs)} before its deadline, after the early end of reign ${end.reign}`,
  );
}

/** The first look at each server in this reign must show all that is believed in while it lasts. */
function judgeLooks(
  run: Run,
  finder: Finder,
  holds: readonly HoldInterval[],
  end: EarlyEnd,
  { fromMs, toMs }: Span,
): void {
  for (const [server, looks] of grouped(run.of('looked'), (look) => look.server)) {
    const look = looks.find(
      (one) => one.askedMs >= fromMs && one.atMs <= toMs && isUnder(run, end.reign, one),
    );
    if (!look) continue;
    const found = new Set(
      run
        .of('seen-held')
        .filter((seen) => isOf(seen, look))
        .map(keyOfSeen),
    );
    for (const hold of holds) {
      // One that nothing renews any more, by the lapsed rule, takes its resource all the same.
      if (hold.toMs <= look.atMs) continue;
      finder.count('leases looked for after early ends');
      if (found.has(keyOf(hold))) continue;
      const text = `${hold.resource}: ${server} doesn't know token ${hold.token} of ${hold.by}`;
      const when = `${seconds(look.atMs - end.overMs)} after the early end of reign ${end.reign}`;
      finder.violation(
        look.atMs,
        `${text} ${when}, which is believed in until ${seconds(hold.toMs - run.beganAtMs)}`,
      );
    }
  }
}

/** Whether its record is still renewable: see LAPSED_AFTER_ADOPTION_MS in the product. */
function outlivesLapsedRule(untilMs: number, { seen }: EarlyEnd): boolean {
  const barredMs = seen.lapsedBefore - seen.clock;
  return untilMs - seen.atMs + SKEW_ALLOWANCE_MS > barredMs + BLUR_MS;
}

function isOfAttempt(run: Run, { leaseId, token }: HoldInterval): boolean {
  return run.of('believed').some((one) => {
    return one.of === 'attempt' && one.leaseId === leaseId && one.token === token;
  });
}

function believedUntilMs(run: Run, { resource, leaseId, token, toMs }: HoldInterval): number {
  const lines = run.of('believed').filter((one) => {
    return one.resource === resource && one.leaseId === leaseId && one.token === token && one.atMs <= toMs;
  });
  return Math.max(toMs, ...lines.map(({ untilMs }) => untilMs));
}

/** Whether the server was under this reign before and after it was asked. */
function isUnder(run: Run, reign: string, { server, askedMs, atMs }: Looked): boolean {
  const pulses = run.of('pulse').filter((pulse) => pulse.server === server);
  const before = pulses.findLast((pulse) => pulse.atMs <= askedMs);
  const after = pulses.find((pulse) => (pulse.askedMs ?? pulse.atMs) >= atMs);
  return before?.reign === reign && after?.reign === reign;
}

function isOf(seen: SeenHeld, look: Looked): boolean {
  return seen.server === look.server && seen.atMs === look.atMs;
}

function keyOfSeen({ resource, leaseHash, token }: SeenHeld): string {
  return JSON.stringify([resource, leaseHash, token]);
}

function keyOf({ resource, leaseId, token }: HoldInterval): string {
  return JSON.stringify([resource, leaseIdHash(leaseId), token]);
}
