// The reports of all instances: this one's own, fresh from its window, and those that the others have left on the
// board. Owns what this instance tells of itself. What an answer makes of the reports is contention.ts's and
// deadlock-search.ts's.

import type { Clock } from '../../domain/clock.ts';
import { leaseIdHash } from '../../domain/lock.ts';
import type { ContentionBoard } from '../../store/contention-board.ts';
import type { StoreBound } from '../../store/lock-store.ts';
import { decodeReport, type InstanceReport, MOST_REPORTED, type ReportedWait } from './contention-report.ts';
import type { ContentionWindow } from './contention-window.ts';

/** A report, and when it was made by the store's wall clock. */
export interface DatedReport {
  readonly report: InstanceReport;
  readonly madeWallMs: number;
}

/** Which instances an answer covers. */
export interface Coverage {
  readonly instances: number;
  /** 0 if this instance is the only one. */
  readonly oldestReportMs: number;
}

export interface DeploymentReports {
  readonly reports: readonly DatedReport[];
  readonly nowWallMs: number;
  readonly coverage: Coverage;
}

export interface ReportsOptions {
  readonly window: ContentionWindow;
  readonly board: ContentionBoard;
  readonly instanceId: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

const NOTHING = { windowMs: 0, restMs: 0, contended: [] };

/** What this instance has to tell; undefined if nobody has waited here within the window. */
export function ownReport({ window, clock }: Pick<ReportsOptions, 'window' | 'clock'>) {
  const summary = window.summary(MOST_REPORTED.contended);
  if (!summary) return undefined;
  const nowMs = clock.monotonicMs();
  const waits: ReportedWait[] = [];
  let leavesOutWaits = false;
  for (const { resource, owner, leaseId, startedMs } of window.waits) {
    if (owner === '') continue;
    leavesOutWaits = waits.length >= MOST_REPORTED.waits;
    if (leavesOutWaits) break;
    waits.push({ resource, owner, leaseIdHash: leaseIdHash(leaseId), waitedMs: nowMs - startedMs });
  }
  return { ...summary, waits, leavesOutWaits } satisfies InstanceReport;
}

/** Throws what the store throws. */
export async function readReports(options: ReportsOptions, bound: StoreBound): Promise<DeploymentReports> {
  const { nowWallMs, texts } = await options.board.read(bound);
  const others = texts.flatMap(({ instanceId, writtenWallMs, text }): readonly DatedReport[] => {
    const report = instanceId === options.instanceId ? undefined : decodeReport(text);
    return report ? [{ report, madeWallMs: writtenWallMs }] : [];
  });
  const own = ownReport(options) ?? { ...NOTHING, waits: [], leavesOutWaits: false };
  const ages = others.map(({ madeWallMs }) => Math.max(0, nowWallMs - madeWallMs));
  return {
    reports: [{ report: own, madeWallMs: nowWallMs }, ...others],
    nowWallMs,
    coverage: { instances: others.length + 1, oldestReportMs: Math.max(0, ...ages) },
  };
}
