// An instance on each kind of store, for tests of what must be the same on both, and a look at what the store holds
// that bypasses the service. Owns their start and end; test-instance.ts calls the rpcs.
import type { Redis } from 'ioredis';
import type { Instance } from '../../src/server/instance.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { eventually } from './eventually.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { startInstance, TestClient } from './test-instance.ts';

export const STORE_KINDS = ['embedded', 'redis'] as const;
export type StoreKindName = (typeof STORE_KINDS)[number];

export interface Rig {
  readonly instance: Instance;
  readonly client: TestClient;
  /** Undefined with the embedded store. */
  readonly redis: RedisProcess | undefined;
  /**
   * What is stored, without what time alone changes. If it is equal before and after a call, the call changed nothing.
   */
  stored(): Promise<unknown>;
  stop(): Promise<void>;
}

/** The environment that names a single, still empty Redis. */
export function singleRedis(redis: RedisProcess): Record<string, string> {
  const { host, port } = redis.listens;
  return {
    LEASEHOLD_REDIS_ADDRESS: `${host}:${port}`,
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_REDIS_ROLL_CALL: 'off',
  };
}

/** Returns when grants are possible. */
export async function startRig(
  kind: StoreKindName,
  overrides: Readonly<Record<string, string>> = {},
): Promise<Rig> {
  const redis = kind === 'redis' ? await RedisProcess.server() : undefined;
  await redis?.start();
  try {
    const instance = await startInstance({ ...(redis ? singleRedis(redis) : {}), ...overrides });
    const client = new TestClient(instance.address);
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 30_000 });
    return {
      instance,
      client,
      redis,
      stored: () => (redis ? redis.withClient(keysAndValues) : embedded(instance)),
      async stop() {
        client.close();
        await instance.stop();
        await redis?.stop();
      },
    };
  } catch (error) {
    await redis?.stop();
    throw error;
  }
}

async function embedded({ store }: Instance): Promise<unknown> {
  if (!(store instanceof MemoryStore)) throw new Error('not the embedded store');
  return store.locks.size;
}

async function keysAndValues(redis: Redis): Promise<unknown> {
  // Instances tell each other of contention whether calls come or not.
  const keys = (await redis.keys('*')).filter((key) => !key.endsWith(':contention')).sort();
  return Promise.all(
    keys.map(async (key) => {
      const type = await redis.type(key);
      if (type === 'zset') return [key, await redis.call('ZRANGE', key, '0', '-1', 'WITHSCORES')];
      if (type !== 'hash') return [key, type];
      const { clock: _clock, last: _last, ...rest } = await redis.hgetall(key);
      return [key, rest];
    }),
  );
}
