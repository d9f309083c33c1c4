// Random sequences of commands on operations, with locks on the same resources, clock steps and failovers among
// them, must have the same outcome on both stores, step by step. As in random-commands.test.ts: the memory store is
// the model, LEASEHOLD_TEST_SEED replays a failure, LEASEHOLD_TEST_RUNS sets how many are tried.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OperationKey, OperationSpec } from '../../src/domain/operation.ts';
import { nameOf } from '../../src/domain/operation.ts';
import { memoryHarness } from '../support/memory-harness.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { redisHarness, startHarnessRedis } from '../support/redis-harness.ts';
import { inTime, leaseSpec, type Snapshot, type StoreHarness } from '../support/store-harness.ts';
import { expectNoLater, expectNoShorter, isBound, isSpan } from './lower-bounds.ts';

const RUNS = Number(process.env.LEASEHOLD_TEST_RUNS ?? 80);
const TIMEOUT_MS = Math.max(240_000, RUNS * 1_000);
const SEED = process.env.LEASEHOLD_TEST_SEED;
const SHRINK = process.env.LEASEHOLD_TEST_SHRINK === '1';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startHarnessRedis();
});
afterAll(async () => {
  await redis?.stop();
});

const uuid = (n: number): string => `0000000${n}-0000-4000-8000-000000000000`;
const resource = fc.constantFrom('a', 'a', 'b{}:é');
const operationId = fc.constantFrom('1', '1', '2', 'x y');
const claimId = fc.constantFrom(uuid(1), uuid(2), uuid(3));
const stamp = fc.record({
  instanceId: fc.constantFrom('i1', 'i2'),
  callNumber: fc.integer({ min: 1, max: 4 }),
});
const requestId = fc.oneof({ weight: 4, arbitrary: fc.constant('') }, fc.constantFrom('r1', 'r2'));
const version = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 4 }));
const type = fc.constantFrom('t', 't', 'u');
const payload = fc.constantFrom(new Uint8Array(), Uint8Array.from([0, 255, 10, 61]));
const change = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  payload,
  fc.constant('remove' as const),
);
const key = { resource, operationId };
/** Which of the attempts that the operation was seen to have, counted from the newest; 9 is one that never existed. */
const attemptBack = fc.oneof(
  { weight: 8, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(9) },
);
const lock = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  fc.record({
    owner: fc.constantFrom('', 'me/you "é"'),
    mode: fc.constantFrom({ kind: 'exclusive' as const }, { kind: 'shared' as const }),
    metadata: fc.constant(new Map([['k', 'v/"']])),
    ttlMs: fc.constantFrom(3_000, 20_000),
    minHoldMs: fc.constantFrom(0, 0, 8_000),
    maxHoldMs: fc.constantFrom(0, 0, 6_000),
  }),
);
const doing = <T extends string>(name: T) => fc.constant(name);

const command = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      do: doing('begin'),
      ...key,
      type,
      data: fc.constantFrom(undefined, Uint8Array.from([1])),
      claimId: fc.option(claimId, { nil: undefined }),
      stamp,
      requestId,
      lock,
      heartbeatTimeoutMs: fc.constantFrom(2_000, 20_000),
      timeToLiveMs: fc.constantFrom(0, 0, 15_000, 100_000),
      exclusive: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
      maxAttempts: fc.constantFrom(1, 2, 5),
      retentionMs: fc.constantFrom(1, 5_000, 1_000_000),
      requires: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: doing('claim'),
      claimId,
      stamp,
      types: fc.constantFrom(['t'], ['t', 'u']),
      resourcePrefix: fc.constantFrom('', '', 'b'),
      most: fc.constantFrom(1, 2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: doing('update'),
      ...key,
      attemptBack,
      version,
      requestId,
      data: change,
      progress: change,
      set: fc.constantFrom([], [['l', '1']], [['m', '2']]) as fc.Arbitrary<[string, string][]>,
      remove: fc.constantFrom<string[]>([], ['l']),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: doing('heartbeat'),
      ...key,
      attemptBack,
      stamp,
      takesOver: fc.boolean(),
      onlyLooks: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: doing('complete'),
      ...key,
      attemptBack,
      transition: fc.constantFrom('succeed' as const, 'fail' as const, 'stop' as const),
      releaseLease: fc.boolean(),
      requestId,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: doing('yield'),
      ...key,
      attemptBack,
      delayMs: fc.constantFrom(0, 4_000),
      stamp: fc.option(stamp, { nil: undefined }),
      requestId,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: doing('cancel'), ...key, requestId }) },
  { weight: 2, arbitrary: fc.record({ do: doing('retry'), ...key, version, requestId }) },
  { weight: 1, arbitrary: fc.record({ do: doing('delete'), ...key, version }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: doing('acquire'), resource, claimId, stamp, mayWait: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: doing('release'), resource, claimId }) },
  { weight: 1, arbitrary: fc.record({ do: doing('force'), resource, immediate: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ do: doing('pass'), ms: fc.integer({ min: 1, max: 12_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: doing('step'), ms: fc.integer({ min: -90_000, max: 90_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: doing('reign'), unseenMs: fc.integer({ min: -9_000, max: 9_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: doing('quarantine over') }) },
  { weight: 2, arbitrary: fc.record({ do: doing('snapshot') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: doing('fail over'),
      /** To which of the last snapshots, counted from the newest; undefined: no write is lost. */
      back: fc.constantFrom(undefined, 0, 0, 1),
      unseenMs: fc.constantFrom(0, 1_000, 7_000),
      missing: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
      stale: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
);

type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

interface Told {
  readonly claimId: string;
  readonly fencingToken: bigint;
}

/** One store, and what its callers were told. */
class Observed {
  readonly harness: StoreHarness;
  /** What the store answered, as it was. */
  outcome: unknown;
  readonly #attempts = new Map<string, Told[]>();
  readonly #tokens: bigint[] = [];
  readonly #snapshots: Snapshot[] = [];

  constructor(harness: StoreHarness) {
    this.harness = harness;
  }

  async apply(c: Command): Promise<unknown> {
    const outcome = await this.#run(c);
    this.outcome = outcome;
    this.#note(outcome);
    // An attempt that ends before its deadline is stale at once. Redis, which has no index for that, finds it when that
    // passes, or when a command names the operation: so here both look at once.
    if (c.do === 'release' || c.do === 'force' || c.do === 'reign' || c.do === 'fail over')
      await this.harness.lookAtAttempts();
    return this.#comparable(outcome);
  }

  async everything(): Promise<unknown> {
    const filter = { types: [], states: [], labels: new Map() };
    const query = { filter, after: undefined, most: 100, withPayloads: true };
    const locks = await this.harness.locks.getMany(['a', 'b{}:é'], inTime());
    return this.#comparable([await this.harness.operations.list(query, inTime()), locks]);
  }

  async #run(c: Command): Promise<unknown> {
    const { operations, locks } = this.harness;
    switch (c.do) {
      case 'begin':
        return operations.begin({ ...c, spec: specOf(c), requireLease: this.#required(c) }, inTime());
      case 'claim':
        return operations.claim({ ...c, owner: c.stamp.instanceId }, inTime());
      case 'update': {
        const labels = { setLabels: new Map(c.set), removeLabels: c.remove };
        return operations.update({ ...c, ...this.#told(c), ...labels }, inTime());
      }
      case 'heartbeat':
        return operations.heartbeat([{ ...c, ...this.#told(c) }], inTime());
      case 'complete':
        return operations.complete({ ...c, ...this.#told(c), outcome: Uint8Array.from([8, 9]) }, inTime());
      case 'yield': {
        const { stamp: by, ...rest } = c;
        return operations.yield({ ...rest, ...this.#told(c), ...(by ? { stamp: by } : {}) }, inTime());
      }
      case 'cancel':
        return operations.cancel({ ...c, reason: 'enough' }, inTime());
      case 'retry':
        return operations.retry(c, inTime());
      case 'delete':
        return operations.delete(c, inTime());
      case 'acquire': {
        const spec = leaseSpec({ resource: c.resource, leaseId: c.claimId });
        return locks.acquire({ spec, stamp: c.stamp, mayWait: c.mayWait }, inTime());
      }
      case 'release':
        return locks.release({ resource: c.resource, leaseId: c.claimId }, inTime());
      case 'force':
        return locks.forceRelease({ ...c, fencingToken: undefined }, inTime());
      case 'pass':
        return this.harness.pass(c.ms);
      case 'step':
        return this.harness.step(c.ms);
      case 'reign':
        return this.harness.beginReign(c.unseenMs);
      case 'quarantine over':
        return this.harness.pass(36_000);
      case 'snapshot':
        this.#snapshots.push(await this.harness.snapshot());
        return undefined;
      case 'fail over': {
        const to = c.back === undefined ? undefined : this.#snapshots.at(-1 - c.back);
        return this.harness.failOver({ ...c, to });
      }
    }
  }

  #told(c: OperationKey & { readonly attemptBack: number }): Told {
    const none = { claimId: uuid(9), fencingToken: 7n };
    return this.#attempts.get(nameOf(c))?.at(-1 - c.attemptBack) ?? none;
  }

  #required(c: Extract<Command, { do: 'begin' }>) {
    const [newest] = this.#tokens.toSorted((a, b) => Number(b - a));
    if (!c.requires) return undefined;
    return { resource: c.resource, leaseId: c.claimId ?? uuid(1), fencingToken: newest ?? 7n };
  }

  // Everything that names an attempt, anywhere in an outcome.
  #note(outcome: unknown): void {
    if (Array.isArray(outcome)) for (const one of outcome) this.#note(one);
    if (typeof outcome !== 'object' || outcome === null) return;
    if ('claimed' in outcome) this.#note(outcome.claimed);
    if (!('operation' in outcome && 'attempt' in outcome && outcome.attempt)) return;
    const { operation, attempt } = outcome as { operation: OperationKey; attempt: Told };
    const told = this.#attempts.get(nameOf(operation)) ?? [];
    this.#attempts.set(nameOf(operation), told);
    if (told.at(-1)?.fencingToken !== attempt.fencingToken) told.push(attempt);
  }

  /** Without what is on the process's own clock, and bounds, which are compared apart; of tokens, their order. */
  #comparable(outcome: unknown): unknown {
    return JSON.parse(
      JSON.stringify(outcome ?? null, (name, value) => {
        if (name === 'deadlineMs' || isBound(name) || isSpan(name)) return undefined;
        if (value instanceof Map) return [...value].sort();
        if (value instanceof Uint8Array) return [...value];
        if (typeof value !== 'bigint') return value;
        if (!this.#tokens.includes(value)) this.#tokens.push(value);
        return `token ${this.#tokens.indexOf(value)}`;
      }),
    );
  }
}

function specOf(c: Extract<Command, { do: 'begin' }>): OperationSpec {
  const {
    resource,
    operationId,
    type,
    data,
    lock,
    heartbeatTimeoutMs,
    timeToLiveMs,
    exclusive,
    maxAttempts,
  } = c;
  const ms = c.retentionMs;
  return {
    ...{ resource, operationId, type, data, lock, timeToLiveMs, exclusive, maxAttempts },
    labels: new Map([['l', '0']]),
    contentHash: `${type} ${data}`,
    owner: c.stamp.instanceId,
    heartbeatTimeoutMs: lock?.ttlMs ?? heartbeatTimeoutMs,
    retention: { succeededMs: ms, failedMs: ms, cancelledMs: ms, deadMs: ms },
  };
}

const sequence = fc.array(command, { minLength: 1, maxLength: 40, size: 'max' });

test('random commands on operations have the same outcome on both stores', {
  timeout: TIMEOUT_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(sequence, fc.boolean(), async (commands, rollCall) => {
      const model = new Observed(await memoryHarness({ rollCall }));
      const real = new Observed(await redisHarness(redis, { rollCall }));
      try {
        for (const [index, c] of commands.entries()) {
          const where = `command ${index}: ${JSON.stringify(c)}`;
          const expected = await model.apply(c);
          expect(await real.apply(c), where).toEqual(expected);
          expectNoLater(real.outcome, model.outcome, where);
          expectNoShorter(real.outcome, model.outcome, where);
          const everything = await model.everything();
          expect(await real.everything(), `all after ${where}`).toEqual(everything);
        }
        expect(await real.harness.recorded()).toBe(await model.harness.recorded());
        expect(real.harness.deaths.toSorted()).toEqual(model.harness.deaths.toSorted());
      } finally {
        await model.harness.close();
        await real.harness.close();
      }
    }),
    { numRuns: RUNS, endOnFailure: !SHRINK, ...(SEED ? { seed: Number(SEED) } : {}) },
  );
});
