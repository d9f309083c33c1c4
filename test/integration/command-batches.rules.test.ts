// Commands that go to Redis in one call, rule by rule: each is as if it had come alone. Real Redis, frozen, full, or
// cut off where the rule is about that.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { LeaseSpec } from '../../src/domain/lock.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { isSettled, outcomeOf, ReplicatedRedis } from '../support/replicated-redis.ts';
import { inTime, leaseSpec, quietObserver, storeOptions } from '../support/store-harness.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

const PATIENT_MS = 8_000;
/** Of a caller that gives up while Redis is frozen; below the silence after which a connection is given up. */
const SHORT_MS = 400;
const MOST_COMMANDS = 64;

let shared: RedisProcess;

beforeAll(async () => {
  shared = await RedisProcess.server();
  await shared.start();
});

afterAll(() => shared?.stop());

class Rig {
  readonly store: RedisStore;
  /** How many commands went to Redis together, call by call. */
  readonly batches: number[] = [];
  readonly #redis: RedisProcess;
  readonly #prefix = `t-${randomUUID()}:`;
  #calls = 0;

  constructor(redis: RedisProcess, address = redis.listens) {
    this.#redis = redis;
    const observer = { ...quietObserver, batchSent: (commands: number) => void this.batches.push(commands) };
    this.store = new RedisStore(
      storeOptions(address, { keyPrefix: this.#prefix, maxInFlight: 10_000, observer }),
    );
  }

  static async start(atEnd: AtEnd, redis: RedisProcess, address = redis.listens): Promise<Rig> {
    const rig = new Rig(redis, address);
    atEnd(() => rig.store.close());
    await eventually(() => rig.store.status().usable, { what: 'a usable store', withinMs: 15_000 });
    return rig;
  }

  key(name: string): string {
    return `${this.#prefix}{0}:${name}`;
  }

  acquire(spec: LeaseSpec, withinMs = PATIENT_MS) {
    const stamp = { instanceId: 'i1', callNumber: ++this.#calls };
    return this.store.locks.acquire({ spec, stamp, mayWait: false }, inTime(withinMs));
  }

  outcome(resource: string, withinMs = PATIENT_MS): Promise<string> {
    return outcomeOf(this.acquire(leaseSpec({ resource }), withinMs));
  }

  async token(resource: string): Promise<bigint> {
    const outcome = await this.acquire(leaseSpec({ resource }));
    if (outcome.kind !== 'granted') throw new Error(`${resource}: ${outcome.kind}`);
    return outcome.lease.fencingToken;
  }

  async held(spec: LeaseSpec): Promise<boolean> {
    return (await this.store.locks.get(spec.resource, inTime(PATIENT_MS))).holders.length > 0;
  }

  /** Asks twice, so that Redis has two calls to answer, and what follows waits in this process. */
  async occupy(): Promise<readonly Promise<string>[]> {
    const asked: Promise<string>[] = [];
    for (const resource of ['first', 'second']) {
      const sent = this.batches.length;
      asked.push(this.outcome(resource));
      await eventually(() => this.batches.length > sent, { what: 'a call', withinMs: 5_000, everyMs: 1 });
    }
    return asked;
  }

  async frozen<T>(work: () => Promise<T>): Promise<T> {
    await this.#redis.pause();
    try {
      return await work();
    } finally {
      await this.#redis.resume();
    }
  }
}

/** Passes on what Redis says, up to a number of bytes on each connection, and then ends the connection. */
async function relayTo(atEnd: AtEnd, target: HostPort) {
  let bytesLeft = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(target);
    for (const socket of [client, redis]) {
      sockets.add(socket.on('error', () => {}));
      socket.on('close', () => {
        client.destroy();
        redis.destroy();
      });
    }
    client.pipe(redis);
    redis.on('data', (bytes) => {
      client.write(bytes.subarray(0, Math.min(bytes.length, bytesLeft)));
      if (bytes.length > bytesLeft) client.end();
      bytesLeft -= bytes.length;
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    address: { host: '127.0.0.1', port },
    cutAfter: (bytes: number) => {
      bytesLeft = bytes;
    },
  };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `r${index}`);

describe('commands that are asked together', { timeout: 60_000 }, () => {
  test('commands of one turn of the event loop go to Redis together, the first 16 at once, and 64 at most', async ({
    onTestFinished,
  }) => {
    const rig = await Rig.start(onTestFinished, shared);
    const outcomes = await Promise.all(names(150).map((name) => rig.outcome(name)));
    expect(new Set(outcomes)).toEqual(new Set(['granted']));
    expect(rig.batches).toEqual([16, 16, MOST_COMMANDS, 150 - 32 - MOST_COMMANDS]);
  });

  test('long commands go in several calls, and one that is too long for others goes alone', async ({
    onTestFinished,
  }) => {
    const rig = await Rig.start(onTestFinished, shared);
    const unknown = { resource: 'r', leaseId: randomUUID(), fencingToken: 7n, ttlMs: 1_000 };
    const renewals = [1_000, 1_000, 2_500, 1].map((count) =>
      rig.store.locks.renew(Array(count).fill(unknown), inTime(PATIENT_MS)),
    );
    for (const outcomes of await Promise.all(renewals)) {
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['lost']));
    }
    expect(rig.batches).toEqual([1, 1, 1, 1]);
  });

  test('no two grants of a batch have the same token, and the next one has a larger one', async ({
    onTestFinished,
  }) => {
    const rig = await Rig.start(onTestFinished, shared);
    // So that the counter leads, and not the time: the next token is the recorded one and one more.
    const ahead = 4_000_000_000_000_000n;
    await shared.withClient((client) => client.hset(rig.key('meta'), 'token', String(ahead)));
    const tokens = await Promise.all(names(10).map((name) => rig.token(name)));
    expect(tokens).toEqual(tokens.map((_, index) => ahead + BigInt(index) + 1n));
    expect(await rig.token('after')).toBe(ahead + 11n);
  });

  test('a call that leaves right behind its own acquire leaves nothing', async ({ onTestFinished }) => {
    const rig = await Rig.start(onTestFinished, shared);
    const spec = leaseSpec({ resource: 'left' });
    const stamp = { instanceId: 'i1', callNumber: 77 };
    const { locks } = rig.store;
    const acquired = locks.acquire({ spec, stamp, mayWait: true }, inTime(PATIENT_MS));
    const gone = locks.leave({ ...spec, stamp, keepPlaceMs: 0, giveBack: true }, inTime(PATIENT_MS));
    expect((await acquired).kind).toBe('granted');
    expect(await gone).toBe(true);
    expect(rig.batches.at(-1)).toBe(2);
    expect(await rig.held(spec)).toBe(false);
  });

  test('a command that fails takes no other of its batch with it', async ({ onTestFinished }) => {
    const rig = await Rig.start(onTestFinished, shared);
    await shared.withClient((client) => client.set(rig.key('lock:broken'), 'no hash'));
    const before = await rig.token('before');
    const outcomes = await Promise.all(['a', 'broken', 'b'].map((name) => rig.outcome(name)));
    expect(rig.batches.at(-1)).toBe(3);
    expect(outcomes).toEqual(['granted', 'INTERNAL', 'granted']);
    expect(await rig.token('after')).toBeGreaterThan(before);
  });

  test('under another reign none of them does anything, and each is told so', async ({ onTestFinished }) => {
    const rig = await Rig.start(onTestFinished, shared);
    await shared.withClient((client) => client.hset(rig.key('meta'), 'reign', 'another 9'));
    const outcomes = await Promise.all(names(3).map((name) => rig.outcome(name)));
    expect(outcomes).toEqual(['REDIS_UNAVAILABLE', 'REDIS_UNAVAILABLE', 'REDIS_UNAVAILABLE']);
    const locks = await shared.withClient((client) => client.keys(rig.key('lock:r*')));
    expect(locks).toEqual([]);
  });
});

describe.concurrent('a batch that Redis runs late, or not at all', { timeout: 60_000 }, () => {
  test('a command of a batch that is run too late does nothing, and those with more time are granted', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const rig = await Rig.start(onTestFinished, redis);
    const hasty = leaseSpec({ resource: 'hasty' });
    const patient = await rig.frozen(async () => {
      const asked = [rig.outcome('patient'), outcomeOf(rig.acquire(hasty, SHORT_MS)), rig.outcome('third')];
      expect(await asked[1]).toBe('OUTCOME_UNKNOWN');
      return [asked[0], asked[2]];
    });
    expect(rig.batches.at(-1)).toBe(3);
    expect(await Promise.all(patient)).toEqual(['granted', 'granted']);
    expect(await rig.held(hasty)).toBe(false);
  });

  test('a command that waits here until its time is up is never sent, and its caller is told so', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const rig = await Rig.start(onTestFinished, redis);
    const hasty = leaseSpec({ resource: 'hasty' });
    const [occupied, late] = await rig.frozen(async () => {
      const before = await rig.occupy();
      const error: unknown = await rig.acquire(hasty, SHORT_MS).catch((reason: unknown) => reason);
      return [before, error];
    });
    expect(late).toMatchObject({
      code: 'REDIS_UNAVAILABLE',
      message: 'Redis was not asked in time; nothing was changed',
    });
    expect(await Promise.all(occupied)).toEqual(['granted', 'granted']);
    // What comes behind it is answered after it would have been.
    expect(await rig.outcome('behind')).toBe('granted');
    expect(await rig.held(hasty)).toBe(false);
  });

  test('full batches go at once, however many calls are on their way, and the rest waits for company', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const rig = await Rig.start(onTestFinished, redis);
    const asked = await rig.frozen(async () => {
      const before = await rig.occupy();
      const more = names(130).map((name) => rig.outcome(name));
      expect(rig.batches.slice(-4)).toEqual([1, 1, MOST_COMMANDS, MOST_COMMANDS]);
      return [...before, ...more];
    });
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['granted']));
    expect(rig.batches.at(-1)).toBe(2);
  });

  test('when the connection ends in the middle of a reply, each outcome is unknown, and what waited is undone', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const relay = await relayTo(onTestFinished, redis.listens);
    const rig = await Rig.start(onTestFinished, redis, relay.address);
    const [asked, waits] = await rig.frozen(async () => {
      const together = names(5).map((name) => rig.outcome(name));
      await eventually(() => rig.batches.at(-1) === 5, { what: 'a call', withinMs: 5_000, everyMs: 1 });
      const second = rig.outcome('second');
      await eventually(() => rig.batches.at(-1) === 1, { what: 'a call', withinMs: 5_000, everyMs: 1 });
      relay.cutAfter(100);
      return [[...together, second], rig.outcome('waits')];
    });
    expect(await Promise.all(asked)).toEqual(Array(6).fill('OUTCOME_UNKNOWN'));
    expect(await waits).toBe('REDIS_UNAVAILABLE');
    relay.cutAfter(Number.POSITIVE_INFINITY);
    await eventually(() => rig.store.status().usable, { what: 'a usable store', withinMs: 15_000 });
    expect(await rig.held(leaseSpec({ resource: 'r0' }))).toBe(true);
    expect(await rig.held(leaseSpec({ resource: 'waits' }))).toBe(false);
  });

  test('in a full Redis the commands of a batch that make room run, and the others are told that it is full', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const rig = await Rig.start(onTestFinished, redis);
    const { locks } = rig.store;
    const [kept, released] = names(2).map((resource) => leaseSpec({ resource }));
    if (!kept || !released) throw new Error('two leases');
    const taken = await rig.acquire(kept);
    if (taken.kind !== 'granted') throw new Error(taken.kind);
    await rig.acquire(released);
    await redis.withClient((client) => client.config('SET', 'maxmemory', '1'));
    const outcomes = [
      rig.outcome('new'),
      outcomeOf(locks.release(released, inTime(PATIENT_MS))),
      locks.renew([{ ...kept, fencingToken: taken.lease.fencingToken }], inTime(PATIENT_MS)),
      rig.outcome('newer'),
    ];
    expect(await Promise.all(outcomes)).toMatchObject([
      'STORE_FULL',
      'released',
      [{ kind: 'renewed' }],
      'STORE_FULL',
    ]);
    expect(rig.batches.slice(-1)).toEqual([4]);
  });

  test('the grants of a batch are told only when a replica has them', async ({ onTestFinished }) => {
    const rig = await ReplicatedRedis.start(onTestFinished, 1);
    const answers = names(5).map((resource) => rig.acquire(leaseSpec({ resource }), PATIENT_MS));
    await rig.replied('acquire-lock granted', 5);
    await rig.waits();
    for (const answer of answers) expect(await isSettled(answer)).toBe(false);
    rig.replica.acknowledgeAll(true);
    expect(await Promise.all(answers)).toEqual(Array(5).fill('granted'));
  });
});
