// Which plan a run has: the one that it was given, the one in a file, one made of the faults that are named, or the one
// that the seed draws.
import { existsSync } from 'node:fs';
import { CATALOGUE } from './faults/catalogue.ts';
import { type Plan, readPlan } from './plan.ts';
import { livenessPlan, repeatedPlan, safetyPlan } from './planner.ts';
import { SeededRandom } from './random.ts';

export interface PlanWish {
  readonly seed: number;
  readonly minutes: number;
  readonly mode: 'safety' | 'liveness';
  /** A plan, a file, or names of faults joined by "+". */
  readonly plan?: string | Plan | undefined;
  readonly minAcks?: number | undefined;
  /** Whether quarantines end early, where no plan says so; they do when not given. */
  readonly rollCall?: boolean | undefined;
}

/** Throws where the plan is neither a file nor made of faults. */
export function planFor(wish: PlanWish): Plan {
  const plan = wantedPlan(wish);
  return wish.rollCall === undefined || plan.rollCall !== undefined
    ? plan
    : { ...plan, rollCall: wish.rollCall };
}

function wantedPlan({ seed, minutes, mode, plan, minAcks = 1 }: PlanWish): Plan {
  const random = new SeededRandom(seed);
  const terms = { minutes, minAcks };
  if (typeof plan === 'object') return plan;
  if (plan === undefined) return mode === 'safety' ? safetyPlan(random, terms) : livenessPlan(random, terms);
  const faults = plan.split('+');
  if (faults.every((fault) => CATALOGUE.some(({ name }) => name === fault)))
    return repeatedPlan(random, faults, terms);
  if (existsSync(plan)) return readPlan(plan);
  const known = CATALOGUE.map(({ name }) => name).join(', ');
  throw new Error(`--plan ${plan}: neither a file nor faults joined by "+" (${known})`);
}
