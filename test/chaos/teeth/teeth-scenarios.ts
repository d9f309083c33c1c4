// For each mutant of the chaos suite the run that most surely makes it break a promise: a plan for the rig, as data.
// Sometimes no promise breaks without a second failure, because another mechanism stands in as long as the stated
// bounds hold. The scenario then says which, and the rule's own test is what finds the mutant.

import type { ClientKind, Role } from '../client/roles.ts';
import type { ChaosMutant } from './mutants.ts';
import { SCENARIOS_OF_ROLL_CALLS } from './teeth-scenarios-of-roll-calls.ts';

/** A step of a plan, as the rig takes it: `fault` is a name of its catalogue. */
export interface ScenarioStep {
  readonly atMs: number;
  readonly fault: string;
  readonly forMs?: number;
  readonly options?: Readonly<Record<string, number | string | boolean>>;
}

export interface Scenario {
  /** The promise that is seen to break, or the mechanism that stands in. */
  readonly shows: string;
  /** Whether a run can be relied on to find it. */
  readonly breaksPromise: boolean;
  /** The number of replicas that must acknowledge an answer; 0 means async. */
  readonly minAcks: number;
  /** Whether quarantines end early; when not given, they last their whole time, which most scenarios are made for. */
  readonly rollCall?: boolean;
  readonly steps: readonly ScenarioStep[];
  /** The time under load, at most: a run ends when something was found. */
  readonly seconds: number;
  /** It has to be found with this many seeds, one after the other. */
  readonly runs: number;
  /** The checks that count, of CHECK_NAMES; those of holders and tokens when not given. */
  readonly checks?: readonly string[];
  /** How many clients of each kind, in their order; their names decide what they do when not given. */
  readonly clients?: readonly ClientKind[];
}

const FIRST_MS = 4_000;
/** Time for a failover, a quarantine, and some leases. */
const ROUND_MS = 24_000;

type Blow = Omit<ScenarioStep, 'atMs'> & { readonly afterMs?: number };

/** The same faults again and again. */
function rounds(times: number, blows: readonly Blow[], everyMs = ROUND_MS): readonly ScenarioStep[] {
  return Array.from({ length: times }, (_, round) =>
    blows.map(({ afterMs = 0, ...blow }) => ({ ...blow, atMs: FIRST_MS + round * everyMs + afterMs })),
  ).flat();
}

/** The servers stay with a primary that nothing is replicated from, for as long as an election takes. */
const LOSES_WRITES: Blow = { fault: 'isolate-primary-from-redis', forMs: 7_000 };
const STEP_FORWARDS: Blow = { fault: 'step-clocks', forMs: 0, options: { ms: 60_000 } };
/** The primary in between rules for longer than its quarantine lasts, and grants. */
const UNDEMOTED: Blow = { fault: 'failback-undemoted', forMs: 0, options: { betweenMs: 15_000 } };
const CUT_STREAMS: Blow = { fault: 'cut-mid-reply', forMs: 200, options: { between: 'clients-server' } };
const CUT_COMMANDS: Blow = { fault: 'cut-mid-reply', forMs: 300, options: { between: 'servers-redis' } };

const SIX_WHO_INSIST: readonly Role[] = Array.from({ length: 6 }, () => 'insist' as const);
const MANY_OPERATIONS: readonly Role[] = [
  ...(['begin', 'begin', 'begin'] as const),
  ...(['work', 'work', 'work', 'work'] as const),
  ...(['read', 'read', 'read'] as const),
];
const ONE_SERVER = { callers: 'one-server', which: 0 } as const;

function fromBothServers(clients: number, forMs: number): readonly Blow[] {
  return [0, 1].map((which) => ({ fault: 'cut-clients-from-server', forMs, options: { which, clients } }));
}

const HOLDERS = ['beliefs', 'leaders', 'attempts', 'tokens', 'guarded writes', 'token answers'] as const;

export function checksOf({ checks = HOLDERS }: Scenario): readonly string[] {
  return checks;
}

export const SCENARIOS: Readonly<Record<ChaosMutant, Scenario>> = {
  replicas: {
    shows: 'Operations that were acknowledged while the primary was cut off from its replicas are gone.',
    breaksPromise: true,
    minAcks: 1,
    seconds: 32,
    checks: ['acknowledged operations'],
    runs: 3,
    steps: rounds(1, [LOSES_WRITES]),
  },
  mark: {
    shows:
      'Of each isolation the first answers pass, those whose WAIT asks for what was written before it: what they told is ' +
      'gone. Slow replicas make them many.',
    breaksPromise: true,
    minAcks: 1,
    seconds: 22,
    runs: 8,
    checks: ['acknowledged operations'],
    clients: [{ roles: MANY_OPERATIONS }],
    steps: [
      { atMs: 3_500, fault: 'slow-links', forMs: 5_000, options: { ms: 300, of: 'replication' } },
      { ...LOSES_WRITES, atMs: 5_000 },
    ],
  },
  quarantine: {
    shows: 'What the cut-off primary granted last is granted again at once, and two hold it.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 32,
    runs: 3,
    steps: rounds(1, [LOSES_WRITES]),
  },
  confirmation: {
    shows:
      'The primary of the smaller side goes on granting with its server, and so does the other after its quarantine.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 3,
    steps: rounds(1, [{ fault: 'isolate-primary-with-server', forMs: 34_000, options: { which: 0 } }]),
  },
  'replid-in-the-reign': {
    shows:
      'The primary that comes back undemoted has not heard of what the one in between granted, and grants it without a ' +
      'quarantine.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 3,
    clients: [{ roles: ['calm'] }],
    steps: rounds(1, [UNDEMOTED]),
  },
  'epoch-in-the-reign': {
    shows:
      'The primary that comes back undemoted has not heard of what the one in between granted, and grants it without a ' +
      'quarantine.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 3,
    clients: [{ roles: ['calm'] }],
    steps: rounds(1, [UNDEMOTED]),
  },
  'no-repeat-in-quarantine': {
    shows:
      'A grant that was kept for a call which wanted more is given back, and the next in line is told of it, by a primary ' +
      'that is cut off already. Its successor knows the grant alone, and repeats it to the first, who asks again.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 20,
    runs: 12,
    clients: [{ roles: SIX_WHO_INSIST }],
    steps: rounds(1, [LOSES_WRITES]),
  },
  'not-after': {
    shows:
      'Commands of one server hang on their way to the primary for longer than their callers wait, who release by way of ' +
      'the other one. Then they arrive, and leases are there again that nobody knows of.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 40,
    runs: 3,
    checks: ['ghosts'],
    clients: [{ roles: ['doubt'] }],
    // The clients meet it in turn, and then go on with the other server.
    steps: [0, 1, 0, 1, 0].map((which, round) => ({
      atMs: FIRST_MS + round * 6_000,
      fault: 'one-way',
      forMs: 3_000,
      options: { callers: 'one-server', which, held: 'requests' },
    })),
  },
  'time-in-tokens': {
    shows:
      'The next primary lacks the last grants, and both servers, who had seen their tokens, have been replaced: the ' +
      'tokens are given again.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 3,
    steps: rounds(2, [
      LOSES_WRITES,
      { fault: 'kill-server', forMs: 1_000, afterMs: 2_000, options: { which: 0 } },
      { fault: 'kill-server', forMs: 1_000, afterMs: 2_000, options: { which: 1 } },
    ]),
  },
  'no-key-ttl': {
    shows: 'All locks are dropped by the step, and granted to others at once.',
    breaksPromise: true,
    minAcks: 1,
    seconds: 30,
    runs: 3,
    steps: rounds(1, [STEP_FORWARDS]),
  },
  'lease-clock': {
    shows: 'All leases are over by the step, and granted to others at once.',
    breaksPromise: true,
    minAcks: 1,
    seconds: 30,
    runs: 3,
    steps: rounds(1, [STEP_FORWARDS]),
  },
  'adoption-majority': {
    shows:
      'One Sentinel alone has replaced the primary, which a majority goes on to name. Its successor, adopted on the word of ' +
      'that one, has its quarantine behind it when the others hear of it, and grants what the old one granted last.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 40,
    runs: 3,
    clients: [{ roles: ['calm'] }],
    steps: rounds(1, [{ fault: 'lone-sentinel', forMs: 0 }]),
  },
  'confirmation-after-the-reply': {
    shows:
      'A deadline counts from before the command, which is sent only to a primary that was confirmed less than 2 s before: ' +
      'the quarantine outlasts whatever it grants, however late that is told.',
    breaksPromise: false,
    minAcks: 0,
    seconds: 60,
    runs: 3,
    steps: rounds(2, [
      { fault: 'one-way', forMs: 8_000, options: { callers: 'servers', held: 'replies' } },
      { ...LOSES_WRITES, afterMs: 100 },
    ]),
  },
  'lapsed-before': {
    shows:
      'An old primary gives away what it saw lapse, and the lease is renewed elsewhere: a holder renews within its own ' +
      'deadline, which the recorded one exceeds by the allowance, so that the clocks have to differ by all of it, and the ' +
      'old primary is confirmed for less than 2 s after the new one is adopted.',
    breaksPromise: false,
    minAcks: 0,
    seconds: 60,
    runs: 3,
    steps: rounds(2, [
      { fault: 'promote-skewed-replica', forMs: 4_000, options: { ms: 1_500, which: 0 } },
      { ...LOSES_WRITES, afterMs: 17_000 },
    ]),
  },
  'deadlines-only-grow': {
    shows:
      'A renewal with a smaller TTL ends a lease early, whose holder believes in what it was told before, and acts beside ' +
      'the next one.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 40,
    runs: 3,
    clients: [{ roles: ['unary'] }],
    steps: rounds(4, fromBothServers(2, 1_000), 10_000),
  },
  'nothing-is-sent-again': {
    shows:
      'A command whose reply was lost runs a second time, and its caller is told of the second: a record moves twice for one ' +
      'call, or a write that was made is refused.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 3,
    checks: ['order of operations', 'retries', 'tokens', 'acknowledged operations'],
    clients: [{ roles: ['begin', 'work', 'read'] }],
    steps: rounds(14, [{ ...CUT_COMMANDS, forMs: 100 }], 2_500),
  },
  'streams-end-nothing': {
    shows: 'Each cut stream gives its lease away, whose holder goes on with the next stream.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 30,
    runs: 3,
    steps: rounds(8, [CUT_STREAMS], 3_000),
  },
  'deadline-from-before-the-call': {
    shows:
      'Servers that come back renew for nobody, and clients that cannot reach them believe as long again as their ' +
      'streams were old.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 36,
    runs: 6,
    steps: rounds(
      1,
      [
        ...fromBothServers(5, 18_000).map((blow) => ({ ...blow, afterMs: 6_000 })),
        { fault: 'kill-server', forMs: 2_000, afterMs: 6_500, options: { which: 0 } },
        { fault: 'kill-server', forMs: 2_000, afterMs: 6_500, options: { which: 1 } },
      ],
      40_000,
    ),
  },
  'call-stamps': {
    shows:
      'A call that was cut off gives back, a moment late, what its repeat was told of by the other server: the next one ' +
      'holds beside its holder.',
    breaksPromise: true,
    minAcks: 0,
    seconds: 45,
    runs: 4,
    clients: [{ roles: SIX_WHO_INSIST }],
    // The clients meet it in turn, and then go on with the other server.
    steps: Array.from({ length: 10 }, (_, round) => round).flatMap((round) => [
      {
        atMs: FIRST_MS + round * 3_500,
        fault: 'one-way',
        forMs: 900,
        options: { ...ONE_SERVER, which: round % 2, held: 'requests' },
      },
      {
        ...CUT_STREAMS,
        forMs: 0,
        atMs: FIRST_MS + round * 3_500 + 150,
        options: { ...CUT_STREAMS.options, which: round % 2 },
      },
    ]),
  },
  ...SCENARIOS_OF_ROLL_CALLS,
};
