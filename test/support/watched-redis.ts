// One real Redis that fake Sentinels watch, and an instance that uses them. Owns what the tests of the rules about
// Sentinels and reigns all start with, and its end; each test decides what the Sentinels say.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { CallError } from '../../src/client/core/call-error.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import type { StoreStatus } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';
import { FakeSentinel, type FakeSentinelOptions } from './fake-sentinel.ts';
import { MetricSamples } from './metric-samples.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { startInstance, TestClient } from './test-instance.ts';

export const MASTER_NAME = 'mymaster';
export const COMMAND_TIMEOUT_MS = 1_000;

/** Registers what stops a thing that was started: vitest's `onTestFinished`. */
export type AtEnd = (stop: () => Promise<void> | void) => void;

/**
 * A Redis whose replication id changes no more, because a first replica has come and gone. Otherwise an adoption would
 * wait seconds for one.
 */
export async function startSettledRedis(directives: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.server({ directives });
  await redis.start();
  const replica = connect(redis.listens);
  await once(replica, 'connect');
  replica.write('SYNC\r\n');
  await eventually(async () => (await redis.info('replication')).get('repl_backlog_active') === '1', {
    what: 'a backlog',
    withinMs: 15_000,
  });
  replica.destroy();
  return redis;
}

/** A running Redis for one test. */
export async function ownRedis(
  atEnd: AtEnd,
  options: Parameters<typeof RedisProcess.server>[0] = {},
): Promise<RedisProcess> {
  const redis = await RedisProcess.server(options);
  atEnd(() => redis.stop());
  await redis.start();
  return redis;
}

/** A proxy between the instance and Redis, where a test plays the network. */
export async function proxyTo(atEnd: AtEnd, redis: RedisProcess): Promise<TcpProxy> {
  const proxy = await TcpProxy.start({ target: redis.listens });
  atEnd(() => proxy.close());
  return proxy;
}

export function exists(redis: RedisProcess, key: string): Promise<boolean> {
  return redis.withClient(async (client) => (await client.exists(key)) === 1);
}

/** `count` Sentinels that agree on `primary`, under epoch 0, and know of each other. */
export function startSentinels(
  atEnd: AtEnd,
  count: number,
  primary: HostPort,
  options: Partial<FakeSentinelOptions> = {},
): Promise<FakeSentinel[]> {
  const claim = { primary, configEpoch: 0, otherSentinels: count - 1, masterName: MASTER_NAME };
  return Promise.all(
    Array.from({ length: count }, async () => {
      const sentinel = await FakeSentinel.start({ ...claim, ...options });
      atEnd(() => sentinel.close());
      return sentinel;
    }),
  );
}

/** An instance with keys of its own, so that several can share a Redis. */
export class Watcher {
  readonly client: TestClient;
  /** The prefix of all its keys. */
  readonly bucket: string;
  readonly #instance: Instance;

  private constructor(instance: Instance, bucket: string) {
    this.#instance = instance;
    this.client = new TestClient(instance.address);
    this.bucket = bucket;
  }

  /** Does not wait until it is usable. */
  static async start(
    atEnd: AtEnd,
    redis: Readonly<Record<string, string>>,
    overrides: Readonly<Record<string, string>> = {},
  ): Promise<Watcher> {
    const prefix = `t-${randomUUID()}:`;
    const instance = await startInstance({
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
      LEASEHOLD_REDIS_KEY_PREFIX: prefix,
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: `${COMMAND_TIMEOUT_MS}ms`,
      ...redis,
      ...overrides,
    });
    const watcher = new Watcher(instance, `${prefix}{0}:`);
    atEnd(async () => {
      watcher.client.close();
      await instance.stop();
    });
    return watcher;
  }

  get status(): StoreStatus {
    return this.#instance.store.status();
  }

  get meta(): string {
    return `${this.bucket}meta`;
  }

  lock(resource: string): string {
    return `${this.bucket}lock:${resource}`;
  }

  async metrics(): Promise<MetricSamples> {
    return new MetricSamples(await this.#instance.metricsText());
  }

  usable(withinMs = 15_000): Promise<boolean> {
    return eventually(() => this.status.usable, { what: 'a usable store', withinMs, everyMs: 5 });
  }

  unusable(withinMs = 5_000): Promise<boolean> {
    return eventually(() => !this.status.usable, { what: 'an unusable store', withinMs, everyMs: 5 });
  }

  /** Waits until it gives this as the reason why it isn't usable. */
  async says(reason: string): Promise<void> {
    const said = (): boolean => {
      if (!this.status.reason.includes(reason)) throw new Error(`it says: ${this.status.reason}`);
      return true;
    };
    await eventually(said, { what: `"${reason}"`, withinMs: 20_000 });
  }

  /** How an Acquire ends: 'OK', or the reason of its error. */
  async acquire(resource: string = randomUUID()): Promise<string> {
    return outcomeOf(this.client.acquire({ resource }));
  }

  /** The store alone. */
  closeStore(): Promise<void> {
    return this.#instance.store.close();
  }
}

/** 'OK', or the reason of the error. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    if (error instanceof CallError) return error.reason;
    throw error;
  }
}

export function throughSentinels(sentinels: readonly FakeSentinel[]): Record<string, string> {
  return {
    LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
    LEASEHOLD_REDIS_MASTER_NAME: MASTER_NAME,
    LEASEHOLD_REDIS_ADDRESS: sentinels.map(({ address }) => formatHostPort(address)).join(','),
  };
}

export function directly(address: HostPort): Record<string, string> {
  return { LEASEHOLD_REDIS_ADDRESS: formatHostPort(address) };
}
