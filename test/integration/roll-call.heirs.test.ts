// A process that goes on with the instance id of a dead one, on the same machine: it answers at once, and no roll call
// takes its word for what the dead one told. Stores on one real Redis, with a small max_ttl. What a dead process leaves
// is its entry: here that of one which ended, put back.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { machineMs, systemClock } from '../../src/domain/clock.ts';
import type { Inheritance } from '../../src/domain/inheritance.ts';
import type { Lease } from '../../src/domain/lock.ts';
import { awayAtMostMs, newcomerWaitMs } from '../../src/domain/safety.ts';
import { type Keys, keysFor } from '../../src/store/redis/keys.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { inTime, leaseSpec, storeOptions } from '../support/store-harness.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const MAX_TTL_MS = 5_000;
const NEWCOMER_WAIT_MS = newcomerWaitMs(MAX_TTL_MS);
/** How long anything may take on a busy machine that waits for nothing. */
const SOON_MS = 20_000;

class Rig {
  readonly redis: RedisProcess;
  readonly keys: Keys;
  readonly #prefix = `t-${randomUUID()}:`;
  readonly #atEnd: AtEnd;
  #calls = 0;

  private constructor(redis: RedisProcess, atEnd: AtEnd) {
    this.redis = redis;
    this.#atEnd = atEnd;
    this.keys = keysFor(this.#prefix);
  }

  /** A deployment that has run for a while: what is new in it has to wait. */
  static async start(atEnd: AtEnd): Promise<{ readonly rig: Rig; readonly first: RedisStore }> {
    const rig = new Rig(await ownRedis(atEnd), atEnd);
    const first = rig.instance('first');
    await usable(first);
    const isWarm = async (): Promise<boolean> => {
      const [clock, warm] = await rig.redis.withClient((client) =>
        client.hmget(rig.keys.meta, 'clock', 'warm_until'),
      );
      return Number(clock) > Number(warm);
    };
    await eventually(isWarm, { what: 'the end of the first start', withinMs: NEWCOMER_WAIT_MS + SOON_MS });
    return { rig, first };
  }

  instance(instanceId: string, given: Partial<RedisStoreOptions> = {}): RedisStore {
    const options = { instanceId, keyPrefix: this.#prefix, maxTtlMs: MAX_TTL_MS, rollCall: true, ...given };
    const store = new RedisStore(storeOptions(this.redis.listens, options));
    this.#atEnd(() => store.close());
    return store;
  }

  heir(instanceId: string, inheritance: Inheritance): RedisStore {
    return this.instance(instanceId, {
      identity: { group: [instanceId], inheritance, onStanding: async () => {} },
    });
  }

  get registry(): string {
    return `${this.keys.bucket}instances`;
  }

  entries(): Promise<Record<string, string>> {
    return this.redis.withClient((client) => client.hgetall(this.registry));
  }

  /** Ends it without its leaving the registry. Returns when that was. */
  async killed(store: RedisStore, instanceId: string): Promise<number> {
    await eventually(async () => !/ - /.test((await this.entries())[instanceId] ?? ' - '), {
      what: 'a tick',
      withinMs: SOON_MS,
    });
    const entry = (await this.entries())[instanceId] ?? '';
    await store.close();
    await this.redis.withClient((client) => client.hset(this.registry, instanceId, entry));
    return machineMs();
  }

  async acquire(store: RedisStore, instanceId: string, resource: string): Promise<Lease | string> {
    this.#calls += 2;
    const stamp = { instanceId, callNumber: this.#calls };
    const spec = leaseSpec({ resource, ttlMs: MAX_TTL_MS });
    const outcome = await store.locks.acquire({ spec, stamp, mayWait: false }, inTime());
    return outcome.kind === 'granted' ? outcome.lease : outcome.kind;
  }

  /** The same primary under another name, which has lost a lock. */
  async failOver(lost: string): Promise<void> {
    await this.redis.withClient((client) =>
      client
        .multi([
          ['del', `${this.keys.lockPrefix}${lost}`],
          ['debug', 'change-repl-id'],
          ['client', 'kill', 'skipme', 'yes'],
        ])
        .exec(),
    );
  }
}

function usable(store: RedisStore): Promise<boolean> {
  return eventually(() => store.status().usable, { what: 'a usable store', withinMs: SOON_MS, everyMs: 5 });
}

describe.concurrent('the heir of a dead process', { timeout: 90_000 }, () => {
  test('it answers at once, and the registry has one entry for both', async ({ onTestFinished }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    const diedAtMs = await rig.killed(first, 'first');
    const heir = rig.heir('first', { diedAtMs, tellsFromMs: diedAtMs - 1_000 });
    let leastWaitMs = 0;
    heir.onStatus(({ rollCall }) => {
      leastWaitMs = Math.max(leastWaitMs, rollCall.newcomerRemainingMs);
    });
    await usable(heir);
    expect(leastWaitMs).toBe(0);
    expect(Object.keys(await rig.entries())).toEqual(['first']);
    expect(await rig.acquire(heir, 'first', 'a')).toMatchObject({ resource: 'a' });
  });

  test('a failover lasts until all is over that the dead one told, and a later one ends when all have answered', async ({
    onTestFinished,
  }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    expect(await rig.acquire(first, 'first', 'lost')).toMatchObject({ resource: 'lost' });
    const toldUntilMs = machineMs() + MAX_TTL_MS - 1_000; // the call took less than that
    const diedAtMs = await rig.killed(first, 'first');
    const heir = rig.heir('first', { diedAtMs, tellsFromMs: diedAtMs - 1_000 });
    await usable(heir);
    expect(heir.status().rollCall.incomplete).toBe(true);
    const { epoch } = heir.status();
    await rig.failOver('lost');
    const opens = async (): Promise<boolean> => {
      const { usable: isUsable, epoch: now, quarantineRemainingMs } = heir.status();
      return isUsable && now > epoch && quarantineRemainingMs === 0;
    };
    await eventually(opens, { what: 'the end of the quarantine', withinMs: SOON_MS, everyMs: 5 });
    expect(machineMs()).toBeGreaterThan(toldUntilMs);
    await eventually(() => heir.status().rollCall.lastEnd?.how === 'early', {
      what: 'an early end',
      withinMs: SOON_MS,
    });
    expect(heir.status().rollCall.incomplete).toBe(false);
    const second = heir.status().epoch;
    const startedMs = systemClock.monotonicMs();
    await rig.failOver('none');
    await eventually(() => heir.status().epoch > second && heir.status().quarantineRemainingMs === 0, {
      what: 'the end of the second quarantine',
      withinMs: SOON_MS,
      everyMs: 5,
    });
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(MAX_TTL_MS);
  });

  test('of a newcomer it waits for the rest', async ({ onTestFinished }) => {
    const { rig } = await Rig.start(onTestFinished);
    const second = rig.instance('second');
    await eventually(() => second.status().rollCall.newcomerRemainingMs > 0, {
      what: 'a newcomer',
      withinMs: SOON_MS,
    });
    const tellsFromMs = machineMs() + second.status().rollCall.newcomerRemainingMs;
    const diedAtMs = await rig.killed(second, 'second');
    const heir = rig.heir('second', { diedAtMs, tellsFromMs });
    await usable(heir);
    expect(machineMs()).toBeGreaterThanOrEqual(Math.floor(tellsFromMs));
  });

  test('if nobody knows from when the dead one could answer, it waits as a newcomer does, from that death on', async ({
    onTestFinished,
  }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    const diedAtMs = await rig.killed(first, 'first');
    const heir = rig.heir('first', { diedAtMs, tellsFromMs: undefined });
    await usable(heir);
    expect(machineMs()).toBeGreaterThanOrEqual(diedAtMs + NEWCOMER_WAIT_MS);
  });

  test('it is a newcomer if the entry is older than an instance may be away', async ({ onTestFinished }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    const other = rig.instance('other'); // so that it isn't alone
    await usable(other);
    const diedAtMs = await rig.killed(first, 'first');
    await eventually(() => machineMs() > diedAtMs + awayAtMostMs(MAX_TTL_MS) + 100, {
      what: 'an old entry',
      withinMs: SOON_MS,
    });
    const heir = rig.heir('first', { diedAtMs, tellsFromMs: diedAtMs - 1_000 });
    await eventually(() => heir.status().rollCall.newcomerRemainingMs > 0, {
      what: 'a newcomer',
      withinMs: SOON_MS,
      everyMs: 5,
    });
  });
});

describe.concurrent('instances that one supervisor starts together', { timeout: 90_000 }, () => {
  const noHeir = { inheritance: undefined, onStanding: async () => {} };

  test('all of them answer at once where nobody else is registered', async ({ onTestFinished }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    await first.close();
    const group = ['a', 'b', 'c'];
    const stores = group.map((id) => rig.instance(id, { identity: { group, ...noHeir } }));
    const waits = new Set<number>();
    for (const store of stores) {
      store.onStatus(({ rollCall }) => {
        if (rollCall.newcomerRemainingMs > 0) waits.add(rollCall.newcomerRemainingMs);
      });
    }
    await Promise.all(stores.map(usable));
    expect([...waits]).toEqual([]);
    expect(Object.keys(await rig.entries()).toSorted()).toEqual(group);
  });

  test('all of them wait beside others', async ({ onTestFinished }) => {
    const { rig } = await Rig.start(onTestFinished);
    const group = ['a', 'b'];
    const stores = group.map((id) => rig.instance(id, { identity: { group, ...noHeir } }));
    await eventually(() => stores.every((store) => store.status().rollCall.newcomerRemainingMs > 0), {
      what: 'newcomers',
      withinMs: SOON_MS,
      everyMs: 5,
    });
  });

  test('one that comes under a later reign waits, and is waited for by the roll call of that', async ({
    onTestFinished,
  }) => {
    const { rig, first } = await Rig.start(onTestFinished);
    await first.close();
    const group = ['a', 'late'];
    const store = rig.instance('a', { identity: { group, ...noHeir } });
    await usable(store);
    const { epoch } = store.status();
    await rig.failOver('none');
    await eventually(() => store.status().epoch > epoch && store.status().rollCall.missingCount > 0, {
      what: 'a roll call that waits',
      withinMs: SOON_MS,
      everyMs: 5,
    });
    expect(store.status().rollCall.missing).toMatchObject([{ instanceId: 'late' }]);
    const late = rig.instance('late', { identity: { group, ...noHeir } });
    await eventually(() => late.status().rollCall.newcomerRemainingMs > 0, {
      what: 'a newcomer',
      withinMs: SOON_MS,
      everyMs: 5,
    });
  });
});

describe.concurrent('what a process leaves to its heir', { timeout: 90_000 }, () => {
  test('it says that it is about to register before it does, and then from when on it answers', async ({
    onTestFinished,
  }) => {
    const { rig } = await Rig.start(onTestFinished);
    const said: (number | undefined)[] = [];
    const registeredThen: boolean[] = [];
    const onStanding = async (tellsFromMs: number | undefined): Promise<void> => {
      said.push(tellsFromMs);
      registeredThen.push('second' in (await rig.entries()));
    };
    const before = machineMs();
    const second = rig.instance('second', { identity: { group: [], inheritance: undefined, onStanding } });
    await eventually(() => said.length >= 2 && registeredThen.length >= 2, {
      what: 'two words',
      withinMs: SOON_MS,
    });
    expect(second.status().rollCall.newcomerRemainingMs).toBeGreaterThan(0);
    expect(said).toEqual([undefined, expect.any(Number)]);
    expect(said[1]).toBeGreaterThanOrEqual(before + NEWCOMER_WAIT_MS - 1);
    expect(registeredThen).toEqual([false, true]);
  });

  test('an instance whose registration was not answered registers again, and waits from there', async ({
    onTestFinished,
  }) => {
    const { rig } = await Rig.start(onTestFinished);
    // Once, the script does its work and its reply is lost.
    const scripts = loadScripts((source, name) =>
      name === 'register-instance'
        ? source.replace(
            "return { 'registered',",
            "if redis.call('DEL', state.bucket .. 'lose') == 1 then return redis.error_reply('ERR lost') end\nreturn { 'registered',",
          )
        : source,
    );
    const second = rig.instance('second', { scripts });
    await usable(second);
    await rig.redis.withClient((client) =>
      client.multi().set(`${rig.keys.bucket}lose`, '1').hdel(rig.registry, 'second').exec(),
    );
    await eventually(() => second.status().rollCall.newcomerRemainingMs > 0, {
      what: 'a newcomer',
      withinMs: SOON_MS,
      everyMs: 5,
    });
    expect(Object.keys(await rig.entries()).toSorted()).toEqual(['first', 'second']);
  });
});
