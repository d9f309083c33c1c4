// Workers in the registry of a deployment: one is killed, and its successor goes on with the instance id; all are
// started again, and none has to wait for another.
import { describe, expect, test } from 'vitest';
import { newcomerWaitMs } from '../../src/domain/safety.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { startedWorkers, WorkerRig } from '../support/worker-rig.ts';

/** An heir that comes later than this after the death is a newcomer: longer than a start takes on a busy machine. */
const MAX_TTL_MS = 30_000;
const SOON_MS = 30_000;
const { meta, bucket, lockPrefix } = keysFor('leasehold:');

const ROLL_CALL_ON = {
  LEASEHOLD_REDIS_ROLL_CALL: 'on',
  LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
  LEASEHOLD_LOCKS_DEFAULT_TTL: '5s',
};

/** The same primary under another name. */
async function failOver(redis: RedisProcess): Promise<void> {
  await redis.withClient((client) =>
    client
      .multi([
        ['debug', 'change-repl-id'],
        ['client', 'kill', 'skipme', 'yes'],
      ])
      .exec(),
  );
}

/** The end of a first start: a newcomer has to wait from now on, and roll calls end quarantines. */
async function warm(redis: RedisProcess): Promise<void> {
  const isWarm = async (): Promise<boolean> => {
    const [clock, until] = await redis.withClient((client) => client.hmget(meta, 'clock', 'warm_until'));
    return Number(clock) > Number(until);
  };
  await eventually(isWarm, {
    what: 'the end of the first start',
    withinMs: newcomerWaitMs(MAX_TTL_MS) + SOON_MS,
  });
}

/** Waits until each worker has seen one more quarantine end. Returns how long these lasted, as they say. */
async function ends(rig: WorkerRig, before: number, workers: number): Promise<readonly number[]> {
  const early = (): readonly Readonly<Record<string, unknown>>[] => rig.lines('the quarantine ended early');
  await eventually(() => early().length >= before + workers, {
    what: `an early end, seen by all: ${rig.server}`,
    withinMs: MAX_TTL_MS + SOON_MS,
  });
  return early()
    .slice(before)
    .map(({ tookMs }) => Number(tookMs));
}

describe.concurrent('the heir of a killed worker', { timeout: 150_000 }, () => {
  test('it has the instance id of the killed one and answers at once, and a failover waits only for what that told', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address, redis } = await startedWorkers(atEnd, 2, ROLL_CALL_ON);
    await warm(redis);
    const [killed, other] = rig.workers();
    if (!killed || !other) throw new Error('two workers');
    const registered = rig.lines('registered').length;
    const inUse = rig.lines('primary in use').length;
    const killedAtMs = performance.now();
    process.kill(killed.pid, 'SIGKILL');
    await eventually(() => rig.workers().length === 3 && rig.lines('primary in use').length > inUse, {
      what: 'an heir',
      withinMs: SOON_MS,
    });
    const heir = rig.workers().at(-1);
    expect(heir).toMatchObject({ worker: killed.worker, instanceId: killed.instanceId });
    // One of a newcomer says from when on it answers.
    expect(rig.lines('registered')).toHaveLength(registered);
    expect(rig.server.stdout).not.toContain('registered; answers from');
    const entries = await redis.withClient((client) => client.hkeys(`${bucket}instances`));
    expect(entries.toSorted()).toEqual([killed.instanceId, other.instanceId].toSorted());

    await failOver(redis);
    await ends(rig, 0, 2);
    expect(performance.now() - killedAtMs).toBeGreaterThan(MAX_TTL_MS);

    // Its calls have other numbers than those of the killed one, whose stamps may still be in Redis.
    const clients = await rig.connectToEach(address, 2);
    await clients.get(killed.instanceId)?.acquire({ resource: 'stamped' });
    const lock = await redis.withClient((client) => client.hvals(`${lockPrefix}stamped`));
    const [, call] = new RegExp(`${killed.instanceId}/(\\d+)`).exec(lock.join('\n')) ?? [];
    expect(Number(call)).toBeGreaterThan(1_000_000);
    expect(Number(call) % 2).toBe(0);

    // All that the killed one told is over.
    await failOver(redis);
    const [first = Number.NaN, second = Number.NaN] = await ends(rig, 2, 2);
    expect(Math.max(first, second)).toBeLessThan(MAX_TTL_MS);
  });

  test('a worker that ended in order has left the registry: what takes its place is a new instance', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, redis } = await startedWorkers(atEnd, 2, ROLL_CALL_ON);
    const [ended, other] = rig.workers();
    if (!ended || !other) throw new Error('two workers');
    process.kill(ended.pid, 'SIGTERM');
    await eventually(() => rig.workers().length === 3, { what: 'another one', withinMs: SOON_MS });
    const after = rig.workers().at(-1);
    expect(after?.worker).toBe(ended.worker);
    expect(after?.instanceId).not.toBe(ended.instanceId);
    const entries = await redis.withClient((client) => client.hkeys(`${bucket}instances`));
    expect(entries).not.toContain(ended.instanceId);
  });
});

test('all workers of a server that is started again answer at once, where no other instance is registered', async ({
  onTestFinished: atEnd,
}) => {
  const { rig, redis } = await startedWorkers(atEnd, 2, ROLL_CALL_ON);
  await warm(redis);
  rig.server.signal('SIGTERM');
  expect(await rig.server.exit()).toBe(0);
  const again = WorkerRig.start(atEnd, 2, { ...singleRedis(redis), ...ROLL_CALL_ON });
  await again.address();
  await eventually(async () => (await again.admin('/readyz')).status === 200, {
    what: `a server that is ready: ${again.server}`,
    withinMs: SOON_MS,
  });
  expect(again.lines('registered')).toHaveLength(2);
  expect(again.server.stdout).not.toContain('registered; answers from');
}, 120_000);
