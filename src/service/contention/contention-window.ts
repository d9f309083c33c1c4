// What this instance has seen of contention in the last minutes: the calls that wait now, exactly, and how long calls
// have waited for which resources, in bounded memory. Several sketches, one for each minute, make the window: each
// minute the oldest is dropped. Knows no other instance and no store.
//
// A resource is counted from the first call that had to wait for it: what nobody waits for costs nothing here.

import type { Clock } from '../../domain/clock.ts';
import { SpaceSaving } from './space-saving.ts';

export interface Contended {
  readonly resource: string;
  /** How long calls have waited for it within the window, all together; at most `errorMs` too large. */
  readonly waitMs: number;
  readonly errorMs: number;
  /** Calls that have waited, those that still do among them. This and all below are exact unless there is an error. */
  readonly waits: number;
  readonly longestWaitMs: number;
  /** Leases that ended, and how long they were held. */
  readonly holds: number;
  readonly holdMs: number;
}

export interface WindowSummary {
  /** How far back it reaches. */
  readonly windowMs: number;
  /** The most contended first. */
  readonly contended: readonly Contended[];
  /** How long calls can have waited at most for any resource that isn't among them. */
  readonly restMs: number;
}

export interface WaitingNow {
  readonly resource: string;
  readonly owner: string;
  readonly leaseId: string;
  /** On the monotonic clock. */
  readonly startedMs: number;
}

const PANE_MS = 60_000;
/** A minute goes when all of it is older than this: the window is 5 to 6 minutes long. */
const WINDOW_MS = 5 * PANE_MS;
/** Resources in each minute's sketch. The error is at most a 500th of the time waited in that minute. */
const CAPACITY = 500;

interface Facts {
  waits: number;
  longestMs: number;
  holds: number;
  holdMs: number;
}

interface Pane {
  readonly startedMs: number;
  lastMs: number;
  readonly sketch: SpaceSaving<Facts>;
}

/** The calls that wait for one resource. */
interface Queue {
  /** In the order in which they began. */
  readonly waits: Set<WaitingNow>;
  /** The sketches have what was waited before this. */
  countedMs: number;
  /** For each call the moment from which it isn't counted yet; all together. */
  sumMs: number;
}

export class ContentionWindow {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #capacity: number;
  #panes: Pane[] = [];
  readonly #queues = new Map<string, Queue>();
  readonly #waits = new Set<WaitingNow>();

  constructor(clock: Pick<Clock, 'monotonicMs'>, capacity = CAPACITY) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  /** The calls that wait now, the oldest first. */
  get waits(): Iterable<WaitingNow> {
    return this.#waits;
  }

  get waitCount(): number {
    return this.#waits.size;
  }

  /** How long the oldest of them has waited; 0 if there is none. */
  get oldestWaitMs(): number {
    for (const { startedMs } of this.#waits) return this.#clock.monotonicMs() - startedMs;
    return 0;
  }

  /** A call begins to wait. Returns what to call when it no longer does. */
  begin(resource: string, owner: string, leaseId: string): () => void {
    this.#pane();
    const startedMs = this.#clock.monotonicMs();
    const wait: WaitingNow = { resource, owner, leaseId, startedMs };
    const queue = this.#queues.get(resource) ?? { waits: new Set(), countedMs: startedMs, sumMs: 0 };
    this.#queues.set(resource, queue);
    queue.waits.add(wait);
    queue.sumMs += startedMs;
    this.#waits.add(wait);
    return () => this.#end(wait, queue);
  }

  #end(wait: WaitingNow, queue: Queue): void {
    if (!this.#waits.delete(wait)) return;
    const pane = this.#pane();
    const nowMs = this.#clock.monotonicMs();
    const fromMs = Math.max(wait.startedMs, queue.countedMs);
    queue.waits.delete(wait);
    queue.sumMs -= fromMs;
    if (queue.waits.size === 0) this.#queues.delete(wait.resource);
    const facts = pane.sketch.add(wait.resource, nowMs - fromMs);
    facts.waits++;
    facts.longestMs = Math.max(facts.longestMs, nowMs - wait.startedMs);
    pane.lastMs = nowMs;
  }

  /** A lease ended. It counts if anybody has waited for the resource within the window. */
  held(resource: string, heldMs: number): void {
    const facts = this.#factsOf(resource);
    if (!facts) return;
    facts.holds++;
    facts.holdMs += heldMs;
  }

  // Where nobody waits now, those of the last wait, with which they go. With entries of their own, holds would keep the
  // resource in the window for as long as anybody uses it.
  #factsOf(resource: string): Facts | undefined {
    const queue = this.#queues.get(resource);
    if (!queue) {
      const last = this.#panes.findLast(({ sketch }) => sketch.get(resource));
      return last?.sketch.get(resource)?.facts;
    }
    const pane = this.#pane();
    const nowMs = this.#clock.monotonicMs();
    pane.lastMs = nowMs;
    return pane.sketch.add(resource, countedOf(queue, nowMs));
  }

  /** With up to `most` resources; undefined if nobody has waited within the window. */
  summary(most: number): WindowSummary | undefined {
    if (this.#queues.size > 0) this.#pane();
    const nowMs = this.#clock.monotonicMs();
    this.#dropOld(nowMs);
    const [first] = this.#panes;
    const heavier = this.#weights(nowMs);
    if (!first || heavier.size === 0) return undefined;
    const floorMs = this.#panes.reduce((sum, { sketch }) => sum + sketch.floor, 0);
    const leastMs = atLeast(heavier.values(), most);
    const some = [...heavier].filter(([, ms]) => ms >= leastMs).map(([name]) => this.#contended(name, nowMs));
    const contended = mostContended(some, most);
    const lightestMs = contended.length < heavier.size ? (contended.at(-1)?.waitMs ?? 0) : 0;
    return { windowMs: nowMs - first.startedMs, contended, restMs: Math.max(floorMs, lightestMs) };
  }

  /** How much longer calls have waited for each resource than for one that nothing is known of. */
  #weights(nowMs: number): ReadonlyMap<string, number> {
    const weights = new Map<string, number>();
    for (const { sketch } of this.#panes) {
      const { floor } = sketch;
      for (const { key, weight } of sketch.entries)
        weights.set(key, (weights.get(key) ?? 0) + weight - floor);
    }
    for (const [resource, { waits, sumMs }] of this.#queues) {
      weights.set(resource, (weights.get(resource) ?? 0) + waits.size * nowMs - sumMs);
    }
    return weights;
  }

  #contended(resource: string, nowMs: number): Contended {
    const sum = { waitMs: 0, errorMs: 0, waits: 0, longestWaitMs: 0, holds: 0, holdMs: 0 };
    for (const { sketch } of this.#panes) {
      const counted = sketch.get(resource);
      sum.waitMs += counted?.weight ?? sketch.floor;
      sum.errorMs += counted?.error ?? sketch.floor;
      sum.waits += counted?.facts.waits ?? 0;
      sum.longestWaitMs = Math.max(sum.longestWaitMs, counted?.facts.longestMs ?? 0);
      sum.holds += counted?.facts.holds ?? 0;
      sum.holdMs += counted?.facts.holdMs ?? 0;
    }
    const queue = this.#queues.get(resource);
    if (queue) {
      sum.waitMs += queue.waits.size * nowMs - queue.sumMs;
      sum.waits += queue.waits.size;
      const [oldest] = queue.waits;
      if (oldest) sum.longestWaitMs = Math.max(sum.longestWaitMs, nowMs - oldest.startedMs);
    }
    return { resource, ...sum };
  }

  /** The sketch of this minute. When a minute is over, what calls still wait is counted in it. */
  #pane(): Pane {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#panes.at(-1);
    if (last && nowMs - last.startedMs < PANE_MS) return last;
    if (last && this.#queues.size > 0) {
      for (const [resource, queue] of this.#queues) last.sketch.add(resource, countedOf(queue, nowMs));
      last.lastMs = nowMs;
    }
    this.#dropOld(nowMs);
    const newFacts = (): Facts => ({ waits: 0, longestMs: 0, holds: 0, holdMs: 0 });
    const pane = { startedMs: nowMs, lastMs: nowMs, sketch: new SpaceSaving(this.#capacity, newFacts) };
    this.#panes.push(pane);
    return pane;
  }

  #dropOld(nowMs: number): void {
    this.#panes = this.#panes.filter(({ lastMs }) => lastMs >= nowMs - WINDOW_MS);
  }
}

/** How long its calls have waited since they were counted last. From now on that is counted. */
function countedOf(queue: Queue, nowMs: number): number {
  const waitedMs = queue.waits.size * nowMs - queue.sumMs;
  queue.countedMs = nowMs;
  queue.sumMs = queue.waits.size * nowMs;
  return waitedMs;
}

/** The `most`th largest of the values; the smallest where there are no more. A sort of numbers is much the cheapest. */
function atLeast(values: Iterable<number>, most: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, sorted.length - most)] ?? 0;
}

/** The first `most` of them by the time waited. */
export function mostContended(all: readonly Contended[], most: number): readonly Contended[] {
  return all
    .toSorted((a, b) => b.waitMs - a.waitMs || b.waits - a.waits || (a.resource < b.resource ? -1 : 1))
    .slice(0, most);
}
