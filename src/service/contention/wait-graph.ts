// Who waits for whom: given who waits for which resource, and who holds it, the circles of owners each of which holds
// what the one before waits for. A pure function of one moment; deadlock-search.ts brings the facts.
//
// "Suspected", because an owner is a name that callers choose. Two tasks of one process may share one, and then a
// circle can be none. For the same reason an owner who waits for what it holds itself is no circle here: in a process
// with many tasks that is everyday contention. Waiters and holders without an owner are nobody's, and stand in no
// circle.
//
// A waiter waits for every holder of its resource. With permits the others may free enough of them, so first all owners
// are struck out who can go on: who wait for nothing, or for what owners already struck out hold. Circles are looked
// for among those that remain.

import type { Holder, LockView, Mode } from '../../domain/lock.ts';

/** One queued call. */
export interface OwnersWait {
  readonly owner: string;
  readonly resource: string;
  readonly mode: Mode;
  /** When it joined the queue, by the store's wall clock. */
  readonly sinceWallMs: number;
  /**
   * When it was last known to be in the queue, by the store's wall clock; Infinity if it is in the view of the
   * resource. A circle with such a wait counts only if all of it is older than that:
   *
   *   alice waits for b, as her instance reports; alice gives up, and gets a; bob holds b, and begins to wait for a.
   *
   * The report and the views together look like a circle that never was.
   */
  readonly knownAtWallMs: number;
}

/** One owner of a circle: it holds what the one before it waits for, and waits for what the next one holds. */
export interface DeadlockMember {
  readonly owner: string;
  readonly waitsFor: string;
  readonly sinceWallMs: number;
  readonly holds: string;
  readonly fencingToken: bigint;
  readonly leaseIdHash: string;
}

/** Two or more. The owner whose name is the first in the order of its characters comes first. */
export type Deadlock = readonly DeadlockMember[];

/** That somebody waits for what somebody holds. */
interface Edge {
  readonly wait: OwnersWait;
  readonly holder: Holder;
}

type Graph = ReadonlyMap<string, ReadonlyMap<string, Edge>>;

/**
 * For each owner that stands in a circle one of its shortest, at most `most` in all, each once. All circles there may
 * be are too many to name: they can be exponentially many.
 */
export function findDeadlocks(
  waits: readonly OwnersWait[],
  views: ReadonlyMap<string, LockView>,
  most: number,
): readonly Deadlock[] {
  const graph = withoutTails(graphOf(waits, views));
  const found = new Map<string, Deadlock>();
  const told = new Set<string>();
  for (const owner of graph.keys()) {
    if (found.size >= most) break;
    if (told.has(owner)) continue;
    const circle = shortestCircle(graph, owner);
    if (!circle) continue;
    for (const { wait } of circle) told.add(wait.owner);
    if (isOfOneMoment(circle)) found.set(...named(circle));
  }
  return [...found.values()];
}

/** What tells one circle from another, for as long as its leases live. */
export function nameOf(deadlock: Deadlock): string {
  return JSON.stringify(
    deadlock.map(({ owner, waitsFor, holds, leaseIdHash }) => [owner, waitsFor, holds, leaseIdHash]),
  );
}

/** From each owner who can't go on to those whose leases are in its way. */
function graphOf(waits: readonly OwnersWait[], views: ReadonlyMap<string, LockView>): Graph {
  const stuck = stuckOwners(waits, views);
  const graph = new Map([...stuck].map((owner) => [owner, new Map<string, Edge>()]));
  for (const wait of waits) {
    const edges = graph.get(wait.owner);
    if (!edges) continue;
    const view = views.get(wait.resource);
    if (!isBlocked(wait, view, stuck)) continue;
    for (const holder of view?.holders ?? []) {
      const known = edges.get(holder.owner);
      const isLonger = !known || wait.sinceWallMs < known.wait.sinceWallMs;
      if (isInTheWay(wait, holder, stuck) && isLonger) edges.set(holder.owner, { wait, holder });
    }
  }
  return graph;
}

/**
 * The owners who can't go on even when all others have released what they hold. A wait is looked at again only when an
 * owner who holds its resource turns out to go on: thousands of owners can wait behind a long chain of others.
 */
function stuckOwners(
  waits: readonly OwnersWait[],
  views: ReadonlyMap<string, LockView>,
): ReadonlySet<string> {
  const named = waits.filter(({ owner }) => owner !== '');
  const blocking = new Map<string, Set<OwnersWait>>();
  for (const [owner, own] of Map.groupBy(named, (wait) => wait.owner)) blocking.set(owner, new Set(own));
  const stuck = new Set(blocking.keys());
  const waitsFor = Map.groupBy(named, ({ resource }) => resource);
  const held = [...views].flatMap(([resource, { holders }]) =>
    holders.map(({ owner }) => ({ owner, resource })),
  );
  const heldBy = Map.groupBy(held, ({ owner }) => owner);
  const left = [...named];
  for (let wait = left.pop(); wait; wait = left.pop()) {
    const { owner, resource } = wait;
    const own = blocking.get(owner);
    if (!own?.has(wait) || isBlocked(wait, views.get(resource), stuck)) continue;
    own.delete(wait);
    if (own.size > 0) continue;
    stuck.delete(owner);
    for (const each of heldBy.get(owner) ?? []) {
      for (const other of waitsFor.get(each.resource) ?? []) left.push(other);
    }
  }
  return stuck;
}

/** Without the owners whom nobody waits for, and those who then remain: they wait for circles, and stand in none. */
function withoutTails(graph: Graph): Graph {
  const waiters = new Map<string, number>();
  for (const edges of graph.values()) {
    for (const next of edges.keys()) waiters.set(next, (waiters.get(next) ?? 0) + 1);
  }
  const inCircles = new Map(graph);
  const tails = [...graph.keys()].filter((owner) => !waiters.has(owner));
  for (const owner of tails) {
    inCircles.delete(owner);
    for (const next of graph.get(owner)?.keys() ?? []) {
      const count = (waiters.get(next) ?? 0) - 1;
      waiters.set(next, count);
      if (count === 0) tails.push(next);
    }
  }
  return inCircles;
}

function isInTheWay({ owner }: OwnersWait, holder: Holder, stuck: ReadonlySet<string>): boolean {
  return holder.owner !== owner && !holder.revoked && stuck.has(holder.owner);
}

/**
 * Whether it can't be granted even when all who can go on have released what they hold. Nobody overtakes: a waiter
 * needs room for those who came before it too. So one that wants a shared lease is blocked by shared ones; it is in the
 * queue because somebody before it wants to be alone.
 */
function isBlocked(wait: OwnersWait, view: LockView | undefined, stuck: ReadonlySet<string>): boolean {
  const blocking = view?.holders.filter((holder) => isInTheWay(wait, holder, stuck)) ?? [];
  if (!view || blocking.length === 0) return false;
  const before = view.waiters.filter(({ queuedAtWallMs }) => queuedAtWallMs < wait.sinceWallMs);
  const wanted = [wait, ...before].map(({ mode }) => mode);
  const held = blocking.map(({ mode }) => mode);
  const permits = [...wanted, ...held].filter((mode) => mode.kind === 'permits');
  if (permits.length < wanted.length + held.length) return true;
  const limit = Math.min(...permits.map((mode) => mode.limit));
  const most = Math.max(...permits.slice(0, wanted.length).map((mode) => mode.permits));
  return permits.slice(wanted.length).reduce((sum, mode) => sum + mode.permits, most) > limit;
}

/** From the owner back to it, over as few others as possible; undefined if there is no way. */
function shortestCircle(graph: Graph, start: string): readonly Edge[] | undefined {
  const cameBy = new Map<string, Edge>();
  const left = [start];
  for (let at = 0; at < left.length; at++) {
    for (const [next, edge] of graph.get(left[at] ?? '') ?? []) {
      if (cameBy.has(next)) continue;
      cameBy.set(next, edge);
      if (next === start) return pathTo(start, cameBy);
      left.push(next);
    }
  }
  return undefined;
}

function pathTo(start: string, cameBy: ReadonlyMap<string, Edge>): readonly Edge[] {
  const path: Edge[] = [];
  for (let owner = start; path.length === 0 || owner !== start; ) {
    const edge = cameBy.get(owner);
    if (!edge) throw new Error('a path has a beginning');
    path.unshift(edge);
    owner = edge.wait.owner;
  }
  return path;
}

/** Whether it held as a whole when its oldest news was made. */
function isOfOneMoment(circle: readonly Edge[]): boolean {
  const knownAtMs = Math.min(...circle.map(({ wait }) => wait.knownAtWallMs));
  const began = circle.flatMap(({ wait, holder }) => [wait.sinceWallMs, holder.acquiredAtWallMs]);
  return Math.max(...began) <= knownAtMs;
}

function named(circle: readonly Edge[]): [name: string, deadlock: Deadlock] {
  const members = circle.map(({ wait }, index): DeadlockMember => {
    const before = circle.at(index - 1);
    if (!before) throw new Error('a circle has no end');
    const { wait: others, holder } = before;
    return {
      owner: wait.owner,
      waitsFor: wait.resource,
      sinceWallMs: wait.sinceWallMs,
      holds: others.resource,
      fencingToken: holder.fencingToken,
      leaseIdHash: holder.leaseIdHash,
    };
  });
  const owners = members.map(({ owner }) => owner);
  const first = owners.indexOf(owners.toSorted()[0] ?? '');
  const deadlock = [...members.slice(first), ...members.slice(0, first)];
  return [nameOf(deadlock), deadlock];
}
