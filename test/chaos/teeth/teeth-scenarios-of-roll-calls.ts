// The runs in which the mutants of the roll call break a promise: a part of teeth-scenarios.ts. A roll call ends the
// quarantine about a second after the adoption, so that what the next primary lacks is asked for while it counts.

import type { CHAOS_MUTANTS_OF_ROLL_CALLS } from './mutants.ts';
import type { Scenario } from './teeth-scenarios.ts';

/** While the registry is younger, no roll call ends a quarantine. */
const WARM_MS = 13_000;

/** The servers stay with a primary that nothing is replicated from, for as long as an election takes. */
const LOSES_WRITES = { atMs: WARM_MS, fault: 'isolate-primary-from-redis', forMs: 7_000 } as const;

const ROLL_CALLS = { breaksPromise: true, minAcks: 0, rollCall: true, runs: 3 } as const;

type RollCallMutant = (typeof CHAOS_MUTANTS_OF_ROLL_CALLS)[number];

export const SCENARIOS_OF_ROLL_CALLS: Readonly<Record<RollCallMutant, Scenario>> = {
  'everyone-answers': {
    ...ROLL_CALLS,
    shows:
      'One server stands still before it hears of the next primary, and the other one answers for both: what the first ' +
      'told last is granted again.',
    seconds: 32,
    // Those of the first server hold for seconds, and those of the other one ask often.
    clients: [
      { roles: ['calm', 'calm'], server: 0 },
      { roles: ['doubt', 'doubt', 'doubt'], server: 1 },
    ],
    steps: [
      LOSES_WRITES,
      { atMs: WARM_MS + 2_200, fault: 'freeze-server', forMs: 10_000, options: { which: 0 } },
    ],
  },
  'one-answer-is-fresh': {
    ...ROLL_CALLS,
    shows:
      'The data are twelve seconds old, which each server knows by its entry, and the quarantine ends early.',
    seconds: 40,
    checks: ['roll call'],
    steps: [{ atMs: WARM_MS, fault: 'promote-laggard', forMs: 2_000, options: { lagMs: 12_000, which: 0 } }],
  },
  'put-back': {
    ...ROLL_CALLS,
    shows: 'All answer, and what they told last is granted again at once.',
    seconds: 32,
    steps: [LOSES_WRITES],
  },
  'known-below-the-cut': {
    ...ROLL_CALLS,
    shows:
      'All answer, and put back only what they were told under another reign. What the one before granted last is not ' +
      'known any more, and its holders work on.',
    seconds: 32,
    checks: ['kept leases'],
    clients: [{ roles: ['calm'] }],
    steps: [LOSES_WRITES],
  },
  'seen-tokens-count': {
    ...ROLL_CALLS,
    shows:
      'The last grants are lost, all clocks step back by less than a quarantine lasts, and the quarantine ends early: the ' +
      'next tokens are smaller than those that are out.',
    seconds: 40,
    checks: ['tokens', 'guarded writes'],
    steps: [
      { atMs: WARM_MS, fault: 'slow-links', forMs: 8_000, options: { ms: 3_500, of: 'replication' } },
      {
        atMs: WARM_MS + 2_000,
        fault: 'step-clocks-in-failover',
        forMs: 3_000,
        options: { ms: -8_000, afterMs: 500 },
      },
    ],
  },
};
