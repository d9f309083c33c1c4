// Looks for suspected deadlocks in the whole deployment: brings together who waits, by the reports, and who holds, by
// the store, and asks wait-graph.ts for the circles.
//
// It asks the store twice. The first look, in several commands, only says where to look:
//
//   alice holds a, and bob waits for it (the first command); alice releases a, and bob, who holds b, goes on with a;
//   alice begins to wait for b (the second command).
//
// The two commands together look like a circle that never was. So what is found is looked at once more, all resources
// of all circles in one command, which sees one moment.

import type { LockView } from '../../domain/lock.ts';
import type { LockStore, StoreBound } from '../../store/lock-store.ts';
import { type Coverage, type DatedReport, type ReportsOptions, readReports } from './deployment-reports.ts';
import { type Deadlock, findDeadlocks, type OwnersWait } from './wait-graph.ts';

export interface DeadlockSearchOptions extends ReportsOptions {
  readonly store: LockStore;
}

export interface FoundDeadlocks {
  readonly deadlocks: readonly Deadlock[];
  readonly nowWallMs: number;
  /** There was more than was looked at. */
  readonly isPartial: boolean;
  readonly coverage: Coverage;
}

/** Circles that an answer has. */
const MOST_DEADLOCKS = 20;
/** Resources in one command: each takes Redis some 20 µs, and meanwhile it does nothing else. */
const RESOURCES_PER_LOOK = 50;
/** In the last look, which has to be one command. A circle is hardly ever longer than a few. */
const MOST_AT_ONCE = 200;

/** Looks at up to `mostResources`, those waited for longest. Throws what the store throws. */
export async function searchDeadlocks(
  options: DeadlockSearchOptions,
  mostResources: number,
  boundOf: () => StoreBound,
): Promise<FoundDeadlocks> {
  const { store } = options;
  const { reports, nowWallMs, coverage } = await readReports(options, boundOf());
  const reported = reports.flatMap(reportedWaits).sort((a, b) => a.sinceWallMs - b.sinceWallMs);
  const names = [...new Set(reported.map(({ resource }) => resource))];
  const views: LockView[] = [];
  for (let at = 0; at < Math.min(names.length, mostResources); at += RESOURCES_PER_LOOK) {
    const some = names.slice(at, Math.min(at + RESOURCES_PER_LOOK, mostResources));
    views.push(...(await store.getMany(some, boundOf())));
  }
  const seen = { nowWallMs, coverage };
  const isPartial =
    names.length > mostResources ||
    reports.some(({ report }) => report.leavesOutWaits) ||
    views.some(({ holders, holderCount }) => holders.length < holderCount);
  const suspected = circles(reported, views);
  const named = new Set<string>();
  for (const deadlock of suspected) {
    const more = deadlock.map(({ holds }) => holds).filter((resource) => !named.has(resource));
    if (named.size + more.length <= MOST_AT_ONCE) for (const resource of more) named.add(resource);
  }
  if (named.size === 0) return { deadlocks: [], isPartial, ...seen };
  const atOneMoment = await store.getMany([...named], boundOf());
  return { deadlocks: circles(reported, atOneMoment), isPartial, ...seen };
}

interface Reported extends Omit<OwnersWait, 'mode'> {
  readonly leaseIdHash: string;
}

function reportedWaits({ report, madeWallMs }: DatedReport): readonly Reported[] {
  return report.waits.map(({ resource, owner, leaseIdHash, waitedMs }) => ({
    resource,
    owner,
    leaseIdHash,
    sinceWallMs: madeWallMs - waitedMs,
    knownAtWallMs: madeWallMs,
  }));
}

function circles(reported: readonly Reported[], views: readonly LockView[]): readonly Deadlock[] {
  const byName = new Map(views.map((view) => [view.resource, view]));
  const listed = views.flatMap(listedWaits);
  const behind = reported.flatMap((wait) => waitBehind(wait, byName.get(wait.resource)));
  return findDeadlocks([...listed, ...behind], byName, MOST_DEADLOCKS);
}

/** The head of the queue, as the view shows it. */
function listedWaits({ resource, waiters }: LockView): readonly OwnersWait[] {
  return waiters.map(({ owner, mode, queuedAtWallMs }) => ({
    resource,
    owner,
    mode,
    sinceWallMs: queuedAtWallMs,
    knownAtWallMs: Number.POSITIVE_INFINITY,
  }));
}

/**
 * A reported wait that the view of its resource doesn't show. If the view shows the whole queue, the wait has ended.
 * Else it can be behind those that are shown, and only its report tells of it. That doesn't say how it wants the
 * resource: where the holders have permits it is taken for the least wish, so that no circle is suspected without need.
 */
function waitBehind({ leaseIdHash, ...wait }: Reported, view: LockView | undefined): readonly OwnersWait[] {
  if (!view || view.queueLength <= view.waiters.length) return [];
  if (view.waiters.some((waiter) => waiter.leaseIdHash === leaseIdHash)) return [];
  const [first] = view.holders;
  const isOfPermits = first?.mode.kind === 'permits';
  const least = { kind: 'permits', permits: 1, limit: view.permitsLimit } as const;
  return [{ ...wait, mode: isOfPermits ? least : { kind: 'exclusive' } }];
}
