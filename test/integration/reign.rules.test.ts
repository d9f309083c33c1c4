// How an instance comes to a reign and what it answers under one, rule by rule: an adoption that hangs, one that the
// Sentinels overtook, a config epoch that moves although nothing restarted, a command that came late. Real Redis; where
// the Sentinels matter they are fakes that say one thing at a time.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { CONFIRMATION_WINDOW_MS, quarantineMs } from '../../src/domain/safety.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { ScriptedReplica } from '../support/redis/scripted-replica.ts';
import { inTime, quietObserver, storeOptions } from '../support/store-harness.ts';
import { scriptsOnVirtualTime, virtualTimeKey, virtualTimeValue } from '../support/virtual-time.ts';
import {
  type AtEnd,
  directly,
  exists,
  MASTER_NAME,
  outcomeOf,
  ownRedis,
  proxyTo,
  startSentinels,
  startSettledRedis,
  throughSentinels,
  Watcher,
} from '../support/watched-redis.ts';

const MAX_TTL_MS = 30_000;
/** How long anything may take on a busy machine, and far less than what it must not wait for. */
const AT_ONCE_MS = 800;

/** For tests that freeze or flush nothing, since each has keys of its own. */
let shared: RedisProcess;

beforeAll(async () => {
  shared = await startSettledRedis();
});

afterAll(() => shared?.stop());

/** Redis still answers reads but delays each writing command, of which an adoption is an instance's first. */
async function pauseWrites(redis: RedisProcess): Promise<void> {
  await redis.withClient((client) => client.call('CLIENT', 'PAUSE', '60000', 'WRITE'));
}

async function adoptionWaits(redis: RedisProcess): Promise<void> {
  const clients = async (): Promise<string> =>
    String(await redis.withClient((client) => client.client('LIST')));
  await eventually(async () => /name=leasehold-.* flags=b .*cmd=evalsha/.test(await clients()), {
    what: 'an adoption that waits',
    withinMs: 8_000,
    everyMs: 5,
  });
}

async function resumeWrites(redis: RedisProcess): Promise<void> {
  await redis.withClient((client) => client.call('CLIENT', 'UNPAUSE'));
}

async function milliseconds(work: Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work;
  return performance.now() - startedMs;
}

describe.concurrent('an adoption', { timeout: 60_000 }, () => {
  async function unanswered(atEnd: AtEnd) {
    const redis = await ownRedis(atEnd);
    const proxy = await proxyTo(atEnd, redis);
    await pauseWrites(redis);
    // A second adoption would go through the proxy as well, and wait for its reply.
    const patient = { LEASEHOLD_REDIS_COMMAND_TIMEOUT: '4s' };
    const watcher = await Watcher.start(atEnd, directly(proxy), patient);
    await adoptionWaits(redis);
    proxy.holdReplies();
    await resumeWrites(redis);
    await eventually(() => exists(redis, watcher.meta), { what: 'the adoption', withinMs: 15_000 });
    return { proxy, watcher };
  }

  test('an adoption that gets no reply ends, and another connection is made', async ({ onTestFinished }) => {
    const { proxy, watcher } = await unanswered(onTestFinished);
    await watcher.says('adopt-reign: no reply');
    proxy.heal(); // the first connection is gone, so this helps only others
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK');
  });

  test('an adoption that gets no reply does not delay the end of the store', async ({ onTestFinished }) => {
    const { watcher } = await unanswered(onTestFinished);
    expect(await milliseconds(watcher.closeStore())).toBeLessThan(AT_ONCE_MS);
  });

  test('an adoption that is still connecting does not delay the end of the store', async ({
    onTestFinished,
  }) => {
    const proxy = await proxyTo(onTestFinished, shared);
    proxy.cut();
    const watcher = await Watcher.start(onTestFinished, directly(proxy));
    await eventually(() => proxy.heldRequestBytes > 0, { what: 'a connection', withinMs: 5_000 });
    expect(await milliseconds(watcher.closeStore())).toBeLessThan(AT_ONCE_MS);
  });

  test('an adoption needs a majority that was asked after the reign was read', async ({ onTestFinished }) => {
    const redis = await startSettledRedis();
    onTestFinished(() => redis.stop());
    const proxy = await proxyTo(onTestFinished, redis);
    const sentinels = await startSentinels(onTestFinished, 3, proxy);
    const ran = async (command: string): Promise<boolean> => {
      const stats = await redis.info('commandstats');
      return stats.has(`cmdstat_${command}`);
    };
    proxy.delayMs = 150; // so that there is a time between its steps
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await eventually(() => ran('script|load'), {
      what: 'a connection whose node was read',
      withinMs: 8_000,
      everyMs: 5,
    });
    // The instance stands still before it knows the reign that is in Redis. Meanwhile the Sentinels are asked, and
    // freeze.
    proxy.holdReplies();
    for (const sentinel of sentinels) sentinel.hold();
    await eventually(() => sentinels.every(({ heldQuestions }) => heldQuestions > 0), {
      what: 'questions on their way',
      withinMs: 3_000,
      everyMs: 5,
    });
    expect(await ran('hget')).toBe(false);
    proxy.delayMs = 0;
    proxy.heal();
    await eventually(() => ran('hget'), { what: 'the last reading step', withinMs: 2_000, everyMs: 5 });
    // These answers arrive now, and say what was true when they were asked: before the reign was read.
    for (const sentinel of sentinels) sentinel.sendHeld();
    const { host, port } = proxy;
    await watcher.says(`no majority of the Sentinels confirms ${host}:${port} as primary`);
    expect(await exists(redis, watcher.meta)).toBe(false);

    for (const sentinel of sentinels) sentinel.release();
    await watcher.usable();
  });

  test('an adoption waits for the first replica, which changes the replication id, so that the reign begins once', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const prefix = { LEASEHOLD_REDIS_KEY_PREFIX: `t-${randomUUID()}:` };
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels), prefix);
    await eventually(async () => (await redis.info('commandstats')).has('cmdstat_hget'), {
      what: 'an instance that is about to adopt',
      withinMs: 8_000,
      everyMs: 5,
    });
    const replica = await ScriptedReplica.attach(redis);
    onTestFinished(() => replica.detach());
    await watcher.usable(8_000);
    const next = await Watcher.start(onTestFinished, throughSentinels(sentinels), prefix);
    await next.usable(8_000);
    expect([watcher.status.epoch, next.status.epoch]).toEqual([1, 1]);
    expect(next.status.reign).toBe(watcher.status.reign);
  });

  test('an adoption on a node that was demoted before it runs changes nothing', async ({
    onTestFinished,
  }) => {
    // Writable, because Redis itself would refuse otherwise.
    const redis = await ownRedis(onTestFinished, { directives: ['replica-read-only no'] });
    await pauseWrites(redis);
    const watcher = await Watcher.start(onTestFinished, directly(redis.listens));
    await adoptionWaits(redis);
    const nobody = String(await freePort());
    await redis.withClient((client) => client.call('REPLICAOF', '127.0.0.1', nobody));
    await resumeWrites(redis);
    await watcher.says('adopt-reign: replica');
    expect(await exists(redis, watcher.meta)).toBe(false);
  });
});

describe.concurrent('a reign', { timeout: 30_000 }, () => {
  test('a new config epoch begins a new reign, although the node never stopped', async ({
    onTestFinished,
  }) => {
    const proxy = await proxyTo(onTestFinished, shared);
    const sentinels = await startSentinels(onTestFinished, 3, proxy);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels), {
      LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '3s',
    });
    await watcher.usable();
    const held = { resource: randomUUID(), leaseId: randomUUID() };
    const { lease } = await watcher.client.acquire(held);
    const before = watcher.status;

    // A grant under the old epoch whose reply is on its way while the Sentinels choose again.
    proxy.holdReplies();
    const inFlight = outcomeOf(watcher.client.acquire({ resource: 'in flight' }));
    await eventually(() => exists(shared, watcher.lock('in flight')), {
      what: 'a grant in Redis',
      withinMs: 2_000,
    });
    for (const sentinel of sentinels) sentinel.say({ configEpoch: 2 });
    await watcher.unusable();
    proxy.heal();
    expect(await inFlight).toBe('PRIMARY_UNCONFIRMED');

    await watcher.usable();
    const [epoch, ...rest] = watcher.status.reign.split(':');
    expect(`0:${rest.join(':')}`).toBe(before.reign);
    expect(epoch).toBe('2');
    expect(watcher.status.epoch).toBe(before.epoch + 1);
    expect(watcher.status.quarantineRemainingMs).toBeGreaterThan(MAX_TTL_MS);
    expect(watcher.status.quarantineRemainingMs).toBeLessThanOrEqual(quarantineMs(MAX_TTL_MS));
    expect(await watcher.acquire()).toBe('QUARANTINE');
    const renewal = watcher.client.renew({ ...held, fencingToken: lease?.fencingToken ?? 0n });
    expect(await outcomeOf(renewal)).toBe('OK');
  });

  test('a new replication id begins a new reign, although the process is the same', async ({
    onTestFinished,
  }) => {
    const redis = await startSettledRedis();
    onTestFinished(() => redis.stop());
    const sentinels = await startSentinels(onTestFinished, 3, redis.listens);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    const { reign, epoch } = watcher.status;
    const run = (await redis.info('server')).get('run_id');
    // Demoted and promoted again, as a failover and a failback do it.
    const nobody = String(await freePort());
    await redis.withClient((client) => client.call('REPLICAOF', '127.0.0.1', nobody));
    await redis.withClient((client) => client.call('REPLICAOF', 'NO', 'ONE'));
    await redis.withClient((client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal'));
    expect((await redis.info('server')).get('run_id')).toBe(run);
    await eventually(() => watcher.status.usable && watcher.status.reign !== reign, {
      what: 'the next reign',
      withinMs: 8_000,
    });
    expect(watcher.status.epoch).toBe(epoch + 1);
    expect(await watcher.acquire()).toBe('QUARANTINE');
  });

  test('a reign ends at once when the Sentinels name another node, even while the old one answers nothing', async ({
    onTestFinished,
  }) => {
    const proxy = await proxyTo(onTestFinished, shared);
    const next = await startSettledRedis();
    onTestFinished(() => next.stop());
    const sentinels = await startSentinels(onTestFinished, 3, proxy);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.usable();
    proxy.cut();
    await eventually(() => proxy.heldRequestBytes + proxy.heldReplyBytes > 0, {
      what: 'a tick without reply',
      withinMs: 3_000,
    });
    for (const sentinel of sentinels) {
      sentinel.say({ primary: next.listens, configEpoch: 2 });
      sentinel.announceSwitch();
    }
    const took = milliseconds(
      eventually(() => watcher.status.reign.startsWith('2:'), { what: 'the next reign', withinMs: 5_000 }),
    );
    // Less than the 3 s of silence after which a node counts as frozen.
    expect(await took).toBeLessThan(1_500);
    expect(await exists(next, watcher.meta)).toBe(true);
  });

  test('an instance goes to the primary that the Sentinels name without the pause between two tries', async ({
    onTestFinished,
  }) => {
    const next = await startSettledRedis();
    onTestFinished(() => next.stop());
    const sentinels = await startSentinels(onTestFinished, 3, shared.listens);
    const connection = { connectTimeoutMs: 2_000, name: 'hurries' };
    const [random, pauseMs] = [() => 0.3, 145];
    const clock = {
      ...systemClock,
      // That pause never ends by itself.
      after: (ms: number, fire: () => void) => systemClock.after(ms === pauseMs ? 3_600_000 : ms, fire),
    };
    const deployment = {
      kind: 'sentinel' as const,
      masterName: MASTER_NAME,
      sentinels: sentinels.map(({ address }) => address),
      sentinelConnection: connection,
    };
    const store = new RedisStore(storeOptions(shared.listens, { deployment, connection, clock, random }));
    onTestFinished(() => store.close());
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 5_000 });
    for (const sentinel of sentinels) sentinel.say({ primary: next.listens, configEpoch: 2 });
    await eventually(() => store.status().reign.startsWith('2:'), {
      what: 'the next reign',
      withinMs: 10_000,
    });
  });

  test('after a late command, only newer answers of the Sentinels confirm the reign', async ({
    onTestFinished,
  }) => {
    const sentinels = await startSentinels(onTestFinished, 3, shared.listens);
    const prefix = `t-${randomUUID()}:`;
    const client = shared.client();
    const setTime = async (ms: number): Promise<void> => {
      await client.hset(virtualTimeKey(`${prefix}{0}:meta`), 'us', virtualTimeValue(ms));
    };
    const startMs = 1_700_000_000_000;
    await setTime(startMs);
    const connection = { connectTimeoutMs: 2_000, name: 'late' };
    const outcomes: string[] = [];
    const options = {
      deployment: {
        kind: 'sentinel' as const,
        masterName: MASTER_NAME,
        sentinels: sentinels.map(({ address }) => address),
        sentinelConnection: connection,
      },
      instanceId: 'late',
      connection,
      keyPrefix: prefix,
      maxTtlMs: MAX_TTL_MS,
      maxInFlight: 100,
      minAcks: 0,
      quarantine: true,
      rollCall: false,
      maxToldLeases: 1_000,
      hostName: 'test',
      bootstrapNew: true,
      clock: systemClock,
      observer: {
        ...quietObserver,
        commandEnded: (_name: string, outcome: string) => void outcomes.push(outcome),
      },
      random: Math.random,
      scripts: scriptsOnVirtualTime(),
    };
    const store = new RedisStore(options);
    onTestFinished(() => store.close());
    const ask = (): Promise<string> =>
      store.locks.get('anything', inTime(1_000)).then(
        () => 'OK',
        (error) => String(error.code),
      );
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 5_000 });
    const { reign } = store.status();

    // From here on no question to them succeeds, and what they said counts for 2 s.
    const before = sentinels.map(({ questions }) => questions);
    await eventually(() => sentinels.every(({ questions }, index) => questions > (before[index] ?? 0)), {
      what: 'fresh answers',
      withinMs: 2_000,
      everyMs: 5,
    });
    for (const sentinel of sentinels) sentinel.hold();
    const heldMs = performance.now();
    expect(await ask()).toBe('OK');
    // Redis's time has moved on and ours has not: this machine was asleep, and what it remembers is old.
    await setTime(startMs + 60_000);
    expect(await ask()).toBe('PRIMARY_UNCONFIRMED');
    expect(outcomes).toContain('late');
    expect(performance.now() - heldMs).toBeLessThan(CONFIRMATION_WINDOW_MS - 500); // so it wasn't their age

    for (const sentinel of sentinels) sentinel.release();
    await eventually(async () => (await ask()) === 'OK', { what: 'answers again', withinMs: 5_000 });
    expect(store.status().reign).toBe(reign);
    await setTime(startMs + 120_000);
    expect(await ask()).toBe('OK'); // with Sentinels that answer, nobody notices
  });
});
