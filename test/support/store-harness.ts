// A store of either kind under a system clock that the test moves and with reigns that the test begins. Both kinds have
// the same handle, so that one suite proves both and random sequences can compare them.

import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { LeaseSpec } from '../../src/domain/lock.ts';
import { entryKeptMs } from '../../src/domain/safety.ts';
import type { ContentionBoard } from '../../src/store/contention-board.ts';
import type { LockStore, StoreBound } from '../../src/store/lock-store.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import type { OperationStore } from '../../src/store/operation-store.ts';
import { deathsOf } from '../../src/store/redis/deaths.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { microseconds } from '../../src/store/redis/lock-arguments.ts';
import { lifeArguments } from '../../src/store/redis/operation-arguments.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import type { StoreObserver } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';
import { LEAST_USER, leastRights, leastUserLine } from './redis/least-user.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { scriptsOnVirtualTime, virtualTimeKey, virtualTimeValue } from './virtual-time.ts';

/** The deployment's largest TTL in these tests, in milliseconds; the quarantine follows from it. */
export const MAX_TTL_MS = 30_000;

export interface StoreHarness {
  readonly locks: LockStore;
  readonly operations: OperationStore;
  readonly contention: ContentionBoard;
  /** The types of the operations that became dead, as the store told of them. */
  readonly deaths: readonly string[];
  /** The system clock jumps by `ms`, forwards or back, and the next command sees it. */
  step(ms: number): Promise<void>;
  /** As `step`, but what is due is left until the next command. */
  stepUnseen(ms: number): Promise<void>;
  /** Time passes: the system clock moves on in steps that the lease clock follows. */
  pass(ms: number): Promise<void>;
  /**
   * Another primary takes over, or the same one again, after `unseenMs` in which no command advanced the lease clock.
   * Returns when the store has adopted its reign.
   */
  beginReign(unseenMs?: number): Promise<void>;
  /** What is due is done, and each attempt that has ended early, as with its lease, is found to be stale. */
  lookAtAttempts(): Promise<void>;
  /** How many locks are remembered in any form, after what lapsed was swept. */
  remembered(): Promise<number>;
  /** How many operations the store still remembers; fails if an index names one that is gone. */
  recorded(): Promise<number>;
  /** How many leases have lapsed instead of being released, as far as something has looked. */
  expiredLeases(): Promise<number>;
  close(): Promise<void>;
}

export const quietObserver: StoreObserver = {
  commandEnded: () => {},
  committed: () => {},
  event: () => {},
};

// Far below the real time, so that nothing that is compared with Redis's real TIME is ever late.
const START_MS = 1_700_000_000_000;
const STEP_FOLLOWED_MS = 1_000;
/** The instance whose notices the harness's store hears. */
export const INSTANCE_ID = 'i1';
const MOST = 100;
const LIFE = lifeArguments(MAX_TTL_MS);
const ENTRY_KEPT = microseconds(entryKeptMs(MAX_TTL_MS));
const NEVER_LATE = Number.MAX_SAFE_INTEGER;

export function inTime(ms = 5_000): StoreBound {
  return { deadlineMs: systemClock.monotonicMs() + ms };
}

export function leaseSpec(overrides: Partial<LeaseSpec> = {}): LeaseSpec {
  return {
    resource: 'invoice:42',
    leaseId: randomUUID(),
    owner: 'billing-7f9c@host-3',
    mode: { kind: 'exclusive' },
    metadata: new Map(),
    ttlMs: 20_000,
    minHoldMs: 0,
    maxHoldMs: 0,
    ...overrides,
  };
}

abstract class Harness implements StoreHarness {
  abstract readonly locks: LockStore;
  abstract readonly operations: OperationStore;
  abstract readonly contention: ContentionBoard;
  readonly deaths: string[] = [];
  protected readonly observer: StoreObserver = {
    ...quietObserver,
    operationDied: (type) => void this.deaths.push(type),
  };
  protected nowMs = START_MS;

  protected abstract applyTime(): Promise<void>;
  /** Does at once what instances do every second: advances the lease clock and looks at what is due. */
  protected abstract tick(): Promise<void>;
  abstract beginReign(unseenMs?: number): Promise<void>;
  abstract lookAtAttempts(): Promise<void>;
  abstract remembered(): Promise<number>;
  abstract recorded(): Promise<number>;
  abstract expiredLeases(): Promise<number>;
  abstract close(): Promise<void>;

  async step(ms: number): Promise<void> {
    await this.stepUnseen(ms);
    await this.tick();
  }

  async stepUnseen(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.applyTime();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_FOLLOWED_MS) await this.step(Math.min(left, STEP_FOLLOWED_MS));
  }
}

class MemoryHarness extends Harness {
  readonly #store = new MemoryStore({
    clock: systemClock,
    maxTtlMs: MAX_TTL_MS,
    observer: this.observer,
    instanceId: INSTANCE_ID,
    systemMs: () => this.nowMs,
  });
  override readonly locks = this.#store.locks;
  override readonly operations = this.#store.operations;
  override readonly contention = this.#store.contention;

  protected override async applyTime(): Promise<void> {}

  protected override async tick(): Promise<void> {
    this.#store.tick();
  }

  override async beginReign(unseenMs = 0): Promise<void> {
    this.nowMs += unseenMs;
    this.#store.beginReign();
    await this.tick();
  }

  override lookAtAttempts(): Promise<void> {
    return this.tick();
  }

  override async remembered(): Promise<number> {
    this.#store.tick();
    return this.#store.locks.size;
  }

  override async recorded(): Promise<number> {
    return this.#store.operations.size;
  }

  override async expiredLeases(): Promise<number> {
    return this.#store.expiredLeases;
  }

  override close(): Promise<void> {
    return this.#store.close();
  }
}

/** The settings of a store on a single Redis, with keys of its own; a given setting wins. */
export function storeOptions(address: HostPort, given: Partial<RedisStoreOptions> = {}): RedisStoreOptions {
  return {
    deployment: { kind: 'single', address },
    instanceId: INSTANCE_ID,
    connection: { connectTimeoutMs: 2_000, name: 'test' },
    keyPrefix: `t-${randomUUID()}:`,
    maxTtlMs: MAX_TTL_MS,
    maxInFlight: 100,
    minAcks: 0,
    quarantine: true,
    bootstrapNew: true,
    rollCall: false,
    maxToldLeases: 100_000,
    hostName: 'test',
    clock: systemClock,
    observer: quietObserver,
    random: Math.random,
    ...given,
  };
}

class RedisHarness extends Harness {
  override readonly locks: LockStore;
  override readonly operations: OperationStore;
  override readonly contention: ContentionBoard;
  readonly #client: ReturnType<RedisProcess['client']>;
  readonly #store: RedisStore;
  readonly #keys: ReturnType<typeof keysFor>;
  readonly #scripts = scriptsOnVirtualTime();

  private constructor(redis: RedisProcess, prefix: string, client: ReturnType<RedisProcess['client']>) {
    super();
    this.#client = client;
    this.#keys = keysFor(prefix);
    this.#store = new RedisStore(
      storeOptions(redis.listens, {
        connection: { ...LEAST_USER, connectTimeoutMs: 2_000, name: 'test' },
        keyPrefix: prefix,
        maxInFlight: 10_000,
        scripts: this.#scripts,
        observer: this.observer,
      }),
    );
    this.locks = this.#store.locks;
    this.operations = this.#store.operations;
    this.contention = this.#store.contention;
  }

  static async open(redis: RedisProcess): Promise<RedisHarness> {
    const prefix = `t-${randomUUID()}:`;
    const client = redis.client();
    await client.hset(virtualTimeKey(keysFor(prefix).meta), 'us', virtualTimeValue(START_MS));
    const harness = new RedisHarness(redis, prefix, client);
    await harness.#usable();
    return harness;
  }

  /** The store must also listen: nobody hears what is published before that. */
  async #usable(): Promise<void> {
    const channel = this.#keys.channel(INSTANCE_ID);
    const listens = async () => Number((await this.#client.pubsub('NUMSUB', channel))[1]) > 0;
    await eventually(async () => this.#store.status().usable && (await listens()), {
      what: 'a usable store',
      withinMs: 30_000,
      everyMs: 5,
    });
  }

  protected override async applyTime(): Promise<void> {
    await this.#client.hset(virtualTimeKey(this.#keys.meta), 'us', virtualTimeValue(this.nowMs));
  }

  override async beginReign(unseenMs = 0): Promise<void> {
    const before = this.#store.status().epoch;
    this.nowMs += unseenMs;
    // In one transaction, so that no tick of the old session sees the new time.
    await this.#client
      .multi([
        ['debug', 'change-repl-id'],
        ['hset', virtualTimeKey(this.#keys.meta), 'us', virtualTimeValue(this.nowMs)],
        ['client', 'kill', 'skipme', 'yes'],
      ])
      .exec();
    await eventually(() => this.#store.status().epoch > before, {
      what: 'the next reign',
      withinMs: 30_000,
      everyMs: 5,
    });
    await this.tick();
  }

  // The shipped script, which bypasses the store: it makes no difference whether the store's own tick comes first.
  protected override async tick(): Promise<void> {
    const reign = (await this.#client.hget(this.#keys.meta, 'reign')) ?? '';
    const { source } = this.#scripts['tick-clock'];
    for (let more = true; more; ) {
      const reply = await this.#client.eval(
        source,
        1,
        this.#keys.meta,
        reign,
        NEVER_LATE,
        '-',
        MOST,
        ...LIFE,
        '',
        '',
        ENTRY_KEPT,
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

export async function memoryHarness(): Promise<StoreHarness> {
  return new MemoryHarness();
}

export function redisHarness(redis: RedisProcess): Promise<StoreHarness> {
  return RedisHarness.open(redis);
}
