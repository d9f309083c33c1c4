// The harness of the Redis store, on a Redis that the test brings: the real store, with scripts that read the test's
// time. A failover that loses writes puts back what the keys held, under another replication id.

import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { type Clock, systemClock } from '../../src/domain/clock.ts';
import { entryKeptMs } from '../../src/domain/safety.ts';
import type { ContentionBoard } from '../../src/store/contention-board.ts';
import type { LockStore } from '../../src/store/lock-store.ts';
import type { OperationStore } from '../../src/store/operation-store.ts';
import { deathsOf } from '../../src/store/redis/deaths.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { lifeArguments } from '../../src/store/redis/operation-arguments.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from './eventually.ts';
import { LEAST_USER, leastRights, leastUserLine } from './redis/least-user.ts';
import { RedisProcess } from './redis/redis-process.ts';
import {
  type FailOver,
  Harness,
  type HarnessOptions,
  INSTANCE_ID,
  MAX_TTL_MS,
  type Snapshot,
  START_MS,
  type StoreHarness,
  storeOptions,
} from './store-harness.ts';
import { scriptsOnVirtualTime, virtualTimeKey, virtualTimeValue } from './virtual-time.ts';

/** Older than an answer may be to be fresh, and younger than what makes an instance a newcomer. */
const STALE_ENTRY_MS = 20_000;
const MOST = 100;
const LIFE = lifeArguments(MAX_TTL_MS);
const NEVER_LATE = Number.MAX_SAFE_INTEGER;

interface RedisSnapshot extends Snapshot {
  /** Each key of the bucket, and what it held, as DUMP says it. */
  readonly keys: ReadonlyMap<string, Buffer>;
}

class RedisHarness extends Harness {
  override readonly locks: LockStore;
  override readonly operations: OperationStore;
  override readonly contention: ContentionBoard;
  readonly #client: ReturnType<RedisProcess['client']>;
  readonly #store: RedisStore;
  readonly #keys: ReturnType<typeof keysFor>;
  readonly #scripts = scriptsOnVirtualTime();
  readonly #startedMs = systemClock.monotonicMs();

  private constructor(
    redis: RedisProcess,
    prefix: string,
    client: ReturnType<RedisProcess['client']>,
    options: HarnessOptions,
  ) {
    super(options);
    this.#client = client;
    this.#keys = keysFor(prefix);
    this.#store = new RedisStore(
      storeOptions(redis.listens, {
        connection: { ...LEAST_USER, connectTimeoutMs: 2_000, name: 'test' },
        keyPrefix: prefix,
        maxInFlight: 10_000,
        scripts: this.#scripts,
        observer: this.observer,
        rollCall: this.rollCall,
        ...(this.rollCall ? { clock: this.#clock, machineMs: () => this.#monotonicMs() } : {}),
      }),
    );
    this.locks = this.#bounded(() => this.#store.locks);
    this.operations = this.#bounded(() => this.#store.operations);
    this.contention = this.#bounded(() => this.#store.contention);
  }

  static async open(redis: RedisProcess, options: HarnessOptions): Promise<RedisHarness> {
    const prefix = `t-${randomUUID()}:`;
    const client = redis.client();
    await client.hset(virtualTimeKey(keysFor(prefix).meta), 'us', virtualTimeValue(START_MS));
    const harness = new RedisHarness(redis, prefix, client, options);
    await harness.#usable();
    // The time after the first registration in which newcomers tell at once, and no quarantine ends early, is over.
    if (harness.rollCall) await client.hset(harness.#keys.meta, 'warm_until', '0');
    return harness;
  }

  /** The clock of an instance for which only the time passes that the test says. */
  get #clock(): Clock {
    return {
      ...systemClock,
      monotonicMs: () => this.#monotonicMs(),
      wallMs: () => START_MS + this.passedMs,
    };
  }

  #monotonicMs(): number {
    return Math.round(this.#startedMs) + this.passedMs;
  }

  /** A caller's bounds are on the clock of the store. */
  #bounded<T extends object>(of: () => T): T {
    return this.part(of, (name, args) => {
      const [bound, nowMs] = [args.at(-1), systemClock.monotonicMs()];
      const isBound = typeof bound === 'object' && bound !== null && 'deadlineMs' in bound;
      const given =
        this.rollCall && isBound
          ? [...args.slice(0, -1), { deadlineMs: this.#monotonicMs() + Number(bound.deadlineMs) - nowMs }]
          : args;
      const member = Reflect.get(of(), name) as (...args: readonly unknown[]) => unknown;
      return member.apply(of(), [...given]);
    });
  }

  /** The store must also listen: nobody hears what is published before that. */
  async #usable(before = ''): Promise<void> {
    const channel = this.#keys.channel(INSTANCE_ID);
    const listens = async () => Number((await this.#client.pubsub('NUMSUB', channel))[1]) > 0;
    const isNew = () => this.#store.status().usable && this.#store.status().reign !== before;
    await eventually(async () => isNew() && (await listens()), {
      what: 'a usable store',
      withinMs: 30_000,
      everyMs: 5,
    });
  }

  protected override async applyTime(): Promise<void> {
    await this.#client.hset(virtualTimeKey(this.#keys.meta), 'us', virtualTimeValue(this.nowMs));
  }

  get #bucket(): string {
    return this.#keys.meta.slice(0, -'meta'.length);
  }

  async #allKeys(): Promise<string[]> {
    const keys = await this.#client.keys(`${this.#bucket}*`);
    return keys.filter((key) => key !== virtualTimeKey(this.#keys.meta));
  }

  override async snapshot(): Promise<Snapshot> {
    const keys = await this.#allKeys();
    const dumps = this.#client.multi();
    for (const key of keys) dumps.dumpBuffer(key);
    const held = (await dumps.exec()) ?? [];
    const made: RedisSnapshot = {
      keys: new Map(keys.map((key, index) => [key, held[index]?.[1] as Buffer])),
    };
    return made;
  }

  protected override async adopt({ to, missing = false, stale = false }: FailOver): Promise<void> {
    await this.#heardAll();
    const before = this.#store.status().reign;
    // In one transaction, so that no tick of the old session sees the new time or the new data.
    const steps: (string | Buffer | number)[][] = [];
    const { keys } = (to as RedisSnapshot | undefined) ?? { keys: undefined };
    if (keys) {
      for (const key of await this.#allKeys()) steps.push(['del', key]);
      for (const [key, held] of keys) steps.push(['restore', key, 0, held, 'REPLACE']);
    }
    if (this.rollCall) {
      const instances = `${this.#bucket}instances`;
      const atMs = this.#monotonicMs() - (stale ? STALE_ENTRY_MS : 0);
      const wallMs = this.#clock.wallMs() - (stale ? STALE_ENTRY_MS : 0);
      steps.push(['hset', instances, INSTANCE_ID, `0 ${atMs} ${wallMs} 0 test`]);
      steps.push(missing ? ['hset', instances, 'absent', '0 - - 0 gone'] : ['hdel', instances, 'absent']);
    }
    steps.push(
      ['debug', 'change-repl-id'],
      ['hset', virtualTimeKey(this.#keys.meta), 'us', virtualTimeValue(this.nowMs)],
      ['client', 'kill', 'skipme', 'yes'],
    );
    const done = await this.#client.multi(steps).exec();
    const [failed] = (done ?? []).flatMap(([error]) => (error ? [error] : []));
    if (failed) throw failed;
    await this.#usable(before);
  }

  /** What was published so far was heard: an instance that lives and listens hears it long before a failover ends. */
  async #heardAll(): Promise<void> {
    if (!this.rollCall) return;
    let heard = false;
    const stop = this.#store.locks.onNotice(({ kind }) => {
      heard ||= kind === 'resync';
    });
    await this.#client.publish(this.#keys.channel(INSTANCE_ID), 'resync - 0 0 -');
    await eventually(() => heard, { what: 'a message', withinMs: 30_000, everyMs: 1 });
    stop();
  }

  override async passUnseen(ms: number): Promise<void> {
    this.passedMs += ms;
    this.nowMs += ms;
    await this.#client
      .multi([
        ['hset', virtualTimeKey(this.#keys.meta), 'us', virtualTimeValue(this.nowMs)],
        ['hset', this.#keys.meta, 'last', virtualTimeValue(this.nowMs)],
        ['hincrby', this.#keys.meta, 'clock', virtualTimeValue(ms)],
      ])
      .exec();
  }

  // The shipped script, which bypasses the store: it makes no difference whether the store's own tick comes first.
  protected override async tick(): Promise<void> {
    const reign = (await this.#client.hget(this.#keys.meta, 'reign')) ?? '';
    const { source } = this.#scripts['tick-clock'];
    const caller = this.rollCall ? INSTANCE_ID : '-';
    const asked = this.rollCall ? [this.#monotonicMs(), this.#clock.wallMs()] : ['', ''];
    for (let more = true; more; ) {
      const reply = await this.#client.eval(
        source,
        1,
        this.#keys.meta,
        reign,
        NEVER_LATE,
        caller,
        MOST,
        ...LIFE,
        ...asked,
        entryKeptMs(MAX_TTL_MS) * 1_000,
      );
      if (!Array.isArray(reply) || reply[0] !== 'ticked') throw new Error(`tick: ${reply}`);
      this.deaths.push(...deathsOf(String(reply[4])));
      more = reply[3] === '1';
    }
  }

  override async lookAtAttempts(): Promise<void> {
    const bucket = this.#keys.meta.slice(0, -'meta'.length);
    const indexed = await this.#client.zrange(`${bucket}operation-deadlines`, '0', '-1');
    for (const name of indexed) {
      const run = (await this.#client.hget(`${bucket}operation:${name}`, 'r')) ?? '';
      if (!run.startsWith('running\t')) continue;
      await this.#client.call(
        'ZADD',
        `${bucket}operation-deadlines`,
        'XX',
        'LT',
        await this.#leaseClock(),
        name,
      );
    }
    await this.tick();
  }

  override async remembered(): Promise<number> {
    await eventually(
      async () => {
        const due = await this.#client.zcount(this.#keys.deadlines, '-inf', await this.#leaseClock());
        return due === 0;
      },
      { what: 'a sweep of what lapsed', withinMs: 30_000 },
    );
    const bucket = this.#keys.meta.slice(0, -'meta'.length);
    const kinds = ['lock', 'queue', 'waiters'].map(async (kind) => {
      const found = await this.#client.keys(`${bucket}${kind}:*`);
      return found.map((key) => key.slice(`${bucket}${kind}:`.length));
    });
    const resources = new Set((await Promise.all(kinds)).flat());
    const indexed = await this.#client.zrange(this.#keys.deadlines, '0', '-1');
    const unknown = indexed.filter((resource) => !resources.has(resource));
    if (unknown.length > 0) throw new Error(`in the index, but nothing else: ${unknown}`);
    const named = await this.#client.zrange(this.#keys.names, '0', '-1');
    if (named.toSorted().join() !== indexed.toSorted().join()) throw new Error(`other names: ${named}`);
    return resources.size;
  }

  override async recorded(): Promise<number> {
    const bucket = this.#keys.meta.slice(0, -'meta'.length);
    const records = await this.#client.keys(`${bucket}operation:*`);
    const names = records.map((key) => key.slice(`${bucket}operation:`.length)).sort();
    expect((await this.#client.zrange(`${bucket}operations`, '0', '-1')).sort()).toEqual(names);
    const claimable = await this.#client.keys(`${bucket}claimable:*`);
    const indexed = await Promise.all(
      [`${bucket}operation-deadlines`, ...claimable].map((key) => this.#client.zrange(key, '0', '-1')),
    );
    const claimed = Object.values(await this.#client.hgetall(`${bucket}claims`)).flatMap((text) =>
      text.split('\n'),
    );
    for (const name of [...indexed.flat(), ...claimed]) expect(names).toContain(name);
    expect(await this.#client.hgetall(`${bucket}open`)).toEqual(await this.#openOf(names));
    return names.length;
  }

  override async expiredLeases(): Promise<number> {
    return Number(await this.#client.hget(this.#keys.meta, 'expired_leases'));
  }

  /** How many operations of each resource are open, as the index should have it; 'x' for an exclusive one. */
  async #openOf(names: readonly string[]): Promise<Record<string, string>> {
    const bucket = this.#keys.meta.slice(0, -'meta'.length);
    const open: Record<string, string> = {};
    for (const name of names) {
      const [resource = ''] = name.split('\t');
      const [spec = '', run = ''] = await this.#client.hmget(`${bucket}operation:${name}`, 's', 'r');
      if (!/^(pending|running)\t/.test(run ?? '')) continue;
      const isExclusive = (spec ?? '').split('\t')[6] === '1';
      if (isExclusive) expect(open[resource]).toBeUndefined();
      open[resource] = isExclusive ? 'x' : String(Number(open[resource] ?? 0) + 1);
    }
    return open;
  }

  async #leaseClock(): Promise<string> {
    return (await this.#client.hget(this.#keys.meta, 'clock')) ?? '';
  }

  override async close(): Promise<void> {
    await this.#store.close();
    this.#client.disconnect();
  }
}

/**
 * A Redis server whose harnesses may begin reigns. Their stores log in as the user of docs/redis-acl.md: what these
 * suites do is what that user can do.
 */
export async function startHarnessRedis(): Promise<RedisProcess> {
  const rights = leastRights('The user at Redis', 't-*:');
  const redis = await RedisProcess.server({ directives: [leastUserLine(rights)] });
  await redis.start();
  return redis;
}

export function redisHarness(redis: RedisProcess, options: HarnessOptions = {}): Promise<StoreHarness> {
  return RedisHarness.open(redis, options);
}
