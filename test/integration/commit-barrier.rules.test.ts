// When an answer is on the replicas, rule by rule: a replica that acknowledges only what the test lets it shows what
// the store believes about each acknowledgement.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { OperationSpec } from '../../src/domain/operation.ts';
import type { BeginOutcome } from '../../src/store/operation-store.ts';
import { eventually } from '../support/eventually.ts';
import { offsetOf } from '../support/redis/scripted-replica.ts';
import { isSettled, outcomeOf, ReplicatedRedis } from '../support/replicated-redis.ts';
import { inTime, leaseSpec } from '../support/store-harness.ts';
import { type AtEnd, proxyTo } from '../support/watched-redis.ts';

/** Long enough for anything on a busy machine, and far longer than a test waits to see that something does not come. */
const PATIENT_MS = 8_000;
const SHORT_MS = 400;
const DAY_MS = 86_400_000;

const named = (resource: string) => leaseSpec({ resource });

const operation: OperationSpec = {
  resource: 'invoice:42',
  operationId: 'send',
  type: 'send',
  data: undefined,
  labels: new Map(),
  contentHash: 'same',
  owner: 'billing',
  heartbeatTimeoutMs: 10_000,
  timeToLiveMs: 0,
  exclusive: false,
  lock: undefined,
  maxAttempts: 3,
  retention: { succeededMs: DAY_MS, failedMs: DAY_MS, cancelledMs: DAY_MS, deadMs: DAY_MS },
};

const CLAIM_ID = randomUUID();

function begin(rig: ReplicatedRedis, spec = operation, withinMs = PATIENT_MS): Promise<BeginOutcome> {
  const command = { spec, claimId: CLAIM_ID, requestId: '', requireLease: undefined, stamp: rig.stamp() };
  return rig.store.operations.begin(command, inTime(withinMs));
}

describe.concurrent('an answer', { timeout: 30_000 }, () => {
  test('an answer waits until a replica has what it tells', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const answer = rig.acquire(named('a'), PATIENT_MS);
    await rig.replied('acquire-lock granted');
    await rig.waits();
    expect(await isSettled(answer)).toBe(false);
    rig.replica.acknowledgeAll(true);
    expect(await answer).toBe('granted');
  });

  test('an answer is not covered by an acknowledgement of what was written before it', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    rig.replica.acknowledgeAll(true);
    expect(await rig.acquire(named('before'), PATIENT_MS)).toBe('granted'); // its connection has sent its WAIT
    rig.replica.acknowledgeAll(false);
    expect(await rig.acquire(named('after'), SHORT_MS)).toBe('DURABILITY_UNMET');
  });

  test('an answer that comes while others are waited for is not covered by their mark', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const first = rig.acquire(named('first'), PATIENT_MS);
    await rig.waits();
    const marked = await offsetOf(rig.redis);
    const second = rig.acquire(named('second'), PATIENT_MS);
    await rig.replied('acquire-lock granted', 2);
    rig.replica.acknowledge(marked);
    expect(await first).toBe('granted');
    await rig.waits(1); // for the second one
    expect(await isSettled(second)).toBe(false);
    rig.replica.acknowledgeAll(true);
    expect(await second).toBe('granted');
  });

  test('each WAIT that succeeds is told with the number of the answers that passed by it', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const first = rig.acquire(named('first'), PATIENT_MS);
    await rig.waits();
    const others = ['a', 'b', 'c'].map((name) => rig.acquire(named(name), PATIENT_MS));
    await rig.replied('acquire-lock granted', 4);
    expect(rig.commits).toEqual([]);
    rig.replica.acknowledgeAll(true);
    await Promise.all([first, ...others]);
    expect(rig.commits).toEqual([1, 3]);
    rig.replica.acknowledgeAll(false);
    expect(await rig.acquire(named('unmet'), SHORT_MS)).toBe('DURABILITY_UNMET');
    expect(rig.commits).toEqual([1, 3]);
  });

  test('an answer is not covered by a mark that was written under another reign', async ({
    onTestFinished,
  }) => {
    const rig = await startSlowly(onTestFinished);
    rig.replica.acknowledgeAll(true);
    await rig.replied('tick-clock ticked'); // the next one, which would end the session, is a second away
    const answer = rig.acquire(named('a'), PATIENT_MS);
    await rig.replied('acquire-lock granted');
    // Between the reply and the mark, the data become those of another reign.
    await rig.redis.withClient((client) => client.hset(rig.meta, 'reign', 'another'));
    expect(await answer).toBe('DURABILITY_UNMET');
  });

  test('an answer to a repeat waits as the first one did', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const spec = named('a');
    expect(await rig.acquire(spec, SHORT_MS)).toBe('DURABILITY_UNMET');
    expect(await rig.acquire(spec, SHORT_MS)).toBe('DURABILITY_UNMET');
    rig.replica.acknowledgeAll(true);
    expect(await rig.acquire(spec, PATIENT_MS)).toBe('granted');
  });

  test('an answer about operations waits even when it only reads', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    rig.replica.acknowledgeAll(true);
    expect((await begin(rig)).kind).toBe('begun');
    rig.replica.acknowledgeAll(false);
    const { operations } = rig.store;
    const read = (withinMs: number) =>
      operations.getMany([operation], inTime(withinMs)).then(
        (found) => found.length,
        ({ code }: { code: unknown }) => code,
      );
    expect(await read(SHORT_MS)).toBe('DURABILITY_UNMET');
    rig.replica.acknowledgeAll(true);
    expect(await read(PATIENT_MS)).toBe(1);
  });

  test('an answer that refuses waits for no replica', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    rig.replica.acknowledgeAll(true);
    expect(await rig.acquire(named('a'), PATIENT_MS)).toBe('granted');
    rig.replica.acknowledgeAll(false);
    expect(await rig.acquire(named('a'), SHORT_MS)).toBe('contended');
  });

  test('an answer that no replica acknowledges comes in time, even beside one that is allowed to take longer', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const patient = rig.acquire(named('patient'), PATIENT_MS);
    const startedMs = performance.now();
    expect(await rig.acquire(named('short'), SHORT_MS)).toBe('DURABILITY_UNMET');
    expect(performance.now() - startedMs).toBeLessThan(PATIENT_MS / 2);
    expect(await isSettled(patient)).toBe(false);
    rig.replica.acknowledgeAll(true);
    expect(await patient).toBe('granted');
  });

  test('an answer fails at once when the primary is given up', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const answer = rig.acquire(named('a'), PATIENT_MS);
    await rig.waits();
    const startedMs = performance.now();
    await rig.redis.withClient((client) => client.hset(rig.meta, 'reign', 'another'));
    expect(await answer).toBe('DURABILITY_UNMET');
    expect(performance.now() - startedMs).toBeLessThan(PATIENT_MS / 2);
  });

  test('an answer is given after unmet ones as soon as a replica acknowledges again', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    for (const resource of ['a', 'b', 'c']) {
      expect(await rig.acquire(named(resource), SHORT_MS)).toBe('DURABILITY_UNMET');
    }
    rig.replica.acknowledgeAll(true);
    expect(await rig.acquire(named('d'), PATIENT_MS)).toBe('granted');
  });
});

describe.concurrent('a request for more than the default', { timeout: 30_000 }, () => {
  test('a lease that asks for more replicas than the default gets them, and others get the default', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 0);
    expect(await rig.acquire(named('plain'), SHORT_MS)).toBe('granted');
    expect(await rig.acquire(named('safe'), SHORT_MS, 1)).toBe('DURABILITY_UNMET');
    rig.replica.acknowledgeAll(true);
    const call = { ...inTime(PATIENT_MS), minAcks: 1 };
    const granted = await rig.store.locks.acquire(
      { spec: named('said'), stamp: rig.stamp(), mayWait: false },
      call,
    );
    expect(granted).toMatchObject({ kind: 'granted', lease: { replicas: 1 } });
  });

  test('the lock of an operation that asks for more replicas gets them, for the first attempt and for each that is claimed', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 0);
    const { operations } = rig.store;
    const lock = { ...leaseSpec(), minAcks: 1 };
    const started = { ...operation, lock };
    expect(await outcomeOf(begin(rig, started, SHORT_MS))).toBe('DURABILITY_UNMET');
    rig.replica.acknowledgeAll(true);
    const begun = await begin(rig, started);
    expect(begun).toMatchObject({ kind: 'begun', attempt: { lease: { replicas: 1 } } });
    if (begun.kind !== 'begun' || !begun.attempt) throw new Error(begun.kind);
    expect(
      (await operations.yield({ ...started, ...begun.attempt, delayMs: 0, requestId: '' }, inTime())).kind,
    ).toBe('changed');

    rig.replica.acknowledgeAll(false);
    const types = [operation.type];
    const command = {
      types,
      resourcePrefix: '',
      claimId: randomUUID(),
      owner: 'w',
      stamp: rig.stamp(),
      most: 1,
    };
    expect(await outcomeOf(operations.claim(command, inTime(SHORT_MS)))).toBe('DURABILITY_UNMET');
    rig.replica.acknowledgeAll(true);
    const again = await operations.claim(command, inTime(PATIENT_MS));
    expect(again).toMatchObject({ kind: 'claimed', claimed: [{ attempt: { lease: { replicas: 1 } } }] });
  });
});

describe.concurrent('a Redis that is full', { timeout: 30_000 }, () => {
  test('a full Redis grants nothing, and lets held leases be renewed and released', async ({
    onTestFinished,
  }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    rig.replica.acknowledgeAll(true);
    const { locks } = rig.store;
    const held = named('held');
    const stamp = rig.stamp();
    const taken = await locks.acquire({ spec: held, stamp, mayWait: false }, inTime(PATIENT_MS));
    if (taken.kind !== 'granted') throw new Error(taken.kind);
    const next = named('held');
    const nextStamp = rig.stamp();
    expect(
      (await locks.acquire({ spec: next, stamp: nextStamp, mayWait: true }, inTime(PATIENT_MS))).kind,
    ).toBe('queued');
    const last = named('held');
    const lastStamp = rig.stamp();
    expect(
      (await locks.acquire({ spec: last, stamp: lastStamp, mayWait: true }, inTime(PATIENT_MS))).kind,
    ).toBe('queued');

    await rig.redis.withClient((client) => client.config('SET', 'maxmemory', '1'));
    expect(await rig.acquire(named('new'), PATIENT_MS)).toBe('STORE_FULL');
    const renewal = { ...held, fencingToken: taken.lease.fencingToken };
    const renewed = locks.renew([renewal], inTime(PATIENT_MS)).then(([outcome]) => outcome ?? { kind: '' });
    expect(await outcomeOf(renewed)).toBe('renewed');
    expect(await locks.leave({ ...last, stamp: lastStamp, keepPlaceMs: 0 }, inTime(PATIENT_MS))).toBe(true);
    expect(await outcomeOf(locks.release(held, inTime(PATIENT_MS)))).toBe('released');
    expect(await outcomeOf(locks.confirm({ spec: next, stamp: nextStamp }, inTime(PATIENT_MS)))).toBe(
      'granted',
    );
  });

  test('the clock of a full Redis is still ticked', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 0);
    await rig.redis.withClient((client) => client.config('SET', 'maxmemory', '1'));
    const before = rig.replies.length;
    await eventually(
      () => rig.replies.slice(before).filter((one) => one.startsWith('tick-clock')).length > 1,
      {
        what: 'ticks',
        withinMs: 5_000,
      },
    );
    expect(new Set(rig.replies.slice(before))).toEqual(new Set(['tick-clock ticked']));
  });
});

/** Every step towards Redis takes a while, in which a test can act. */
async function startSlowly(atEnd: AtEnd): Promise<ReplicatedRedis> {
  return ReplicatedRedis.start(atEnd, 1, async (redis) => {
    const proxy = await proxyTo(atEnd, redis);
    proxy.delayMs = 40;
    return proxy;
  });
}
