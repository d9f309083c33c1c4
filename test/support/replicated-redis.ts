// A Redis with one scripted replica, and a store on it that records when its commands were answered. Owns what the
// tests of the commit barrier all start with, and its end.
import { randomUUID } from 'node:crypto';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { CallStamp, LeaseSpec } from '../../src/domain/lock.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from './eventually.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { ScriptedReplica } from './redis/scripted-replica.ts';
import { inTime, quietObserver, storeOptions } from './store-harness.ts';
import type { AtEnd } from './watched-redis.ts';

/** How a call ended: 'granted', 'renewed' …, or the code of its error. */
export type Outcome = string;

export class ReplicatedRedis {
  readonly redis: RedisProcess;
  readonly replica: ScriptedReplica;
  readonly store: RedisStore;
  /** "acquire-lock granted" …, in the order in which Redis's replies came. */
  readonly replies: string[] = [];
  /** How many answers each WAIT let pass. */
  readonly commits: number[] = [];
  readonly prefix = `t-${randomUUID()}:`;
  #calls = 0;

  private constructor(redis: RedisProcess, replica: ScriptedReplica, minAcks: number, address: HostPort) {
    this.redis = redis;
    this.replica = replica;
    this.store = new RedisStore(
      storeOptions(address, {
        keyPrefix: this.prefix,
        minAcks,
        observer: {
          ...quietObserver,
          committed: (answers, tookMs) => void this.commits.push(tookMs > 0 ? answers : Number.NaN),
          commandEnded: (name, outcome) => void this.replies.push(`${name} ${outcome}`),
        },
      }),
    );
  }

  /** Returns when the store is usable. `minAcks` is its default; `via` is a proxy between it and Redis. */
  static async start(
    atEnd: AtEnd,
    minAcks: number,
    via?: (redis: RedisProcess) => Promise<HostPort>,
  ): Promise<ReplicatedRedis> {
    const redis = await RedisProcess.server();
    atEnd(() => redis.stop());
    await redis.start();
    const replica = await ScriptedReplica.attach(redis);
    atEnd(() => replica.detach());
    const address = (await via?.(redis)) ?? redis.listens;
    const replicated = new ReplicatedRedis(redis, replica, minAcks, address);
    atEnd(() => replicated.store.close());
    await eventually(() => replicated.store.status().usable, { what: 'a usable store', withinMs: 15_000 });
    return replicated;
  }

  get meta(): string {
    return `${this.prefix}{0}:meta`;
  }

  stamp(): CallStamp {
    return { instanceId: 'i1', callNumber: ++this.#calls };
  }

  acquire(spec: LeaseSpec, withinMs: number, minAcks?: number): Promise<Outcome> {
    const call = { ...inTime(withinMs), ...(minAcks === undefined ? {} : { minAcks }) };
    return outcomeOf(this.store.locks.acquire({ spec, stamp: this.stamp(), mayWait: false }, call));
  }

  /** Waits until Redis has given this answer. */
  async replied(reply: string, times = 1): Promise<void> {
    await eventually(() => this.replies.filter((one) => one === reply).length >= times, {
      what: `"${reply}"`,
      withinMs: 15_000,
      everyMs: 2,
    });
  }

  /** Waits until a WAIT blocks in Redis, after this many others. */
  async waits(after = 0): Promise<void> {
    await eventually(
      async () => {
        const [stats, clients] = await this.redis.withClient(async (client) => [
          await client.info('commandstats'),
          String(await client.client('LIST')),
        ]);
        const begun = Number(/cmdstat_wait:calls=(\d+)/.exec(stats ?? '')?.[1] ?? 0);
        return begun > after && /flags=b .*cmd=wait/.test(clients ?? '');
      },
      { what: 'a WAIT', withinMs: 15_000, everyMs: 5 },
    );
  }
}

export function outcomeOf(call: Promise<{ readonly kind: string }>): Promise<Outcome> {
  return call.then(
    ({ kind }) => kind,
    (error: { code?: unknown }) => String(error.code ?? error),
  );
}

/** Whether it has settled by now. */
export async function isSettled(work: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([work, Promise.resolve(open)])) !== open;
}
