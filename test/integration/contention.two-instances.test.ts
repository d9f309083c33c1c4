// Contention and suspected deadlocks over two instances of one Redis: each answers for both, and a wait that has ended
// makes no circle. All scenes share the instances and play at once, because a report takes some seconds.

import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { type Instance, serve } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration, TestClient, testEnvironment } from '../support/test-instance.ts';

type Spec = Parameters<TestClient['acquire']>[0];

const TTL = duration(120_000);
const SHARED: Spec = { mode: { $case: 'shared', value: {} } };
const permits = (n: number, limit: number): Spec => ({
  mode: { $case: 'permits', value: { permits: n, limit } },
});

let redis: RedisProcess;
let instances: Instance[];
let one: TestClient;
let two: TestClient;
const logged: Record<string, unknown>[] = [];
/** The waits of each scene that have not ended. */
const open = new Map<
  string,
  { readonly at: TestClient; readonly resource: string; readonly leaseId: string }
>();

beforeAll(async () => {
  redis = await RedisProcess.server();
  await redis.start();
  const config = loadConfig({
    env: testEnvironment({ ...singleRedis(redis), LEASEHOLD_LOCKS_MAX_TTL: '120s' }),
  });
  const log = pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  instances = [await serve(config, log), await serve(config, log)];
  for (const { store } of instances) {
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 10_000 });
  }
  [one, two] = instances.map(({ address }) => new TestClient(address)) as [TestClient, TestClient];
  await twoExclusive();
  await overShared();
  await overPermits();
  await behindACrowd();
}, 30_000);
afterAll(async () => {
  for (const client of [one, two]) {
    client?.cancelAll();
    client?.close();
  }
  for (const instance of instances ?? []) await instance.stop();
  await redis?.stop();
});

async function holds(at: TestClient, owner: string, resource: string, spec: Spec = {}): Promise<void> {
  await at.acquire({ owner, resource, ttl: TTL, ...spec });
}

async function waits(at: TestClient, owner: string, resource: string, spec: Spec = {}): Promise<void> {
  const leaseId = randomUUID();
  const before = (await at.getLock(resource)).lock?.waiterCount ?? 0;
  at.acquire({ owner, resource, leaseId, ttl: TTL, ...spec }, { $case: 'waitTimeout', value: TTL }, 130_000)
    .catch(() => {}) // it ends with the test at the latest
    .finally(() => open.delete(owner));
  open.set(owner, { at, resource, leaseId });
  await eventually(async () => ((await at.getLock(resource)).lock?.waiterCount ?? 0) > before, {
    what: `${owner} in the queue of ${resource}`,
    withinMs: 5_000,
  });
}

async function givesUp(owner: string): Promise<void> {
  const wait = open.get(owner);
  if (!wait) throw new Error(`${owner} does not wait`);
  await wait.at.release(wait);
}

async function twoExclusive(): Promise<void> {
  await holds(one, 'alice', 'a');
  await holds(two, 'bob', 'b');
  await waits(one, 'alice', 'b');
  await waits(two, 'bob', 'a');
}

async function overShared(): Promise<void> {
  await holds(one, 'reader', 'document', SHARED);
  await holds(two, 'frank', 'document', SHARED);
  await holds(one, 'erin', 'index');
  await waits(one, 'erin', 'document');
  await waits(two, 'frank', 'index');
}

async function overPermits(): Promise<void> {
  // Dave has all permits, and both wait for each other.
  await holds(two, 'dave', 'pool/full', permits(2, 2));
  await holds(one, 'carol', 'disk');
  await waits(one, 'carol', 'pool/full', permits(1, 2));
  await waits(two, 'dave', 'disk');
  // Here somebody else can free what Kate wants.
  await holds(two, 'leo', 'pool/free', permits(1, 2));
  await holds(two, 'other', 'pool/free', permits(1, 2));
  await holds(one, 'kate', 'tape');
  await waits(one, 'kate', 'pool/free', permits(1, 2));
  await waits(two, 'leo', 'tape');
}

async function behindACrowd(): Promise<void> {
  await holds(two, 'henry', 'hot');
  await holds(one, 'ivy', 'cold');
  // More than a view shows.
  for (let i = 0; i < 12; i++) await waits(one, `crowd${i}`, 'hot');
  await waits(one, 'ivy', 'hot');
  await waits(two, 'henry', 'cold');
}

async function circlesAt(client: TestClient): Promise<string[]> {
  const { deadlocks } = await client.listSuspectedDeadlocks();
  return deadlocks.map(({ members }) => members.map(({ owner }) => owner).join(' ')).sort();
}

const ALL = ['alice bob', 'carol dave', 'erin frank', 'henry ivy'];

test('Both instances report the circles of owners that hold what the other waits for', async () => {
  for (const client of [one, two]) {
    await eventually(async () => (await circlesAt(client)).join() === ALL.join(), {
      what: 'all circles, and no other',
      withinMs: 15_000,
    });
  }
  const { deadlocks, coverage, partial } = await two.listSuspectedDeadlocks();
  expect(coverage?.serverCount).toBe(2);
  expect(partial).toBe(false);
  const [alice, bob] = deadlocks.find(({ members }) => members[0]?.owner === 'alice')?.members ?? [];
  const [holder] = (await one.getLock('a')).lock?.holders ?? [];
  expect(alice).toMatchObject({
    owner: 'alice',
    heldResource: 'a',
    fencingToken: holder?.fencingToken,
    leaseIdHash: holder?.leaseIdHash,
    awaitedResource: 'b',
  });
  expect(bob).toMatchObject({ owner: 'bob', heldResource: 'b', awaitedResource: 'a' });
  const sinceMs = Date.now() - Number(alice?.waitSince?.seconds) * 1_000;
  expect(sinceMs).toBeGreaterThan(0);
  expect(sinceMs).toBeLessThan(60_000);
  expect(Number(alice?.waited?.seconds)).toBeLessThan(60);
}, 40_000);

test('The most contended lock comes first on both instances, with who holds it and who waits', async () => {
  for (const client of [one, two]) {
    const { locks, window, coverage } = await client.listContendedLocks();
    const [first] = locks;
    expect(first?.lock).toMatchObject({ resource: 'hot', waiterCount: 13 });
    expect(first?.lock?.holders[0]?.owner).toBe('henry');
    expect(first?.waitCount).toBe(13n);
    expect(first?.waitError).toBeUndefined();
    expect(Number(first?.totalWait?.seconds)).toBeGreaterThan(Number(first?.longestWait?.seconds));
    expect(locks.map(({ lock }) => lock?.resource)).toEqual(
      expect.arrayContaining(['a', 'b', 'cold', 'disk', 'document', 'index', 'pool/full', 'tape']),
    );
    expect(coverage?.serverCount).toBe(2);
    expect(Number(coverage?.oldestReport?.seconds)).toBeLessThan(60);
    expect(Number(window?.seconds)).toBeLessThan(360);
    expect((await client.listContendedLocks(1)).locks).toHaveLength(1);
  }
});

test('An instance on which a call waits long counts the circles and says each once in its log', async () => {
  const gauge = async (instance: Instance) =>
    Number(/^leasehold_suspected_deadlocks (\d+)$/m.exec(await instance.metricsText())?.[1]);
  for (const instance of instances) {
    await eventually(async () => (await gauge(instance)) === ALL.length, {
      what: 'the gauge',
      withinMs: 30_000,
      everyMs: 100,
    });
  }
  const told = logged.filter(({ msg }) => msg === 'a deadlock is suspected');
  expect(told).toHaveLength(2 * ALL.length); // once by each instance
  expect(told).toContainEqual(
    expect.objectContaining({
      members: [
        { owner: 'alice', holds: 'a', waitsFor: 'b', fencingToken: expect.any(String) },
        { owner: 'bob', holds: 'b', waitsFor: 'a', fencingToken: expect.any(String) },
      ],
    }),
  );
}, 60_000);

test('A circle is gone as soon as one of its owners gives up, although the reports still tell of its wait', async () => {
  await givesUp('bob');
  expect(await circlesAt(one)).not.toContain('alice bob');
  expect(await circlesAt(two)).not.toContain('alice bob');
  await givesUp('henry');
  for (const client of [one, two]) expect(await circlesAt(client)).toEqual(['carol dave', 'erin frank']);
});

test('What strangers leave on the board costs neither an answer nor a lock', async () => {
  const key = 'leasehold:{0}:contention';
  const raw = redis.client();
  const [seconds] = await raw.time();
  const now = `${seconds}000000`;
  const reports = [
    '',
    'not a report',
    '999999999999999999999999 x',
    `${now} [2,"of another version"]`,
    `${now} [1,1e300,1e300,1,[["hot",1e308,0,1.5,0,1.5,0]],[["hot","x","h",1e300]]]`,
    `${now} [1,1,1,0,[["",1,0,1,1,1,1]],[["","me","h",1]]]`,
    `${now} ${'['.repeat(100_000)}`,
    Buffer.concat([
      Buffer.from(`${now} [1,1,1,0,[["`),
      Buffer.from([0xff, 0xc0]),
      Buffer.from('",1,0,1,1,1,1]],[]]'),
    ]),
  ];
  await raw.hset(key, ...reports.flatMap((report, index) => [`stranger ${index}`, report]));
  for (const client of [one, two]) {
    expect((await client.listContendedLocks()).locks[0]?.lock).toMatchObject({ resource: 'hot' });
    expect(await circlesAt(client)).toEqual(['carol dave', 'erin frank']);
  }
  await raw.hdel(key, ...reports.map((_, index) => `stranger ${index}`));
  await raw.rename(key, `${key}:aside`);
  await raw.set(key, 'of another type');
  const { lease } = await one.acquire({ resource: 'free', ttl: TTL });
  expect((await two.release({ resource: 'free', leaseId: lease?.leaseId ?? '' })).released).toBe(true);
  await expect(one.listContendedLocks()).rejects.toThrow('an internal error');
  await raw.rename(`${key}:aside`, key);
  expect((await one.listContendedLocks()).locks[0]?.lock).toMatchObject({ resource: 'hot' });
}, 30_000);

test('An instance that stops takes its report along', async () => {
  const key = 'leasehold:{0}:contention';
  const client = redis.client();
  expect(await client.hlen(key)).toBe(2);
  two.cancelAll();
  await instances.pop()?.stop();
  expect(await client.hlen(key)).toBe(1);
  const { coverage } = await one.listContendedLocks();
  expect(coverage?.serverCount).toBe(1);
}, 30_000);
