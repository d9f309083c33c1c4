// Draws a plan from a seed: the same seed gives the same plan. For safety it has faults that replace the primary, one
// after the other, and others beside them, until there is just enough time left to recover. For liveness it has one
// fault that stays. It keeps to the bounds that the documentation states; a fault that breaks one comes only where it
// is named.

import { MAX_TTL_MS, QUARANTINE_MS } from './chaos-rig.ts';
import { CATALOGUE, faultNamed } from './faults/catalogue.ts';
import type { FaultKind } from './faults/fault.ts';
import type { Plan, Step } from './plan.ts';
import type { SeededRandom } from './random.ts';

export interface PlanTerms {
  readonly minutes: number;
  readonly minAcks: number;
}

const FIRST_MS = 4_000;
/**
 * The time after the last fault: for a failover, a quarantine, the leases of before, and grants that show that the
 * service goes on. The checker needs it to judge the return.
 */
export const SETTLE_MS = QUARANTINE_MS + MAX_TTL_MS + 28_000;
const LANES = [
  // Sometimes in the quarantine of the last failover, mostly after some grants.
  { lane: 'failover', pauseMs: [6_000, 24_000] },
  { lane: 'aside', pauseMs: [1_000, 8_000] },
] as const;
/** The time between two faults that move a clock: the life of a lease sees at most one. */
const BETWEEN_CLOCKS_MS = QUARANTINE_MS + MAX_TTL_MS;
/**
 * The time after a step back: until the clock has caught up, no failover that forgets grants may come, since the new
 * primary's clock would be behind the tokens by more than a quarantine.
 */
const AFTER_STEP_BACK_MS = 75_000;

export function safetyPlan(random: SeededRandom, terms: PlanTerms): Plan {
  const totalMs = terms.minutes * 60_000;
  // A short run has some faults, too; the return from the last one is then not judged.
  const endMs = totalMs - Math.min(SETTLE_MS, totalMs / 2);
  // A server that dies keeps quarantines whole for 21 s, and the next one tells nothing for half of that. In about half
  // of the plans all servers live: most quarantines end early then, and what goes on after early ends is seen.
  const mayEndServers = random.chance(0.5);
  const steps = LANES.flatMap(({ lane, pauseMs }) => {
    const kinds = CATALOGUE.filter(
      (kind) => kind.lane === lane && isForAnyone(kind) && (mayEndServers || !kind.endsServer),
    );
    return laneOf(random, kinds, pauseMs, endMs, terms);
  });
  return { name: 'random', mode: 'safety', minAcks: terms.minAcks, steps: inOrder(steps) };
}

export function livenessPlan(random: SeededRandom, terms: PlanTerms): Plan {
  const kinds = CATALOGUE.filter((kind) => kind.stays?.mayProgress && isForAnyone(kind));
  const kind = random.pick(kinds);
  // A link with half a second of delay lets nobody work; the fault that stays has less.
  const options = kind.name === 'slow-links' ? { ms: 20 } : kind.choose?.(random);
  const step = { atMs: FIRST_MS, fault: kind.name, ...(options && { options }) };
  return {
    name: `stays: ${kind.name}`,
    mode: 'liveness',
    minAcks: Math.min(terms.minAcks, 1),
    steps: [step],
  };
}

/**
 * These faults again and again, each in its own time and a little different each time, as a directed run needs them.
 */
export function repeatedPlan(random: SeededRandom, faults: readonly string[], terms: PlanTerms): Plan {
  // They go on until grants are possible again: the run looks for what shows there, and not for the recovery at the
  // end.
  const endMs = terms.minutes * 60_000 - QUARANTINE_MS - 3_000;
  const pauseMs = [QUARANTINE_MS + 2_000, QUARANTINE_MS + 9_000] as const;
  const steps = faults.flatMap((fault) => laneOf(random, [faultNamed(fault)], pauseMs, endMs, terms));
  return { name: faults.join('+'), mode: 'safety', minAcks: terms.minAcks, steps: inOrder(steps) };
}

function laneOf(
  random: SeededRandom,
  kinds: readonly FaultKind[],
  [shortestMs, longestMs]: readonly [number, number],
  endMs: number,
  { minAcks }: PlanTerms,
): Step[] {
  const steps: Step[] = [];
  let queue: FaultKind[] = [];
  let clockMovedMs = Number.NEGATIVE_INFINITY;
  let steppedBackMs = Number.NEGATIVE_INFINITY;
  for (let atMs = FIRST_MS + random.between(0, 3_000); atMs < endMs; ) {
    // Every kind comes once before any comes twice, except those that are to come more often.
    if (queue.length === 0) queue = random.shuffled(kinds.flatMap((one) => repeated(one)));
    const fits = (kind: FaultKind): boolean =>
      (!kind.clocks || atMs - clockMovedMs > BETWEEN_CLOCKS_MS) &&
      (!kind.mayLose?.(minAcks) || atMs - steppedBackMs > AFTER_STEP_BACK_MS);
    const kind = queue.find(fits) ?? random.shuffled(kinds).find(fits);
    if (kind) {
      queue = queue.toSpliced(Math.max(0, queue.indexOf(kind)), queue.includes(kind) ? 1 : 0);
      const forMs = random.between(...kind.lastsMs);
      const options = kind.choose?.(random);
      if (atMs + forMs > endMs) break;
      steps.push({ atMs, fault: kind.name, forMs, ...(options && { options }) });
      atMs += forMs;
      if (kind.clocks) clockMovedMs = atMs;
      if (Number(options?.ms ?? 0) <= -60_000) steppedBackMs = atMs;
    }
    atMs += random.between(shortestMs, longestMs);
  }
  return steps;
}

function repeated(kind: FaultKind): FaultKind[] {
  return Array.from({ length: kind.weight ?? 1 }, () => kind);
}

function isForAnyone({ beyondBounds, onlyPlanned }: FaultKind): boolean {
  return beyondBounds === undefined && onlyPlanned !== true;
}

function inOrder(steps: readonly Step[]): Step[] {
  return steps.toSorted((a, b) => a.atMs - b.atMs);
}
