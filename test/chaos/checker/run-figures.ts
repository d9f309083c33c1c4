// The figures of a run: how many calls were sent and answered, which faults there were, how long the service was away.
// It judges nothing.

import type { Outcome } from '../history.ts';
import { grantsOf } from './grants.ts';
import type { Run, Span } from './recorded-run.ts';

export interface Quantiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Figures {
  readonly seed: number | undefined;
  readonly mode: string;
  readonly mutant: string;
  readonly lengthMs: number;
  readonly calls: Readonly<Record<Outcome, number>>;
  readonly callsByRpc: Readonly<Record<string, Readonly<Record<Outcome, number>>>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly reigns: number;
  /**
   * From the last fault before a new reign to the first renewal, and to the first grant, that was answered under it.
   */
  readonly recovery: { readonly renewals: Quantiles; readonly grants: Quantiles };
  /** In total, in the time in which clients were at work. */
  readonly withoutGrantsMs: number;
  readonly withoutRenewalsMs: number;
  /** What the checks counted on their way. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Grants and renewals that lie closer together than this make no gap. */
const GAP_MS = 1_000;

export function figuresOf(run: Run, counts: Readonly<Record<string, number>>): Figures {
  const callsByRpc: Record<string, Record<Outcome, number>> = {};
  const calls: Record<Outcome, number> = { ok: 0, failed: 0, unknown: 0 };
  for (const { began, ended } of run.calls) {
    const outcome = ended?.outcome ?? 'unknown';
    calls[outcome]++;
    callsByRpc[began.rpc] ??= { ok: 0, failed: 0, unknown: 0 };
    const ofRpc = callsByRpc[began.rpc];
    if (ofRpc) ofRpc[outcome]++;
  }
  const faults: Record<string, number> = {};
  for (const { began } of run.faults) {
    const kind = began.step ?? began.fault;
    faults[kind] = (faults[kind] ?? 0) + 1;
  }
  const [grants, renewals] = [grantMoments(run), renewalMoments(run)];
  const switches = reignSwitches(run);
  return {
    seed: run.terms?.seed,
    mode: run.terms?.mode ?? '',
    mutant: run.terms?.mutant ?? '',
    lengthMs: run.endedAtMs - run.beganAtMs,
    calls,
    callsByRpc,
    faults,
    reigns: run.reigns.length,
    recovery: { renewals: recovery(switches, renewals), grants: recovery(switches, grants) },
    withoutGrantsMs: gaps(run, grants),
    withoutRenewalsMs: gaps(run, renewals),
    counts,
  };
}

/** When new grants were received, in order. */
export function grantMoments(run: Run): number[] {
  return grantsOf(run).map(({ receivedMs }) => receivedMs);
}

/** When a holder was told that its lease or attempt lasts longer, in order. */
export function renewalMoments(run: Run): number[] {
  const known = new Set<string>();
  const extended = run.of('believed').filter(({ of, resource, leaseId, token }) => {
    const key = JSON.stringify([of, resource, leaseId, token]);
    const isRenewal = known.has(key);
    known.add(key);
    return isRenewal;
  });
  return extended.map(({ atMs }) => atMs);
}

/** Each new reign but the first, with the last fault before it. */
function reignSwitches(run: Run): Span[] {
  return run.reigns.slice(1).flatMap(({ atMs: toMs }, index) => {
    const earlierMs = run.reigns[index]?.atMs ?? 0;
    const struck = run.faults.findLast(({ began }) => began.atMs <= toMs && began.atMs >= earlierMs);
    return struck ? [{ fromMs: struck.began.atMs, toMs }] : [];
  });
}

function recovery(switches: readonly Span[], moments: readonly number[]): Quantiles {
  const times = switches.flatMap(({ fromMs, toMs }) => {
    const first = moments.find((atMs) => atMs >= toMs);
    return first === undefined ? [] : [first - fromMs];
  });
  return quantiles(times);
}

export function quantiles(times: readonly number[]): Quantiles {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) ?? 0 };
}

function gaps(run: Run, moments: readonly number[]): number {
  const [first, last] = [run.calls[0]?.began.atMs, run.calls.at(-1)?.began.atMs];
  if (first === undefined || last === undefined) return 0;
  const marks = [first, ...moments.filter((atMs) => atMs > first && atMs < last), last];
  return marks.reduce((sum, atMs, index) => {
    const gap = atMs - (marks[index - 1] ?? atMs);
    return sum + (gap > GAP_MS ? gap : 0);
  }, 0);
}
