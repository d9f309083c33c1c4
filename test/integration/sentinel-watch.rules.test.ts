// Which answers of Sentinels count, one rule per test: Sentinels are told apart by their id and counted against all
// that exist; they must agree about address and epoch, and must have been asked lately. The Sentinels are fakes, so
// that each says only what the rule is about; the Redis is real.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONFIRMATION_WINDOW_MS, SENTINEL_POLL_MS } from '../../src/domain/safety.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeSentinel } from '../support/fake-sentinel.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import {
  COMMAND_TIMEOUT_MS,
  outcomeOf,
  startSentinels,
  startSettledRedis,
  throughSentinels,
  Watcher,
} from '../support/watched-redis.ts';

/** How much longer than its bound a call or a poll may take on a busy machine. */
const SLACK_MS = 500;

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startSettledRedis();
});

afterAll(() => redis?.stop());

function three<T>([first, second, third]: readonly T[]): readonly [T, T, T] {
  if (first === undefined || second === undefined || third === undefined) throw new Error('three are needed');
  return [first, second, third];
}

/** Returns when each has been asked this often from now on: by then the instance has heard what it would believe. */
async function askedAgain(sentinels: readonly FakeSentinel[], times = 2): Promise<void> {
  const before = sentinels.map(({ questions }) => questions);
  await eventually(() => sentinels.every((s, index) => s.questions >= (before[index] ?? 0) + times), {
    what: 'questions to the Sentinels',
    withinMs: 5_000,
  });
}

describe.concurrent('a majority of the Sentinels', { timeout: 30_000 }, () => {
  test('two addresses of one Sentinel are one vote', async ({ onTestFinished }) => {
    const id = 'a'.repeat(40);
    const doubled = await startSentinels(onTestFinished, 2, redis.listens, { id, otherSentinels: 1 });
    const [other] = await startSentinels(onTestFinished, 1, redis.listens, { otherSentinels: 1 });
    if (!other) throw new Error('a Sentinel was started');
    other.hold();
    const watcher = await Watcher.start(onTestFinished, throughSentinels([...doubled, other]));
    await askedAgain(doubled);
    await watcher.says('1 of 3 Sentinels answer, 2 must agree');
    expect(await watcher.acquire()).toBe('REDIS_UNAVAILABLE');
    expect(await redis.withClient((client) => client.exists(watcher.meta))).toBe(0);

    other.release();
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK');
  });

  test('a Sentinel that knows of four others raises the majority to three', async ({ onTestFinished }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const [first, second, third] = three(sentinels);
    third.hold();
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    await askedAgain([first, second]);
    expect(await watcher.acquire()).toBe('OK'); // two of three

    second.say({ otherSentinels: 4 });
    await watcher.unusable(SLACK_MS + 500);
    expect(await watcher.acquire('untold')).toBe('PRIMARY_UNCONFIRMED'); // two of five
    // Nor did a lease take it that nobody could be told of.
    expect(await redis.withClient((client) => client.exists(watcher.lock('untold')))).toBe(0);
    third.release();
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK'); // three of five
  });

  test('votes for one address under two epochs do not add up', async ({ onTestFinished }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const [first, second, third] = three(sentinels);
    second.say({ configEpoch: 2 });
    third.hold();
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await askedAgain([first, second]);
    await watcher.says('2 of 3 Sentinels answer, 2 must agree');
    expect(await redis.withClient((client) => client.exists(watcher.meta))).toBe(0);

    first.say({ configEpoch: 2 });
    await watcher.usable();
    expect(watcher.status.reign).toMatch(/^2:/);
  });

  test('a Sentinel that does not know the name has no vote', async ({ onTestFinished }) => {
    const others = await startSentinels(onTestFinished, 2, redis.listens, { masterName: 'another' });
    const [own] = await startSentinels(onTestFinished, 1, redis.listens, { otherSentinels: 2 });
    if (!own) throw new Error('a Sentinel was started');
    const watcher = await Watcher.start(onTestFinished, throughSentinels([own, ...others]));
    await askedAgain([own, ...others]);
    await watcher.says('1 of 3 Sentinels answer, 2 must agree');
  });

  test('answers of Sentinels older than 2 s confirm nothing, and the reign goes on when new ones come', async ({
    onTestFinished,
  }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    const held = { resource: randomUUID(), leaseId: randomUUID() };
    const { lease } = await watcher.client.acquire(held);
    const renew = (): Promise<unknown> =>
      watcher.client.renew({ ...held, fencingToken: lease?.fencingToken ?? 0n });
    const { reign, epoch } = watcher.status;

    for (const sentinel of sentinels) sentinel.hold();
    const silentMs = performance.now();
    const calls: { readonly sentMs: number; readonly endedMs: number; readonly outcome: string }[] = [];
    const call = async (work: () => Promise<string>): Promise<string> => {
      const sentMs = performance.now();
      const outcome = await work();
      calls.push({ sentMs, endedMs: performance.now(), outcome });
      return outcome;
    };
    await eventually(
      async () => {
        const outcomes = await Promise.all([
          call(() => outcomeOf(renew())),
          call(() => watcher.acquire()),
          call(() => outcomeOf(watcher.client.getLock('x'))),
        ]);
        return outcomes.every((outcome) => outcome === 'PRIMARY_UNCONFIRMED');
      },
      { what: 'refusals', withinMs: CONFIRMATION_WINDOW_MS + COMMAND_TIMEOUT_MS + SLACK_MS },
    );
    // The oldest answers count as long as they may: a short silence stops nothing.
    expect(calls.filter(({ outcome }) => outcome === 'OK').length).toBeGreaterThan(0);
    for (const { sentMs, endedMs, outcome } of calls) {
      expect(['OK', 'PRIMARY_UNCONFIRMED']).toContain(outcome);
      expect(endedMs - sentMs).toBeLessThan(COMMAND_TIMEOUT_MS + SLACK_MS);
      if (outcome === 'OK') expect(endedMs - silentMs).toBeLessThan(CONFIRMATION_WINDOW_MS + SLACK_MS);
    }
    expect(watcher.status.usable).toBe(false);

    for (const sentinel of sentinels) sentinel.release();
    await watcher.usable();
    expect(await outcomeOf(renew())).toBe('OK');
    expect(await watcher.acquire()).toBe('OK'); // no quarantine: nothing happened to Redis
    expect(watcher.status).toMatchObject({ reign, epoch, quarantineRemainingMs: 0 });
  });

  test('the metrics say how many Sentinels agree, how old their agreement is, and how long it was too old', async ({
    onTestFinished,
  }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    const figures = async () => {
      const samples = await watcher.metrics();
      return {
        known: samples.sum('leasehold_sentinels_known'),
        agreeing: samples.sum('leasehold_sentinels_agreeing'),
        needed: samples.sum('leasehold_sentinels_needed'),
        usable: samples.sum('leasehold_store_usable'),
        age: samples.sum('leasehold_confirmation_age_seconds'),
        unconfirmed: samples.sum('leasehold_store_unusable_seconds_total', { reason: 'unconfirmed' }),
      };
    };
    const agreed = (agreeing: number, withinMs: number) =>
      eventually(async () => (await figures()).agreeing === agreeing, {
        what: `${agreeing} Sentinels that agree`,
        withinMs,
      });
    await agreed(3, 15_000);
    const before = await figures();
    expect(before).toMatchObject({ known: 3, needed: 2, usable: 1 });
    expect(before.age).toBeLessThan(CONFIRMATION_WINDOW_MS / 1_000);
    const [first, second] = three(sentinels);
    for (const sentinel of [first, second]) sentinel.hold();
    await agreed(1, 15_000);
    await eventually(async () => (await figures()).unconfirmed > before.unconfirmed + 0.5, {
      what: 'time that counts as unconfirmed',
      withinMs: 15_000,
    });
    const during = await figures();
    expect(during).toMatchObject({ known: 3, needed: 2, usable: 0 });
    expect(during.age).toBeGreaterThan(CONFIRMATION_WINDOW_MS / 1_000);
    for (const sentinel of [first, second]) sentinel.release();
    await agreed(3, 15_000);
    await watcher.usable();
    expect((await figures()).age).toBeLessThan(CONFIRMATION_WINDOW_MS / 1_000);
  });

  test('the Sentinels are asked at once about a switch that one of them announced', async ({
    onTestFinished,
  }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    const [sentinel] = three(sentinels);
    const times = 10;
    const startedMs = performance.now();
    for (let time = 0; time < times; time++) {
      const before = sentinel.questions;
      sentinel.announceSwitch();
      await eventually(() => sentinel.questions > before, {
        what: 'a question',
        withinMs: 5_000,
        everyMs: 5,
      });
    }
    expect(performance.now() - startedMs).toBeLessThan((times * SENTINEL_POLL_MS) / 2);
  });

  test('a store ends without waiting for a majority of the Sentinels', async ({ onTestFinished }) => {
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    for (const sentinel of sentinels) sentinel.hold();
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await eventually(() => sentinels.every(({ heldReplies }) => heldReplies > 0), {
      what: 'Sentinels that are asked',
      withinMs: 5_000,
    });
    const startedMs = performance.now();
    await watcher.closeStore();
    expect(performance.now() - startedMs).toBeLessThan(SLACK_MS);
  });
});
