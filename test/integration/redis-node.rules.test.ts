// Which Redis an instance uses, and how it handles a script that fails: a node that is a replica, a node that loads, a
// database that doesn't exist, a script that was forgotten or fails. Real Redis; one test needs Sentinels that are
// wrong.
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import {
  directly,
  exists,
  ownRedis,
  startSentinels,
  startSettledRedis,
  throughSentinels,
  Watcher,
} from '../support/watched-redis.ts';

/** For tests that stop or flush nothing, since each has keys of its own. */
let shared: RedisProcess;

beforeAll(async () => {
  shared = await startSettledRedis();
});

afterAll(() => shared?.stop());

describe.concurrent('a node', { timeout: 30_000 }, () => {
  test('a node that is a replica is not used, whatever the Sentinels say', async ({ onTestFinished }) => {
    const replica = await ownRedis(onTestFinished, {
      replicaOf: shared.listens,
      directives: ['replica-read-only no'],
    });
    const sentinels = await startSentinels(onTestFinished, 3, replica.listens);
    const watcher = await Watcher.start(onTestFinished, throughSentinels(sentinels));
    await watcher.says('the node is a replica');
    expect(await watcher.acquire()).toBe('REDIS_UNAVAILABLE');
    expect(await exists(replica, watcher.meta)).toBe(false);

    for (const sentinel of sentinels) sentinel.say({ primary: shared.listens });
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK');
  });

  test('a node is not used while it loads its data', async ({ onTestFinished }) => {
    const redis = await ownRedis(onTestFinished, {
      save: '900 1',
      directives: ['rdbcompression no', 'key-load-delay 15000', 'loading-process-events-interval-bytes 1024'],
    });
    await redis.withClient((client) => client.call('DEBUG', 'POPULATE', '100', 'filler', '2000'));
    const watcher = await Watcher.start(onTestFinished, directly(redis.listens));
    await watcher.usable();
    const { epoch } = watcher.status;
    const restarted = redis.restart();
    await watcher.says('Redis is loading its data');
    expect(await watcher.acquire()).toBe('REDIS_UNAVAILABLE');
    await restarted;
    await watcher.usable();
    expect(watcher.status.epoch).toBe(epoch + 1);
    expect(await watcher.acquire()).toBe('QUARANTINE');
  });

  test('a node that may evict keys is not used', async ({ onTestFinished }) => {
    const redis = await ownRedis(onTestFinished, { directives: ['maxmemory-policy allkeys-lru'] });
    const watcher = await Watcher.start(onTestFinished, directly(redis.listens));
    await watcher.says('maxmemory-policy is allkeys-lru');
    expect(await watcher.acquire()).toBe('DEPLOYMENT_MISMATCH');
    expect(await exists(redis, watcher.meta)).toBe(false);
  });

  test('a node without the chosen database is refused, and database 0 stays as it is', async ({
    onTestFinished,
  }) => {
    const watcher = await Watcher.start(onTestFinished, directly(shared.listens), {
      LEASEHOLD_REDIS_DB: '99',
    });
    await watcher.says('DB index is out of range');
    expect(await watcher.acquire()).toBe('REDIS_UNAVAILABLE');
    expect(await exists(shared, watcher.meta)).toBe(false);
  });

  test('everything is kept in the database that was chosen', async ({ onTestFinished }) => {
    const watcher = await Watcher.start(onTestFinished, directly(shared.listens), {
      LEASEHOLD_REDIS_DB: '3',
    });
    await watcher.usable();
    expect(await watcher.acquire('here')).toBe('OK');
    const keys = [watcher.meta, watcher.lock('here')];
    expect(await shared.withClient((client) => client.exists(keys))).toBe(0);
    const inChosen = shared.withClient(async (client) => {
      await client.select(3);
      return client.exists(keys);
    });
    expect(await inChosen).toBe(2);
  });
});

describe.concurrent('a script', { timeout: 30_000 }, () => {
  test('a script that Redis has forgotten is loaded again, and no caller notices', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const watcher = await Watcher.start(onTestFinished, directly(redis.listens));
    await watcher.usable();
    await redis.withClient((client) => client.script('FLUSH'));
    const grants = await Promise.all(
      Array.from({ length: 20 }, (_, index) => watcher.client.acquire({ resource: `after-${index}` })),
    );
    expect(new Set(grants.map(({ lease }) => lease?.fencingToken)).size).toBe(20);
  });

  test('a script that fails answers INTERNAL without the cause', async ({ onTestFinished }) => {
    const watcher = await Watcher.start(onTestFinished, directly(shared.listens));
    await watcher.usable();
    // What another program wrote in the place of a lock.
    await shared.withClient((client) => client.set(watcher.lock('strange'), 'not a lock'));
    const error = await watcher.client.acquire({ resource: 'strange' }).catch((thrown: unknown) => thrown);
    if (!(error instanceof CallError)) throw new Error('granted', { cause: error });
    expect(error.code).toBe(status.INTERNAL);
    expect(error.reason).toBe('INTERNAL');
    expect(error.message).toBe('an internal error; the outcome is unknown');
    expect(await watcher.acquire('sound')).toBe('OK');
  });
});
