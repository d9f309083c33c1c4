// Judges promise 1: at most one valid lease on an exclusive resource, and at most one attempt of an operation at a
// time. No two holders that obey the deadline rule may believe in holds that exclude each other at the same moment: an
// exclusive hold stands alone, shared holds stand beside shared holds, and permits together stay within the smallest
// limit among them.
//
// Caught: primary 1 answers a grant and dies before its replica has it. The replica takes over, knows of no lease, and
// grants at once. The former holder works on until its deadline, and until then there are two holders. (No quarantine.)
// Likewise an isolated primary that goes on renewing, a clock step that frees a lease early, or a release by the end of
// a stream.
//
// `leaders` are locks whose name begins with "leader": the same rule, reported under a name of its own.

import { type HoldInterval, holdIntervals } from './hold-intervals.ts';
import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

export function checkBeliefs(run: Run): Findings {
  const finder = new Finder('beliefs');
  for (const intervals of grouped(holdIntervals(run), (one) => `${one.of} ${one.resource}`).values()) {
    let live: HoldInterval[] = [];
    for (const next of intervals.toSorted((a, b) => a.fromMs - b.fromMs)) {
      // One interval ends where the next may begin.
      live = live.filter(({ toMs }) => toMs > next.fromMs);
      for (const other of live.filter((one) => excludes(one, next))) {
        const lastsMs = Math.min(other.toMs, next.toMs) - next.fromMs;
        finder.violation(next.fromMs, tell(run, other, next, lastsMs), checkOf(next));
      }
      live.push(next);
      if (exceeds(live)) finder.violation(next.fromMs, tellPermits(run, live), checkOf(next));
    }
    finder.count('believed holds', intervals.length);
  }
  return finder.findings();
}

function checkOf({ of, resource }: HoldInterval): string {
  if (of === 'attempt') return 'attempts';
  return resource.startsWith('leader') ? 'leaders' : 'beliefs';
}

function excludes(a: HoldInterval, b: HoldInterval): boolean {
  // An attempt is exclusive, whatever its mode says.
  if (a.of === 'attempt') return true;
  const [kindOfA] = a.mode.split(':');
  const [kindOfB] = b.mode.split(':');
  return kindOfA === 'exclusive' || kindOfB === 'exclusive' || kindOfA !== kindOfB;
}

function exceeds(live: readonly HoldInterval[]): boolean {
  const permits = live.map(({ mode }) => permitsOf(mode)).filter((one) => one !== undefined);
  const sum = permits.reduce((total, { taken }) => total + taken, 0);
  return permits.length > 0 && sum > Math.min(...permits.map(({ limit }) => limit));
}

function permitsOf(mode: string): { readonly taken: number; readonly limit: number } | undefined {
  const match = /^permits:(\d+)\/(\d+)$/.exec(mode);
  return match ? { taken: Number(match[1]), limit: Number(match[2]) } : undefined;
}

function tell(run: Run, a: HoldInterval, b: HoldInterval, lastsMs: number): string {
  return `${a.resource} was held twice for ${seconds(lastsMs)}: ${tellOne(run, a)} and ${tellOne(run, b)}`;
}

function tellPermits(run: Run, live: readonly HoldInterval[]): string {
  const held = live.map((one) => `${one.mode} ${tellOne(run, one)}`).join('; ');
  return `${live[0]?.resource} had more permits out than its smallest limit: ${held}`;
}

function tellOne(run: Run, { by, token, fromMs, toMs }: HoldInterval): string {
  return `${by} with token ${token} (${seconds(fromMs)} to ${seconds(toMs)}, granted in reign ${run.reignAt(fromMs)})`;
}
