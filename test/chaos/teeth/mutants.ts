// All mutants, by name. The first list is what the chaos suite has to catch: each is a mechanism that a reader may
// think superfluous. The others are taken out only in `npm run test:rules`, where one test each finds them.

import type { Mutant } from './mutant.ts';
import { MUTANTS_OF_ANSWERS } from './mutants-of-answers.ts';
import { MUTANTS_OF_BATCHES } from './mutants-of-batches.ts';
import { MUTANTS_OF_LEASES } from './mutants-of-leases.ts';
import { MUTANTS_OF_REIGNS } from './mutants-of-reigns.ts';
import { MUTANTS_OF_ROLL_CALLS } from './mutants-of-roll-calls.ts';
import { MUTANTS_OF_TIME } from './mutants-of-time.ts';
import { MUTANTS_OF_TOLD_ATTEMPTS } from './mutants-of-told-attempts.ts';
import { MUTANTS_OF_TOLD_LEASES } from './mutants-of-told-leases.ts';

export const MUTANTS: readonly Mutant[] = [
  ...MUTANTS_OF_REIGNS,
  ...MUTANTS_OF_ANSWERS,
  ...MUTANTS_OF_TIME,
  ...MUTANTS_OF_BATCHES,
  ...MUTANTS_OF_LEASES,
  ...MUTANTS_OF_ROLL_CALLS,
  ...MUTANTS_OF_TOLD_LEASES,
  ...MUTANTS_OF_TOLD_ATTEMPTS,
];

/** Of the roll call, those that a run can show: see CHAOS_MUTANTS. */
export const CHAOS_MUTANTS_OF_ROLL_CALLS = [
  'everyone-answers',
  'one-answer-is-fresh',
  'put-back',
  'known-below-the-cut',
  'seen-tokens-count',
] as const;

/** The checker of the chaos suite must report these within a stated number of runs. */
export const CHAOS_MUTANTS = [
  'replicas',
  'mark',
  'quarantine',
  'confirmation',
  'replid-in-the-reign',
  'epoch-in-the-reign',
  'no-repeat-in-quarantine',
  'not-after',
  'time-in-tokens',
  'no-key-ttl',
  'lease-clock',
  'adoption-majority',
  'confirmation-after-the-reply',
  'lapsed-before',
  'deadlines-only-grow',
  'nothing-is-sent-again',
  'streams-end-nothing',
  'deadline-from-before-the-call',
  'call-stamps',
  ...CHAOS_MUTANTS_OF_ROLL_CALLS,
] as const;

export type ChaosMutant = (typeof CHAOS_MUTANTS)[number];

export function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant) return mutant;
  throw new Error(`no mutant is called ${name}; there are: ${MUTANTS.map((one) => one.name).join(', ')}`);
}
