// What a drill has found: the numbers that follow from the records, and whether they are within what is allowed. Pure;
// drill-text.ts and drill-picture.ts show it.

import type { OperationCounts } from './canary-operations.ts';
import { CALL_KINDS, type CallKind, type CanaryRecord, longestGap, percentile } from './canary-record.ts';
import { type Allowed, type DrillPlan, PHASES, type Phase } from './drill-plan.ts';
import type { TimelineEvent } from './drill-timeline.ts';
import type { QuarantineEnd } from './server-states.ts';

/** The moments that divide a drill, on the monotonic clock. */
export interface DrillMarks {
  /** The load runs. */
  readonly readyMs: number;
  /** The request for the failover, or the last renewal before one that was observed. */
  readonly begunMs: number;
  /** A Sentinel named another primary; undefined if none did. */
  readonly switchedMs: number | undefined;
  /** Grants came back; undefined if they did not. */
  readonly grantsBackMs: number | undefined;
  readonly endMs: number;
}

export interface Latency {
  readonly kind: CallKind;
  readonly phase: Phase;
  readonly count: number;
  readonly failed: number;
  /** Of those that succeeded; undefined if none did. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

export interface DrillReport {
  readonly passed: boolean;
  /** Why it did not pass, a sentence each. */
  readonly complaints: readonly string[];
  readonly deployment: string;
  readonly cause: DrillPlan['cause'];
  readonly startedAt: Date;
  readonly formerPrimary: string;
  /** undefined: the Sentinels named no other one. */
  readonly newPrimary: string | undefined;
  readonly withoutRenewalsMs: number;
  readonly withoutGrantsMs: number;
  /** What the servers add to the outage of grants on purpose. */
  readonly quarantineMs: number;
  /** How that ended; undefined if no server tells, and without a roll call. */
  readonly quarantineEnd: QuarantineEnd | undefined;
  readonly allowed: Required<Allowed> & { readonly withoutGrantsMs: number };
  readonly leases: { readonly held: number; readonly kept: number; readonly lost: number };
  readonly operations: {
    readonly begun: number;
    readonly kept: number;
    readonly lost: number;
    /** Recorded by the former primary during the failover, and unknown to the new one. They don't count as lost. */
    readonly forgotten: number;
    readonly takenOver: number;
  };
  readonly losses: readonly { readonly what: string; readonly name: string; readonly reason: string }[];
  readonly grantsJudged: number;
  readonly guardedWrites: number;
  readonly violations: readonly string[];
  readonly latencies: readonly Latency[];
  /** From `begunMs` on; `atMs` counts from it. */
  readonly timeline: readonly TimelineEvent[];
}

export interface DrillFindings {
  readonly plan: DrillPlan;
  readonly deployment: string;
  readonly startedAt: Date;
  readonly formerPrimary: string;
  readonly newPrimary: string | undefined;
  readonly quarantineMs: number;
  /** A roll call should end the quarantine early. */
  readonly hasRollCall: boolean;
  readonly quarantineEnd: QuarantineEnd | undefined;
  readonly heldLeases: number;
  readonly operations: OperationCounts;
  readonly grantsJudged: number;
  readonly guardedWrites: number;
  readonly record: CanaryRecord;
  readonly marks: DrillMarks;
  readonly events: readonly TimelineEvent[];
  /** What went wrong with the failover itself, a sentence each. */
  readonly troubles: readonly string[];
}

/** Beyond the quarantine: the Sentinels' switch and the servers' way to the new primary. */
const SWITCH_MS = 20_000;

export function reportOf(findings: DrillFindings): DrillReport {
  const { plan, record, marks, operations, heldLeases, quarantineMs } = findings;
  const { begunMs, endMs } = marks;
  const lostLeases = record.losses.filter(({ what }) => what === 'lease').length;
  const renewals = longestGap(record.renewals, begunMs, endMs);
  const grants = longestGap(record.grants, begunMs, endMs);
  const measured = {
    withoutRenewalsMs: Math.round(renewals.untilMs - renewals.fromMs),
    withoutGrantsMs: Math.round(grants.untilMs - grants.fromMs),
    lost: lostLeases + operations.lost,
  };
  const allowed = {
    ...plan.allowed,
    withoutGrantsMs: plan.allowed.withoutGrantsMs ?? (findings.hasRollCall ? 0 : quarantineMs) + SWITCH_MS,
  };
  const complaints = [
    ...findings.troubles,
    ...excesses(measured, allowed),
    ...(findings.hasRollCall &&
    findings.quarantineEnd?.how === 'full' &&
    measured.withoutGrantsMs > allowed.withoutGrantsMs
      ? [`the roll call did not end the quarantine early: ${findings.quarantineEnd.why}`]
      : []),
    ...(record.violations.length > 0
      ? [`${counted(record.violations.length, 'violation')} of the promises`]
      : []),
  ];
  return {
    passed: complaints.length === 0,
    complaints,
    deployment: findings.deployment,
    cause: plan.cause,
    startedAt: findings.startedAt,
    formerPrimary: findings.formerPrimary,
    newPrimary: findings.newPrimary,
    withoutRenewalsMs: measured.withoutRenewalsMs,
    withoutGrantsMs: measured.withoutGrantsMs,
    quarantineMs,
    quarantineEnd: findings.quarantineEnd,
    allowed,
    leases: { held: heldLeases, kept: heldLeases - lostLeases, lost: lostLeases },
    operations: { ...operations, kept: operations.begun - operations.lost - operations.forgotten },
    losses: record.losses.map(({ what, name, reason }) => ({ what, name, reason })),
    grantsJudged: findings.grantsJudged,
    guardedWrites: findings.guardedWrites,
    violations: record.violations,
    latencies: latenciesOf(record, marks),
    timeline: timelineOf(findings),
  };
}

export function phaseAt(
  atMs: number,
  { readyMs, begunMs, grantsBackMs, endMs }: DrillMarks,
): Phase | undefined {
  if (atMs < readyMs || atMs > endMs) return undefined;
  if (atMs < begunMs) return 'before';
  return grantsBackMs !== undefined && atMs >= grantsBackMs ? 'after' : 'during';
}

function excesses(
  measured: { withoutRenewalsMs: number; withoutGrantsMs: number; lost: number },
  allowed: { withoutRenewalsMs: number; withoutGrantsMs: number; lost: number },
): string[] {
  const found: string[] = [];
  const times = [
    ['renewals', measured.withoutRenewalsMs, allowed.withoutRenewalsMs],
    ['new grants', measured.withoutGrantsMs, allowed.withoutGrantsMs],
  ] as const;
  for (const [what, took, most] of times) {
    if (took > most) found.push(`${inSeconds(took)} without ${what}, and ${inSeconds(most)} are allowed`);
  }
  if (measured.lost > allowed.lost) {
    const what = measured.lost === 1 ? 'lease or operation' : 'leases or operations';
    found.push(`${measured.lost} ${what} lost, and ${allowed.lost} are allowed`);
  }
  return found;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function latenciesOf({ samples }: CanaryRecord, marks: DrillMarks): Latency[] {
  return CALL_KINDS.flatMap((kind) =>
    PHASES.map((phase) => {
      const all = samples.filter((one) => one.kind === kind && phaseAt(one.sentAtMs, marks) === phase);
      const took = all.filter(({ failure }) => failure === undefined).map(({ tookMs }) => tookMs);
      return {
        kind,
        phase,
        count: took.length,
        failed: all.length - took.length,
        p50Ms: rounded(percentile(took, 0.5)),
        p99Ms: rounded(percentile(took, 0.99)),
      };
    }),
  );
}

/** The events from the beginning of the failover on, with what the callers saw in between. */
function timelineOf({ record, marks, events }: DrillFindings): TimelineEvent[] {
  const { begunMs, endMs } = marks;
  const seen: TimelineEvent[] = [];
  const callers = (atMs: number, what: string): void => {
    seen.push({ atMs, who: 'callers', what });
  };
  const renewals = longestGap(record.renewals, begunMs, endMs);
  const grants = longestGap(record.grants, begunMs, endMs);
  callers(renewals.fromMs, 'the last renewal before the longest pause');
  if (renewals.untilMs < endMs) callers(renewals.untilMs, 'renewals are back');
  callers(grants.fromMs, 'the last new grant before the longest pause');
  if (grants.untilMs < endMs) callers(grants.untilMs, 'new grants are back');
  const failures = record.samples.filter(
    ({ failure, sentAtMs }) => failure !== undefined && phaseAt(sentAtMs, marks) !== 'before',
  );
  for (const [failure, all] of Map.groupBy(failures, (sample) => sample.failure)) {
    const [first] = all;
    const lastMs = Math.max(...all.map(({ sentAtMs, tookMs }) => sentAtMs + tookMs));
    const atMs = first ? first.sentAtMs + first.tookMs : endMs;
    const times = all.length === 1 ? 'once' : `${all.length} times in ${inSeconds(lastMs - atMs)}`;
    if (atMs <= endMs) callers(atMs, `${failure}, ${times}`);
  }
  return [...events, ...seen]
    .filter(({ atMs }) => atMs >= Math.min(begunMs, renewals.fromMs, grants.fromMs) && atMs <= endMs)
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, ...event }) => ({ atMs: Math.round(atMs - begunMs), ...event }));
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 10) / 10;
}

export function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
