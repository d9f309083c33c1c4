// Random sequences of commands, with clock steps and failovers among them that lose writes, must have the same outcome
// on both stores, step by step. The memory store is the model: it looks at plain lists where Redis keeps summaries and
// indices, so where they differ, one of them breaks a rule. A failure prints the seed; LEASEHOLD_TEST_SEED replays it,
// with LEASEHOLD_TEST_SHRINK=1 down to the shortest sequence; LEASEHOLD_TEST_RUNS sets how many are tried.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { CoordinationError } from '../../src/domain/errors.ts';
import type { Granted, Lease, LeaseSpec, LockView } from '../../src/domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import { acquireMany } from '../../src/service/acquire-many.ts';
import type { LockPage } from '../../src/store/lock-store.ts';
import { memoryHarness } from '../support/memory-harness.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { redisHarness, startHarnessRedis } from '../support/redis-harness.ts';
import { inTime, leaseSpec, MAX_TTL_MS, type Snapshot, type StoreHarness } from '../support/store-harness.ts';
import { expectNoLater, isBound } from './lower-bounds.ts';

const LEASE_IDS = [1, 2, 3, 4].map((n) => `0000000${n}-0000-4000-8000-000000000000`);
const RUNS = Number(process.env.LEASEHOLD_TEST_RUNS ?? 80);
const TIMEOUT_MS = Math.max(180_000, RUNS * 1_000);
const SEED = process.env.LEASEHOLD_TEST_SEED;
/** Looks for the shortest sequence that fails; each try takes about half a second. */
const SHRINK = process.env.LEASEHOLD_TEST_SHRINK === '1';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

const resource = fc.constantFrom('a', 'a', 'b{}:');
const leaseId = fc.constantFrom(...LEASE_IDS);
const ttlMs = fc.constantFrom(1_000, 3_000, 10_000, 30_000);
const stamp = fc.record({
  instanceId: fc.constantFrom('i1', 'i2'),
  callNumber: fc.integer({ min: 1, max: 3 }),
});
const mode = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'exclusive' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'shared' as const }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom([1, 2], [2, 2], [1, 3]).map(([permits = 1, limit = 1]) => ({
      kind: 'permits' as const,
      permits,
      limit,
    })),
  },
);
const orNone = (values: number[]) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(...values));

const failOver = fc.record({
  do: fc.constant('fail over' as const),
  /** To which of the last snapshots, counted from the newest; undefined: no write is lost. */
  back: fc.constantFrom(undefined, 0, 0, 0, 1),
  unseenMs: fc.constantFrom(0, 0, 1_000, 7_000),
  stepMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -5_000, max: 60_000 })),
  missing: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  stale: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
});

const acquire = fc.record({
  do: fc.constant('acquire' as const),
  resource,
  leaseId,
  ttlMs,
  stamp,
  mode,
  mayWait: fc.boolean(),
  again: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  minHoldMs: orNone([2_000, 15_000]),
  maxHoldMs: orNone([2_000, 20_000]),
});
const renew = fc.record({
  do: fc.constant('renew' as const),
  resource,
  leaseId,
  ttlMs: fc.oneof(ttlMs, fc.constant(0)),
  stamp: fc.option(stamp, { nil: undefined }),
  takesOver: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  onlyLooks: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  /** Which of the tokens seen for the resource, counted from the newest. */
  tokensBack: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.constant(1)),
});
const release = fc.record({ do: fc.constant('release' as const), resource, leaseId });
const confirm = fc.record({ do: fc.constant('confirm' as const), resource, leaseId, ttlMs, stamp });
const leave = fc.record({
  do: fc.constant('leave' as const),
  resource,
  leaseId,
  stamp,
  keepPlaceMs: fc.constantFrom(0, 5_000),
  giveBack: fc.boolean(),
});
const advance = fc.record({ do: fc.constant('advance' as const), resource });
const check = fc.record({
  do: fc.constant('check' as const),
  resource,
  tokensBack: fc.constantFrom(0, 0, 1),
});

/** What one call to Redis may hold several of. */
const batched = fc.oneof(
  { weight: 6, arbitrary: acquire },
  { weight: 6, arbitrary: renew },
  { weight: 4, arbitrary: release },
  { weight: 4, arbitrary: confirm },
  { weight: 2, arbitrary: leave },
  { weight: 1, arbitrary: advance },
  { weight: 1, arbitrary: check },
);

const command = fc.oneof(
  { weight: 6, arbitrary: acquire },
  { weight: 6, arbitrary: renew },
  { weight: 3, arbitrary: release },
  { weight: 4, arbitrary: confirm },
  { weight: 2, arbitrary: leave },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('force' as const),
      resource,
      /** Which of the tokens seen for the resource, counted from the newest; undefined for all leases. */
      tokensBack: fc.constantFrom(undefined, 0, 0, 1),
      immediate: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('many' as const),
      /** In either order; AcquireMany takes them in its own. */
      resources: fc.constantFrom(['a', 'b{}:'], ['b{}:', 'a']),
      leaseId,
      ttlMs,
      stamp,
      mode,
      minHoldMs: orNone([2_000]),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refresh' as const) }) },
  { weight: 1, arbitrary: advance },
  { weight: 1, arbitrary: check },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('together' as const),
      commands: fc.array(batched, { minLength: 2, maxLength: 10, size: 'max' }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('list' as const),
      prefix: fc.constantFrom('', '', 'a', 'b{'),
      owner: fc.constantFrom('', '', 'i1', 'i2'),
      states: fc.subarray(['held', 'min-hold'] as const, { minLength: 1 }),
      after: fc.constantFrom('', '', 'a'),
      most: fc.constantFrom(1, 10),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 12_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('step' as const), ms: fc.integer({ min: -90_000, max: 90_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reign' as const),
      unseenMs: fc.integer({ min: -60_000, max: 60_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('quarantine over' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('snapshot' as const) }) },
  { weight: 3, arbitrary: failOver },
);

type Batched = typeof batched extends fc.Arbitrary<infer T> ? T : never;
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
type Together = Extract<Command, { do: 'together' }>;

/**
 * Applies one command and returns what a caller and an onlooker see, without what depends on the process's own clock.
 */
async function apply(
  h: StoreHarness,
  c: Exclude<Command, Together>,
  tokens: readonly bigint[],
  snapshots: Snapshot[],
): Promise<unknown> {
  switch (c.do) {
    case 'acquire': {
      const { stamp: by, do: _, mayWait: __, again, ...asked } = c;
      const spec: LeaseSpec = leaseSpec({ ...asked, owner: by.instanceId });
      return h.locks.acquire({ spec, stamp: by, mayWait: c.mayWait, asksAgain: again }, inTime());
    }
    case 'renew': {
      const fencingToken = tokens.at(-1 - c.tokensBack) ?? 7n;
      const command = { resource: c.resource, leaseId: c.leaseId, fencingToken, ttlMs: c.ttlMs };
      const { stamp, takesOver, onlyLooks } = c;
      return h.locks.renew([stamp ? { ...command, stamp, takesOver, onlyLooks } : command], inTime());
    }
    case 'release': {
      const outcome = await h.locks.release({ resource: c.resource, leaseId: c.leaseId }, inTime());
      // Which command finds a lapsed lease first is each store's own business.
      return outcome.kind === 'lapsed' ? { kind: 'absent' } : outcome;
    }
    case 'confirm': {
      const { stamp: by, do: _, ...asked } = c;
      return h.locks.confirm({ spec: leaseSpec(asked), stamp: by }, inTime());
    }
    case 'leave':
      return h.locks.leave(c, inTime());
    case 'force': {
      const { resource, tokensBack, immediate } = c;
      const fencingToken = tokensBack === undefined ? undefined : (tokens.at(-1 - tokensBack) ?? 7n);
      const outcome = await h.locks.forceRelease({ resource, fencingToken, immediate }, inTime());
      return { ...outcome, heldMs: outcome.heldMs.toSorted((a, b) => a - b) };
    }
    case 'many':
      return many(h, c);
    case 'refresh': {
      const offers = await h.locks.refresh(inTime());
      return offers
        .map(({ acquisition: { resource, leaseId }, callNumber }) => `${resource} ${leaseId} ${callNumber}`)
        .sort();
    }
    case 'advance':
      return h.locks.advance(c.resource, inTime());
    case 'check':
      return h.locks.checkFencingToken(c.resource, tokens.at(-1 - c.tokensBack) ?? 7n, inTime());
    case 'list':
      return listed(h, c);
    case 'pass':
      return h.pass(c.ms);
    case 'step':
      return h.step(c.ms);
    case 'reign':
      return h.beginReign(c.unseenMs);
    case 'quarantine over':
      return h.pass(34_000);
    case 'snapshot':
      snapshots.push(await h.snapshot());
      return undefined;
    case 'fail over':
      return h.failOver({ ...c, to: c.back === undefined ? undefined : snapshots.at(-1 - c.back) });
  }
}

/** What all pages hold. Where one ends is not compared: it may hold fewer locks than asked for. */
async function listed(h: StoreHarness, c: Extract<Command, { do: 'list' }>): Promise<unknown> {
  const locks: LockView[] = [];
  for (let after: string | undefined = c.after; after !== undefined; ) {
    const page: LockPage = await h.locks.list({ ...c, after }, inTime());
    expect(page.locks.length).toBeLessThanOrEqual(c.most);
    locks.push(...page.locks);
    after = page.next;
  }
  return locks;
}

/** AcquireMany as the service runs it, without waiting: the leases, or what stood in the way; all or none. */
async function many(h: StoreHarness, c: Extract<Command, { do: 'many' }>): Promise<unknown> {
  const { stamp: by, resources, do: _, ...asked } = c;
  class Refused extends Error {
    readonly outcome: unknown;
    constructor(outcome: unknown) {
      super('refused');
      this.outcome = outcome;
    }
  }
  try {
    return await acquireMany({
      specs: resources.map((resource) => leaseSpec({ ...asked, resource, owner: by.instanceId })),
      stamp: by,
      store: h.locks,
      clock: systemClock,
      bounded: inTime,
      acquire: async (spec) => {
        const outcome = await h.locks.acquire({ spec, stamp: by, mayWait: false }, inTime());
        if (outcome.kind !== 'granted') throw new Refused(outcome);
        return outcome;
      },
    });
  } catch (error) {
    if (error instanceof Refused) return { refused: error.outcome };
    if (error instanceof CoordinationError) return { failed: error.code };
    throw error;
  }
}

/**
 * An outcome without what may differ: what is on the process's own clock, bounds, which are compared apart, and the
 * tokens' values where one command granted several resources. Of tokens their order is kept.
 */
function comparable(outcome: unknown, seen: bigint[]): unknown {
  return JSON.parse(
    JSON.stringify(outcome ?? null, (key, value) => {
      if (key === 'deadlineMs' || isBound(key)) return undefined;
      if (value instanceof Map) return [...value];
      if (typeof value !== 'bigint') return value;
      if (!seen.includes(value)) seen.push(value);
      return `token ${seen.indexOf(value)}`;
    }),
  );
}

function isGranted(outcome: unknown): outcome is Granted {
  return typeof outcome === 'object' && outcome !== null && 'kind' in outcome && outcome.kind === 'granted';
}

function largestOf(tokens: readonly bigint[]): bigint {
  return tokens.reduce((largest, token) => (token > largest ? token : largest), 0n);
}

function withoutTokens(view: unknown): unknown {
  return JSON.parse(JSON.stringify(view, (_, value) => (typeof value === 'bigint' ? undefined : value)));
}

/** One store, and the tokens that were seen for each resource. */
class Observed {
  readonly harness: StoreHarness;
  /** What the store answered, as it was. */
  outcome: unknown;
  readonly #tokens = new Map<string, bigint[]>();
  readonly #told = new Map<string, Set<bigint>>();
  readonly #snapshots: Snapshot[] = [];
  readonly #asksAtOnce: boolean;

  constructor(harness: StoreHarness, asksAtOnce: boolean) {
    this.harness = harness;
    this.#asksAtOnce = asksAtOnce;
  }

  async apply(c: Command): Promise<unknown> {
    if (c.do === 'together') return this.#together(c.commands);
    const seen = this.#seen('resource' in c ? c.resource : '');
    const outcome = await apply(this.harness, c, seen, this.#snapshots);
    this.outcome = outcome;
    if (c.do === 'many') {
      if (!Array.isArray(outcome)) return withoutTokens(outcome);
      for (const lease of outcome) this.#toldOf(lease.resource).add(lease.fencingToken);
      return outcome.map((lease: Lease) => comparable(lease, this.#seen(lease.resource)));
    }
    this.#lookAtGrant(c, outcome);
    return c.do === 'list' ? withoutTokens(outcome) : comparable(outcome, seen);
  }

  /** The Redis store is asked for all at once, and sends them in one call; the model for one after the other. */
  async #together(commands: readonly Batched[]): Promise<unknown> {
    const before = commands.map(({ resource }) => [...this.#seen(resource)]);
    const asked: Promise<unknown>[] = [];
    for (const [index, c] of commands.entries()) {
      const outcome = apply(this.harness, c, before[index] ?? [], this.#snapshots);
      asked.push(outcome);
      if (!this.#asksAtOnce) await outcome;
    }
    const outcomes = await Promise.all(asked);
    this.outcome = outcomes;
    return commands.map((c, index) => {
      this.#lookAtGrant(c, outcomes[index]);
      return comparable(outcomes[index], this.#seen(c.resource));
    });
  }

  #lookAtGrant(c: Command, outcome: unknown): void {
    if ((c.do === 'acquire' || c.do === 'confirm') && isGranted(outcome)) this.#expectGrowth(outcome);
  }

  async view(resource: string): Promise<unknown> {
    return comparable(await this.harness.locks.get(resource, inTime()), this.#seen(resource));
  }

  /** Lists all locks, and checks each against a look at that lock alone. */
  async list(): Promise<unknown> {
    const query = { prefix: '', owner: '', states: ['held', 'min-hold'] as const, after: '', most: 10 };
    const { locks, next } = await this.harness.locks.list(query, inTime());
    const names = locks.map(({ resource }) => resource);
    const alone = await this.harness.locks.getMany(names, inTime());
    expect(locks.map(withoutTokens)).toEqual(alone.map(withoutTokens));
    return { locks: locks.map((view) => comparable(view, this.#seen(view.resource))), next };
  }

  /**
   * Of what somebody was told of: of an offer that a failover lost nobody was, and its token may come again. And of
   * grants only: shared offers may be confirmed in any order, and a lease is repeated after later ones were granted.
   */
  #expectGrowth({ lease: { resource, fencingToken }, isRepeat, handoverMs }: Granted): void {
    const told = this.#toldOf(resource);
    const isNew = !isRepeat && handoverMs === undefined;
    if (isNew) expect(fencingToken).toBeGreaterThan(largestOf([...told]));
    told.add(fencingToken);
  }

  #toldOf(resource: string): Set<bigint> {
    const told = this.#told.get(resource) ?? new Set();
    this.#told.set(resource, told);
    return told;
  }

  #seen(resource: string): bigint[] {
    const seen = this.#tokens.get(resource) ?? [];
    this.#tokens.set(resource, seen);
    return seen;
  }
}

test('random command sequences have the same outcome on both stores', { timeout: TIMEOUT_MS }, async () => {
  let largestBatch = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 1, maxLength: 40, size: 'max' }),
      fc.boolean(),
      fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
      async (commands, sweep, rollCall) => {
        const model = new Observed(await memoryHarness({ rollCall }), false);
        const real = new Observed(await redisHarness(redis, { rollCall }), true);
        try {
          for (const [index, c] of commands.entries()) {
            const where = `command ${index}: ${JSON.stringify(c)}`;
            const expected = await model.apply(c);
            expect(await real.apply(c), where).toEqual(expected);
            expectNoLater(real.outcome, model.outcome, where);
            for (const name of ['a', 'b{}:']) {
              const view = await model.view(name);
              expect(await real.view(name), `${name} after ${where}`).toEqual(view);
            }
            const listed = await model.list();
            expect(await real.list(), `all after ${where}`).toEqual(listed);
          }
          if (sweep && commands.length < 5) {
            // Longer than any lease may be recorded.
            for (const { harness } of [model, real]) await harness.pass(MAX_TTL_MS + SKEW_ALLOWANCE_MS);
            expect(await real.harness.remembered()).toBe(await model.harness.remembered());
            expect(await real.harness.expiredLeases()).toBe(await model.harness.expiredLeases());
          }
        } finally {
          await model.harness.close();
          await real.harness.close();
          largestBatch = Math.max(largestBatch, ...real.harness.batches);
        }
      },
    ),
    { numRuns: RUNS, endOnFailure: !SHRINK, ...(SEED ? { seed: Number(SEED) } : {}) },
  );
  expect(largestBatch).toBeGreaterThan(2);
});
